//! The log of a room as every implementation has to keep it: [`Bus`], [`Listener`], and what they exchange.

use std::sync::Weak;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use super::deletion::{Change, DELETE, Deletion};
use super::error::{ChangeError, PublishError, Unavailable};
use super::limits::Charge;
use super::presence::PresenceEntry;
use crate::chat::{Draft, EDIT, Edit, Id, Mark, MessageText, RoomName};

/// Milliseconds for which an idempotency key is remembered.
pub(super) const KEY_TTL_MS: u64 = 10 * 60 * 1000;

/// The logs of the rooms, and the announcements of what is appended to them.
///
/// Every implementation guarantees:
///
/// - **Atomic publish.** [`publish`](Bus::publish) looks the idempotency key up, assigns the next id, appends the entry
///   and announces it in one step. Announcements therefore arrive in the order of the log.
/// - **Atomic delete.** [`delete`](Bus::delete) takes entries out of the log, remembers their ids for the gap rule, and
///   appends and announces an entry that says so in one step. An entry of that kind is only deleted with all others.
/// - **Atomic edit.** [`edit`](Bus::edit) keeps the text of a message beside the log, and appends and announces an entry
///   that says so in place of the one before for the same message, in one step. With the message both are deleted.
/// - **Acknowledged means stored.** An id is returned only if the message is in the log. After an error the outcome is
///   unknown, and publishing again with the same key settles it.
/// - **The log is authoritative.** Announcements may be lost. [`Listener::on_subscribed`] is called each time a room's
///   announcements begin to arrive; whatever is in the log and is not announced afterwards was appended before.
/// - **Ordered callbacks.** Calls to the listener for one room never overlap.
/// - **Bounded waits.** Every call returns within 2 s.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Stores and announces a message. With a charge, takes its token before, in the same step; a duplicate costs one, too.
    async fn publish(&self, room: &RoomName, draft: &Draft, charge: Option<&Charge>) -> Result<Receipt, PublishError>;

    /// Deletes an entry or all of them, and stores and announces one that says so, whose id is returned. With a mark, it
    /// deletes nothing but a message that has this mark.
    async fn delete(&self, room: &RoomName, deletion: Deletion, mark: Option<&Mark>) -> Result<Id, ChangeError>;

    /// Gives a message with this mark another text, and stores and announces an entry that says so, whose id is returned.
    async fn edit(&self, room: &RoomName, id: Id, mark: &Mark, text: &MessageText) -> Result<Id, ChangeError>;

    /// Reads a page of a room's log, from the master and never from a replica.
    async fn read(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable>;

    /// Reads a page as [`read`](Bus::read) does, but messages with the texts that they have now.
    async fn read_edited(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable>;

    /// Reads a page as [`read`](Bus::read) does, but of each entry only the length of its data, in place of the data.
    /// The limit is for what the store has to look at.
    async fn read_sizes(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable>;

    /// Subscribes to a room's announcements. The listener's `on_subscribed` is called when they begin to arrive, and
    /// again after every reconnect.
    fn listen(&self, room: &RoomName);

    /// Unsubscribes from a room's announcements.
    fn unlisten(&self, room: &RoomName);

    /// Sets the listener. Only the first call has an effect.
    fn attach(&self, listener: Weak<dyn Listener>);

    /// Returns true if the store was reached at least once since the start.
    fn was_reached(&self) -> bool;

    /// Returns as soon as it is known that this node can never work with the store, and why.
    async fn unusable(&self) -> String {
        std::future::pending().await
    }

    /// Restores what a room's log has lost, if this node knows something of it from before the store was restarted or
    /// replaced. Returns true if it does.
    async fn heal(&self, room: &RoomName) -> Result<bool, Unavailable>;

    /// Prepares the calling thread for publishing, so that its first message does not wait for a connection. The first
    /// thread also receives the announcements.
    fn prepare_thread(&self) {}
}

/// Receives announcements, and the state of the connection on which they arrive, and says what this node has of the logs.
/// The calls come from any task, and must neither block nor call the bus.
pub trait Listener: Send + Sync {
    /// The room's announcements begin to arrive.
    fn on_subscribed(&self, room: &str);
    /// An entry was appended to the room's log.
    fn on_entry(&self, room: &str, entry: Entry);
    /// This process has appended an entry to the room's log, and knows its predecessor. Its announcement may come before
    /// that, or later.
    fn on_stored(&self, room: &str, entry: &Entry);
    /// Another program published on the room's channel.
    fn on_foreign(&self, room: &str, payload: &[u8]);
    /// A process announced its subscribers in the room.
    fn on_presence(&self, room: &str, entry: PresenceEntry);
    /// The room's announcements no longer arrive; `since` is when the store last responded. `on_subscribed` follows when
    /// they do again.
    fn on_lost(&self, room: &str, since: Instant);
    /// The store, or a part of it, cannot be reached; `since` is when it last responded.
    fn on_disconnected(&self, since: Instant);
    /// All of the store can be reached again.
    fn on_reconnected(&self);
    /// Returns the rooms in memory.
    fn rooms(&self) -> Vec<RoomName>;
    /// Returns the last id of a room's log as it is known from before a time. Returns `None` if the log was read since then.
    fn last_known_before(&self, room: &str, time: Instant) -> Option<Id>;
    /// Returns when the read began that last brought the room in sync with its log, if it is in memory.
    fn read_at(&self, room: &str) -> Option<Instant>;
    /// Returns what this node has of a room's log from before a time: the entries after an id, or all of them. Each has the
    /// one before it as its predecessor. Those that were removed are without data.
    fn entries_known_before(&self, room: &str, time: Instant, after: Option<Id>) -> Vec<Entry>;
}

/// The type of an entry without data. No event can have it: control characters are left out of its name.
pub(super) const NO_DATA: &str = "\u{1e}";

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id, which is also the cursor of a subscriber that has received the entry.
    pub id: Id,
    /// The last id that the log had generated before, [`Id::ZERO`] for its first entry; `None` if it is unknown, since
    /// announcements in Redis and entries of earlier versions do not state it.
    pub prev: Option<Id>,
    /// The event type; empty for a message. It is `NO_DATA` if another program wrote an entry without data, which is no
    /// event: subscribers pass it over.
    pub kind: String,
    /// The data of the event: one line of JSON for a message.
    pub data: String,
    /// The node that took the message; `None` if it is unknown, since announcements in Redis do not state it.
    pub node: Option<String>,
}

impl Entry {
    /// Returns the place of an entry that was removed, after another one.
    pub fn removed(id: Id, prev: Id) -> Self {
        Self { id, prev: Some(prev), kind: NO_DATA.to_owned(), data: String::new(), node: None }
    }

    /// Returns true if the entry has data, and so is an event.
    pub fn has_data(&self) -> bool {
        self.kind != NO_DATA
    }

    /// Returns true if the entry tells of a change of others, some of which it may have removed.
    pub fn is_change(&self) -> bool {
        self.kind == DELETE || self.kind == EDIT
    }

    /// Returns the change that the entry tells of, if it does.
    pub fn change(&self) -> Option<Change> {
        match self.kind.as_str() {
            DELETE => Deletion::parse(&self.data).map(Change::Deletion),
            EDIT => Edit::parse(&self.data)?.id.parse().ok().map(Change::Edit),
            _ => None,
        }
    }

    /// Returns the cursor directly before the entry. If the predecessor is unknown, it is made up from the id.
    pub fn cursor_before(&self) -> Id {
        self.prev.unwrap_or_else(|| self.id.cursor_before())
    }

    /// Returns true if the entry comes directly after this id in its log. If the predecessor is unknown, the two ids
    /// have to do: it can then be an id of another log.
    pub fn directly_follows(&self, id: Id) -> bool {
        self.prev.map_or_else(|| id.directly_precedes(self.id), |prev| prev == id)
    }
}

/// The part of a log to read. Entries are always returned oldest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The newest entries.
    Newest,
    /// The newest entries before an id.
    Before(Id),
    /// The oldest entries after an id.
    After(Id),
    /// The *anchor*, which is the entry with this id or else the last one before it, and then the oldest entries after
    /// the id: what the gap rule needs. The anchor comes without its data.
    From(Id),
}

/// How much one read of a log returns at most. An anchor does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// The most entries; at least 1.
    pub entries: usize,
    /// The most bytes of all entries together. One entry is returned even if it has more.
    pub bytes: usize,
}

impl PageLimit {
    /// Returns how many entries of these sizes, from the first on, are within the limit.
    pub(super) fn count_fitting(self, sizes: impl Iterator<Item = usize>) -> usize {
        let mut bytes = 0;
        let fits = |(index, size): &(usize, usize)| {
            bytes += size;
            *index == 0 || bytes <= self.bytes
        };
        sizes.take(self.entries).enumerate().take_while(fits).count()
    }
}

/// The result of one atomic read of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The id of the first retained entry.
    pub first: Option<Id>,
    /// The last id that was ever assigned in this log; [`Id::ZERO`] if there is no log.
    pub last: Id,
    /// The entries of the span, oldest first.
    pub entries: Vec<Entry>,
    /// Whether the limit cut the span short.
    pub more: bool,
    /// With [`Span::From`] an id that is not retained: whether the id is of this log, and all that the log ever had between
    /// it and the entries after it was deleted.
    pub only_deleted: bool,
}

impl LogPage {
    /// Returns the page of a room without a log.
    pub fn of_no_log() -> Self {
        Self { first: None, last: Id::ZERO, entries: Vec::new(), more: false, only_deleted: false }
    }
}

/// The acknowledgement of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The id of the message.
    pub id: Id,
    /// Whether the message had been stored before under the same key, so that nothing was published now.
    pub duplicate: bool,
}

/// How much of a log is kept, and for how long.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The minimum number of messages kept per room.
    pub messages: usize,
    /// How long a log is kept after its last message, in seconds.
    pub seconds: u64,
}

/// Returns the current Unix time in milliseconds.
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
