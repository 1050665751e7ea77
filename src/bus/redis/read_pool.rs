//! The connections over which logs are read: a pool, since a large response must not delay a publish.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{self, Manager, Pool, PoolError, RecycleError, RecycleResult};
use deadpool_redis::{Metrics, Runtime, Timeouts};
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, ScriptInvocation};
use tokio::time::timeout;

use super::check;
use super::connector::{Connector, RESPONSE_TIMEOUT};
use super::error::CallError;
use super::failure::Failure;

/// The most connections for reading logs.
const READ_CONNECTIONS: usize = 8;

/// How long a read waits for a connection. Together with [`RESPONSE_TIMEOUT`] it stays below the 2 s that a call of the
/// bus may take.
const CONNECTION_WAIT: Duration = Duration::from_millis(900);

/// The pool of a node.
pub struct ReadPool {
    pool: Pool<ReadConnections>,
}

impl ReadPool {
    /// Creates an empty pool.
    ///
    /// # Errors
    /// If the pool cannot be built.
    pub fn new(connector: Arc<Connector>) -> Result<Self, String> {
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

    /// Runs a script that reads at the master of a key, in one round trip.
    pub async fn run<T: FromRedisValue>(&self, _key: &str, script: &ScriptInvocation<'_>) -> Result<T, CallError> {
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
        let pooled = self.get().await?;
        let (mut reading, mut asking) = (pooled.connection.clone(), pooled.connection.clone());
        let hello = check::hello();
        // HELLO goes second: a server that is a master then was one when it answered the script.
        let replies = async { tokio::join!(script.invoke_async::<T>(&mut reading), hello.query_async(&mut asking)) };
        let error = match timeout(RESPONSE_TIMEOUT, replies).await {
            Ok((reply, role)) if check::is_master(&role) => match reply.map_err(CallError::from) {
                Ok(page) => return Ok(page),
                Err(error @ CallError::Refused(_)) => return Err(error),
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
    epoch: u64,
}

/// Establishes the connections of the pool, and checks them.
struct ReadConnections {
    connector: Arc<Connector>,
}

impl Manager for ReadConnections {
    type Type = PooledConnection;
    type Error = Failure;

    async fn create(&self) -> Result<PooledConnection, Failure> {
        let epoch = self.connector.epoch();
        match self.connector.attempt_for_pool().await {
            Ok(connection) => Ok(PooledConnection { connection, epoch }),
            Err(failure) => {
                self.connector.failed(failure.clone()).await;
                Err(failure)
            }
        }
    }

    /// Costs no round trip: a read that finds its connection closed is repeated on a new one.
    async fn recycle(&self, pooled: &mut PooledConnection, _: &Metrics) -> RecycleResult<Failure> {
        if pooled.epoch != self.connector.epoch() {
            return Err(RecycleError::message("the connection is from before an outage"));
        }
        Ok(())
    }
}
