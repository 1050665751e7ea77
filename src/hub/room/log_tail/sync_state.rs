//! Whether the frames of a room are known to be the tail of its log.

use std::time::Instant;

use crate::bus::Entry;

/// Announcements that are kept while the log is being read. If more arrive, the log is read once more.
pub const MAX_PENDING_ANNOUNCEMENTS: usize = 1000;

/// Whether the frames are known to be the tail of the log.
#[derive(Debug)]
pub enum SyncState {
    /// The log was read to its end after announcements began to arrive.
    InSync,
    /// The log has to be read.
    CatchingUp {
        /// Since when announcements may have been missed.
        since: Instant,
        /// Announcements that arrived since the latest read of the log began.
        pending: Vec<Entry>,
        /// Whether more of them arrived than are kept.
        overflowed: bool,
    },
}

impl SyncState {
    /// The log has to be read, since announcements may have been missed since this time.
    pub fn catching_up(since: Instant, pending: Vec<Entry>) -> Self {
        SyncState::CatchingUp { since, pending, overflowed: false }
    }

    /// Keeps an announcement until the log was read, or returns it if the log has not to be read.
    pub fn keep(&mut self, entry: Entry) -> Option<Entry> {
        match self {
            SyncState::InSync => return Some(entry),
            SyncState::CatchingUp { pending, .. } if pending.len() < MAX_PENDING_ANNOUNCEMENTS => pending.push(entry),
            SyncState::CatchingUp { overflowed, .. } => *overflowed = true,
        }
        None
    }
}
