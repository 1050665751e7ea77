//! What the connections for announcements have in common, and how they tell the listener.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::Notify;

use super::echo::Echo;
use super::subscriptions::{Server, Subscriptions, Turns};
use crate::bus::log::Listener;
use crate::bus::redis::announcement::{self, Announcement};
use crate::bus::redis::connection::ThreadConnections;
use crate::bus::redis::connector::Connector;
use crate::bus::redis::keys::Keys;
use crate::bus::redis::read_pool::ReadPools;
use crate::bus::redis::topology::Topology;
use crate::bus::redis::url::Address;
use crate::metrics::Metrics;

/// What all connections for announcements share.
pub struct Shared {
    pub topology: Arc<Topology>,
    pub connections: Arc<ThreadConnections>,
    pub read_pools: Arc<ReadPools>,
    pub keys: Keys,
    pub node: String,
    pub metrics: Arc<Metrics>,
    pub listener: OnceLock<Weak<dyn Listener>>,
    pub subscriptions: Mutex<Subscriptions>,
    /// Notified when a server may need a task that has none.
    pub vacant: Notify,
    pub was_started: AtomicBool,
    pub was_reached: AtomicBool,
    /// Whether the listener knows that announcements arrive from all servers.
    pub is_complete: AtomicBool,
}

impl Shared {
    /// Returns true if there is a listener.
    pub fn is_listened_to(&self) -> bool {
        self.listener.get().is_some_and(|listener| listener.strong_count() > 0)
    }

    /// Tells the listener, if there is one.
    pub fn notify(&self, event: impl FnOnce(&dyn Listener)) {
        if let Some(listener) = self.listener.get().and_then(Weak::upgrade) {
            event(&*listener);
        }
    }

    /// Tells the listener which rooms are heard and which are not; `since` is when the servers of those last responded.
    pub fn tell(&self, turns: &Turns, since: Instant) {
        self.notify(|listener| {
            for room in turns.lost.iter().filter_map(|channel| self.keys.room_of_channel(channel)) {
                listener.on_lost(room, since);
            }
            for room in turns.heard.iter().filter_map(|channel| self.keys.room_of_channel(channel)) {
                listener.on_subscribed(room);
            }
        });
    }

    /// Tells the listener if announcements begin or cease to arrive from all servers.
    pub fn tell_completeness(&self, since: Instant) {
        let is_complete = {
            let mut subscriptions = self.subscriptions.lock();
            let is_connected = subscriptions.servers().all(|(_, server)| server.is_connected || !server.has_task);
            is_connected && !self.topology.masters().servers().is_empty() && self.was_reached.load(Ordering::Relaxed)
        };
        if self.is_complete.swap(is_complete, Ordering::Relaxed) == is_complete {
            return;
        }
        self.metrics.store_connected.set(i64::from(is_complete));
        self.notify(|listener| {
            if is_complete {
                listener.on_reconnected()
            } else {
                listener.on_disconnected(since)
            }
        });
    }

    /// Notes that no announcements arrive from a server, and begins a generation. Returns `None` if it is no longer a
    /// master.
    pub fn begin(&self, server: &Connector, since: Instant) -> Option<u64> {
        let (generation, lost) = self.subscriptions.lock().begin(server.address())?;
        self.tell_completeness(since);
        self.tell(&lost, since);
        Some(generation)
    }

    /// Notes that announcements arrive from a server.
    pub fn on_connected(&self, server: &Connector) {
        if let Some(server) = self.subscriptions.lock().server(server.address()) {
            server.is_connected = true;
        }
        if self.was_reached.swap(true, Ordering::Relaxed) {
            self.metrics.store_reconnects.inc();
        }
        self.tell_completeness(Instant::now());
    }

    /// Returns true if a server needs a task: if it may have something to announce, or if no other server has a task, so
    /// that a cluster that is lost is noticed.
    pub fn needs_task(&self, server: &Server, is_other_served: bool) -> bool {
        let may_be_quiet = self.topology.is_cluster() && self.was_reached.load(Ordering::Relaxed) && is_other_served;
        !may_be_quiet || !server.channels.is_empty()
    }

    /// Returns true, and notes that the server has no task any more, if it needs none.
    pub fn retires(&self, server: &Connector) -> bool {
        let mut subscriptions = self.subscriptions.lock();
        let others = subscriptions.servers().any(|(address, other)| address != server.address() && other.has_task);
        let Some(of_server) = subscriptions.server(server.address()) else {
            return true;
        };
        let retires = !self.needs_task(of_server, others);
        of_server.has_task = !retires;
        retires
    }

    /// Takes what a server has sent of its own accord.
    pub fn on_push(&self, server: &Address, generation: u64, echo: &Echo, push: PushInfo) {
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message | PushKind::SMessage, [Value::BulkString(channel), Value::BulkString(payload)])
                if self.subscriptions.lock().is_current(server, generation) =>
            {
                echo.on_push();
                self.on_message(channel, payload);
            }
            (PushKind::Subscribe | PushKind::SSubscribe, [Value::BulkString(channel), ..]) => {
                let Ok(channel) = std::str::from_utf8(channel) else {
                    return;
                };
                if self.subscriptions.lock().confirm(server, generation, channel) {
                    self.tell(&Turns { heard: vec![channel.to_owned()], lost: Vec::new() }, Instant::now());
                }
            }
            (PushKind::SUnsubscribe, [Value::BulkString(channel), ..]) => {
                let Ok(channel) = std::str::from_utf8(channel) else {
                    return;
                };
                let of_room = self.subscriptions.lock().on_dropped(server, generation, channel);
                if of_room.is_some() || echo.on_dropped(channel) {
                    // The server has lost the slot, or got it.
                    self.topology.request_refresh();
                }
                if of_room == Some(true) {
                    self.tell(&Turns { heard: Vec::new(), lost: vec![channel.to_owned()] }, Instant::now());
                }
            }
            _ => {}
        }
    }

    fn on_message(&self, channel: &[u8], payload: &[u8]) {
        let Some(room) = std::str::from_utf8(channel).ok().and_then(|channel| self.keys.room_of_channel(channel))
        else {
            return;
        };
        self.notify(|listener| match announcement::parse(payload) {
            Some(Announcement::Entry(entry)) => listener.on_entry(room, entry),
            Some(Announcement::Presence(entry)) => listener.on_presence(room, entry),
            None => listener.on_foreign(room, payload),
        });
    }
}
