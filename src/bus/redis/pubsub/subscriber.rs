//! The connection for the announcements of one master, and the task that keeps it open.
//!
//! The client library's own resubscription is not used, because it gives up and hides errors. This task reconnects
//! without end, subscribes in batches, and checks the connection: each second that a master answers, since a server that
//! hangs sends nothing and a closed socket is not always reported; every few seconds that announcements arrive
//! ([`Echo`]); and now and then that the server knows of all subscriptions. Only the server's confirmation for a channel
//! counts as subscribed.
//!
//! A cluster ends the subscriptions of a slot that it moves, and the library takes that for the reply to what was sent
//! last: replies are then one behind until none is left. So no reply on this connection is believed unless it shows what
//! it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, PushInfo, PushKind, RedisError, RedisResult, ServerErrorKind, Value, cmd, pipe};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::echo::Echo;
use super::shared::Shared;
use crate::backoff::Backoff;
use crate::bus::redis::check;
use crate::bus::redis::connector::{Connector, reconnect_backoff};
use crate::bus::redis::durability;
use crate::bus::redis::failure::Failure;
use crate::bus::redis::scripts::Announcing;
use crate::supervise::catch_now;

/// Channels per command, or commands at once. The response to more of them would delay announcements.
const CHANNELS_AT_ONCE: usize = 512;

/// How often the connection is checked to lead to a master that answers, and how long it has for an answer.
const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

/// How often the connection is tested for announcements. A connection without any is noticed after two tests.
const ECHO_INTERVAL: Duration = Duration::from_secs(3);

/// How often the server is asked for how many subscriptions it knows.
const COUNT_INTERVAL: Duration = Duration::from_secs(30);

/// How often replies that belong to other commands are waited out.
const MAX_STRAY_REPLIES: u32 = 5;

/// The pause in which stray replies arrive, so that the next reply is that to the next command.
const STRAY_REPLIES_PAUSE: Duration = Duration::from_millis(20);

/// The connection to one server.
pub struct Subscriber {
    shared: Arc<Shared>,
    server: Arc<Connector>,
    changed: Arc<Notify>,
    may_count: AtomicBool,
}

/// How a connection ended.
struct Lost {
    /// When announcements are last known to have arrived.
    since: Instant,
    failure: Failure,
}

impl Subscriber {
    /// `changed` is notified when the server's channels have changed.
    pub fn new(shared: Arc<Shared>, server: Arc<Connector>, changed: Arc<Notify>) -> Self {
        Self { shared, server, changed, may_count: AtomicBool::new(true) }
    }

    /// Connects, and reconnects for as long as there is something to hear.
    pub async fn run(&self) {
        let mut backoff = reconnect_backoff();
        let mut lost: Option<Lost> = None;
        while self.shared.is_listened_to() && !self.shared.retires(&self.server) {
            let since = lost.as_ref().map_or_else(Instant::now, |lost| lost.since);
            let Some(generation) = self.shared.begin(&self.server, since) else {
                return;
            };
            if let Some(lost) = &lost {
                self.server.lost(&lost.failure);
                self.shared.topology.request_refresh();
                self.server.pause(&mut backoff).await;
            }
            let broken = Arc::new(Notify::new());
            let echo = Echo::new(self.publish_command(), self.probe_channel(), self.shared.connections.clone());
            let mut connection = self.connect(&mut backoff, generation, &broken, &echo).await;
            let mut runs = self.server.run().changes();
            let ended = tokio::select! {
                lost = self.maintain(&mut connection, &echo) => lost,
                () = broken.notified() => {
                    Some(Lost { since: Instant::now(), failure: Failure::Away("the connection was closed".into()) })
                }
                // A connection that was made later leads to another run.
                _ = runs.changed() => {
                    Some(Lost { since: Instant::now(), failure: Failure::Away("the server was restarted".into()) })
                }
            };
            if ended.is_none() {
                return;
            }
            lost = ended;
        }
    }

    /// Notes that announcements may have been missed.
    pub fn on_panic(&self) {
        self.shared.begin(&self.server, Instant::now());
    }

    fn is_sharded(&self) -> bool {
        self.shared.topology.is_cluster()
    }

    fn publish_command(&self) -> &'static str {
        Announcing::new(self.is_sharded()).command()
    }

    /// Returns a channel for the echo, in a slot of this server.
    fn probe_channel(&self) -> Option<String> {
        let masters = self.shared.topology.masters();
        let is_own = |slot: u16| masters.of_slot(slot).is_some_and(|owner| owner.address() == self.server.address());
        self.shared.keys.probe_channel_in(is_own)
    }

    async fn connect(
        &self,
        backoff: &mut Backoff,
        generation: u64,
        broken: &Arc<Notify>,
        echo: &Arc<Echo>,
    ) -> MultiplexedConnection {
        let (shared, broken, pushed) = (self.shared.clone(), broken.clone(), echo.clone());
        let address = self.server.address().clone();
        let on_push = move |push: PushInfo| {
            let is_lost = push.kind == PushKind::Disconnection;
            let handled = catch_now(&shared.metrics, "pushes", || shared.on_push(&address, generation, &pushed, push));
            // After a panic, too, the logs have to be read again.
            if is_lost || handled.is_none() {
                broken.notify_one();
            }
        };
        let connection = self.server.connect(backoff, echo.channel().as_deref(), on_push).await;
        tokio::spawn(durability::warn(connection.clone(), self.server.clone()));
        if let Ok(pool) = self.shared.read_pools.of(&self.server) {
            pool.warm();
        }
        self.server.log().connected(&self.shared.node);
        self.shared.on_connected(&self.server);
        connection
    }

    /// Subscribes and unsubscribes, and checks the connection until it is found to be lost. Returns `None` if there is
    /// nothing more to hear.
    async fn maintain(&self, connection: &mut MultiplexedConnection, echo: &Arc<Echo>) -> Option<Lost> {
        let (mut last_response, mut last_echo) = (Instant::now(), Instant::now());
        // The first count is early: a proxy that loses subscriptions does so from the beginning.
        let (mut next_echo, mut next_count) = (Instant::now(), Instant::now() + ECHO_INTERVAL);
        loop {
            if let Err(error) = self.send_changes(connection).await {
                return Some(Lost { since: last_response, failure: error.into() });
            }
            let pause = VERIFY_INTERVAL.saturating_sub(last_response.elapsed());
            let _ = timeout(pause, self.changed.notified()).await;
            if last_response.elapsed() < VERIFY_INTERVAL {
                continue;
            }
            let verified = timeout(VERIFY_INTERVAL, self.verify(connection)).await;
            match verified.unwrap_or_else(|_| Err(Failure::Away("no answer to PING".into()))) {
                Ok(round_trip) => self.server.log().round_trip(round_trip),
                Err(failure) => return Some(Lost { since: last_response, failure }),
            }
            last_response = Instant::now();
            if self.shared.retires(&self.server) {
                return None;
            }
            self.request_unconfirmed();
            if last_response >= next_echo {
                if !echo.test() {
                    let failure = Failure::Away("it answers, but sends no announcements".into());
                    return Some(Lost { since: last_echo, failure });
                }
                self.renew(echo, connection).await;
                last_echo = last_response;
                next_echo = last_response + ECHO_INTERVAL;
            }
            if last_response >= next_count {
                if let Err(failure) = self.count_subscriptions(connection, echo).await {
                    return Some(Lost { since: last_response, failure });
                }
                next_count = last_response + COUNT_INTERVAL;
            }
        }
    }

    /// Checks that the server is a master that answers, and returns the round trip.
    async fn verify(&self, connection: &mut MultiplexedConnection) -> Result<Duration, Failure> {
        let mut strays = 0;
        loop {
            match check::verify(connection).await {
                Err(Failure::Unclear(_)) if self.is_sharded() && strays < MAX_STRAY_REPLIES => {
                    strays += 1;
                    sleep(STRAY_REPLIES_PAUSE).await;
                }
                verified => return verified,
            }
        }
    }

    async fn send_changes(&self, connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
        let changes = match self.shared.subscriptions.lock().server(self.server.address()) {
            Some(server) => server.channels.take_changes(),
            None => return Ok(()),
        };
        if self.is_sharded() {
            for channels in changes.unwanted.chunks(CHANNELS_AT_ONCE) {
                self.send_sharded("SUNSUBSCRIBE", channels.iter().map(|channel| (channel, false)), connection)
                    .await?;
            }
            for channels in changes.wanted.chunks(CHANNELS_AT_ONCE) {
                let channels = channels.iter().map(|(channel, asking)| (channel, *asking));
                self.send_sharded("SSUBSCRIBE", channels, connection).await?;
            }
            return Ok(());
        }
        for channels in changes.unwanted.chunks(CHANNELS_AT_ONCE) {
            connection.unsubscribe(channels).await?;
        }
        for channels in changes.wanted.chunks(CHANNELS_AT_ONCE) {
            let channels: Vec<&String> = channels.iter().map(|(channel, _)| channel).collect();
            connection.subscribe(channels).await?;
        }
        Ok(())
    }

    /// Sends one command for each channel, since each may be in another slot. What is refused stays unconfirmed.
    async fn send_sharded(
        &self,
        command: &str,
        channels: impl Iterator<Item = (&String, bool)>,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), RedisError> {
        let mut commands = pipe();
        for (channel, asking) in channels {
            if asking {
                commands.cmd("ASKING");
            }
            commands.cmd(command).arg(channel);
        }
        let replies: Vec<RedisResult<Value>> = commands.ignore_errors().query_async(connection).await?;
        if replies.iter().any(|reply| reply.as_ref().is_err_and(|error| error.kind() != ErrorKind::Io)) {
            self.shared.topology.request_refresh();
        }
        Ok(())
    }

    fn request_unconfirmed(&self) {
        let mut subscriptions = self.shared.subscriptions.lock();
        let server = subscriptions.server(self.server.address());
        if server.is_some_and(|server| server.channels.request_unconfirmed() > 0) {
            self.changed.notify_one();
        }
    }

    /// Gives the echo another channel if its own has gone to another server.
    async fn renew(&self, echo: &Echo, connection: &mut MultiplexedConnection) {
        if echo.channel().is_none()
            && let Some(channel) = self.probe_channel()
        {
            echo.move_to(channel.clone());
            let _ = self.send_sharded("SSUBSCRIBE", [(&channel, false)].into_iter(), connection).await;
        }
    }

    /// Compares the number of subscriptions that the server knows with ours. No command of ours is on its way.
    async fn count_subscriptions(&self, connection: &mut MultiplexedConnection, echo: &Echo) -> Result<(), Failure> {
        let subscribed =
            self.shared.subscriptions.lock().server(self.server.address()).map(|s| s.channels.subscribed());
        let Some(subscribed) = subscribed.flatten().filter(|_| self.may_count.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        let expected = subscribed + usize::from(echo.channel().is_some());
        let info: RedisResult<String> = cmd("CLIENT").arg("INFO").query_async(connection).await;
        let field = if self.is_sharded() { "ssub=" } else { "sub=" };
        match info {
            Ok(info) => match subscriptions(&info, field) {
                Some(known) if known != expected => {
                    Err(Failure::Away(format!("it knows {known} subscriptions of {expected}")))
                }
                _ => Ok(()),
            },
            Err(error) if error.kind() == ErrorKind::Io => Err(error.into()),
            Err(error) => {
                if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) {
                    self.may_count.store(false, Ordering::Relaxed);
                    let warning = "the Redis user may not use CLIENT INFO (+client|info), so that lost subscriptions \
                                   may not be noticed";
                    self.server.log().warn_once(warning);
                }
                Ok(())
            }
        }
    }
}

/// Returns the number of channels in a line of CLIENT INFO.
fn subscriptions(info: &str, field: &str) -> Option<usize> {
    info.split_whitespace().find_map(|word| word.strip_prefix(field)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::subscriptions;

    #[test]
    fn subscriptions_are_read_from_client_info() {
        let info = "id=5 addr=127.0.0.1:1 name= db=0 sub=17 psub=0 ssub=2 multi=-1 cmd=client|info user=sub=3 resp=3";
        assert_eq!(subscriptions(info, "sub="), Some(17));
        assert_eq!(subscriptions(info, "ssub="), Some(2));
        assert_eq!(subscriptions("id=5 psub=0", "sub="), None);
    }
}
