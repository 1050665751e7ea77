//! The one connection over which this node hears announcements, and the task that looks after it.
//!
//! The library's own resubscription is not used: it gives up, and it swallows errors. The task here
//! connects without end; asks for what is wanted, in batches; pings, since a hung server sends
//! nothing and a closed socket is not always told; and trusts only the server's confirmation for
//! each channel. Every connection has a generation, so that a late word of an old one is not heard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{Client, PushInfo, PushKind, RedisError, Value};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::announcement::{self, Announcement};
use super::{Names, link};
use crate::bus::Listener;
use crate::metrics::Metrics;

/// Channels per command: a reply to more would keep the connection from its announcements.
const BATCH: usize = 512;

/// The channels this node wants to hear.
#[derive(Clone)]
pub struct Subscriber(Arc<Shared>);

struct Shared {
    client: Client,
    names: Names,
    reached: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    listener: OnceLock<Weak<dyn Listener>>,
    channels: Mutex<Channels>,
    changed: Notify,
}

#[derive(Default)]
struct Channels {
    generation: u64,
    states: HashMap<String, State>,
}

/// How far a channel is, on the connection of now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked for.
    Wanted,
    /// Asked for, not yet confirmed.
    RequestedCursor,
    /// Its announcements come.
    Confirmed,
    /// To be let go of; it was asked for.
    Unwanted,
}

impl Subscriber {
    /// A subscriber that is not yet connected.
    pub fn new(client: Client, names: Names, reached: Arc<AtomicBool>, metrics: Arc<Metrics>) -> Self {
        let shared = Shared {
            client,
            names,
            reached,
            metrics,
            listener: OnceLock::new(),
            channels: Mutex::default(),
            changed: Notify::new(),
        };
        Self(Arc::new(shared))
    }

    /// Begins to connect, and to tell the listener.
    pub fn start(&self, listener: Weak<dyn Listener>) {
        if self.0.listener.set(listener).is_ok() {
            tokio::spawn(self.0.clone().supervise());
        }
    }

    /// Wants a channel. The listener hears `joined` when its announcements come.
    pub fn listen(&self, channel: String) {
        // One that was about to be let go of is asked for again: only a fresh confirmation says
        // from when on nothing is missed.
        self.0.channels().states.insert(channel, State::Wanted);
        self.0.changed.notify_one();
    }

    /// Wants a channel no more.
    pub fn unlisten(&self, channel: &str) {
        let mut channels = self.0.channels();
        match channels.states.get_mut(channel) {
            Some(State::Wanted) | None => drop(channels.states.remove(channel)),
            Some(state) => *state = State::Unwanted,
        }
        self.0.changed.notify_one();
    }
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, Channels> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&dyn Listener)) {
        if let Some(listener) = self.listener.get().and_then(Weak::upgrade) {
            what(&*listener);
        }
    }

    /// Lives as long as the listener.
    async fn supervise(self: Arc<Self>) {
        let mut first = true;
        let mut lost = Instant::now();
        while self.listener.get().is_some_and(|listener| listener.strong_count() > 0) {
            self.tell(|listener| listener.lost(lost));
            let broken = Arc::new(Notify::new());
            let mut connection = self.connect(first, &broken).await;
            first = false;
            lost = tokio::select! {
                heard = self.listen_while_it_lives(&mut connection) => heard,
                () = broken.notified() => Instant::now(),
            };
            self.metrics.store_connected.set(0);
            tracing::warn!("lost Redis; looking for it");
        }
    }

    async fn connect(self: &Arc<Self>, first: bool, broken: &Arc<Notify>) -> MultiplexedConnection {
        let generation = self.channels().begin_anew();
        let waits = tokio::spawn(say_that_redis_is_away(first));
        let (shared, broken) = (self.clone(), broken.clone());
        let hear = move |push: PushInfo| match push.kind {
            PushKind::Disconnection => broken.notify_one(),
            _ => shared.hear(generation, push),
        };
        let mut connection = link::connect(&self.client, hear).await;
        waits.abort();
        link::warn_if_logs_may_be_evicted(&mut connection).await;
        tracing::info!("Redis is there");
        if self.reached.swap(true, Ordering::Relaxed) {
            self.metrics.store_reconnects.inc();
        }
        self.metrics.store_connected.set(1);
        self.tell(|listener| listener.found());
        connection
    }

    /// Asks for what is wanted and pings, until one of the two fails; gives when the server was heard
    /// last. A hung server takes what it is sent, so it was lost before that is noticed.
    async fn listen_while_it_lives(&self, connection: &mut MultiplexedConnection) -> Instant {
        let mut heard = Instant::now();
        while self.ask(connection).await.is_ok() {
            let _ = timeout(link::PING.saturating_sub(heard.elapsed()), self.changed.notified()).await;
            if heard.elapsed() >= link::PING {
                if link::ping(connection).await.is_err() {
                    break;
                }
                heard = Instant::now();
            }
        }
        heard
    }

    async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let (unwanted, wanted) = self.channels().take_changes();
        for batch in unwanted.chunks(BATCH) {
            connection.unsubscribe(batch).await?;
        }
        for batch in wanted.chunks(BATCH) {
            connection.subscribe(batch).await?;
        }
        Ok(())
    }

    /// Runs on the connection's own task and must not wait.
    fn hear(&self, generation: u64, push: PushInfo) {
        if generation != self.channels().generation {
            return;
        }
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                self.hear_message(channel, payload)
            }
            (PushKind::Subscribe, [Value::BulkString(channel), ..]) => self.hear_confirmation(channel),
            _ => {}
        }
    }

    fn hear_message(&self, channel: &[u8], payload: &[u8]) {
        let Some(room) = std::str::from_utf8(channel).ok().and_then(|channel| self.names.room(channel)) else {
            return;
        };
        self.tell(|listener| match announcement::parse(payload) {
            Some(Announcement::Entry(entry)) => listener.announced(room, entry),
            Some(Announcement::PresenceEntry(attendance)) => listener.attending(room, attendance),
            None => listener.foreign(room, payload),
        });
    }

    fn hear_confirmation(&self, channel: &[u8]) {
        let Ok(channel) = std::str::from_utf8(channel) else {
            return;
        };
        if let Some(state @ State::RequestedCursor) = self.channels().states.get_mut(channel) {
            *state = State::Confirmed;
        }
        if let Some(room) = self.names.room(channel) {
            self.tell(|listener| listener.joined(room));
        }
    }
}

impl Channels {
    /// A new connection: nothing is asked for yet, and the old one is heard no more.
    fn begin_anew(&mut self) -> u64 {
        self.states.retain(|_, state| *state != State::Unwanted);
        self.states.values_mut().for_each(|state| *state = State::Wanted);
        self.generation += 1;
        self.generation
    }

    /// The channels to let go of and those to ask for.
    fn take_changes(&mut self) -> (Vec<String>, Vec<String>) {
        let with = |states: &HashMap<String, State>, wished: State| -> Vec<String> {
            states.iter().filter(|(_, state)| **state == wished).map(|(channel, _)| channel.clone()).collect()
        };
        let unwanted = with(&self.states, State::Unwanted);
        let wanted = with(&self.states, State::Wanted);
        self.states.retain(|_, state| *state != State::Unwanted);
        self.states
            .values_mut()
            .filter(|state| **state == State::Wanted)
            .for_each(|state| *state = State::RequestedCursor);
        (unwanted, wanted)
    }
}

/// A Redis that is away is said after a moment, so that a quick blip makes no noise.
async fn say_that_redis_is_away(first: bool) {
    tokio::time::sleep(link::PING).await;
    match first {
        true => tracing::warn!("Redis cannot be reached; this node is not ready, and goes on trying"),
        false => tracing::warn!("Redis is still away"),
    }
}
