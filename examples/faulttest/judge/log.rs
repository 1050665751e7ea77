//! The final log of a room, with look-ups.

use crate::{
    history::{At, Entry, FOREIGN, FinalLog, Post},
    sse::Id,
};

pub struct Log<'a> {
    entries: &'a [Entry],
    /// Whether the log is long enough for its beginning to have been trimmed.
    may_be_trimmed: bool,
}

/// What the log says about an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The entry with this index.
    Retained(usize),
    /// The predecessor of the first retained entry, as far as its number tells.
    BeforeFirst,
    /// Older than everything retained: trimmed, or lost.
    Trimmed,
    /// Not in the log, and never trimmed: Redis has lost it.
    Vanished,
}

impl<'a> Log<'a> {
    pub fn new(log: &'a FinalLog, retention: usize) -> Self {
        Self { entries: &log.entries, may_be_trimmed: log.entries.len() >= retention }
    }

    pub fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    pub fn position(&self, id: Id) -> Position {
        if let Some(index) = self.index(id) {
            return Position::Retained(index);
        }
        match self.entries.first() {
            Some(first) if id < first.id && id.n + 1 == first.id.n => Position::BeforeFirst,
            Some(first) if id < first.id && self.may_be_trimmed => Position::Trimmed,
            None if id == Id::START => Position::BeforeFirst,
            _ => Position::Vanished,
        }
    }

    /// Returns true if the log lacks the id although nothing has trimmed it.
    pub fn has_lost(&self, id: Id) -> bool {
        self.index(id).is_none() && !(self.may_be_trimmed && self.entries.first().is_some_and(|first| id < first.id))
    }

    pub fn index(&self, id: Id) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    /// Returns the index of the first entry after an id.
    pub fn after(&self, id: Id) -> usize {
        self.entries.partition_point(|entry| entry.id <= id)
    }

    /// Returns the index of the first entry that was posted after a time, and so has to reach a reader who was live.
    pub fn posted_after(&self, at: At, posts: &[Post]) -> usize {
        let is_later =
            |entry: &Entry| entry.message != FOREIGN && posts.get(entry.message as usize).is_some_and(|p| p.begun > at);
        self.entries.iter().position(is_later).unwrap_or(self.entries.len())
    }
}
