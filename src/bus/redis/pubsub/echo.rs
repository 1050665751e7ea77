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
    publish: &'static str,
    connections: Arc<ThreadConnections>,
    /// Whether anything was announced since the last test.
    heard: AtomicBool,
    state: Mutex<State>,
}

struct State {
    /// The channel; `None` if the server has no slot for one.
    channel: Option<String>,
    /// When Redis took the announcement of the last test.
    published: Option<Instant>,
}

impl Echo {
    /// `publish` is the command that announces.
    pub fn new(publish: &'static str, channel: Option<String>, connections: Arc<ThreadConnections>) -> Arc<Self> {
        let state = Mutex::new(State { channel, published: None });
        Arc::new(Self { publish, connections, heard: AtomicBool::new(true), state })
    }

    /// Returns the channel that the connection subscribes to.
    pub fn channel(&self) -> Option<String> {
        self.state.lock().channel.clone()
    }

    /// Goes on with another channel, since the one before has gone to another server with its slot.
    pub fn move_to(&self, channel: String) {
        *self.state.lock() = State { channel: Some(channel), published: None };
    }

    /// Notes that the server has ended a subscription. Returns true if it is the one of this test, which then waits for
    /// another channel.
    pub fn on_dropped(&self, channel: &str) -> bool {
        let mut state = self.state.lock();
        let is_own = state.channel.as_deref() == Some(channel);
        if is_own {
            *state = State { channel: None, published: None };
        }
        is_own
    }

    /// Notes that an announcement has arrived, of this test or of a room.
    pub fn on_push(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Ends the last test and begins the next. Returns false if nothing was heard of the last one.
    pub fn test(self: &Arc<Self>) -> bool {
        let was_heard = self.heard.swap(false, Ordering::Relaxed);
        let mut state = self.state.lock();
        if was_heard {
            state.published = None;
        }
        let Some(channel) = state.channel.clone() else {
            return true;
        };
        if state.published.is_none() {
            // Without a connection for commands nothing is published, and there is nothing to hear.
            tokio::spawn(self.clone().publish(channel));
        }
        state.published.is_none_or(|at| at.elapsed() < ECHO_TIMEOUT)
    }

    async fn publish(self: Arc<Self>, channel: String) {
        let taken = self.connections.command::<u64>(&channel, cmd(self.publish).arg(&channel).arg("")).await;
        let mut state = self.state.lock();
        if taken.is_ok() && state.channel == Some(channel) {
            state.published = Some(Instant::now());
        }
    }
}
