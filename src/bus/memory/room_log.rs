//! The log of one room in memory.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::deleted_ids::DeletedIds;
use crate::bus::error::ChangeError;
use crate::bus::log::{Entry, LogPage, PageLimit, Span};
use crate::chat::{Edit, Id, Mark, Message, MessageText};

/// Estimated bytes that an entry or a key takes in addition to its text.
pub const ENTRY_OVERHEAD_BYTES: usize = 160;

/// The entries of a room, and what is remembered of others.
pub struct RoomLog {
    entries: VecDeque<Entry>,
    deleted: DeletedIds,
    /// The messages that were edited, by their ids.
    edits: BTreeMap<Id, EditedMessage>,
    /// The last id that was given out.
    pub last: Id,
    pub expires: Instant,
}

/// A message as it is now.
struct EditedMessage {
    /// The id of the entry that tells of the edit.
    told_by: Id,
    data: String,
}

impl RoomLog {
    /// Creates an empty log.
    pub fn new(expires: Instant) -> Self {
        let (entries, deleted, edits) = (VecDeque::new(), DeletedIds::default(), BTreeMap::new());
        Self { entries, deleted, edits, last: Id::ZERO, expires }
    }

    /// Returns about how many bytes it takes.
    pub fn size(&self) -> usize {
        let edits = self.edits.values().map(EditedMessage::size).sum::<usize>();
        self.entries.iter().map(size).sum::<usize>() + self.deleted.size() + edits
    }

    /// Appends an entry, and returns the bytes of what is not retained any more.
    pub fn append(&mut self, entry: Entry, max_entries: usize) -> usize {
        self.last = entry.id;
        self.entries.push_back(entry);
        if self.entries.len() <= max_entries {
            return 0;
        }
        let Some(trimmed) = self.entries.pop_front() else {
            return 0;
        };
        size(&trimmed) + self.edits.remove(&trimmed.id).map_or(0, |edit| edit.size())
    }

    /// Deletes an entry; with a mark only a message that has it.
    pub fn delete(&mut self, id: Id, mark: Option<&Mark>) -> Result<(), ChangeError> {
        let entry = self.entry(id).filter(|entry| !entry.is_change()).ok_or(ChangeError::NotRetained)?;
        if let Some(mark) = mark {
            own_message(entry, mark)?;
        }
        if let Some(edit) = self.edits.remove(&id) {
            self.remove(edit.told_by);
        }
        self.remove(id);
        self.deleted.forget_before(self.before(0));
        Ok(())
    }

    /// Gives a message with this mark another text, and returns what is to be told of it.
    pub fn edit(&mut self, id: Id, mark: &Mark, text: &MessageText) -> Result<Edit, ChangeError> {
        let message = own_message(self.entry(id).ok_or(ChangeError::NotRetained)?, mark)?.edited(text);
        let data = serde_json::to_string(&message).map_err(|_| ChangeError::Unavailable)?;
        let edit = Edit { id: id.to_string(), sender: message.sender, message: message.message };
        if let Some(before) = self.edits.insert(id, EditedMessage { told_by: Id::ZERO, data }) {
            self.remove(before.told_by);
            self.deleted.forget_before(self.before(0));
        }
        Ok(edit)
    }

    /// Notes which entry tells of the edit of a message, which may not be retained any more.
    pub fn set_edit_entry(&mut self, id: Id, told_by: Id) {
        if let Some(edit) = self.edits.get_mut(&id) {
            edit.told_by = told_by;
        }
    }

    /// Deletes all entries.
    pub fn delete_all(&mut self) {
        for index in 0..self.entries.len() {
            self.deleted.add(self.entries[index].id, self.before(index), self.before(index + 1));
        }
        self.entries.clear();
        self.edits.clear();
        self.deleted.forget_before(self.last);
    }

    /// Returns the last id that was given out before the entry at this index; the last of all, if there is none.
    fn before(&self, index: usize) -> Id {
        self.entries.get(index).map_or(self.last, Entry::cursor_before)
    }

    fn index_of(&self, id: Id) -> Option<usize> {
        let index = self.entries.partition_point(|entry| entry.id < id);
        self.entries.get(index).is_some_and(|entry| entry.id == id).then_some(index)
    }

    fn entry(&self, id: Id) -> Option<&Entry> {
        self.entries.get(self.index_of(id)?)
    }

    /// Takes an entry out, and remembers its id.
    fn remove(&mut self, id: Id) {
        if let Some(index) = self.index_of(id) {
            self.deleted.add(id, self.before(index), self.before(index + 1));
            self.entries.remove(index);
        }
    }

    /// Reads a page, with entries as they were stored.
    pub fn read(&self, span: Span, limit: PageLimit) -> LogPage {
        self.read_by_size(span, limit, size)
    }

    /// Reads a page, with messages as they are now.
    pub fn read_edited(&self, span: Span, limit: PageLimit) -> LogPage {
        let edit = |entry: &Entry| self.edits.get(&entry.id);
        let mut page = self.read_by_size(span, limit, |entry| size(entry) + edit(entry).map_or(0, EditedMessage::size));
        for entry in &mut page.entries {
            if let Some(edit) = self.edits.get(&entry.id) {
                entry.data.clone_from(&edit.data);
            }
        }
        page
    }

    fn read_by_size(&self, span: Span, limit: PageLimit, size: impl Fn(&Entry) -> usize) -> LogPage {
        let (first, last) = (self.entries.front().map(|entry| entry.id), self.last);
        let anchor = |id| self.entries.range(..self.position_after(id)).next_back();
        let (before, after) = match span {
            Span::Newest => (self.entries.len(), None),
            Span::Before(id) => (self.entries.partition_point(|entry| entry.id < id), None),
            Span::After(id) | Span::From(id) => (self.entries.len(), Some(self.position_after(id))),
        };
        let (from, to) = match after {
            None => (before - limit.count_fitting(self.entries.range(..before).rev().map(&size)), before),
            Some(after) => (after, after + limit.count_fitting(self.entries.range(after..).map(&size))),
        };
        let more = if after.is_none() { from > 0 } else { to < self.entries.len() };
        let mut only_deleted = false;
        let anchor = if let Span::From(id) = span {
            only_deleted = self.deleted.cover(id, self.before(self.position_after(id)));
            anchor(id)
        } else {
            None
        };
        let anchor = anchor.map(|anchor| Entry { data: String::new(), ..anchor.clone() });
        let entries = anchor.into_iter().chain(self.entries.range(from..to).cloned()).collect();
        LogPage { first, last, entries, more, only_deleted }
    }

    fn position_after(&self, id: Id) -> usize {
        self.entries.partition_point(|entry| entry.id <= id)
    }
}

impl EditedMessage {
    fn size(&self) -> usize {
        self.data.len() + ENTRY_OVERHEAD_BYTES
    }
}

/// Returns about how many bytes an entry takes.
pub fn size(entry: &Entry) -> usize {
    entry.kind.len() + entry.data.len() + ENTRY_OVERHEAD_BYTES
}

/// Returns the message in an entry, if this mark is its own.
fn own_message(entry: &Entry, mark: &Mark) -> Result<Message, ChangeError> {
    if !entry.kind.is_empty() {
        return Err(ChangeError::NotRetained);
    }
    let own = Message::parse(&entry.data).filter(|message| message.mark.as_ref().is_some_and(|own| mark.is_same(own)));
    own.ok_or(ChangeError::OfOther)
}
