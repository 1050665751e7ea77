//! Announcements: a connection to each master over which this node receives them, and the task that gives each room to
//! the connection of its master.

mod channels;
mod echo;
mod shared;
mod subscriber;
mod subscriptions;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::connection::ThreadConnections;
use super::connector::Connector;
use super::keys::Keys;
use super::masters::Masters;
use super::read_pool::ReadPools;
use super::topology::Topology;
use super::url::Address;
use crate::bus::log::{Entry, Listener};
use crate::chat::RoomName;
use crate::metrics::Metrics;
use crate::supervise::supervise;
use shared::Shared;
use subscriber::Subscriber;

/// The Pub/Sub channels that this node subscribes to.
#[derive(Clone)]
pub struct PubSub(Arc<Shared>);

impl PubSub {
    /// Creates an empty set of channels, without a connection.
    pub fn new(
        topology: Arc<Topology>,
        connections: Arc<ThreadConnections>,
        read_pools: Arc<ReadPools>,
        keys: Keys,
        node: &str,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Shared {
            topology,
            connections,
            read_pools,
            keys,
            node: node.into(),
            metrics,
            listener: OnceLock::new(),
            subscriptions: Mutex::default(),
            vacant: Notify::new(),
            was_started: AtomicBool::new(false),
            was_reached: AtomicBool::new(false),
            is_complete: AtomicBool::new(true),
        }))
    }

    /// Sets the listener. It hears nothing before [`start`](Self::start) is called.
    pub fn attach(&self, listener: Weak<dyn Listener>) {
        if self.0.listener.set(listener).is_ok() {
            self.0.tell_completeness(Instant::now());
        }
    }

    /// Begins to connect, on the calling thread, if there is a listener and no other thread has done so. On a worker's thread a
    /// message for one of its rooms wakes no other.
    pub fn start(&self) {
        if self.0.is_listened_to() && !self.0.was_started.swap(true, Ordering::SeqCst) {
            let (shared, failing) = (self.0.clone(), self.0.clone());
            let run = async move || divide(&shared).await;
            // Its connections end with it, and begin anew.
            let on_panic = move || {
                let masters = failing.topology.masters();
                for server in masters.servers() {
                    failing.begin(server, Instant::now());
                }
                failing.subscriptions.lock().servers().for_each(|(_, server)| server.has_task = false);
            };
            tokio::spawn(supervise(self.0.metrics.clone(), "announcements", run, on_panic));
        }
    }

    /// Returns true if Redis was reached at least once.
    pub fn was_reached(&self) -> bool {
        self.0.was_reached.load(Ordering::Relaxed)
    }

    /// Tells the listener of an entry that this process has stored: it need not wait for the announcement.
    pub fn tell_stored(&self, room: &RoomName, entry: &Entry) {
        self.0.notify(|listener| listener.on_stored(room.as_str(), entry));
    }

    /// Subscribes to a channel. `on_subscribed` is called when its announcements begin to arrive.
    pub fn subscribe(&self, channel: &str) {
        if self.0.subscriptions.lock().want(channel, &self.0.topology.masters()) {
            self.0.vacant.notify_one();
        }
    }

    /// Unsubscribes from a channel.
    pub fn unsubscribe(&self, channel: &str) {
        self.0.subscriptions.lock().release(channel);
    }
}

/// Divides the rooms among the masters whenever these change, and keeps a task for each that has something to announce.
async fn divide(shared: &Arc<Shared>) {
    let mut changes = shared.topology.changes();
    let mut tasks = Tasks::default();
    while shared.is_listened_to() {
        let masters = changes.borrow_and_update().clone();
        tasks.keep_only(&masters);
        let turns = shared.subscriptions.lock().assign(&masters);
        shared.tell(&turns, Instant::now());
        tasks.fill(shared);
        shared.tell_completeness(Instant::now());
        tokio::select! {
            _ = changes.changed() => {}
            () = shared.vacant.notified() => {}
        }
    }
}

/// The tasks of the connections, by server.
#[derive(Default)]
struct Tasks(HashMap<Address, JoinSet<()>>);

impl Tasks {
    /// Ends at once what belongs to a server that is no master.
    fn keep_only(&mut self, masters: &Masters) {
        self.0.retain(|address, _| masters.contains(address));
    }

    /// Starts a task for each server that needs one and has none.
    fn fill(&mut self, shared: &Arc<Shared>) {
        let mut vacant = Vec::new();
        let mut subscriptions = shared.subscriptions.lock();
        let mut has_any = subscriptions.servers().any(|(_, server)| server.has_task || !server.channels.is_empty());
        for (address, server) in subscriptions.servers() {
            if !server.has_task && shared.needs_task(server, has_any) {
                (server.has_task, has_any) = (true, true);
                vacant.push((address.clone(), server.changed.clone()));
            }
        }
        drop(subscriptions);
        for (address, changed) in vacant {
            if let Ok(server) = shared.topology.connector(&address) {
                self.0.insert(address, start(shared, server, changed));
            }
        }
    }
}

/// Starts the task of one connection, which ends when the set is dropped.
fn start(shared: &Arc<Shared>, server: Arc<Connector>, changed: Arc<Notify>) -> JoinSet<()> {
    let subscriber = Arc::new(Subscriber::new(shared.clone(), server, changed));
    let failing = subscriber.clone();
    let run = async move || subscriber.run().await;
    let mut task = JoinSet::new();
    task.spawn(supervise(shared.metrics.clone(), "announcements", run, move || failing.on_panic()));
    task
}
