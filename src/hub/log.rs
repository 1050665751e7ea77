use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::continuity::{Continuation, judge};
use crate::bus::{Entry, Reading};
use crate::chat::Id;
use crate::sse;

/// A room's frames on this node take at most this many bytes. It is more than a reader may fall
/// behind, so that only one who is too slow loses its place.
const ROOM_CAPACITY: usize = 4 << 20;

/// All rooms' frames on this node take at most this many bytes, and the newest frame of each.
const NODE_CAPACITY: usize = 256 << 20;

/// What a frame costs beside its bytes.
const OVERHEAD: usize = 128;

/// Announcements that wait while the log is read; where more come, the log is read once more.
const WAITING: usize = 1000;

/// A counter of position: the frames of a room on a node are numbered from 0 as they come.
pub type Position = u64;

/// A part of the stream that is the same for every reader of the room, encoded once.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Its place; `None` for what is not in the log and so not replayed.
    pub id: Option<Id>,
    /// As it goes over the wire.
    pub bytes: Bytes,
    /// When it arrived here.
    pub arrived: Instant,
    /// When it was posted, if it was posted here.
    pub posted: Option<Instant>,
}

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
    frames: VecDeque<Frame>,
    /// The position of the first frame that is held.
    base: Position,
    /// The position after the last gap: ids of frames before it say nothing about the log of now.
    epoch: Position,
    /// The place directly before the first frame of this epoch that is held, where it is known.
    floor: Option<Id>,
    /// The first message that the log retained when it was read last.
    first: Option<Id>,
    /// The last id of the log as far as it is known; `None` before the first reading.
    last: Option<Id>,
    sync: Sync,
    /// The position up to which frames came at once, when the log was known again.
    leap: Position,
    /// Whether readers are told that the node hears its bus.
    live: bool,
    bytes: usize,
    node_bytes: Arc<AtomicUsize>,
}

impl Log {
    /// The log of a room that nobody has read yet. `live` is what its readers are told until then,
    /// `node_bytes` counts the frames of all rooms.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        let sync = Sync::behind(Instant::now(), Vec::new());
        let frames = VecDeque::new();
        Self {
            frames,
            base: 0,
            epoch: 0,
            floor: None,
            first: None,
            last: None,
            sync,
            leap: 0,
            live,
            bytes: 0,
            node_bytes,
        }
    }

    /// The last id, if the log was ever read.
    pub fn last(&self) -> Option<Id> {
        self.last
    }

    /// The position after the last frame.
    pub fn end(&self) -> Position {
        self.base + self.frames.len() as Position
    }

    /// Whether readers are told that the node hears its bus.
    pub fn live(&self) -> bool {
        self.live
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
        let news = lost && self.live;
        self.live &= !lost;
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

    /// Takes what another program published. It has no place and is not replayed.
    pub fn hear_foreign(&mut self, bytes: Bytes) {
        self.push_beside(bytes);
    }

    /// Takes the first reading, of the newest entries.
    pub fn begin(&mut self, reading: Reading) {
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
    pub fn catch_up(&mut self, asked: Id, reading: Reading) -> Result<Option<sse::GapReason>, Outdated> {
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
        self.live = true;
        self.leap = self.end();
        Heard::Appended
    }

    /// The position after an id, where going on from there is all that the log has after it.
    pub fn position_after(&self, id: Id) -> Option<Position> {
        if Some(id) == self.last {
            return Some(self.end());
        }
        let after = match Some(id) == self.floor {
            true => self.epoch.max(self.base),
            false => self.position_of(id)? + 1,
        };
        let still_retained = self.first.is_some_and(|first| first <= id || id.directly_precedes(first));
        still_retained.then_some(after)
    }

    /// The position of the oldest of the newest `count` messages, and the place before it, where so
    /// many are held.
    pub fn newest(&self, count: usize) -> Option<(Id, Position)> {
        let held = (self.epoch.max(self.base)..self.end()).rev().filter_map(|at| self.at(at)?.id.map(|id| (id, at)));
        let mut held = held.take_while(|(id, _)| self.first.is_some_and(|first| first <= *id));
        let (_, position) = held.nth(count.checked_sub(1)?)?;
        Some((held.next()?.0, position))
    }

    /// Whether a reader at this position is behind through no fault of its own: a node that catches up
    /// with its bus has more at once than any socket takes.
    pub fn excuses(&self, position: Position) -> bool {
        position < self.leap || !self.is_current()
    }

    /// The frames from a position on, at least one and then as many as fit into `limit` bytes, each
    /// with its position. `None` where the position is no longer held.
    pub fn since(&self, position: Position, limit: usize) -> Option<impl Iterator<Item = (Position, &Frame)>> {
        let skip = position.checked_sub(self.base)? as usize;
        let mut room = Some(limit);
        let frames = self.frames.iter().skip(skip).take_while(move |frame| {
            let fits = room.is_some();
            room = room.and_then(|room| room.checked_sub(frame.bytes.len()));
            fits
        });
        Some((position..).zip(frames))
    }

    /// How many frames, and bytes after the next frame, a reader at this position is behind.
    pub fn lag(&self, position: Position) -> (usize, usize) {
        let behind = self.frames.iter().skip(position.saturating_sub(self.base) as usize);
        let frames = self.end().saturating_sub(position) as usize;
        (frames, behind.skip(1).map(|frame| frame.bytes.len()).sum())
    }

    fn at(&self, position: Position) -> Option<&Frame> {
        self.frames.get(position.checked_sub(self.base)? as usize)
    }

    /// The position of a frame of this epoch by its id. Frames without ids have no order of their
    /// own, so the search goes from the newest.
    fn position_of(&self, id: Id) -> Option<Position> {
        let held = self.epoch.max(self.base)..self.end();
        held.rev()
            .take_while(|at| self.at(*at).is_some_and(|frame| frame.id.is_none_or(|held| held >= id)))
            .find(|at| self.at(*at).is_some_and(|frame| frame.id == Some(id)))
    }

    fn append(&mut self, entry: &Entry, posted: Option<Instant>) {
        self.last = Some(entry.id);
        self.first.get_or_insert(entry.id);
        let bytes = sse::entry(entry.id, &entry.kind, &entry.data);
        self.push(Frame { id: Some(entry.id), bytes, arrived: Instant::now(), posted });
    }

    fn tell_gap(&mut self, asked: Id, continuation: &Continuation, reason: sse::GapReason) {
        let bytes = sse::gap(&asked.to_string(), continuation.resumed(), reason, continuation.place);
        self.push_beside(bytes);
        self.epoch = self.end();
        self.floor = Some(continuation.place);
        self.last = Some(continuation.place);
    }

    /// Adds what is not in the log and has no place.
    fn push_beside(&mut self, bytes: Bytes) {
        self.push(Frame { id: None, bytes, arrived: Instant::now(), posted: None });
    }

    fn push(&mut self, frame: Frame) {
        let size = frame.bytes.len() + OVERHEAD;
        self.frames.push_back(frame);
        self.bytes += size;
        let mut node_bytes = self.node_bytes.fetch_add(size, Ordering::Relaxed) + size;
        while self.frames.len() > 1 && (self.bytes > ROOM_CAPACITY || node_bytes > NODE_CAPACITY) {
            node_bytes -= self.evict();
        }
    }

    fn evict(&mut self) -> usize {
        let Some(frame) = self.frames.pop_front() else { return 0 };
        let size = frame.bytes.len() + OVERHEAD;
        self.bytes -= size;
        self.node_bytes.fetch_sub(size, Ordering::Relaxed);
        if self.base >= self.epoch {
            self.floor = frame.id.or(self.floor);
        }
        self.base += 1;
        size
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.node_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
