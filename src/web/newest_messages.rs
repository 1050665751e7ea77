//! The newest messages of a room, which may have many entries of other types between them.

use crate::bus::{Entry, PageLimit, Span, Unavailable};
use crate::chat::{Id, Message, RoomName};
use crate::hub::LogReader;

/// What one request looks at in a log at the most: there may be many entries of other types between the messages.
pub(super) const MAX_READ: PageLimit = PageLimit { entries: 2000, bytes: 1 << 20 };

/// The most bytes of a message, all of whose characters may be escaped, and of its other members in JSON.
pub(super) const MAX_MESSAGE_BYTES: usize = 25 << 10;

/// The bytes of the log that are read at once.
const PAGE_BYTES: usize = 64 << 10;

/// The newest messages of a room.
pub(super) struct NewestMessages {
    /// The messages, newest first.
    pub messages: Vec<(Id, Message)>,
    /// The last id that the log ever gave out.
    pub last: Id,
}

/// Returns the message in a log entry; `None` if the entry is of another kind.
pub(super) fn message_of(entry: &Entry) -> Option<Message> {
    Message::parse(&entry.data).filter(|_| entry.kind.is_empty())
}

impl NewestMessages {
    /// Reads the newest messages, as many as there may be of them and at least one.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub(super) async fn read(logs: &LogReader, room: &RoomName, most: PageLimit) -> Result<Self, Unavailable> {
        let (mut newest, mut last) = (Self { messages: Vec::new(), last: Id::ZERO }, None);
        let (mut span, mut entries, mut bytes, mut message_bytes) = (Span::Newest, 0, 0, 0);
        loop {
            // Each page may have as many entries as all before it, since these were hardly any messages.
            let page_entries = most.entries.max(entries).min(MAX_READ.entries - entries);
            let page = logs.answer_page(room, span, PageLimit { entries: page_entries, bytes: PAGE_BYTES }).await?;
            newest.last = *last.get_or_insert(page.last);
            for entry in page.entries.iter().rev() {
                entries += 1;
                bytes += entry.data.len();
                let Some(message) = message_of(entry) else { continue };
                message_bytes += entry.data.len();
                if !newest.messages.is_empty() && message_bytes > most.bytes {
                    return Ok(newest);
                }
                newest.messages.push((entry.id, message));
                if newest.messages.len() == most.entries {
                    return Ok(newest);
                }
            }
            let may_go_on = entries < MAX_READ.entries && bytes < MAX_READ.bytes;
            match page.entries.first() {
                Some(oldest) if page.more && may_go_on => span = Span::Before(oldest.id),
                _ => return Ok(newest),
            }
        }
    }
}
