//! The store of what cannot be told from the name of a room: under which prefix of an app it is, if its name is a hash.

use async_trait::async_trait;

use super::error::Unavailable;
use crate::chat::RoomName;

/// The rooms with hashes for names, in the store that all processes share.
///
/// Every call returns within 2 s.
#[async_trait]
pub trait HashedRoomStore: Send + Sync {
    /// Remembers the prefix of a room, for longer than a log is kept after its last message, and a socket lives.
    async fn remember(&self, room: &RoomName, prefix: &str) -> Result<(), Unavailable>;
}
