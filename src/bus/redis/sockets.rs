//! Sockets in Redis: a key for each, in a slot of its own, and a count of the living for each app's key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::{Script, cmd};
use tokio::time::timeout;

use super::connection::ThreadConnections;
use super::error::CallError;
use super::keys::Keys;
use crate::bus::error::Unavailable;
use crate::bus::sockets::{CreateError, MAX_SOCKETS_PER_KEY, SOCKET_TTL, Socket, SocketId, SocketStore};

/// How long the calls for a new socket may take together: a little less than the 2 s that are promised.
const CREATE_TIMEOUT: Duration = Duration::from_millis(1900);

/// How many sockets are stored at once: each may be in another slot, so that no single command has them all.
const STORES_AT_ONCE: usize = 64;

/// Counts in any case.
const NO_MAXIMUM: i64 = -1;

/// The sockets of one Redis.
pub struct RedisSockets {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    count: Script,
}

impl RedisSockets {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>) -> Self {
        Self { keys, connections, count: Script::new(include_str!("count_sockets.lua")) }
    }

    /// Counts sockets of a key as living. Returns false if there are too many.
    async fn count(&self, key: &str, max: i64, ids: &[SocketId]) -> Result<bool, CallError> {
        let living = self.keys.living_sockets(key);
        let mut call = self.count.key(&living);
        call.arg(max).arg(SOCKET_TTL.as_millis() as u64);
        for id in ids {
            call.arg(id.to_string());
        }
        self.connections.run(&living, &call).await
    }

    /// Stores a socket, unless its time is over. Its key may be absent: then it is stored anew.
    async fn store(&self, id: SocketId, socket: &Socket) -> Result<(), CallError> {
        let Some((value, ttl)) = serde_json::to_string(socket).ok().zip(socket.ttl()) else {
            return Ok(());
        };
        let key = self.keys.socket(id);
        let mut set = cmd("SET");
        set.arg(&key).arg(value).arg("PX").arg(ttl.as_millis() as u64);
        self.connections.command(&key, &set).await
    }

    async fn run_create(&self, id: SocketId, socket: &Socket) -> Result<bool, CallError> {
        // Counted first: what is not counted must not be stored, whereas a count without a socket ends by itself.
        if !self.count(&socket.key, MAX_SOCKETS_PER_KEY as i64, &[id]).await? {
            return Ok(false);
        }
        self.store(id, socket).await?;
        Ok(true)
    }

    async fn run_renew(&self, sockets: &[(SocketId, Arc<Socket>)]) -> Result<(), CallError> {
        for some in sockets.chunks(STORES_AT_ONCE) {
            try_join_all(some.iter().map(|(id, socket)| self.store(*id, socket))).await?;
        }
        let mut by_key: HashMap<&str, Vec<SocketId>> = HashMap::new();
        for (id, socket) in sockets {
            by_key.entry(&socket.key).or_default().push(*id);
        }
        for (key, ids) in by_key {
            self.count(key, NO_MAXIMUM, &ids).await?;
        }
        Ok(())
    }

    fn settle<T>(&self, call: &'static str, result: Result<T, CallError>) -> Result<T, Unavailable> {
        self.connections.calls().settle(call, None, result)
    }
}

#[async_trait]
impl SocketStore for RedisSockets {
    async fn create(&self, id: SocketId, socket: &Socket) -> Result<(), CreateError> {
        let created = timeout(CREATE_TIMEOUT, self.run_create(id, socket)).await;
        let created = self.settle("create socket", created.unwrap_or(Err(CallError::TimedOut)))?;
        if created { Ok(()) } else { Err(CreateError::TooMany) }
    }

    async fn find(&self, id: SocketId) -> Result<Option<Socket>, Unavailable> {
        let key = self.keys.socket(id);
        let result = self.connections.command(&key, cmd("GET").arg(&key)).await;
        let value: Option<String> = self.settle("find socket", result)?;
        Ok(value
            .and_then(|value| serde_json::from_str(&value).ok())
            .filter(|socket: &Socket| socket.ttl().is_some()))
    }

    async fn renew(&self, sockets: &[(SocketId, Arc<Socket>)]) -> Result<(), Unavailable> {
        let result = self.run_renew(sockets).await;
        self.settle("renew sockets", result)
    }
}
