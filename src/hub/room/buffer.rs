//! A ring of frames, shared by all subscribers of a source.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::bus::{Change, Deletion, Entry};
use crate::chat::{Cursor, Id, RoomName};
use crate::sse::{Block, EncodedBlock, Event, Form, Syntax};

/// The most bytes of one buffer. It exceeds the lag that a subscriber may have, so that a live subscriber loses its
/// position only if it is too slow.
pub const MAX_BUFFER_BYTES: usize = 4 << 20;

/// The most bytes of one buffer with the encodings of its frames, between two frames: beyond that, an encoding is made
/// anew each time.
const MAX_ENCODED_BYTES: usize = 2 * MAX_BUFFER_BYTES;

/// Estimated bytes that a frame takes in addition to its event and its encodings.
const FRAME_OVERHEAD_BYTES: usize = 192;

/// The frames up to which a buffer takes no more memory than they need: a quiet room has no more.
const MIN_CAPACITY: usize = 4;

/// The index of a frame in a buffer. Frames are numbered from 0 in the order in which they arrive at this node.
pub type Position = u64;

/// A part of a stream that is the same for all its subscribers. It is encoded once for each syntax in which one of them
/// reads it.
#[derive(Debug)]
pub struct Frame {
    /// The cursor of a subscriber that has received the frame; `None` if the frame does not move it.
    pub cursor: Option<Cursor>,
    /// Whether the frame is an entry of a log, which is replayed. Others are ephemeral.
    pub logged: bool,
    /// The id before it in its log, if the entry states it.
    pub prev: Option<Id>,
    /// What it says; `None` for an entry that was removed or has no data, which is sent as nothing.
    pub event: Option<Arc<Event>>,
    /// The change of earlier entries that it tells of.
    pub change: Option<Change>,
    /// The room to name, in merged rooms.
    pub room: Option<RoomName>,
    /// When the frame arrived at this node.
    pub arrived: Instant,
    /// About how many bytes it takes in a stream.
    encoded_len: usize,
    encodings: RefCell<SmallVec<[(Syntax, EncodedBlock); 1]>>,
}

impl Frame {
    /// Creates an ephemeral frame that arrives now and moves no cursor.
    pub fn ephemeral(event: Event) -> Self {
        Self::new(None, false, Some(Arc::new(event)))
    }

    /// Creates the frame of a gap that arrives now, with the cursor after it.
    pub fn of_gap(event: Event, cursor: Cursor) -> Self {
        Self::new(Some(cursor), false, Some(Arc::new(event)))
    }

    /// Creates the frame of an entry of the log that arrives now.
    pub fn of_entry(entry: Entry) -> Self {
        let (cursor, change, prev) = (entry.id.into(), entry.change(), entry.prev);
        Self { change, prev, ..Self::new(Some(cursor), true, event_of(entry).map(Arc::new)) }
    }

    /// Returns the frame for a stream of several rooms, with the cursor of all of them after it.
    pub fn of_merged_rooms(&self, room: &RoomName, cursor: &Cursor) -> Self {
        let cursor = self.cursor.as_ref().map(|_| cursor.clone());
        let (room, change, arrived) = (Some(room.clone()), self.change, self.arrived);
        Self { room, change, arrived, ..Self::new(cursor, self.logged, self.event.clone()) }
    }

    fn new(cursor: Option<Cursor>, logged: bool, event: Option<Arc<Event>>) -> Self {
        let encoded_len = event.as_ref().map_or(0, |event| event.encoded_len());
        Self {
            cursor,
            logged,
            prev: None,
            event,
            change: None,
            room: None,
            arrived: Instant::now(),
            encoded_len,
            encodings: RefCell::default(),
        }
    }

    /// Encodes the frame with another cursor in the place of its own.
    pub fn encode_with(&self, cursor: Option<&Cursor>, form: Form) -> Bytes {
        self.block(cursor).map(|block| form.encode(&block)).unwrap_or_default()
    }

    fn block<'a>(&'a self, cursor: Option<&'a Cursor>) -> Option<Block<'a>> {
        let event = self.event.as_ref()?;
        Some(Block { retry_ms: None, cursor, room: self.room.as_ref(), event })
    }

    /// Returns true if a change removed the frame's entry, which has this id.
    fn is_removed_by(&self, change: Change, id: Option<Id>) -> bool {
        let is_removed = match change {
            Change::Deletion(Deletion::All) => true,
            Change::Deletion(Deletion::Entry(deleted)) => {
                id == Some(deleted) || self.change == Some(Change::Edit(deleted))
            }
            Change::Edit(_) => self.change == Some(change),
        };
        self.logged && self.event.is_some() && is_removed
    }

    /// Drops what the frame says. Its cursor stays.
    fn erase(&mut self) {
        self.event = None;
        self.encoded_len = 0;
        self.encodings.get_mut().clear();
    }

    /// Returns about how many bytes the frame takes in a stream.
    pub fn encoded_len(&self) -> usize {
        self.encoded_len
    }

    fn size(&self) -> usize {
        let encodings: usize = self.encodings.borrow().iter().map(|(_, encoded)| encoded.size()).sum();
        self.encoded_len() + encodings + FRAME_OVERHEAD_BYTES
    }
}

/// Returns what an entry says; `None` if it has no data.
pub fn event_of(entry: Entry) -> Option<Event> {
    entry.has_data().then(|| Event::entry(entry.id, &entry.kind, entry.data))
}

/// What a buffer held at one time: the same version is of the same frames and the same status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferVersion {
    buffer: u64,
    changes: u64,
    live: bool,
}

/// The number of buffers so far.
static BUFFERS: AtomicU64 = AtomicU64::new(0);

/// The newest frames of a source, oldest first.
#[derive(Debug)]
pub struct FrameBuffer {
    /// The number of this buffer.
    number: u64,
    /// How often its frames have changed.
    changes: u64,
    frames: VecDeque<Frame>,
    /// The position of the oldest frame.
    start: Position,
    /// The position after the last frame of the most recent catch-up burst.
    burst_end: Position,
    /// The status of the subscribers: whether this node receives announcements.
    pub live: bool,
    bytes: Cell<usize>,
    /// The bytes of all buffers of the node.
    node_bytes: Arc<AtomicUsize>,
    last_read: Cell<Instant>,
}

impl FrameBuffer {
    /// Creates an empty buffer. `node_bytes` counts the bytes of all buffers of the node.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        let last_read = Cell::new(Instant::now());
        Self {
            number: BUFFERS.fetch_add(1, Ordering::Relaxed),
            changes: 0,
            frames: VecDeque::new(),
            start: 0,
            burst_end: 0,
            live,
            bytes: Cell::new(0),
            node_bytes,
            last_read,
        }
    }

    /// Returns the position of the oldest frame.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Returns the position after the newest frame.
    pub fn end(&self) -> Position {
        self.start + self.frames.len() as Position
    }

    /// Returns what the buffer holds now.
    pub fn version(&self) -> BufferVersion {
        BufferVersion { buffer: self.number, changes: self.changes, live: self.live }
    }

    /// Notes that frames are read.
    pub fn note_read(&self) {
        self.last_read.set(Instant::now());
    }

    /// Returns when frames were last read.
    pub fn last_read(&self) -> Instant {
        self.last_read.get()
    }

    /// Returns the frame at a position.
    pub fn get(&self, position: Position) -> Option<&Frame> {
        self.frames.get(position.checked_sub(self.start)? as usize)
    }

    /// Returns the id of the entry at a position of a room's buffer. Other frames have none.
    pub fn id_at(&self, position: Position) -> Option<Id> {
        let frame = self.get(position).filter(|frame| frame.logged)?;
        frame.cursor.as_ref().map(|cursor| cursor.of(0))
    }

    /// Returns the position of the entry with an id in a part of a room's buffer in which ids ascend.
    pub fn position_of(&self, id: Id, part: Range<Position>) -> Option<Position> {
        let Range { mut start, mut end } = part;
        while start < end {
            let middle = start + (end - start) / 2;
            // What has no id is judged by what comes after it.
            let next = (middle..end).find_map(|position| Some((position, self.id_at(position)?)));
            match next {
                Some((position, known)) if known == id => return Some(position),
                Some((position, known)) if known < id => start = position + 1,
                _ => end = middle,
            }
        }
        None
    }

    /// Returns the frames from a position on with their positions, up to the one with which they exceed `max_bytes`.
    /// Returns `None` if the position was evicted.
    pub fn frames_from(
        &self,
        position: Position,
        max_bytes: usize,
    ) -> Option<impl Iterator<Item = (Position, &Frame)>> {
        let skip = position.checked_sub(self.start)? as usize;
        if skip < self.frames.len() {
            self.note_read();
        }
        let mut left = Some(max_bytes);
        let frames = self.frames.iter().skip(skip).take_while(move |frame| {
            let fits = left.is_some();
            left = left.and_then(|left| left.checked_sub(frame.encoded_len()));
            fits
        });
        Some((position..).zip(frames))
    }

    /// Returns the number of frames from a position to the end, and the bytes of all but the first of them.
    pub fn lag(&self, position: Position) -> (usize, usize) {
        let behind = self.frames.iter().skip(position.saturating_sub(self.start) as usize);
        let frames = self.end().saturating_sub(position) as usize;
        (frames, behind.skip(1).map(Frame::encoded_len).sum())
    }

    /// Returns true if frames after the position arrived in a catch-up burst, which no socket takes at once.
    pub fn is_before_burst_end(&self, position: Position) -> bool {
        position < self.burst_end
    }

    /// Marks everything in the buffer as part of one catch-up burst.
    pub fn mark_burst(&mut self) {
        self.burst_end = self.end();
    }

    /// Appends a frame. The caller has to remove the oldest ones for as long as the buffer [is full](Self::is_full).
    pub fn push(&mut self, frame: Frame) {
        let size = frame.size();
        if self.frames.len() < MIN_CAPACITY {
            self.frames.reserve_exact(1);
        }
        self.frames.push_back(frame);
        self.changes += 1;
        self.count_added(size);
    }

    fn count_added(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes);
        self.node_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn count_removed(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() - bytes);
        self.node_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the encoding of one of its frames. All subscribers with this syntax share it.
    pub fn encode(&self, frame: &Frame, form: Form) -> Bytes {
        let Some(block) = frame.block(frame.cursor.as_ref()) else {
            return Bytes::new();
        };
        let mut encodings = frame.encodings.borrow_mut();
        if let Some((_, encoded)) = encodings.iter().find(|(syntax, _)| *syntax == form.syntax) {
            return encoded.in_form(form);
        }
        let encoded = form.syntax.encode(&block);
        let bytes = encoded.in_form(form);
        if self.bytes.get() + encoded.size() <= MAX_ENCODED_BYTES {
            self.count_added(encoded.size());
            encodings.push((form.syntax, encoded));
        }
        bytes
    }

    /// Returns true if the buffer takes too many bytes.
    pub fn is_full(&self) -> bool {
        self.bytes.get() > MAX_BUFFER_BYTES
    }

    /// Removes the oldest frame, unless it is the newest one as well, and returns it with its position.
    pub fn pop_oldest(&mut self) -> Option<(Position, Frame)> {
        if self.frames.len() < 2 {
            return None;
        }
        let frame = self.frames.pop_front()?;
        self.count_removed(frame.size());
        self.start += 1;
        self.changes += 1;
        Some((self.start - 1, frame))
    }

    /// Removes all frames if they are ephemeral and end before this position: all subscribers have them, and no other will
    /// get them.
    pub fn forget_ephemeral(&mut self, end: Position) {
        if self.end() == end && self.frames.iter().all(|frame| !frame.logged && frame.cursor.is_none()) {
            self.start = end;
            self.remove_all();
        }
    }

    fn remove_all(&mut self) {
        self.changes += 1;
        self.frames = VecDeque::new();
        self.count_removed(self.bytes.get());
    }

    /// Drops from memory what a change removed among the frames before its own, the newest one. Their positions and
    /// cursors stay. `index` is that of the room's ids in cursors, and `room` its name in merged rooms.
    pub fn erase_removed(&mut self, change: Change, index: usize, room: Option<&RoomName>) {
        let older = self.frames.len().saturating_sub(1);
        let mut erased = 0;
        for frame in self.frames.iter_mut().take(older).filter(|frame| frame.room.as_ref() == room) {
            let id = frame.cursor.as_ref().map(|cursor| cursor.of(index));
            if frame.is_removed_by(change, id) {
                erased += frame.size();
                frame.erase();
                erased -= frame.size();
            }
        }
        self.changes += 1;
        self.count_removed(erased);
    }

    /// Removes all frames and invalidates all positions. Subscribers look their cursor up again, and do not count as
    /// lagging for it.
    pub fn invalidate_positions(&mut self) {
        self.start = self.end() + 1;
        self.burst_end = self.start;
        self.remove_all();
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.count_removed(self.bytes.get());
    }
}

#[cfg(test)]
mod tests;
