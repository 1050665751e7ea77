//! The prefixes of rooms with hashes for names in Redis: a key for each, beside the room's log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::cmd;

use super::connection::ThreadConnections;
use super::keys::Keys;
use crate::bus::error::Unavailable;
use crate::bus::hashed_rooms::HashedRoomStore;
use crate::bus::sockets::SOCKET_MAX_AGE;
use crate::chat::RoomName;

/// How much longer a prefix is kept than what it is of: rooms in use are remembered again every minute.
const MARGIN: Duration = Duration::from_secs(2 * 60 * 60);

/// The rooms of one Redis.
pub struct RedisHashedRooms {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    ttl: Duration,
}

impl RedisHashedRooms {
    /// `log_ttl` is how long a log is kept after its last message.
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>, log_ttl: Duration) -> Self {
        Self { keys, connections, ttl: log_ttl.max(SOCKET_MAX_AGE) + MARGIN }
    }
}

#[async_trait]
impl HashedRoomStore for RedisHashedRooms {
    async fn remember(&self, room: &RoomName, prefix: &str) -> Result<(), Unavailable> {
        let key = self.keys.prefix_of_room(room.as_str());
        let mut set = cmd("SET");
        set.arg(&key).arg(prefix).arg("EX").arg(self.ttl.as_secs());
        let result = self.connections.command::<()>(&key, &set).await;
        self.connections.calls().settle("remember room", Some(room.as_str()), result)
    }
}
