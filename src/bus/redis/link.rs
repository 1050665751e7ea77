//! Connections that are kept up: whoever needs one takes what is there, and one task alone looks
//! after it. So an outage costs a caller a bounded wait, never a reconnect of its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, FromRedisValue, PushInfo, PushKind, RedisError, ScriptInvocation};
use thread_local::ThreadLocal;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::{DEADLINE, Trouble};

/// How long a caller waits for a connection that is just being made anew.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// How often a connection is asked whether it lives, and how long it may take to say so.
pub const PING: Duration = Duration::from_secs(1);

/// The connections for commands, one for each thread that has any: a post never changes its thread.
pub struct Links {
    client: Client,
    of_threads: ThreadLocal<Mutex<Link>>,
}

/// A connection for commands: pipelined, so that many publishes cost one write.
#[derive(Clone)]
struct Link {
    current: watch::Receiver<Option<MultiplexedConnection>>,
}

impl Links {
    /// No connection yet: each thread connects when it is about to have commands, or with its first.
    pub fn new(client: Client) -> Self {
        Self { client, of_threads: ThreadLocal::new() }
    }

    /// Runs a script: within [`PATIENCE`] for a connection and [`DEADLINE`] for the answer.
    pub async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, Trouble> {
        let mut connection = self.link().connection().await.ok_or(Trouble::Away)?;
        Ok(timeout(DEADLINE, call.invoke_async(&mut connection)).await.map_err(|_| Trouble::Late)??)
    }

    /// Begins to connect for this thread.
    pub fn connect(&self) {
        self.link();
    }

    fn link(&self) -> Link {
        let keep = || Link::keep(self.client.clone());
        let mut link = self.of_threads.get_or(|| Mutex::new(keep())).lock().unwrap_or_else(PoisonError::into_inner);
        if link.current.has_changed().is_err() {
            *link = keep(); // the thread that kept it has ended, and this one goes by its number
        }
        link.clone()
    }
}

impl Link {
    /// Connects, and connects again for as long as the link is held.
    fn keep(client: Client) -> Self {
        let (up, current) = watch::channel(None);
        tokio::spawn(async move {
            while !up.is_closed() {
                let broken = Arc::new(Notify::new());
                let connection = connect(&client, when_broken(&broken)).await;
                up.send_replace(Some(connection.clone()));
                while ping(&mut connection.clone()).await.is_ok() {
                    let _ = timeout(PING, broken.notified()).await;
                }
                up.send_replace(None);
            }
        });
        Self { current }
    }

    /// The connection, if there is one or one comes soon.
    async fn connection(&self) -> Option<MultiplexedConnection> {
        let mut current = self.current.clone();
        let found = timeout(PATIENCE, current.wait_for(Option::is_some)).await;
        found.ok()?.ok()?.clone()
    }
}

/// Connects as soon as the server can be reached: tries without end, at random intervals below a
/// second, so that the nodes of a cluster do not come back in step.
pub async fn connect(
    client: &Client,
    on_push: impl Fn(PushInfo) + Clone + Send + Sync + 'static,
) -> MultiplexedConnection {
    let mut said = false;
    loop {
        let on_push = on_push.clone();
        let config = super::connection_config().set_push_sender(move |push| {
            on_push(push);
            Ok::<_, std::convert::Infallible>(())
        });
        let attempt = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            ping(&mut connection).await.map(|()| connection)
        };
        // A server that hangs accepts and never greets; one that loads its file greets and refuses.
        match timeout(PING * 2, attempt).await {
            Ok(Ok(connection)) => return connection,
            Ok(Err(error)) => say_why(&error, &mut said),
            Err(_) => {}
        }
        sleep(Duration::from_millis(rand::random_range(50..500))).await;
    }
}

/// A Redis that is there and refuses, such as for a wrong password, does not mend itself: it is said, once.
fn say_why(error: &RedisError, said: &mut bool) {
    let why = error.code().filter(|code| ["WRONGPASS", "NOAUTH", "NOPERM"].contains(code));
    if let Some(error) = why.filter(|_| !*said) {
        tracing::error!(error, "Redis refuses this node; look at the user and the password in its URL");
        *said = true;
    }
}

/// Asks whether the server still answers.
pub async fn ping(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    match timeout(PING, redis::cmd("PING").query_async(connection)).await {
        Ok(answer) => answer,
        Err(_) => Err((redis::ErrorKind::Io, "no answer to PING").into()),
    }
}

fn when_broken(broken: &Arc<Notify>) -> impl Fn(PushInfo) + Clone + Send + Sync + 'static {
    let broken = broken.clone();
    move |push| {
        if push.kind == PushKind::Disconnection {
            broken.notify_one();
        }
    }
}

/// An evicted log is a gap for everybody who resumes, and every key of ours has an expiry.
pub async fn warn_if_logs_may_be_evicted(connection: &mut MultiplexedConnection) {
    let answer: Result<String, _> = redis::cmd("INFO").arg("memory").query_async(connection).await;
    let policy = answer
        .ok()
        .and_then(|info| info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:").map(str::to_owned)));
    if let Some(policy) = policy.filter(|policy| policy != "noeviction") {
        tracing::warn!(
            policy,
            "this Redis may evict rooms' logs when its memory is full; set maxmemory-policy noeviction"
        );
    }
}
