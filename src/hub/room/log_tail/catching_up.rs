//! What is kept of a room while its log has to be read.

use std::time::Instant;

use crate::bus::Entry;

/// Announcements that are kept while the log is being read. If more arrive, the log is read once more.
pub const MAX_PENDING_ANNOUNCEMENTS: usize = 1000;

/// The state of a room whose log has to be read.
#[derive(Debug)]
pub struct CatchingUp {
    /// Since when announcements may have been missed.
    pub since: Instant,
    /// Announcements that arrived since the latest read of the log began.
    pub pending: Vec<Entry>,
    /// Whether more of them arrived than are kept.
    pub overflowed: bool,
}

impl CatchingUp {
    /// Creates the state of a room that may have missed announcements since this time, and keeps some.
    pub fn since(since: Instant, pending: Vec<Entry>) -> Box<Self> {
        Box::new(Self { since, pending, overflowed: false })
    }

    /// Keeps an announcement until the log was read.
    pub fn keep(&mut self, entry: Entry) {
        if self.pending.len() < MAX_PENDING_ANNOUNCEMENTS {
            self.pending.push(entry);
        } else {
            self.overflowed = true;
        }
    }

    /// Drops what was kept, because a read of the log begins.
    pub fn begin_read(&mut self) {
        self.pending.clear();
        self.overflowed = false;
    }
}
