//! Connects to Redis. Every connection of a node is established here: it is checked before it is used, and a failure is
//! logged with its cause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Duration;

use deadpool::managed::Manager as _;
use deadpool_redis::Manager;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, RedisResult, cmd};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::check::{self, Check};
use super::failure::Failure;
use super::outage_log::OutageLog;
use super::server_run::{Runs, ServerRun};
use super::url::{Access, Address};
use crate::backoff::Backoff;

/// How long a command waits for its response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an attempt may take: a round trip each for TCP, the greeting, the check and a subscription, and two for TLS.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// The pause before the first retry.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: shorter than logs are held, so that all nodes find a Redis that is back before one of them writes.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// How long a connection must have lasted for the pauses to begin anew: one that is refused after its greeting has not.
const STABLE_AFTER: Duration = Duration::from_secs(3);

/// Commands that may be queued on one connection.
const PIPELINE_DEPTH: usize = 1024;

/// What all connections of a node to one server have in common.
pub struct Connector {
    access: Access,
    address: Address,
    client: Client,
    /// The same without the user in the URL, if that may be unknown to Redis.
    userless: Option<Client>,
    /// Whether Redis knew the password and not the user.
    is_userless: AtomicBool,
    check: Arc<Check>,
    log: OutageLog,
    /// A slot of this server, or -1.
    slot: AtomicI32,
    run: ServerRun,
    /// Changes when the connection for announcements is lost.
    losses: watch::Sender<()>,
    /// Notified when an attempt succeeds.
    reached: Notify,
}

impl Connector {
    /// Prepares connections to a server.
    ///
    /// # Errors
    /// If there can be no connection to such an address.
    pub fn new(access: &Access, address: Address, check: Arc<Check>, runs: Arc<Runs>) -> Result<Self, String> {
        Ok(Self {
            client: access.client(&address)?,
            userless: access.userless_client(&address).transpose()?,
            is_userless: AtomicBool::new(false),
            check,
            log: OutageLog::new(address.to_string()),
            access: access.clone(),
            address,
            slot: AtomicI32::new(-1),
            run: ServerRun::new(runs),
            losses: watch::Sender::new(()),
            reached: Notify::new(),
        })
    }

    /// Returns where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Notes a slot of this server, on which its user's rights can be tried.
    pub fn set_slot(&self, slot: Option<u16>) {
        self.slot.store(slot.map_or(-1, i32::from), Ordering::Relaxed);
    }

    fn slot(&self) -> Option<u16> {
        u16::try_from(self.slot.load(Ordering::Relaxed)).ok()
    }

    /// Returns true if the URL names a user, whose rights are limited as a rule.
    pub fn has_user(&self) -> bool {
        self.current_client().get_connection_info().redis_settings().username().is_some()
    }

    fn current_client(&self) -> &Client {
        let is_userless = self.is_userless.load(Ordering::Relaxed);
        self.userless.as_ref().filter(|_| is_userless).unwrap_or(&self.client)
    }

    /// Returns which run of the server this node is connected to.
    pub fn run(&self) -> &ServerRun {
        &self.run
    }

    /// Returns what the log says about the connections.
    pub fn log(&self) -> &OutageLog {
        &self.log
    }

    /// Returns a receiver that is notified when the connection for announcements is lost: an older connection may lead to
    /// another server, or to none.
    pub fn losses(&self) -> watch::Receiver<()> {
        self.losses.subscribe()
    }

    /// Notes and logs that the connection for announcements was lost.
    pub fn lost(&self, failure: &Failure) {
        self.losses.send_replace(());
        self.log.lost(failure);
    }

    /// Connects as soon as the server can be reached and lets this node work, retrying without end. Subscribes to
    /// `channel` if there is one. `on_push` runs on the connection's own task and must not block.
    pub async fn connect(
        &self,
        backoff: &mut Backoff,
        channel: Option<&str>,
        on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
    ) -> MultiplexedConnection {
        loop {
            match self.attempt(channel, on_push.clone()).await {
                Ok(connection) => {
                    backoff.on_success();
                    self.reached.notify_waiters();
                    return connection;
                }
                Err(failure) => drop(tokio::join!(self.failed(failure), self.pause(backoff))),
            }
        }
    }

    /// Waits before the next attempt, but not longer than until another connection of this node is established.
    pub async fn pause(&self, backoff: &mut Backoff) {
        tokio::select! {
            () = backoff.wait() => {}
            () = self.reached.notified() => {}
        }
    }

    /// Tries once to connect. The name is resolved anew.
    ///
    /// # Errors
    /// If there is no connection within [`ATTEMPT_TIMEOUT`], or it does not pass the check.
    pub async fn attempt(
        &self,
        channel: Option<&str>,
        on_push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Failure> {
        let config = config().set_push_sender(move |push| {
            on_push(push);
            Ok::<_, std::convert::Infallible>(())
        });
        let connect = |client: Client| {
            let config = config.clone();
            async move { client.get_multiplexed_async_connection_with_config(&config).await }
        };
        self.establish(connect, channel).await
    }

    /// Asks the server over a connection of its own whether it is a master. Its user may be one that may not ask ROLE.
    ///
    /// # Errors
    /// If it is none, or does not answer.
    pub async fn ask_role(&self) -> Result<(), Failure> {
        check::ask_role(&mut self.authenticate(open).await?).await
    }

    /// Tries once to connect to a server of a cluster, whatever its role, to ask it for the others.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub async fn attempt_for_map(&self) -> Result<MultiplexedConnection, Failure> {
        let attempt = async {
            let mut connection = self.authenticate(open).await?;
            check::in_cluster(&mut connection).await?;
            Ok(connection)
        };
        timeout(ATTEMPT_TIMEOUT, attempt).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Tries once to connect for a pool.
    ///
    /// # Errors
    /// As [`attempt`](Self::attempt).
    pub async fn attempt_for_pool(&self) -> Result<MultiplexedConnection, Failure> {
        let connect = async |client: Client| {
            Manager::new_with_config(client.get_connection_info().clone(), config())?.create().await
        };
        self.establish(connect, None).await
    }

    /// Connects and checks the connection. Subscribes to `channel` if there is one.
    async fn establish<F: Future<Output = RedisResult<MultiplexedConnection>>>(
        &self,
        connect: impl Fn(Client) -> F,
        channel: Option<&str>,
    ) -> Result<MultiplexedConnection, Failure> {
        let attempt = async {
            let mut connection = self.authenticate(connect).await?;
            let run_id = self.check.run(&mut connection, self.slot()).await?;
            self.run.note(run_id);
            if let Some(channel) = channel {
                () = cmd(self.check.subscribe_command()).arg(channel).query_async(&mut connection).await?;
            }
            Ok(connection)
        };
        timeout(ATTEMPT_TIMEOUT, attempt).await.unwrap_or_else(|_| Err(no_answer()))
    }

    /// Connects. If Redis does not know the user and the password, and the URL may be of the old kind, tries the password
    /// alone, or the user again.
    async fn authenticate<F: Future<Output = RedisResult<MultiplexedConnection>>>(
        &self,
        connect: impl Fn(Client) -> F,
    ) -> RedisResult<MultiplexedConnection> {
        let is_userless = self.is_userless.load(Ordering::Relaxed);
        let refusal = match connect(self.current_client().clone()).await {
            Err(error) if error.code() == Some("WRONGPASS") => error,
            result => return result,
        };
        let other = if is_userless { Some(&self.client) } else { self.userless.as_ref() };
        let Some(other) = other else { return Err(refusal) };
        let connection = connect(other.clone()).await.map_err(|_| refusal)?;
        self.is_userless.store(!is_userless, Ordering::Relaxed);
        if !is_userless {
            self.log.warn_once(
                "Redis does not know the user in REDISTOGO_URL, so the password is used without it, as for a URL of the old kind",
            );
        }
        Ok(connection)
    }

    /// Logs a failed attempt, and looks for its cause first if it is new and unclear.
    pub async fn failed(&self, failure: Failure) {
        if self.log.is_new(&failure) {
            let explained = failure.clone().explained(&self.access, &self.address).await;
            self.log.failed(&failure, &explained);
        }
    }
}

/// Returns the pauses of a task that keeps a connection.
pub fn reconnect_backoff() -> Backoff {
    Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, STABLE_AFTER)
}

/// Connects, for questions that no announcements disturb.
async fn open(client: Client) -> RedisResult<MultiplexedConnection> {
    client.get_multiplexed_async_connection_with_config(&config()).await
}

fn no_answer() -> Failure {
    Failure::Unclear(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()))
}

/// Returns the timeouts and the pipeline depth of every connection.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ATTEMPT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(PIPELINE_DEPTH)
}
