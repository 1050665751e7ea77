//! Finds out that a connection which answers gets no announcements: this node publishes on a channel of its own, and
//! must hear that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::cmd;

use crate::bus::redis::connection::ThreadConnections;

/// How long an announcement may take after Redis has taken it.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);

/// The test of one connection.
pub struct Echo {
    channel: String,
    connections: Arc<ThreadConnections>,
    /// Whether anything was announced since the last test.
    heard: AtomicBool,
    /// When Redis took the announcement of the last test.
    published: Mutex<Option<Instant>>,
}

impl Echo {
    pub fn new(channel: String, connections: Arc<ThreadConnections>) -> Arc<Self> {
        Arc::new(Self { channel, connections, heard: AtomicBool::new(true), published: Mutex::new(None) })
    }

    /// Returns the channel to subscribe to.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// Notes that an announcement has arrived, of this test or of a room.
    pub fn on_push(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Ends the last test and begins the next. Returns false if nothing was heard of the last one.
    pub fn test(self: &Arc<Self>) -> bool {
        if self.heard.swap(false, Ordering::Relaxed) {
            *self.published.lock() = None;
        }
        let published = *self.published.lock();
        if published.is_none() {
            // Without a connection for commands nothing is published, and there is nothing to hear.
            tokio::spawn(self.clone().publish());
        }
        published.is_none_or(|at| at.elapsed() < ECHO_TIMEOUT)
    }

    async fn publish(self: Arc<Self>) {
        let taken = self.connections.command::<u64>(&self.channel, cmd("PUBLISH").arg(&self.channel).arg("")).await;
        if taken.is_ok() {
            *self.published.lock() = Some(Instant::now());
        }
    }
}
