//! What the nodes share: the logs of the rooms with their announcements ([`Bus`]), presence ([`PresenceStore`]), the
//! usage of client addresses ([`LimitStore`]), the counter of users ([`UserIds`]), the salt of marks ([`SaltStore`]), the
//! sockets of apps ([`SocketStore`]) and summaries for the dashboard ([`SummaryStore`]).
//!
//! Two implementations: `bus/memory.rs` for a single process, `bus/redis.rs` for any number of nodes.

mod deletion;
mod error;
mod hashed_rooms;
mod limits;
mod log;
mod memory;
mod presence;
mod purge;
mod redis;
mod salt;
mod sockets;
mod summaries;
mod user_ids;

use std::sync::Arc;

use crate::metrics::Metrics;

pub use deletion::{Change, Deletion};
pub use error::{ChangeError, PublishError, Unavailable};
pub use hashed_rooms::HashedRoomStore;
pub use limits::{Bucket, Charge, LimitStore, PROCESS_TTL, Rate, StreamReservation};
pub use log::{Bus, Entry, Listener, LogPage, PageLimit, Receipt, Retention, Span, unix_ms};
pub use presence::{PRESENCE_RETENTION, PRESENCE_TTL, PresenceEntry, PresenceStore, StoredPresence};
pub use purge::{PurgeMode, PurgeTarget, Purged};
pub use redis::{RedisServer, TlsFiles, announcement, purge};
pub use salt::SaltStore;
pub use sockets::{CreateError, SOCKET_MAX_AGE, SOCKET_TTL, Socket, SocketId, SocketStore};
pub use summaries::{Ring, SUMMARY_INTERVAL, StoredSummaries, SummaryStore, SummaryUpdate};
pub use user_ids::UserIds;

/// The stores of a node, all in the same Redis or in the memory of this process.
pub struct Stores {
    /// The rooms' logs and their announcements.
    pub bus: Arc<dyn Bus>,
    /// Presence by process; `None` if there is only this process.
    pub presence: Option<Arc<dyn PresenceStore>>,
    /// Usage of client addresses over all processes; `None` if there is only this process.
    pub limits: Option<Arc<dyn LimitStore>>,
    /// The users of the chat article's API.
    pub user_ids: Arc<dyn UserIds>,
    /// The salt of marks.
    pub salt: Arc<dyn SaltStore>,
    /// The sockets of apps.
    pub sockets: Arc<dyn SocketStore>,
    /// What each process did, for the dashboard.
    pub summaries: Arc<dyn SummaryStore>,
    /// The rooms of apps with hashes for names; `None` if there is only this process.
    pub hashed_rooms: Option<Arc<dyn HashedRoomStore>>,
}

impl Stores {
    /// Opens the store: a Redis shared by many nodes, or the memory of this process if there is none.
    ///
    /// Connecting begins when a listener is attached to the bus, and is retried without end: a server that cannot be
    /// reached is no error. `heal` is whether this node restores what a restart or a failover of the server has lost.
    ///
    /// # Errors
    /// If the URL or the certificates cannot be understood.
    pub fn open(
        server: Option<RedisServer<'_>>,
        prefix: &str,
        node: &str,
        retention: Retention,
        heal: bool,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        match server {
            None => Ok(Self {
                bus: Arc::new(memory::Memory::new(node, retention, metrics)),
                presence: None,
                limits: None,
                hashed_rooms: None,
                user_ids: Arc::new(memory::MemoryUserIds::new(unix_ms())),
                salt: Arc::new(memory::MemorySalt::default()),
                sockets: Arc::new(memory::MemorySockets::default()),
                summaries: Arc::new(memory::MemorySummaries::default()),
            }),
            Some(server) => {
                let redis = redis::Redis::open(server, prefix, node, retention, heal, metrics)?;
                Ok(Self {
                    presence: Some(Arc::new(redis.presence_store())),
                    limits: Some(Arc::new(redis.limit_store())),
                    user_ids: Arc::new(redis.user_ids()),
                    salt: Arc::new(redis.salt()),
                    summaries: Arc::new(redis.summaries()),
                    sockets: Arc::new(redis.sockets()),
                    hashed_rooms: Some(Arc::new(redis.hashed_rooms())),
                    bus: Arc::new(redis),
                })
            }
        }
    }
}
