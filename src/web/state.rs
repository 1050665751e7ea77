//! What the request handlers of a node have in common: its rooms, metrics, limits and settings.

use std::sync::Arc;

use ipnet::IpNet;

use super::admin_password::AdminPassword;
use super::origin::AllowedOrigins;
use crate::apps::{Apps, HashedRooms, LiveSockets};
use crate::bus::{Retention, SaltStore, SummaryStore, UserIds};
use crate::chat::RoomName;
use crate::hub::Hub;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// The state that all request handlers of a node share.
pub(crate) struct AppState {
    /// The rooms of this node.
    pub hub: Arc<Hub>,
    /// The counters and gauges of this node.
    pub metrics: Arc<Metrics>,
    /// The rooms listed on every page; `GET /` shows the first.
    pub rooms: Vec<RoomName>,
    /// The users of the rooms API.
    pub user_ids: Arc<dyn UserIds>,
    /// The salt of marks.
    pub salt: Arc<dyn SaltStore>,
    /// How much of a log is kept, and for how long.
    pub retention: Retention,
    /// The apps that send events.
    pub apps: Arc<Apps>,
    /// The sockets of the apps, as this node knows them.
    pub sockets: Arc<LiveSockets>,
    /// The rooms of the apps with hashes for names.
    pub hashed_rooms: HashedRooms,
    /// The limits per client address and per node.
    pub limits: Limits,
    /// What each process did.
    pub summaries: Arc<dyn SummaryStore>,
    /// The operator's password.
    pub admin_password: AdminPassword,
    /// Proxies whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Other sites whose pages may subscribe and publish.
    pub origins: AllowedOrigins,
}
