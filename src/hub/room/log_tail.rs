//! The tail of a room's log in memory, with the ephemeral frames between its entries. It does no I/O: the room reads
//! the log.

mod catching_up;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::buffer::{Frame, FrameBuffer, Position};
use super::gap::continue_after;
use crate::bus::{Entry, LogPage};
use crate::chat::Id;
use crate::sse::{Event, GapReason};
use catching_up::CatchingUp;

/// How often announced entries are compared with the log. They do not state their predecessors, so that a log which was
/// replaced by hand, by one of equal length, is not noticed when they arrive.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);

/// What became of an announcement.
#[derive(Debug, PartialEq, Eq)]
pub enum AnnouncementOutcome {
    /// It was appended as a frame.
    Applied,
    /// It was known already, or is kept until the log has been read.
    Ignored,
    /// It does not follow the last entry, so the log has to be read.
    OutOfOrder,
}

/// A page that was read before the latest announcements, so that it cannot show a gap for the current subscribers.
#[derive(Debug, PartialEq, Eq)]
pub struct StalePage;

/// The newest entries of a room's log as frames.
#[derive(Debug)]
pub struct LogTail {
    buffer: FrameBuffer,
    /// The position after the last gap. Cursors are not looked up among earlier frames, whose ids may belong to a lost
    /// log.
    epoch_start: Position,
    /// The cursor directly before the first frame since `epoch_start` that is still in memory, if known.
    replay_from: Option<Id>,
    /// The first entry that the log retained when it was last read.
    first_retained: Option<Id>,
    /// The last id of the log as far as it is known; `None` before the log was first read.
    last: Option<Id>,
    /// The last id up to which the entries were read from the log or compared with it.
    verified: Option<Id>,
    next_comparison: Instant,
    /// When the read began that last brought the frames in sync, if they ever were.
    read_at: Option<Instant>,
    /// `None` if the frames are in sync: the log was read to its end after announcements began to arrive. A quiet room takes
    /// no memory for it.
    catching_up: Option<Box<CatchingUp>>,
}

impl LogTail {
    /// Creates the tail of a log that has not been read yet. `live` is the status of subscribers until then;
    /// `node_bytes` counts the bytes of all buffers of the node.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        Self {
            buffer: FrameBuffer::new(live, node_bytes),
            epoch_start: 0,
            replay_from: None,
            first_retained: None,
            last: None,
            verified: None,
            next_comparison: Instant::now(),
            read_at: None,
            catching_up: Some(CatchingUp::since(Instant::now(), Vec::new())),
        }
    }

    /// Returns the frames.
    pub fn buffer(&self) -> &FrameBuffer {
        &self.buffer
    }

    /// Returns the last id of the log, if the log was ever read.
    pub fn last(&self) -> Option<Id> {
        self.last
    }

    /// Returns when the read began that last brought the frames in sync, if they ever were.
    pub fn read_at(&self) -> Option<Instant> {
        self.read_at
    }

    /// Returns the first entry that the log retained when it was last read.
    pub fn first_retained(&self) -> Option<Id> {
        self.first_retained
    }

    /// Returns the cursor before the first frame since the last gap that is in memory, if known, and the entries among the
    /// frames from there on with their ids.
    pub fn frames_since_gap(&self) -> (Option<Id>, impl Iterator<Item = (Id, &Frame)>) {
        let frames =
            self.epoch().filter_map(|position| Some((self.buffer.id_at(position)?, self.buffer.get(position)?)));
        (self.replay_from, frames)
    }

    /// Returns true if the frames are known to be the tail of the log.
    pub fn is_in_sync(&self) -> bool {
        self.catching_up.is_none()
    }

    /// Marks the frames as catching up, because announcements may have been missed since this time.
    pub fn start_catching_up(&mut self, since: Instant) {
        self.catching_up.get_or_insert_with(|| CatchingUp::since(since, Vec::new()));
    }

    /// Returns the id to read the log from, that id included, or `None` to read its newest entries. Drops the pending
    /// announcements: the log has them by now, or they do not belong to it, as those of another database of the same
    /// Redis.
    pub fn begin_read(&mut self) -> Option<Id> {
        if let Some(catching_up) = &mut self.catching_up {
            catching_up.begin_read();
        }
        self.last
    }

    /// Changes the status to not live if the frames have been catching up since `limit` or longer. Returns true if that
    /// is a change.
    pub fn report_outage(&mut self, limit: Instant) -> bool {
        let is_lost = self.catching_up.as_ref().is_some_and(|catching_up| catching_up.since <= limit);
        let changed = is_lost && self.buffer.live;
        self.buffer.live &= !is_lost;
        changed
    }

    /// Appends an announced entry if it directly follows the last one. While catching up, keeps it until the log was
    /// read.
    pub fn on_announcement(&mut self, entry: Entry) -> AnnouncementOutcome {
        if let Some(catching_up) = &mut self.catching_up {
            catching_up.keep(entry);
            return AnnouncementOutcome::Ignored;
        }
        if self.last.is_some_and(|last| entry.directly_follows(last)) {
            if entry.prev.is_some() && self.verified == self.last {
                self.verified = Some(entry.id);
            }
            self.append(entry);
            return AnnouncementOutcome::Applied;
        }
        if self.is_known(entry.id) {
            return AnnouncementOutcome::Ignored;
        }
        self.catching_up = Some(CatchingUp::since(Instant::now(), vec![entry]));
        AnnouncementOutcome::OutOfOrder
    }

    /// Takes an entry that this node has stored itself, of which it knows the predecessor: appends it if it directly follows
    /// the last one. Its announcement may have come before, or comes later. Returns true if it was appended.
    pub fn on_stored(&mut self, entry: &Entry) -> bool {
        let Some(prev) = entry.prev.filter(|_| self.is_in_sync()) else {
            return false;
        };
        let follows = self.last == Some(prev);
        let is_verified = self.verified == Some(prev) && (follows || self.is_known(entry.id));
        if follows {
            self.append(entry.clone());
        }
        if is_verified {
            self.verified = Some(entry.id);
        }
        follows
    }

    /// Appends an ephemeral frame: no id, never replayed.
    pub fn push_ephemeral(&mut self, event: Event) {
        self.push(Frame::ephemeral(event));
    }

    /// Forgets ephemeral frames, as [`FrameBuffer::forget_ephemeral`] does.
    pub fn forget_ephemeral(&mut self, end: Position) {
        self.buffer.forget_ephemeral(end);
    }

    /// Appends the first page, which holds the newest entries of the log.
    pub fn load(&mut self, page: LogPage) {
        self.first_retained = page.first;
        self.replay_from = page.entries.is_empty().then_some(page.last);
        for entry in page.entries {
            self.append(entry);
        }
        self.last = Some(page.last);
        self.verified = self.last;
    }

    /// Appends the new entries of a page that was read from `asked`, which was the last id at that time. If continuity
    /// cannot be shown, appends a gap frame for all current subscribers and returns its reason.
    ///
    /// # Errors
    /// If announcements were appended meanwhile, and the page shows a gap or entries that do not continue from them. A
    /// gap after `asked` is then not one for the current subscribers, and the log has to be read from their id.
    pub fn apply_page(&mut self, asked: Id, page: LogPage) -> Result<Option<GapReason>, StalePage> {
        let (more, first, log_last) = (page.more, page.first, page.last);
        let mut continuation = continue_after(asked, page);
        let resumed = continuation.resumed();
        // After those that were announced while the page was read.
        let new = continuation.entries.split_off(self.count_known(&continuation.entries));
        let reaches_last = self.last == Some(continuation.entries.last().map_or(asked, |entry| entry.id));
        if !reaches_last && !new.is_empty() || continuation.gap.is_some() && self.last != Some(asked) {
            return Err(StalePage);
        }
        let is_verified = self.verified == Some(asked) && self.last == Some(asked) || continuation.gap.is_some();
        self.first_retained = first;
        if let Some(reason) = continuation.gap {
            self.push_gap(asked, resumed, reason, continuation.cursor);
        }
        for entry in new {
            self.append(entry);
        }
        if reaches_last && !more {
            // The last entry may have been deleted: its number is taken all the same.
            self.last = Some(log_last);
        }
        if is_verified {
            self.verified = self.last;
        }
        Ok(continuation.gap)
    }

    /// Returns the id after which announced entries have to be compared with the log, if there are any.
    pub fn unverified(&self) -> Option<Id> {
        self.verified.filter(|_| self.verified != self.last)
    }

    /// Returns true if the frames are in sync and no entry of them was only announced.
    pub fn is_verified(&self) -> bool {
        self.is_in_sync() && self.unverified().is_none()
    }

    /// Returns true if the announced entries are due to be compared with the log.
    pub fn take_due_comparison(&mut self, now: Instant) -> bool {
        let is_due = self.is_in_sync() && self.unverified().is_some() && self.next_comparison <= now;
        if is_due {
            self.next_comparison = now + COMPARE_INTERVAL;
        }
        is_due
    }

    /// Compares the announced entries with a page that was read from `after`, the [`unverified`](Self::unverified) id. If
    /// the log has an entry between them, or another predecessor, it was replaced: appends a gap frame for all current
    /// subscribers and returns its reason.
    pub fn compare(&mut self, after: Id, page: &LogPage) -> Option<GapReason> {
        let last = self.last.filter(|_| self.unverified() == Some(after))?;
        self.verified = Some(last);
        let start = self.position_behind(after)?;
        let mut known = (start..self.buffer.end()).filter_map(|position| self.buffer.id_at(position)).peekable();
        let mut before = after;
        for entry in page.entries.iter().filter(|entry| after < entry.id && entry.id <= last) {
            while let Some(id) = known.next_if(|id| *id < entry.id) {
                before = id;
            }
            // A deleted message may be missing in memory, but then the numbers show it.
            let is_other = entry.prev.is_some_and(|prev| prev != before && before.n + 1 == entry.id.n);
            if is_other || known.next_if_eq(&entry.id).is_none() {
                self.first_retained = page.first;
                self.push_gap(last, None, GapReason::Reset, last);
                return Some(GapReason::Reset);
            }
            before = entry.id;
        }
        if page.more {
            self.verified = Some(before);
        }
        None
    }

    /// Returns how many of the entries, from the first on, are known.
    fn count_known(&self, entries: &[Entry]) -> usize {
        entries.iter().take_while(|entry| self.is_known(entry.id)).count()
    }

    /// Marks the frames as in sync, after the log was read to its end, and appends the announcements that arrived since
    /// the read began. If these do not follow, the log has to be read once more.
    pub fn mark_in_sync(&mut self, read_at: Instant) {
        self.read_at = Some(read_at);
        let Some(catching_up) = self.catching_up.take() else {
            return;
        };
        let CatchingUp { since, pending, overflowed } = *catching_up;
        let mut is_incomplete = overflowed;
        for entry in pending {
            if self.last.is_some_and(|last| entry.directly_follows(last)) {
                self.append(entry);
            } else if !self.is_known(entry.id) {
                // None of the later ones may be appended, even if its number is the next: the log may be a new one.
                is_incomplete = true;
                break;
            }
        }
        if is_incomplete {
            self.start_catching_up(since);
        } else {
            self.buffer.live = true;
            self.buffer.mark_burst();
        }
    }

    /// Returns the position after an id, if the frames from there on are all that the log has after it.
    pub fn position_after(&self, id: Id) -> Option<Position> {
        if Some(id) == self.last {
            return Some(self.buffer.end());
        }
        let after = self.position_behind(id)?;
        let first = self.first_retained?;
        let next = || (after..self.buffer.end()).find_map(|position| self.buffer.id_at(position));
        (first <= id || next() == Some(first)).then_some(after)
    }

    /// Returns the cursor before the newest `count` messages, if that many are in memory.
    pub fn cursor_before_newest(&self, count: usize) -> Option<Id> {
        let has_event = |position: &Position| self.buffer.get(*position).is_some_and(|frame| frame.event.is_some());
        let ids = self.epoch().rev().filter(has_event).filter_map(|position| self.buffer.id_at(position));
        let mut retained = ids.take_while(|id| self.first_retained.is_some_and(|first| first <= *id));
        retained.nth(count)
    }

    /// Returns true if the lag of a subscriber at this position was caused by this node catching up, which brings more
    /// at once than any socket takes.
    pub fn is_node_lag(&self, position: Position) -> bool {
        self.buffer.is_before_burst_end(position) || !self.is_in_sync()
    }

    /// Returns the positions of the current epoch that are in memory.
    fn epoch(&self) -> std::ops::Range<Position> {
        self.epoch_start.max(self.buffer.start())..self.buffer.end()
    }

    fn is_known(&self, id: Id) -> bool {
        Some(id) == self.last || self.buffer.position_of(id, self.epoch()).is_some()
    }

    /// Returns the position behind the frame with this id, or of the oldest frame if the id is the cursor before it.
    fn position_behind(&self, id: Id) -> Option<Position> {
        if Some(id) == self.replay_from {
            return Some(self.epoch().start);
        }
        self.buffer.position_of(id, self.epoch()).map(|position| position + 1)
    }

    fn append(&mut self, entry: Entry) {
        self.last = Some(entry.id);
        self.first_retained.get_or_insert(entry.id);
        let frame = Frame::of_entry(entry);
        let change = frame.change;
        self.push(frame);
        if let Some(change) = change {
            self.buffer.erase_removed(change, 0, None);
        }
    }

    fn push_gap(&mut self, asked: Id, resumed: Option<Id>, reason: GapReason, cursor: Id) {
        let event = Event::gap(&asked.to_string(), resumed, reason);
        self.push(Frame::of_gap(event, cursor.into()));
        self.epoch_start = self.buffer.end();
        self.replay_from = Some(cursor);
        self.last = Some(cursor);
    }

    fn push(&mut self, frame: Frame) {
        self.buffer.push(frame);
        self.evict_while(FrameBuffer::is_full);
    }

    /// Removes the oldest frames, but not the newest one, for as long as the function returns true.
    pub fn evict_while(&mut self, is_needed: impl Fn(&FrameBuffer) -> bool) {
        while is_needed(&self.buffer)
            && let Some((position, frame)) = self.buffer.pop_oldest()
        {
            if position >= self.epoch_start {
                self.replay_from = frame.cursor.map(|cursor| cursor.of(0)).or(self.replay_from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
