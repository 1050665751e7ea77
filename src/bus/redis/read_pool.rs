//! The connections over which logs are read: a pool for each server, since a large response must not delay a publish.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Manager, Pool, PoolError, RecycleError, RecycleResult};
use deadpool_redis::{Metrics, Runtime, Timeouts};
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ScriptInvocation, cmd};
use tokio::sync::watch;
use tokio::time::timeout;

use super::check;
use super::connector::{Connector, RESPONSE_TIMEOUT};
use super::error::CallError;
use super::failure::Failure;
use super::keys::slot_of;
use super::route::{Call, Route};
use super::topology::Topology;
use super::url::Address;

/// The most connections for reading logs.
const READ_CONNECTIONS: usize = 8;

/// How long a read waits for a connection. Together with [`RESPONSE_TIMEOUT`] it stays below the 2 s that a call of the
/// bus may take.
const CONNECTION_WAIT: Duration = Duration::from_millis(900);

/// The pools of a node, one for each server.
pub struct ReadPools {
    topology: Arc<Topology>,
    by_server: Mutex<HashMap<Address, Arc<ReadPool>>>,
}

impl ReadPools {
    /// Creates no pool yet.
    pub fn new(topology: Arc<Topology>) -> Self {
        Self { topology, by_server: Mutex::default() }
    }

    /// Returns the pool of a server.
    ///
    /// # Errors
    /// If the pool cannot be built.
    pub fn of(&self, server: &Arc<Connector>) -> Result<Arc<ReadPool>, CallError> {
        let mut by_server = self.by_server.lock();
        if let Some(pool) = by_server.get(server.address()) {
            return Ok(pool.clone());
        }
        let masters = self.topology.masters();
        by_server.retain(|address, _| masters.contains(address));
        let pool = Arc::new(ReadPool::new(server.clone()).map_err(CallError::Away)?);
        by_server.insert(server.address().clone(), pool.clone());
        Ok(pool)
    }

    /// Runs a script that reads at the master of a key, in one round trip.
    pub async fn run<T: FromRedisValue>(&self, key: &str, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        let mut route = Route::new(&self.topology, slot_of(key));
        loop {
            let hop = route.next().await?;
            let pool = self.of(&hop.server)?;
            let result = match hop.asking {
                true => pool.call_asking(Call::Script(script)).await,
                false => pool.run(script).await,
            };
            if let Some(result) = route.settle(&hop, result) {
                return result;
            }
        }
    }
}

/// The pool of one server.
pub struct ReadPool {
    pool: Pool<ReadConnections>,
}

impl ReadPool {
    fn new(connector: Arc<Connector>) -> Result<Self, String> {
        // An attempt limits itself.
        let timeouts = Timeouts { wait: Some(CONNECTION_WAIT), create: None, recycle: None };
        let pool = Pool::builder(ReadConnections { connector })
            .max_size(READ_CONNECTIONS)
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build();
        Ok(Self { pool: pool.map_err(|error| error.to_string())? })
    }

    /// Begins to establish a connection, so that the first read does not wait for it.
    pub fn warm(&self) {
        let pool = self.pool.clone();
        tokio::spawn(async move { drop(pool.get().await) });
    }

    /// Sends a call to a server that does not have the slot yet. No other command may come after ASKING, so this takes a
    /// connection of its own.
    pub async fn call_asking<T: FromRedisValue>(&self, call: Call<'_>) -> Result<T, CallError> {
        let pooled = self.get().await?;
        let (mut asking, mut calling) = (pooled.connection.clone(), pooled.connection.clone());
        let ask = cmd("ASKING");
        let replies = async { tokio::join!(ask.exec_async(&mut asking), call.query::<T>(&mut calling)) };
        match timeout(RESPONSE_TIMEOUT, replies).await {
            Ok((_, reply)) => reply.map_err(CallError::from),
            Err(_) => {
                drop(managed::Object::take(pooled));
                Err(CallError::TimedOut)
            }
        }
    }

    async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        match self.try_run(script).await {
            Err(CallError::Away(_)) => {
                // It had been closed, or no longer led to the master, and so may the other idle ones.
                self.pool.retain(|_, _| false);
                self.try_run(script).await
            }
            result => result,
        }
    }

    async fn try_run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
        let mut pooled = self.get().await?;
        if self.pool.manager().connector.run().settled().await {
            pooled = self.get().await?;
        }
        let (mut reading, mut asking) = (pooled.connection.clone(), pooled.connection.clone());
        let hello = check::hello();
        // HELLO goes second: a server that is a master then was one when it answered the script.
        let replies = async { tokio::join!(script.invoke_async::<T>(&mut reading), hello.query_async(&mut asking)) };
        let error = match timeout(RESPONSE_TIMEOUT, replies).await {
            Ok((reply, role)) if check::is_master(&role) => match reply.map_err(CallError::from) {
                Ok(page) => return Ok(page),
                Err(error @ (CallError::Refused(_) | CallError::Redirected(_))) => return Err(error),
                Err(error) => error,
            },
            Ok(_) => CallError::Away("it is no longer a master".into()),
            Err(_) => CallError::TimedOut,
        };
        // Its response may still arrive, or nothing at all.
        drop(managed::Object::take(pooled));
        Err(error)
    }

    /// Takes a connection from the pool, or establishes one. That goes on in a task of its own: an attempt that takes
    /// longer than this read may wait serves the next one.
    async fn get(&self) -> Result<managed::Object<ReadConnections>, CallError> {
        let pool = self.pool.clone();
        let getting = tokio::spawn(async move { pool.get().await });
        match timeout(CONNECTION_WAIT, getting).await {
            Ok(Ok(Ok(pooled))) => Ok(pooled),
            Ok(Ok(Err(PoolError::Backend(failure)))) => Err(CallError::Unreachable(failure)),
            _ => Err(CallError::TimedOut),
        }
    }
}

/// A connection of the pool.
struct PooledConnection {
    connection: MultiplexedConnection,
    /// Has changed if the connection is from before a loss.
    losses: watch::Receiver<()>,
}

/// Establishes the connections of the pool, and checks them.
struct ReadConnections {
    connector: Arc<Connector>,
}

impl ReadConnections {
    async fn establish(&self) -> Result<PooledConnection, Failure> {
        let losses = self.connector.losses();
        match self.connector.attempt_for_pool().await {
            Ok(connection) => Ok(PooledConnection { connection, losses }),
            Err(failure) => {
                self.connector.failed(failure.clone()).await;
                Err(failure)
            }
        }
    }
}

impl Manager for ReadConnections {
    type Type = PooledConnection;
    type Error = Failure;

    async fn create(&self) -> Result<PooledConnection, Failure> {
        // Boxed: otherwise each read that waits for a connection holds 12 KB, in case it has to establish one.
        Box::pin(self.establish()).await
    }

    /// Costs no round trip: a read that finds its connection closed is repeated on a new one.
    async fn recycle(&self, pooled: &mut PooledConnection, _: &Metrics) -> RecycleResult<Failure> {
        if pooled.losses.has_changed().unwrap_or(true) {
            return Err(RecycleError::message("the connection is from before an outage"));
        }
        Ok(())
    }
}
