//! The connections for commands, one for each thread, which background tasks keep open.
//!
//! Callers never connect themselves, so an outage costs each of them a bounded wait and no reconnect.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, PushInfo, PushKind, RedisResult, ScriptInvocation};
use thread_local::ThreadLocal;
use tokio::sync::{Notify, watch};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::call_log::CallLog;
use super::check;
use super::connector::{Connector, RESPONSE_TIMEOUT, reconnect_backoff};
use super::error::CallError;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// How long a command waits for a connection that is being established. Together with [`RESPONSE_TIMEOUT`] it stays
/// below the 2 s that a call of the bus may take.
const CONNECTION_WAIT: Duration = Duration::from_millis(500);

/// How often a connection is checked to lead to a master that answers.
pub const VERIFY_INTERVAL: Duration = Duration::from_secs(1);

/// The connections for commands: a post is published from the thread that took its request.
pub struct ThreadConnections {
    connector: Arc<Connector>,
    metrics: Arc<Metrics>,
    calls: CallLog,
    by_thread: ThreadLocal<Mutex<KeptConnection>>,
}

/// A pipelined connection and the task that keeps it open.
#[derive(Clone)]
struct KeptConnection {
    current: watch::Receiver<Option<MultiplexedConnection>>,
    /// Notified when a reply shows that the connection has to be established and checked anew.
    unfit: Arc<Notify>,
}

impl ThreadConnections {
    /// Creates an empty set. Each thread connects in [`connect`](Self::connect) or with its first command.
    pub fn new(connector: Arc<Connector>, metrics: Arc<Metrics>) -> Self {
        Self { connector, metrics, calls: CallLog::default(), by_thread: ThreadLocal::new() }
    }

    /// Returns what connects them.
    pub fn connector(&self) -> &Arc<Connector> {
        &self.connector
    }

    /// Returns what the log says about calls, over whatever connection.
    pub fn calls(&self) -> &CallLog {
        &self.calls
    }

    /// Runs a script at the master of a key, in whose slot all its keys are.
    pub async fn run<T: FromRedisValue>(&self, _key: &str, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        let (kept, mut connection) = self.connection().await?;
        kept.settle(timeout(RESPONSE_TIMEOUT, script.invoke_async(&mut connection)).await)
    }

    /// Runs a command at the master of a key.
    pub async fn command<T: FromRedisValue>(&self, _key: &str, command: &Cmd) -> Result<T, CallError> {
        let (kept, mut connection) = self.connection().await?;
        kept.settle(timeout(RESPONSE_TIMEOUT, command.query_async(&mut connection)).await)
    }

    async fn connection(&self) -> Result<(KeptConnection, MultiplexedConnection), CallError> {
        let kept = self.of_thread();
        let connection = kept.get().await.ok_or(CallError::Disconnected)?;
        Ok((kept, connection))
    }

    /// Begins to connect the calling thread.
    pub fn connect(&self) {
        self.of_thread();
    }

    fn of_thread(&self) -> KeptConnection {
        let open = || KeptConnection::open(self.connector.clone(), self.metrics.clone());
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
    fn open(connector: Arc<Connector>, metrics: Arc<Metrics>) -> Self {
        let (sender, current) = watch::channel(None);
        let (sender, unfit) = (Arc::new(sender), Arc::new(Notify::new()));
        let (lost, noted) = (sender.clone(), unfit.clone());
        let run = async move || keep_open(&connector, &sender, &noted).await;
        tokio::spawn(supervise(metrics, "connection", run, move || drop(lost.send_replace(None))));
        Self { current, unfit }
    }

    /// Returns the connection, or `None` if none is established within [`CONNECTION_WAIT`].
    async fn get(&self) -> Option<MultiplexedConnection> {
        let mut current = self.current.clone();
        let found = timeout(CONNECTION_WAIT, current.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }

    /// Takes a response, and notes if the connection is unfit.
    fn settle<T>(&self, response: Result<RedisResult<T>, Elapsed>) -> Result<T, CallError> {
        let error = match response {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => CallError::from(error),
            Err(_) => CallError::TimedOut,
        };
        if error.needs_new_connection() {
            self.unfit.notify_one();
        }
        Err(error)
    }
}

async fn keep_open(connector: &Connector, sender: &watch::Sender<Option<MultiplexedConnection>>, unfit: &Notify) {
    let mut backoff = reconnect_backoff();
    while !sender.is_closed() {
        let broken = Arc::new(Notify::new());
        let mut connection = connector.connect(&mut backoff, None, notify_when_broken(&broken)).await;
        // What calls have noted since then concerns the connection before.
        let _ = unfit.notified().now_or_never();
        sender.send_replace(Some(connection.clone()));
        tokio::select! {
            () = unfit.notified() => {}
            () = until_lost(&mut connection, &broken) => {}
        }
        sender.send_replace(None);
        connector.pause(&mut backoff).await;
    }
}

/// Returns when the connection no longer leads to a master that answers.
async fn until_lost(connection: &mut MultiplexedConnection, broken: &Notify) {
    while matches!(timeout(VERIFY_INTERVAL, check::verify(connection)).await, Ok(Ok(_))) {
        let _ = timeout(VERIFY_INTERVAL, broken.notified()).await;
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
