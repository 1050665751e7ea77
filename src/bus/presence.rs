//! The store in which each process announces how many subscribers it has in a room, and their names.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::error::Unavailable;
use crate::chat::RoomName;

/// How long a presence entry is valid after its announcement. After that, it is valid while its process is listed as
/// alive, or until it is announced again.
pub const PRESENCE_TTL: Duration = Duration::from_secs(24);

/// How long a process stays listed as alive unless it is listed again.
pub const LISTING_TTL: Duration = Duration::from_secs(12);

/// How long an entry is kept that is not announced again, so that entries of processes that crashed do not pile up.
pub const PRESENCE_RETENTION: Duration = Duration::from_secs(30 * 60);

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
    /// The presence ids of sockets, for the app alone: not escaped, each once; only the first of them if there are too many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Whether the process is listed while it is alive. One of the version before is not, and repeats its entries.
    #[serde(default)]
    pub listed: bool,
}

/// An entry, and for how long it is valid by itself; zero if only while its process is listed.
pub type StoredPresence = (PresenceEntry, Duration);

/// The presence entries of all processes, by room, and which of the processes are alive.
#[async_trait]
pub trait PresenceStore: Send + Sync {
    /// Stores an entry, announces it to every node that listens to the room, and returns the entries of all processes.
    /// It has to be announced again within [`PRESENCE_RETENTION`].
    async fn announce(&self, room: &RoomName, entry: &PresenceEntry) -> Result<Vec<StoredPresence>, Unavailable>;

    /// Returns the entries of all processes.
    async fn read(&self, room: &RoomName) -> Result<Vec<StoredPresence>, Unavailable>;

    /// Returns the processes that are listed as alive, and then lists `process`, if there is one, for `LISTING_TTL`.
    async fn list_processes(&self, process: Option<&str>) -> Result<Vec<String>, Unavailable>;
}
