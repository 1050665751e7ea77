//! The store in which each process announces how many subscribers it has in a room, and their names.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::Unavailable;
use crate::chat::RoomName;

/// How long a presence entry is valid unless it is announced again: the subscribers of a crashed node disappear after
/// this time.
pub const PRESENCE_TTL: Duration = Duration::from_secs(24);

/// The subscribers of one process in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceEntry {
    /// The process, unique among all that share the store.
    pub process: String,
    /// A number that grows with each change, so that an older entry is recognized.
    pub version: u64,
    /// The number of subscribers; 0 if the process has left the room.
    pub count: usize,
    /// Their names, HTML-escaped and each once; only the first of them if there are too many.
    pub names: Vec<String>,
}

/// The presence entries of all processes, by room.
#[async_trait]
pub trait PresenceStore: Send + Sync {
    /// Stores an entry for [`PRESENCE_TTL`], announces it to every node that listens to the room, and returns the
    /// entries of all processes, each with its remaining time to live.
    async fn announce(
        &self,
        room: &RoomName,
        entry: &PresenceEntry,
    ) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable>;

    /// Returns the entries of all processes.
    async fn read(&self, room: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable>;
}
