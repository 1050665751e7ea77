//! The one connection over which this node receives announcements, and the task that keeps it open.
//!
//! The client library's own resubscription is not used, because it gives up and hides errors. This task reconnects
//! without end, subscribes in batches, and checks the connection: each second that a master answers, since a server that
//! hangs sends nothing and a closed socket is not always reported; every few seconds that announcements arrive
//! ([`echo`]); and now and then that the server knows of all subscriptions. Only the server's confirmation for a channel
//! counts as subscribed.

mod channels;
mod echo;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value, cmd};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::announcement::{self, Announcement};
use super::check;
use super::connection::{ThreadConnections, VERIFY_INTERVAL};
use super::connector::{Connector, reconnect_backoff};
use super::durability;
use super::failure::Failure;
use super::keys::Keys;
use super::read_pool::ReadPool;
use crate::backoff::Backoff;
use crate::bus::log::Listener;
use crate::metrics::Metrics;
use crate::supervise::{catch_now, supervise};
use channels::Channels;
use echo::Echo;

/// Channels per command. The response to more of them would delay announcements.
const CHANNELS_PER_COMMAND: usize = 512;

/// How often the connection is tested for announcements. A connection without any is noticed after two tests.
const ECHO_INTERVAL: Duration = Duration::from_secs(3);

/// How often the server is asked for how many subscriptions it knows.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// The Pub/Sub channels that this node subscribes to.
#[derive(Clone)]
pub struct PubSub(Arc<Shared>);

struct Shared {
    connector: Arc<Connector>,
    connections: Arc<ThreadConnections>,
    read_pool: Arc<ReadPool>,
    keys: Keys,
    node: String,
    was_reached: AtomicBool,
    may_count: AtomicBool,
    metrics: Arc<Metrics>,
    listener: OnceLock<Weak<dyn Listener>>,
    channels: Mutex<Channels>,
    channels_changed: Notify,
}

/// How a connection ended.
struct Lost {
    /// When announcements are last known to have arrived.
    since: Instant,
    failure: Failure,
}

impl PubSub {
    /// Creates an empty set of channels, without a connection.
    pub fn new(
        connections: Arc<ThreadConnections>,
        read_pool: Arc<ReadPool>,
        keys: Keys,
        node: &str,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(Arc::new(Shared {
            connector: connections.connector().clone(),
            connections,
            read_pool,
            keys,
            node: node.into(),
            was_reached: AtomicBool::new(false),
            may_count: AtomicBool::new(true),
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
        self.0.channels.lock().want(channel);
        self.0.channels_changed.notify_one();
    }

    /// Unsubscribes from a channel.
    pub fn unsubscribe(&self, channel: &str) {
        self.0.channels.lock().release(channel);
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
        let mut backoff = reconnect_backoff();
        let mut lost: Option<Lost> = None;
        while self.listener.get().is_some_and(|listener| listener.strong_count() > 0) {
            let generation = self.channels.lock().start_generation();
            let since = lost.as_ref().map_or_else(Instant::now, |lost| lost.since);
            self.on_lost(since);
            if let Some(lost) = &lost {
                self.connector.lost(&lost.failure);
                self.connector.pause(&mut backoff).await;
            }
            let broken = Arc::new(Notify::new());
            let echo = Echo::new(self.keys.probe_channel(), self.connections.clone());
            let mut connection = self.connect(&mut backoff, generation, &broken, &echo).await;
            lost = Some(tokio::select! {
                lost = self.maintain(&mut connection, &echo) => lost,
                () = broken.notified() => {
                    Lost { since: Instant::now(), failure: Failure::Away("the connection was closed".into()) }
                }
            });
        }
    }

    async fn connect(
        self: &Arc<Self>,
        backoff: &mut Backoff,
        generation: u64,
        broken: &Arc<Notify>,
        echo: &Arc<Echo>,
    ) -> MultiplexedConnection {
        let (shared, broken, pushed) = (self.clone(), broken.clone(), echo.clone());
        let on_push = move |push: PushInfo| {
            let is_lost = push.kind == PushKind::Disconnection;
            let handled = catch_now(&shared.metrics, "pushes", || shared.on_push(generation, &pushed, push));
            // After a panic, too, the logs have to be read again.
            if is_lost || handled.is_none() {
                broken.notify_one();
            }
        };
        let connection = self.connector.connect(backoff, Some(echo.channel()), on_push).await;
        tokio::spawn(durability::warn(connection.clone(), self.connector.clone()));
        self.read_pool.warm();
        self.connector.log().connected(&self.node);
        if self.was_reached.swap(true, Ordering::Relaxed) {
            self.metrics.store_reconnects.inc();
        }
        self.metrics.store_connected.set(1);
        self.notify(|listener| listener.on_reconnected());
        connection
    }

    /// Sends SUBSCRIBE and UNSUBSCRIBE, and checks the connection until it is found to be lost.
    async fn maintain(&self, connection: &mut MultiplexedConnection, echo: &Arc<Echo>) -> Lost {
        let (mut last_response, mut last_echo) = (Instant::now(), Instant::now());
        // The first count is early: a proxy that loses subscriptions does so from the beginning.
        let (mut next_echo, mut next_count) = (Instant::now(), Instant::now() + ECHO_INTERVAL);
        loop {
            if let Err(error) = self.send_changes(connection).await {
                return Lost { since: last_response, failure: error.into() };
            }
            let pause = VERIFY_INTERVAL.saturating_sub(last_response.elapsed());
            let _ = timeout(pause, self.channels_changed.notified()).await;
            if last_response.elapsed() < VERIFY_INTERVAL {
                continue;
            }
            let verified = timeout(VERIFY_INTERVAL, check::verify(connection)).await;
            match verified.unwrap_or_else(|_| Err(Failure::Away("no answer to PING".into()))) {
                Ok(round_trip) => self.connector.log().round_trip(round_trip),
                Err(failure) => return Lost { since: last_response, failure },
            }
            last_response = Instant::now();
            if last_response >= next_echo {
                if !echo.test() {
                    let failure = Failure::Away("it answers, but sends no announcements".into());
                    return Lost { since: last_echo, failure };
                }
                last_echo = last_response;
                next_echo = last_response + ECHO_INTERVAL;
            }
            if last_response >= next_count {
                if let Err(failure) = self.count_subscriptions(connection).await {
                    return Lost { since: last_response, failure };
                }
                next_count = last_response + COUNT_INTERVAL;
            }
        }
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

    /// Compares the number of subscriptions that the server knows with ours. No command of ours is on its way.
    async fn count_subscriptions(&self, connection: &mut MultiplexedConnection) -> Result<(), Failure> {
        if !self.may_count.load(Ordering::Relaxed) {
            return Ok(());
        }
        let expected = self.channels.lock().subscribed() + 1; // and the echo's
        let info: RedisResult<String> = cmd("CLIENT").arg("INFO").query_async(connection).await;
        match info {
            Ok(info) => match subscriptions(&info) {
                Some(known) if known != expected => {
                    Err(Failure::Away(format!("it knows {known} subscriptions of {expected}")))
                }
                _ => Ok(()),
            },
            Err(error) if error.kind() == ErrorKind::Io => Err(error.into()),
            Err(error) => {
                self.may_count.store(false, Ordering::Relaxed);
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
                    let warning = "the Redis user may not use CLIENT INFO (+client|info), so that lost subscriptions \
                                   may not be noticed";
                    self.connector.log().warn_once(warning);
                }
                Ok(())
            }
        }
    }

    fn on_push(&self, generation: u64, echo: &Echo, push: PushInfo) {
        if generation != self.channels.lock().generation() {
            return;
        }
        match (push.kind, push.data.as_slice()) {
            (PushKind::Message, [Value::BulkString(channel), Value::BulkString(payload)]) => {
                echo.on_push();
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
        self.channels.lock().confirm(channel);
        if let Some(room) = self.keys.room_of_channel(channel) {
            self.notify(|listener| listener.on_subscribed(room));
        }
    }
}

/// Returns the number of channels in a line of CLIENT INFO.
fn subscriptions(info: &str) -> Option<usize> {
    info.split_whitespace().find_map(|field| field.strip_prefix("sub=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn subscriptions_are_read_from_client_info() {
        let info = "id=5 addr=127.0.0.1:1 name= db=0 sub=17 psub=0 ssub=0 multi=-1 cmd=client|info user=sub=3 resp=3";
        assert_eq!(super::subscriptions(info), Some(17));
        assert_eq!(super::subscriptions("id=5 psub=0"), None);
    }
}
