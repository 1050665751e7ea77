//! Several rooms in one stream: their frames in the order in which they arrive at this node, each with the cursor of all
//! rooms and shared by all subscribers of the same set of rooms.
//!
//! The rooms stay authoritative. The order of merging is this node's own, so a cursor is not looked up among the merged
//! frames: a subscriber receives from each room's own frames what lies between its cursor and the point that merging
//! has reached. If merging falls behind a room's buffer, its positions are invalidated and the subscribers look their
//! cursor up again.

use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use tokio::task::JoinSet;

use super::lookup::{Lookup, Missed, NotBuffered};
use crate::chat::{Cursor, Id, Rooms};
use crate::hub::changes::{ChangeReceiver, Changes};
use crate::hub::room::RoomGuard;
use crate::hub::room::buffer::{Frame, FrameBuffer, Position};
use crate::hub::room::context::RoomContext;
use crate::hub::room::log_tail::LogTail;
use crate::hub::room::node_buffers::{BufferEntry, BufferOwner};
use crate::hub::weak_table::{WeakEntry, WeakTable};
use crate::supervise::supervise;

/// The most missed frames that are looked up at once for one subscriber.
const MISSED_PER_LOOKUP: usize = 250;

/// The bytes of missed frames that are looked up at once for one subscriber, which the last of them may exceed.
const MISSED_BYTES_PER_LOOKUP: usize = 64 << 10;

/// Several rooms merged into one buffer.
pub struct MergedRooms {
    names: Rooms,
    rooms: Vec<RoomGuard>,
    frames: Mutex<MergedFrames>,
    changed: Changes,
    context: Arc<RoomContext>,
    /// One task per room, which ends with this value.
    _tasks: JoinSet<()>,
    _buffer_entry: BufferEntry,
    _entry: WeakEntry<Rooms, MergedRooms>,
}

/// What was merged so far.
pub struct MergedFrames {
    buffer: FrameBuffer,
    /// The cursor after the last frame.
    cursor: Cursor,
    progress: Vec<MergeProgress>,
}

/// How far one room is merged.
#[derive(Clone)]
struct MergeProgress {
    /// The position of the room's next frame; `None` until its log was read.
    next: Option<Position>,
    live: bool,
    in_sync: bool,
    /// Whether merging has panicked and was not started anew yet.
    failing: bool,
}

/// Missed frames, and whether these are all.
type MissedFrames = (Vec<Missed>, bool);

impl MergedRooms {
    /// Begins to merge the frames of some rooms, and adds them to a table.
    pub fn new(
        names: Rooms,
        rooms: Vec<RoomGuard>,
        context: Arc<RoomContext>,
        table: &WeakTable<Rooms, Self>,
    ) -> Arc<Self> {
        let live = rooms.iter().all(|room| room.log().buffer().live);
        let frames = MergedFrames {
            buffer: FrameBuffer::new(live, context.buffers.counter()),
            cursor: Cursor::zero(rooms.len()),
            progress: vec![MergeProgress { next: None, live, in_sync: false, failing: false }; rooms.len()],
        };
        Arc::new_cyclic(|merged: &Weak<Self>| {
            let merge = |(index, room): (usize, &RoomGuard)| {
                let (changes, failing) = (room.changes().receiver(), merged.clone());
                let merged = merged.clone();
                // A clone has seen what this receiver has: nothing. So a second run begins by merging.
                let run = async move || merge_changes(&merged, index, changes.clone()).await;
                let on_panic = move || {
                    if let Some(merged) = failing.upgrade() {
                        merged.restart(index);
                    }
                };
                supervise(context.metrics.clone(), "merging", run, on_panic)
            };
            let tasks = rooms.iter().enumerate().map(merge).collect();
            Self {
                rooms,
                frames: Mutex::new(frames),
                changed: Changes::default(),
                _tasks: tasks,
                _buffer_entry: context.buffers.add(merged.clone()),
                _entry: table.insert(names.clone(), merged.clone()),
                names,
                context,
            }
        })
    }

    /// Returns the names of the rooms, in the order of the ids in a cursor.
    pub fn names(&self) -> &Rooms {
        &self.names
    }

    /// Returns what notifies when there may be new frames or a new status.
    pub fn changes(&self) -> &Changes {
        &self.changed
    }

    /// Locks the merged frames. The guard must not be held across an await. A room's log may be locked under it, never
    /// the other way round.
    pub fn frames(&self) -> MutexGuard<'_, MergedFrames> {
        self.frames.lock()
    }

    /// Looks up a cursor: what was missed in each room, up to the point that merging has reached.
    ///
    /// # Errors
    /// If a room's frames do not reach back to the cursor.
    pub fn look_up(&self, cursor: &Cursor) -> Result<Lookup, NotBuffered> {
        loop {
            let (next, end) = self.merge_all();
            let Some((frames, are_all)) = self.missed_frames(cursor, &next)? else {
                // Frames arrived since merging and the cursor is after them.
                continue;
            };
            let (mut missed, mut bytes) = (Vec::new(), 0);
            let all = frames.len();
            for frame in frames.into_iter().take(MISSED_PER_LOOKUP) {
                if bytes >= MISSED_BYTES_PER_LOOKUP {
                    break;
                }
                bytes += frame.event.as_ref().map_or(0, |event| event.encoded_len());
                missed.push(frame);
            }
            let position = (are_all && missed.len() == all).then_some(end);
            return Ok(Lookup { missed, position, live_from: end });
        }
    }

    /// Returns the frames between a cursor and these positions of the rooms, ordered by time, of each room at most what
    /// one lookup takes; and whether these are all. Returns `None` if the cursor is after a position.
    fn missed_frames(&self, cursor: &Cursor, next: &[Option<Position>]) -> Result<Option<MissedFrames>, NotBuffered> {
        let (mut frames, mut are_all) = (Vec::new(), true);
        for (index, (room, next)) in self.rooms.iter().zip(next).enumerate() {
            let log = room.log();
            let from = log.position_after(cursor.of(index)).ok_or(NotBuffered(index))?;
            let next = next.ok_or(NotBuffered(index))?;
            if from > next {
                return Ok(None);
            }
            let after = log.buffer().frames_from(from, usize::MAX).ok_or(NotBuffered(index))?;
            let (mut count, mut bytes) = (0, 0);
            for (_, frame) in after.take_while(|(position, _)| *position < next).filter(|(_, frame)| frame.logged) {
                if count == MISSED_PER_LOOKUP || bytes >= MISSED_BYTES_PER_LOOKUP {
                    are_all = false;
                    break;
                }
                count += 1;
                bytes += frame.encoded_len();
                let id = frame.cursor.as_ref().map_or(Id::ZERO, |cursor| cursor.of(0));
                frames.push(Missed { room: index, id, event: frame.event.clone() });
            }
        }
        frames.sort_by_key(|missed| missed.id.ms);
        Ok(Some((frames, are_all)))
    }

    /// Merges what is new in all rooms. Returns the next position in each of them and the end of the merged frames.
    fn merge_all(&self) -> (Vec<Option<Position>>, Position) {
        let mut frames = self.frames();
        let before = frames.buffer.end();
        for (index, room) in self.rooms.iter().enumerate() {
            frames.append_new(index, &self.names, &room.log());
        }
        let next = frames.progress.iter().map(|progress| progress.next).collect();
        let end = frames.buffer.end();
        drop(frames);
        if end > before {
            self.notify_changed();
        }
        (next, end)
    }

    fn merge_room(&self, index: usize) {
        let mut frames = self.frames();
        frames.progress[index].failing = false;
        frames.append_new(index, &self.names, &self.rooms[index].log());
        drop(frames);
        self.notify_changed();
    }

    /// Merges a room from its end on, after a panic that may have left it half merged: all positions are invalidated.
    fn restart(&self, index: usize) {
        let mut frames = self.frames();
        frames.progress[index].failing = true;
        frames.start(index, &self.rooms[index].log());
        drop(frames);
        self.notify_changed();
    }

    fn notify_changed(&self) {
        self.context.buffers.reclaim();
        self.changed.notify();
    }
}

impl BufferOwner for MergedRooms {
    fn last_read(&self) -> Instant {
        self.frames().buffer.last_read()
    }

    fn evict_while(&self, is_needed: &dyn Fn() -> bool) {
        self.frames().evict_while(|_| is_needed());
    }
}

impl MergedFrames {
    /// Returns the merged frames.
    pub fn buffer(&self) -> &FrameBuffer {
        &self.buffer
    }

    /// Returns true if the lag of a subscriber at this position was caused by this node catching up.
    pub fn is_node_lag(&self, position: Position) -> bool {
        self.buffer.is_before_burst_end(position) || !self.progress.iter().all(|progress| progress.in_sync)
    }

    /// Appends what is new in one room. The status becomes live again after everything that was missed in any room.
    fn append_new(&mut self, index: usize, names: &Rooms, log: &LogTail) {
        let next = self.progress[index].next;
        match next.and_then(|next| log.buffer().frames_from(next, usize::MAX)) {
            Some(new) => {
                for (_, frame) in new {
                    self.append(index, names, frame);
                }
                if next.is_some_and(|next| log.buffer().is_before_burst_end(next)) {
                    self.buffer.mark_burst();
                }
                self.progress[index].next = Some(log.buffer().end());
            }
            None => self.start(index, log),
        }
        let progress = &mut self.progress[index];
        let has_caught_up = log.is_in_sync() && !progress.in_sync;
        (progress.live, progress.in_sync) = (log.buffer().live && !progress.failing, log.is_in_sync());
        if has_caught_up {
            // The pages that the room missed were merged one by one before.
            self.buffer.mark_burst();
        }
        self.buffer.live = self.progress.iter().all(|progress| progress.live);
    }

    /// Starts at the end of a room's frames. If merging had begun before, frames were missed, and all positions are
    /// invalidated.
    fn start(&mut self, index: usize, log: &LogTail) {
        // A room fills its buffer before it is in sync for the first time.
        let Some(last) = log.last().filter(|_| log.is_in_sync() || self.progress[index].next.is_some()) else {
            return;
        };
        if self.progress[index].next.replace(log.buffer().end()).is_some() {
            self.buffer.invalidate_positions();
        }
        self.cursor.set(index, last);
    }

    fn append(&mut self, index: usize, names: &Rooms, frame: &Frame) {
        if let Some(own) = &frame.cursor {
            self.cursor.set(index, own.of(0));
        }
        self.buffer.push(frame.of_merged_rooms(&names[index], &self.cursor));
        if let Some(change) = frame.change {
            self.buffer.erase_removed(change, index, Some(&names[index]));
        }
        self.evict_while(FrameBuffer::is_full);
    }

    fn evict_while(&mut self, is_needed: impl Fn(&FrameBuffer) -> bool) {
        while is_needed(&self.buffer) && self.buffer.pop_oldest().is_some() {}
    }
}

/// Merges a room's frames as they arrive, for as long as the merged rooms exist.
async fn merge_changes(merged: &Weak<MergedRooms>, index: usize, mut changes: ChangeReceiver) {
    loop {
        changes.changed().await;
        let Some(merged) = merged.upgrade() else { return };
        merged.merge_room(index);
    }
}

#[cfg(test)]
mod tests;
