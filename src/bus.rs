//! What the nodes share: the logs of the rooms, and the announcements of what is added to them.
//!
//! # The obligations of a bus
//!
//! - **One atomic step.** [`Bus::publish`] looks the key up, takes the next id, appends to the log
//!   and announces, and nothing comes in between. So announcements come in the order of the log.
//! - **Stored means stored.** It answers with an id only when the message is in the log. Any error
//!   is *unknown*: the message may or may not be there; the same key finds out.
//! - **The log is the truth, an announcement only the fast path.** A bus may lose announcements. It
//!   calls [`Listener::joined`] each time that a room's announcements begin to arrive: from then on
//!   whatever is in the log and was not announced has been there before.
//! - **One voice.** The calls to a listener for one room never overlap, and never wait.
//! - **Never a hang.** Every call ends within 2 s.

mod memory;
mod redis;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::chat::{Draft, Id, RoomName};
use crate::metrics::Metrics;

use memory::Memory;
pub use redis::announcement;

/// One place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub id: Id,
    /// Empty for a message.
    pub kind: String,
    /// What readers get: one line of JSON for a message.
    pub data: String,
    /// The node that took it; unknown where the entry came by announcement.
    pub node: Option<String>,
}

/// The part of a log to read. Entries always come oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The newest entries.
    Newest,
    /// The newest entries before an id.
    Before(Id),
    /// The oldest entries after an id.
    After(Id),
    /// The entry at an id, or else the last one before it, and then the oldest entries after it:
    /// what is needed to judge whether the id belongs to this log.
    From(Id),
}

/// One atomic reading of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The first entry that is retained.
    pub first: Option<Id>,
    /// The last id that was ever given out in this log; [`Id::ZERO`] where there is no log.
    pub last: Id,
    /// The entries of the span, oldest first.
    pub entries: Vec<Entry>,
    /// Whether the limit cut the span short.
    pub more: bool,
}

/// The answer to a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The place of the message.
    pub id: Id,
    /// The key was known: the message had been stored before, and nothing was published now.
    pub duplicate: bool,
}

/// Why a publish was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The key is known, with another sender or message.
    KeyReused,
    /// The bus is out of reach or refuses to store; the outcome is unknown.
    Unavailable,
}

/// How long it is believed who is in a room: a crashed node's readers are gone after that.
pub const PRESENCE_TTL: Duration = Duration::from_secs(24);

/// A process that has not claimed anything for so long is taken for dead, and its streams do not count.
pub const PROCESS_TTL: Duration = Duration::from_secs(4);

/// The readers of one process in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceEntry {
    /// Whose readers they are; unique among all that share the bus.
    pub process: String,
    /// Grows with each change.
    pub version: u64,
    /// How many there are; none where the process has left the room.
    pub count: usize,
    /// Their names, escaped, each once; where there are too many, the first of them.
    pub names: Vec<String>,
}

/// How fast one client address may publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Messages per second.
    pub per_second: NonZeroU32,
    /// Messages at once.
    pub burst: NonZeroU32,
}

/// The streams of one client address that a process has open, and how many more it wants to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamReservation {
    /// Whose they are.
    pub address: IpAddr,
    /// How many are open.
    pub open: usize,
    /// How many more are asked for.
    pub wanted: usize,
}

/// The bus did not answer in time, or answered with an error. Details are in the node's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl From<Unavailable> for PublishError {
    fn from(_: Unavailable) -> Self {
        PublishError::Unavailable
    }
}

/// What the nodes share. The module's documentation states its obligations.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Stores and announces a message, and gives its id.
    async fn publish(&self, room: &RoomName, draft: &Draft) -> Result<Receipt, PublishError>;

    /// This thread is about to publish: what it needs for that may be made ready.
    fn prepare_thread(&self) {}

    /// Reads at most `limit` entries of a room's log, always where it is written, never a replica.
    /// The anchor of [`Span::From`] does not count.
    async fn read(&self, room: &RoomName, span: Span, limit: usize) -> Result<LogPage, Unavailable>;

    /// Says who is in a room by way of this process, to all that listen to the room, and gives who is
    /// there by way of any, each with how long it is believed yet. It is forgotten after
    /// [`PRESENCE_TTL`] unless it is said again.
    async fn attend(
        &self,
        room: &RoomName,
        attendance: &PresenceEntry,
    ) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable>;

    /// Gives who is in a room by way of any process.
    async fn attendance(&self, room: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable>;

    /// Counts one message of a client address over all processes, or says how long the address has to
    /// wait for its next.
    async fn spend(&self, address: IpAddr, rate: Rate) -> Result<Result<(), Duration>, Unavailable>;

    /// Says how many streams of some addresses `process` has open, and asks for more. Gives how many
    /// more of each there may be, so that the processes together have at most `most` of an address;
    /// they count as open from then on. What was claimed before still counts, for as long as the process
    /// says something, be it no claim at all, within [`PROCESS_TTL`].
    async fn claim(&self, process: &str, claims: &[StreamReservation], most: usize) -> Result<Vec<usize>, Unavailable>;

    /// Asks for the announcements of a room. The listener hears `joined` when they begin to come,
    /// and again whenever they begin anew.
    fn listen(&self, room: &RoomName);

    /// Lets go of the announcements of a room.
    fn unlisten(&self, room: &RoomName);

    /// Names who hears the announcements; once, before anything else.
    fn attach(&self, listener: Weak<dyn Listener>);

    /// Whether the bus was reached at least once since the start.
    fn was_reached(&self) -> bool;
}

/// Who hears what happens on the bus. Calls come from the bus' own task and must not wait.
pub trait Listener: Send + Sync {
    /// The announcements of the room begin to come, now.
    fn joined(&self, room: &str);
    /// Something was appended to the room's log.
    fn announced(&self, room: &str, entry: Entry);
    /// Another program published on the room's channel.
    fn foreign(&self, room: &str, payload: &[u8]);
    /// A process has said who is in the room.
    fn attending(&self, room: &str, attendance: PresenceEntry);
    /// No announcement comes any more; `since` is when the bus was last heard.
    fn lost(&self, since: Instant);
    /// The bus is heard again. The rooms hear `joined` one by one.
    fn found(&self);
}

/// What a bus has to know.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Messages kept per room, at least that many.
    pub messages: usize,
    /// Seconds after its last message that a log is kept.
    pub seconds: u64,
}

/// Milliseconds for which an idempotency key is remembered.
const KEY_TTL_MS: u64 = 10 * 60 * 1000;

/// Opens the bus that the URL names: `redis://` and `rediss://` are shared by many nodes, no URL is
/// the bus of one process. It begins to look for its server when a listener is attached, and never
/// stops.
///
/// # Errors
/// When the URL cannot be understood. A server that is away is no error.
pub fn open(
    url: Option<&str>,
    prefix: &str,
    node: &str,
    retention: Retention,
    metrics: Arc<Metrics>,
) -> Result<Arc<dyn Bus>, String> {
    Ok(match url {
        None => Arc::new(Memory::new(node, retention, &metrics)),
        Some(url) => Arc::new(redis::Redis::open(url, prefix, node, retention, metrics)?),
    })
}

/// The time of now, in Unix milliseconds.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
