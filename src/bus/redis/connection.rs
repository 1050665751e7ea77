//! The connections for commands, one for each thread and master, which background tasks keep open.
//!
//! Callers never connect themselves, so an outage costs each of them a bounded wait and no reconnect.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, PushInfo, PushKind, RedisResult, ScriptInvocation};
use thread_local::ThreadLocal;
use tokio::sync::{Notify, watch};
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

use super::call_log::CallLog;
use super::check;
use super::connector::{Connector, RESPONSE_TIMEOUT, reconnect_backoff};
use super::error::CallError;
use super::keys::slot_of;
use super::moving::CALL_TIMEOUT;
use super::read_pool::ReadPools;
use super::route::{Call, Hop, Route};
use super::topology::Topology;
use super::url::Address;
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// How long a command waits for a connection that is being established. Together with [`RESPONSE_TIMEOUT`] it stays
/// below the 2 s that a call of the bus may take.
const CONNECTION_WAIT: Duration = Duration::from_millis(500);

/// How often a connection is checked to lead to a master that answers, if no reply is late. The connection for
/// announcements is checked more often, for all of them: they are established anew when it is lost.
const VERIFY_INTERVAL: Duration = Duration::from_secs(5);

/// The connections for commands: a post is published from the thread that took its request.
pub struct ThreadConnections {
    topology: Arc<Topology>,
    read_pools: Arc<ReadPools>,
    metrics: Arc<Metrics>,
    calls: CallLog,
    by_thread: ThreadLocal<Mutex<HashMap<Address, KeptConnection>>>,
}

/// A pipelined connection and the task that keeps it open.
#[derive(Clone)]
struct KeptConnection {
    current: watch::Receiver<Option<MultiplexedConnection>>,
    notes: Arc<Notes>,
}

/// What calls find out about a connection.
#[derive(Default)]
struct Notes {
    /// Notified when a reply shows that the connection has to be established and checked anew.
    unfit: Notify,
    /// Notified when no reply has come in time.
    silent: Notify,
}

impl ThreadConnections {
    /// Creates an empty set. Each thread connects in [`connect`](Self::connect) or with its first command.
    pub fn new(topology: Arc<Topology>, read_pools: Arc<ReadPools>, metrics: Arc<Metrics>) -> Self {
        Self { topology, read_pools, metrics, calls: CallLog::default(), by_thread: ThreadLocal::new() }
    }

    /// Returns what the log says about calls, over whatever connection.
    pub fn calls(&self) -> &CallLog {
        &self.calls
    }

    /// Runs a script at the master of a key, in whose slot all its keys are.
    pub async fn run<T: FromRedisValue>(&self, key: &str, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        self.call(key, Call::Script(script)).await
    }

    /// Runs a command at the master of a key.
    pub async fn command<T: FromRedisValue>(&self, key: &str, command: &Cmd) -> Result<T, CallError> {
        self.call(key, Call::Command(command)).await
    }

    /// Runs a script on a log. It waits while the logs of the server are healed.
    pub async fn run_on_log<T: FromRedisValue>(
        &self,
        log: &str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, CallError> {
        let call = self.call(log, Call::OnLog(script));
        timeout(CALL_TIMEOUT, call).await.unwrap_or(Err(CallError::TimedOut))
    }

    /// Runs a script on a log, if the run of its server is the one that was found then.
    pub async fn run_in_run<T: FromRedisValue>(
        &self,
        log: &str,
        script: &ScriptInvocation<'_>,
        found: Instant,
    ) -> Result<T, CallError> {
        self.call(log, Call::InRun(script, found)).await
    }

    async fn call<T: FromRedisValue>(&self, key: &str, call: Call<'_>) -> Result<T, CallError> {
        let mut route = Route::new(&self.topology, slot_of(key));
        loop {
            let hop = route.next().await?;
            let result = self.call_at(&hop, call).await;
            if let Some(result) = route.settle(&hop, result) {
                return result;
            }
        }
    }

    async fn call_at<T: FromRedisValue>(&self, hop: &Hop, call: Call<'_>) -> Result<T, CallError> {
        if hop.asking && matches!(call, Call::InRun(..)) {
            return Err(other_run());
        }
        if hop.asking {
            return self.read_pools.of(&hop.server)?.call_asking(call).await;
        }
        let kept = self.kept(&hop.server);
        let mut connection = kept.get().await.ok_or(CallError::Disconnected)?;
        // The greeting of the connection has shown whether the run is a new one.
        match call {
            Call::OnLog(_) if hop.server.run().settled().await => {
                connection = kept.get().await.ok_or(CallError::Disconnected)?;
            }
            Call::InRun(_, found) if hop.server.run().found() != Some(found) => return Err(other_run()),
            _ => {}
        }
        kept.settle(timeout(RESPONSE_TIMEOUT, call.query(&mut connection)).await)
    }

    /// Connects the calling thread to all masters, now and whenever there are others.
    pub fn connect(self: &Arc<Self>) {
        let (connections, mut changes) = (self.clone(), self.topology.changes());
        tokio::spawn(async move {
            loop {
                let masters = changes.borrow_and_update().clone();
                masters.servers().iter().for_each(|server| drop(connections.kept(server)));
                if changes.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn kept(&self, server: &Arc<Connector>) -> KeptConnection {
        let mut of_thread = self.by_thread.get_or_default().lock();
        if let Some(kept) = of_thread.get(server.address()).filter(|kept| !kept.has_ended()) {
            return kept.clone();
        }
        // The rest of those that ended are of servers which are no longer masters, or of a thread that ended and had this
        // slot before.
        of_thread.retain(|_, kept| !kept.has_ended());
        let kept = KeptConnection::open(server.clone(), self.topology.clone(), self.metrics.clone());
        of_thread.insert(server.address().clone(), kept.clone());
        kept
    }
}

impl KeptConnection {
    /// Connects, and reconnects for as long as the receiver is held and the server is a master.
    fn open(server: Arc<Connector>, topology: Arc<Topology>, metrics: Arc<Metrics>) -> Self {
        let (sender, current) = watch::channel(None);
        let (sender, notes) = (Arc::new(sender), Arc::new(Notes::default()));
        let (lost, noted) = (sender.clone(), notes.clone());
        let run = async move || {
            let mut changes = topology.changes();
            tokio::select! {
                () = keep_open(&server, &sender, &noted) => {}
                _ = changes.wait_for(|masters| !masters.contains(server.address())) => {}
            }
            sender.send_replace(None);
        };
        tokio::spawn(supervise(metrics, "connection", run, move || drop(lost.send_replace(None))));
        Self { current, notes }
    }

    fn has_ended(&self) -> bool {
        self.current.has_changed().is_err()
    }

    /// Returns the connection, or `None` if none is established within [`CONNECTION_WAIT`].
    async fn get(&self) -> Option<MultiplexedConnection> {
        let mut current = self.current.clone();
        let found = timeout(CONNECTION_WAIT, current.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }

    /// Takes a response, and notes if the connection is unfit or may be.
    fn settle<T>(&self, response: Result<RedisResult<T>, Elapsed>) -> Result<T, CallError> {
        let error = match response {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => CallError::from(error),
            Err(_) => CallError::TimedOut,
        };
        if error.needs_new_connection() {
            self.notes.unfit.notify_one();
        }
        if matches!(error, CallError::TimedOut) {
            self.notes.silent.notify_one();
        }
        Err(error)
    }
}

fn other_run() -> CallError {
    CallError::Away("the server was restarted, or is another one".into())
}

async fn keep_open(connector: &Connector, sender: &watch::Sender<Option<MultiplexedConnection>>, notes: &Notes) {
    let mut backoff = reconnect_backoff();
    while !sender.is_closed() {
        let broken = Arc::new(Notify::new());
        let mut connection = connector.connect(&mut backoff, None, notify_when_broken(&broken)).await;
        // What calls have noted since then concerns the connection before.
        let _ = notes.unfit.notified().now_or_never();
        let mut losses = connector.losses();
        sender.send_replace(Some(connection.clone()));
        tokio::select! {
            () = notes.unfit.notified() => {}
            () = until_lost(&mut connection, &broken, &notes.silent) => {}
            // It may lead to another server. Calls that wait for a reply keep it open.
            _ = losses.changed() => {}
        }
        sender.send_replace(None);
        connector.pause(&mut backoff).await;
    }
}

/// Returns when the connection no longer leads to a master that answers.
async fn until_lost(connection: &mut MultiplexedConnection, broken: &Notify, silent: &Notify) {
    while matches!(timeout(RESPONSE_TIMEOUT, check::verify(connection)).await, Ok(Ok(_))) {
        tokio::select! {
            () = sleep(VERIFY_INTERVAL) => {}
            () = broken.notified() => {}
            () = silent.notified() => {}
        }
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
