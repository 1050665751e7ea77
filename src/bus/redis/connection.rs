//! Connections to Redis that a background task keeps open: one for commands on each thread, and one for Pub/Sub.
//!
//! Callers never connect themselves, so an outage costs each of them a bounded wait and no reconnect.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, FromRedisValue, IntoConnectionInfo, PushInfo, PushKind, RedisError, ScriptInvocation,
};
use thread_local::ThreadLocal;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::error::CallError;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// How long a command waits for a connection that is being established. Together with [`RESPONSE_TIMEOUT`] it stays
/// below the 2 s that a call of the bus may take.
const CONNECTION_WAIT: Duration = Duration::from_millis(500);

/// How long a command waits for its response.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a TCP connection may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long connecting may take in all, the greeting and a PING included.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two attempts to connect, in milliseconds, drawn at random so that nodes do not reconnect in step.
const RECONNECT_PAUSE_MS: std::ops::Range<u64> = 50..500;

/// How often a connection is checked with PING, and how long the response may take.
pub const PING_INTERVAL: Duration = Duration::from_secs(1);

/// How long the kernel retransmits to a server that does not acknowledge before it closes the connection.
const REDIS_TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// Commands that may be queued on one connection.
const PIPELINE_DEPTH: usize = 1024;

/// The connections for commands, one for each thread: a post is published from the thread that took its request.
pub struct ThreadConnections {
    client: Client,
    metrics: Arc<Metrics>,
    by_thread: ThreadLocal<Mutex<KeptConnection>>,
}

/// A pipelined connection and the task that keeps it open.
#[derive(Clone)]
struct KeptConnection {
    current: watch::Receiver<Option<MultiplexedConnection>>,
}

impl ThreadConnections {
    /// Creates an empty set. Each thread connects in [`connect`](Self::connect) or with its first command.
    pub fn new(client: Client, metrics: Arc<Metrics>) -> Self {
        Self { client, metrics, by_thread: ThreadLocal::new() }
    }

    /// Runs a script.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        let mut connection = self.of_thread().get().await.ok_or(CallError::Disconnected)?;
        let response = timeout(RESPONSE_TIMEOUT, script.invoke_async(&mut connection)).await;
        Ok(response.map_err(|_| CallError::TimedOut)??)
    }

    /// Begins to connect the calling thread.
    pub fn connect(&self) {
        self.of_thread();
    }

    fn of_thread(&self) -> KeptConnection {
        let open = || KeptConnection::open(self.client.clone(), self.metrics.clone());
        let mut kept = self.by_thread.get_or(|| Mutex::new(open())).lock();
        if kept.current.has_changed().is_err() {
            // A thread that ended had this slot before, and the task that kept its connection ended with its runtime.
            *kept = open();
        }
        kept.clone()
    }
}

impl KeptConnection {
    /// Connects, and reconnects for as long as the receiver is held.
    fn open(client: Client, metrics: Arc<Metrics>) -> Self {
        let (sender, current) = watch::channel(None);
        let sender = Arc::new(sender);
        let lost = sender.clone();
        let run = async move || {
            while !sender.is_closed() {
                let broken = Arc::new(Notify::new());
                let connection = connect(&client, notify_when_broken(&broken)).await;
                sender.send_replace(Some(connection.clone()));
                while ping(&mut connection.clone()).await.is_ok() {
                    let _ = timeout(PING_INTERVAL, broken.notified()).await;
                }
                sender.send_replace(None);
            }
        };
        tokio::spawn(supervise(metrics, "connection", run, move || drop(lost.send_replace(None))));
        Self { current }
    }

    /// Returns the connection, or `None` if none is established within [`CONNECTION_WAIT`].
    async fn get(&self) -> Option<MultiplexedConnection> {
        let mut current = self.current.clone();
        let found = timeout(CONNECTION_WAIT, current.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }
}

/// Creates a client whose connections send without delay, speak RESP3 and notice a vanished server.
pub fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true).set_user_timeout(REDIS_TCP_USER_TIMEOUT);
    let resp3 = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
    Client::open(info.set_tcp_settings(tcp).set_redis_settings(resp3))
}

/// Returns the timeouts and the pipeline depth of every connection.
pub fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_pipeline_buffer_size(PIPELINE_DEPTH)
}

/// Connects as soon as the server can be reached, retrying without end. `on_push` runs on the connection's own task and
/// must not block.
pub async fn connect(
    client: &Client,
    on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
) -> MultiplexedConnection {
    let mut refusal_logged = false;
    loop {
        let on_push = on_push.clone();
        let config = config().set_push_sender(move |push| {
            on_push(push);
            Ok::<_, std::convert::Infallible>(())
        });
        let attempt = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            // A server that loads its data set greets and then refuses every command.
            ping(&mut connection).await.map(|()| connection)
        };
        match timeout(ATTEMPT_TIMEOUT, attempt).await {
            Ok(Ok(connection)) => return connection,
            Ok(Err(error)) if !refusal_logged => refusal_logged = log_refused_credentials(&error),
            _ => {}
        }
        sleep(Duration::from_millis(rand::random_range(RECONNECT_PAUSE_MS))).await;
    }
}

/// Logs an error that retrying does not solve, such as a wrong password. Returns true if it was one.
fn log_refused_credentials(error: &RedisError) -> bool {
    let code = error.code().filter(|code| ["WRONGPASS", "NOAUTH", "NOPERM"].contains(code));
    if let Some(error) = code {
        tracing::error!(error, "Redis refuses this node: check the user and the password in its URL");
    }
    code.is_some()
}

/// Sends PING and waits for the response.
pub async fn ping(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match timeout(PING_INTERVAL, redis::cmd("PING").query_async(connection)).await {
        Ok(response) => response,
        Err(_) => Err((redis::ErrorKind::Io, "no response to PING").into()),
    }
}

fn notify_when_broken(broken: &Arc<Notify>) -> impl Fn(PushInfo) + Clone + Send + Sync + 'static {
    let broken = broken.clone();
    move |push| {
        if push.kind == PushKind::Disconnection {
            broken.notify_one();
        }
    }
}
