use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use bytes::Bytes;

use super::continuity::{Continuation, judge};
use super::tape::{Frame, Position, Tape};
use crate::bus::{Entry, LogPage};
use crate::chat::Id;
use crate::sse;

/// Announcements that wait while the log is read; where more come, the log is read once more.
const WAITING: usize = 1000;

/// What became of an announcement.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is a frame now.
    Appended,
    /// It was known, or it waits until the log is read.
    Kept,
    /// It does not follow what is known: the log has to be read.
    Behind,
}

/// A reading that is older than what has been announced since.
#[derive(Debug, PartialEq, Eq)]
pub struct Outdated;

/// Whether the frames are what the log has.
#[derive(Debug)]
enum Sync {
    /// Announcements arrive, and the log was read after the first of them could.
    Current,
    /// Since when the log has not been known, and what was announced meanwhile.
    Behind {
        since: Instant,
        waiting: Vec<Entry>,
        overflowed: bool,
    },
}

impl Sync {
    fn behind(since: Instant, waiting: Vec<Entry>) -> Self {
        Sync::Behind { since, waiting, overflowed: false }
    }
}

/// A room's retained frames on this node: the tail of its log, and what came by beside it.
///
/// Nothing here waits or does I/O; [`Room`](super::room::Room) brings readings and announcements.
#[derive(Debug)]
pub struct Log {
    tape: Tape,
    /// The position after the last gap: ids of frames before it say nothing about the log of now.
    epoch: Position,
    /// The place directly before the first frame of this epoch that is held, where it is known.
    floor: Option<Id>,
    /// The first message that the log retained when it was read last.
    first: Option<Id>,
    /// The last id of the log as far as it is known; `None` before the first reading.
    last: Option<Id>,
    sync: Sync,
}

impl Log {
    /// The log of a room that nobody has read yet. `live` is what its readers are told until then,
    /// `node_bytes` counts the frames of all rooms.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        let sync = Sync::behind(Instant::now(), Vec::new());
        Self { tape: Tape::new(live, node_bytes), epoch: 0, floor: None, first: None, last: None, sync }
    }

    /// The frames.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// The last id, if the log was ever read.
    pub fn last(&self) -> Option<Id> {
        self.last
    }

    /// Whether the frames are what the log has.
    pub fn is_current(&self) -> bool {
        matches!(self.sync, Sync::Current)
    }

    /// Announcements may have been missed since then.
    pub fn fall_behind(&mut self, since: Instant) {
        if self.is_current() {
            self.sync = Sync::behind(since, Vec::new());
        }
    }

    /// Tells the readers that the bus is lost if the log has not been known since `limit`; says
    /// whether that is news.
    pub fn admit_loss(&mut self, limit: Instant) -> bool {
        let lost = matches!(self.sync, Sync::Behind { since, .. } if since <= limit);
        let news = lost && self.tape.live;
        self.tape.live &= !lost;
        news
    }

    /// Takes an announcement. The log is the truth: what does not follow directly is not believed.
    pub fn hear(&mut self, entry: Entry, posted: Option<Instant>) -> Heard {
        if let Sync::Behind { waiting, overflowed, .. } = &mut self.sync {
            match waiting.len() < WAITING {
                true => waiting.push(entry),
                false => *overflowed = true,
            }
            return Heard::Kept;
        }
        if self.last.is_some_and(|last| last.directly_precedes(entry.id)) {
            self.append(&entry, posted);
            return Heard::Appended;
        }
        if Some(entry.id) == self.last || self.position_of(entry.id).is_some() {
            return Heard::Kept;
        }
        self.sync = Sync::behind(Instant::now(), vec![entry]);
        Heard::Behind
    }

    /// Takes what is not in the log. It has no place and is not replayed.
    pub fn hear_beside(&mut self, bytes: Bytes) {
        self.push(Frame::new(None, false, bytes));
    }

    /// Takes the first reading, of the newest entries.
    pub fn begin(&mut self, reading: LogPage) {
        self.first = reading.first;
        self.floor = if reading.entries.is_empty() { Some(reading.last) } else { None };
        reading.entries.iter().for_each(|entry| self.append(entry, None));
        self.last = Some(reading.last);
    }

    /// Takes a reading from `asked`, which was the last id when the reading began. Where that does
    /// not belong to the log any more, all readers of now are told of the gap, and its reason is
    /// the answer.
    ///
    /// # Errors
    /// When announcements came meanwhile: then a gap after `asked` is none for the readers of now, and
    /// the log has to be read from where they are.
    pub fn catch_up(&mut self, asked: Id, reading: LogPage) -> Result<Option<sse::GapReason>, Outdated> {
        let (more, first, log_last) = (reading.more, reading.first, reading.last);
        let continuation = judge(asked, reading);
        if let Some(reason) = continuation.gap {
            if self.last != Some(asked) {
                return Err(Outdated);
            }
            self.tell_gap(asked, &continuation, reason);
        }
        self.first = first;
        let known = self.last.unwrap_or(Id::ZERO);
        continuation
            .entries
            .iter()
            .filter(|entry| entry.id > known)
            .for_each(|entry| self.append(entry, None));
        if !more {
            // The newest message may have been deleted: its number is taken all the same.
            self.last = self.last.max(Some(log_last));
        }
        Ok(continuation.gap)
    }

    /// The log was read to its end, after announcements began to arrive: it is known again. What
    /// waited follows; where it does not, the log has to be read once more, and will have it.
    pub fn settle(&mut self) -> Heard {
        let Sync::Behind { since, waiting, overflowed } = std::mem::replace(&mut self.sync, Sync::Current) else {
            return Heard::Kept;
        };
        let mut behind = overflowed;
        for entry in waiting {
            match self.last {
                Some(last) if last.directly_precedes(entry.id) => self.append(&entry, None),
                Some(last) if entry.id == last || self.position_of(entry.id).is_some() => {}
                _ => behind = true,
            }
        }
        if behind {
            self.fall_behind(since);
            return Heard::Behind;
        }
        self.tape.live = true;
        self.tape.leap();
        Heard::Appended
    }

    /// The position after an id, where going on from there is all that the log has after it.
    pub fn position_after(&self, id: Id) -> Option<Position> {
        if Some(id) == self.last {
            return Some(self.tape.end());
        }
        let after = match Some(id) == self.floor {
            true => self.held().start,
            false => self.position_of(id)? + 1,
        };
        let still_retained = self.first.is_some_and(|first| first <= id || id.directly_precedes(first));
        still_retained.then_some(after)
    }

    /// The place before the newest `count` messages, where so many are held.
    pub fn newest(&self, count: usize) -> Option<Id> {
        let held = self.held().rev().filter_map(|at| self.id_at(at));
        let mut held = held.take_while(|id| self.first.is_some_and(|first| first <= *id));
        held.nth(count)
    }

    /// Whether a reader at this position is behind through no fault of its own: a node that catches up
    /// with its bus has more at once than any socket takes.
    pub fn excuses(&self, position: Position) -> bool {
        self.tape.leaps_over(position) || !self.is_current()
    }

    /// The positions of this epoch.
    fn held(&self) -> std::ops::Range<Position> {
        self.epoch.max(self.tape.base())..self.tape.end()
    }

    /// The id of the message at a position.
    fn id_at(&self, position: Position) -> Option<Id> {
        let frame = self.tape.at(position).filter(|frame| frame.logged)?;
        frame.place.as_ref().map(|place| place.of(0))
    }

    /// The position of a frame of this epoch by its id. Frames without ids have no order of their
    /// own, so the search goes from the newest.
    fn position_of(&self, id: Id) -> Option<Position> {
        self.held()
            .rev()
            .take_while(|at| self.id_at(*at).is_none_or(|held| held >= id))
            .find(|at| self.id_at(*at) == Some(id))
    }

    fn append(&mut self, entry: &Entry, posted: Option<Instant>) {
        self.last = Some(entry.id);
        self.first.get_or_insert(entry.id);
        let bytes = sse::entry(entry.id, &entry.kind, &entry.data);
        self.push(Frame { posted, ..Frame::new(Some(entry.id.into()), true, bytes) });
    }

    fn tell_gap(&mut self, asked: Id, continuation: &Continuation, reason: sse::GapReason) {
        let bytes = sse::gap(&asked.to_string(), continuation.resumed(), reason, continuation.place);
        self.push(Frame::new(Some(continuation.place.into()), false, bytes));
        self.epoch = self.tape.end();
        self.floor = Some(continuation.place);
        self.last = Some(continuation.place);
    }

    fn push(&mut self, frame: Frame) {
        self.tape.push(frame);
        while let Some((position, frame)) = self.tape.forget() {
            if position >= self.epoch {
                self.floor = frame.place.map(|place| place.of(0)).or(self.floor);
            }
        }
    }
}

#[cfg(test)]
mod tests;
