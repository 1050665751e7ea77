//! The one connection over which this node receives announcements, and the task that keeps it open.
//!
//! The client library's own resubscription is not used, because it gives up and hides errors. This task reconnects
//! without end, subscribes in batches, and sends PING, since a server that hangs sends nothing and a closed socket is
//! not always reported. Only the server's confirmation for a channel counts as subscribed. Each connection has a
//! generation, so that a late push from an old connection is ignored.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Client, PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::announcement::{self, Announcement};
use super::connection::{self, PING_INTERVAL};
use super::keys::Keys;
use crate::bus::log::Listener;
use crate::metrics::Metrics;
use crate::supervise::{catch_now, supervise};

/// Channels per command. The response to more of them would delay announcements.
const CHANNELS_PER_COMMAND: usize = 512;

/// The Pub/Sub channels that this node subscribes to.
#[derive(Clone)]
pub struct PubSub(Arc<Shared>);

struct Shared {
    client: Client,
    keys: Keys,
    was_reached: AtomicBool,
    metrics: Arc<Metrics>,
    listener: OnceLock<Weak<dyn Listener>>,
    channels: Mutex<Channels>,
    channels_changed: Notify,
}

#[derive(Default)]
struct Channels {
    generation: u64,
    states: HashMap<String, ChannelState>,
}

/// The state of a channel on the current connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    /// SUBSCRIBE has to be sent.
    Wanted,
    /// SUBSCRIBE was sent and is not confirmed yet.
    Requested,
    /// Announcements arrive.
    Confirmed,
    /// UNSUBSCRIBE has to be sent.
    Unwanted,
}

impl PubSub {
    /// Creates an empty set of channels, without a connection.
    pub fn new(client: Client, keys: Keys, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Shared {
            client,
            keys,
            was_reached: AtomicBool::new(false),
            metrics,
            listener: OnceLock::new(),
            channels: Mutex::default(),
            channels_changed: Notify::new(),
        }))
    }

    /// Sets the listener and begins to connect.
    pub fn start(&self, listener: Weak<dyn Listener>) {
        if self.0.listener.set(listener).is_ok() {
            let (shared, lost) = (self.0.clone(), self.0.clone());
            let run = async move || shared.clone().run().await;
            tokio::spawn(supervise(self.0.metrics.clone(), "announcements", run, move || lost.on_lost(Instant::now())));
        }
    }

    /// Returns true if Redis was reached at least once.
    pub fn was_reached(&self) -> bool {
        self.0.was_reached.load(Ordering::Relaxed)
    }

    /// Subscribes to a channel. `on_subscribed` is called when its announcements begin to arrive.
    pub fn subscribe(&self, channel: String) {
        // Even a confirmed channel is requested again: only a new confirmation shows from when on nothing is missed.
        self.0.channels.lock().states.insert(channel, ChannelState::Wanted);
        self.0.channels_changed.notify_one();
    }

    /// Unsubscribes from a channel.
    pub fn unsubscribe(&self, channel: &str) {
        let mut channels = self.0.channels.lock();
        match channels.states.get_mut(channel) {
            Some(ChannelState::Wanted) | None => drop(channels.states.remove(channel)),
            Some(state) => *state = ChannelState::Unwanted,
        }
        self.0.channels_changed.notify_one();
    }
}

impl Shared {
    fn notify(&self, event: impl FnOnce(&dyn Listener)) {
        if let Some(listener) = self.listener.get().and_then(Weak::upgrade) {
            event(&*listener);
        }
    }

    fn on_lost(&self, last_response: Instant) {
        self.metrics.store_connected.set(0);
        self.notify(|listener| listener.on_disconnected(last_response));
    }

    /// Connects, and reconnects for as long as the listener exists.
    async fn run(self: Arc<Self>) {
        let mut first = !self.was_reached.load(Ordering::Relaxed);
        let mut last_response = Instant::now();
        while self.listener.get().is_some_and(|listener| listener.strong_count() > 0) {
            self.on_lost(last_response);
            let broken = Arc::new(Notify::new());
            let mut connection = self.connect(first, &broken).await;
            first = false;
            last_response = tokio::select! {
                last_response = self.maintain(&mut connection) => last_response,
                () = broken.notified() => Instant::now(),
            };
            tracing::warn!("lost the connection to Redis; reconnecting");
        }
    }

    async fn connect(self: &Arc<Self>, first: bool, broken: &Arc<Notify>) -> MultiplexedConnection {
        let generation = self.channels.lock().start_generation();
        let warning = tokio::spawn(warn_if_unreachable(first));
        let (shared, broken) = (self.clone(), broken.clone());
        let on_push = move |push: PushInfo| {
            let is_lost = push.kind == PushKind::Disconnection;
            let handled = catch_now(&shared.metrics, "announcements", || shared.on_push(generation, push));
            // After a panic, too, the logs have to be read again.
            if is_lost || handled.is_none() {
                broken.notify_one();
            }
        };
        let mut connection = connection::connect(&self.client, on_push).await;
        warning.abort();
        warn_if_logs_may_be_evicted(&mut connection).await;
        tracing::info!("connected to Redis");
        if self.was_reached.swap(true, Ordering::Relaxed) {
            self.metrics.store_reconnects.inc();
        }
        self.metrics.store_connected.set(1);
        self.notify(|listener| listener.on_reconnected());
        connection
    }

    /// Sends SUBSCRIBE, UNSUBSCRIBE and PING until one of them fails. Returns when the server last responded: one that
    /// hangs was lost before the failure is noticed.
    async fn maintain(&self, connection: &mut MultiplexedConnection) -> Instant {
        let mut last_response = Instant::now();
        while self.send_changes(connection).await.is_ok() {
            let pause = PING_INTERVAL.saturating_sub(last_response.elapsed());
            let _ = timeout(pause, self.channels_changed.notified()).await;
            if last_response.elapsed() >= PING_INTERVAL {
                if connection::ping(connection).await.is_err() {
                    break;
                }
                last_response = Instant::now();
            }
        }
        last_response
    }

    async fn send_changes(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let (unwanted, wanted) = self.channels.lock().take_changes();
        for channels in unwanted.chunks(CHANNELS_PER_COMMAND) {
            connection.unsubscribe(channels).await?;
        }
        for channels in wanted.chunks(CHANNELS_PER_COMMAND) {
            connection.subscribe(channels).await?;
        }
        Ok(())
    }

    fn on_push(&self, generation: u64, push: PushInfo) {
        if generation != self.channels.lock().generation {
            return;
        }
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                self.on_message(channel, payload)
            }
            (PushKind::Subscribe, [Value::BulkString(channel), ..]) => self.on_confirmation(channel),
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

    fn on_confirmation(&self, channel: &[u8]) {
        let Ok(channel) = std::str::from_utf8(channel) else {
            return;
        };
        if let Some(state @ ChannelState::Requested) = self.channels.lock().states.get_mut(channel) {
            *state = ChannelState::Confirmed;
        }
        if let Some(room) = self.keys.room_of_channel(channel) {
            self.notify(|listener| listener.on_subscribed(room));
        }
    }
}

impl Channels {
    /// Starts a new connection's generation, on which nothing is subscribed yet.
    fn start_generation(&mut self) -> u64 {
        self.states.retain(|_, state| *state != ChannelState::Unwanted);
        for state in self.states.values_mut() {
            *state = ChannelState::Wanted;
        }
        self.generation += 1;
        self.generation
    }

    /// Returns the channels to unsubscribe from and those to subscribe to, and marks the latter as requested.
    fn take_changes(&mut self) -> (Vec<String>, Vec<String>) {
        let unwanted = self.states.extract_if(|_, state| *state == ChannelState::Unwanted);
        let unwanted = unwanted.map(|(channel, _)| channel).collect();
        let mut wanted = Vec::new();
        for (channel, state) in &mut self.states {
            if *state == ChannelState::Wanted {
                *state = ChannelState::Requested;
                wanted.push(channel.clone());
            }
        }
        (unwanted, wanted)
    }
}

/// Logs that Redis is unreachable, after [`PING_INTERVAL`], so that a brief interruption is not logged.
async fn warn_if_unreachable(first: bool) {
    sleep(PING_INTERVAL).await;
    if first {
        tracing::warn!("Redis cannot be reached; this node is not ready and keeps trying");
    } else {
        tracing::warn!("Redis is still unreachable");
    }
}

/// Logs a warning if Redis may evict logs when its memory is full: every key of ours has an expiry, and an evicted log
/// is a gap for every subscriber that resumes.
async fn warn_if_logs_may_be_evicted(connection: &mut MultiplexedConnection) {
    let info: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(connection).await;
    let Ok(info) = info else { return };
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    if let Some(policy) = policy.filter(|policy| *policy != "noeviction") {
        tracing::warn!(policy, "Redis may evict logs when its memory is full; set maxmemory-policy noeviction");
    }
}
