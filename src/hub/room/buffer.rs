//! A ring of encoded frames, shared by all subscribers of a source.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::bus::Entry;
use crate::chat::Cursor;
use crate::sse;

/// The most bytes of one buffer. It exceeds the lag that a subscriber may have, so that a live subscriber loses its
/// position only if it is too slow.
pub const MAX_BUFFER_BYTES: usize = 4 << 20;

/// Estimated bytes that a frame takes in addition to its encoding.
const FRAME_OVERHEAD_BYTES: usize = 128;

/// The index of a frame in a buffer. Frames are numbered from 0 in the order in which they arrive at this node.
pub type Position = u64;

/// A part of a stream that is the same for all its subscribers, encoded once.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The cursor of a subscriber that has received the frame; `None` if the frame does not move it.
    pub cursor: Option<Cursor>,
    /// Whether the frame is an entry of a log, which is replayed. Others are ephemeral.
    pub logged: bool,
    /// The encoding.
    pub bytes: Bytes,
    /// When the frame arrived at this node.
    pub arrived: Instant,
}

impl Frame {
    /// Creates a frame that arrives now.
    pub fn new(cursor: Option<Cursor>, logged: bool, bytes: Bytes) -> Self {
        Self { cursor, logged, bytes, arrived: Instant::now() }
    }

    /// Creates the frame of an entry of the log. One without data is sent as nothing.
    pub fn of_entry(entry: &Entry) -> Self {
        let bytes = if entry.has_data() {
            sse::entry(entry.id, &entry.kind, &entry.data)
        } else {
            Bytes::new()
        };
        Self::new(Some(entry.id.into()), true, bytes)
    }

    fn size(&self) -> usize {
        self.bytes.len() + FRAME_OVERHEAD_BYTES
    }
}

/// The newest frames of a source, oldest first.
#[derive(Debug)]
pub struct FrameBuffer {
    frames: VecDeque<Frame>,
    /// The position of the oldest frame.
    start: Position,
    /// The position after the last frame of the most recent catch-up burst.
    burst_end: Position,
    /// The status of the subscribers: whether this node receives announcements.
    pub live: bool,
    bytes: usize,
    /// The bytes of all buffers of the node.
    node_bytes: Arc<AtomicUsize>,
    last_read: Cell<Instant>,
}

impl FrameBuffer {
    /// Creates an empty buffer. `node_bytes` counts the bytes of all buffers of the node.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        let last_read = Cell::new(Instant::now());
        Self { frames: VecDeque::new(), start: 0, burst_end: 0, live, bytes: 0, node_bytes, last_read }
    }

    /// Returns the position of the oldest frame.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Returns the position after the newest frame.
    pub fn end(&self) -> Position {
        self.start + self.frames.len() as Position
    }

    /// Returns when frames were last read.
    pub fn last_read(&self) -> Instant {
        self.last_read.get()
    }

    /// Returns the frame at a position.
    pub fn get(&self, position: Position) -> Option<&Frame> {
        self.frames.get(position.checked_sub(self.start)? as usize)
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
            self.last_read.set(Instant::now());
        }
        let mut left = Some(max_bytes);
        let frames = self.frames.iter().skip(skip).take_while(move |frame| {
            let fits = left.is_some();
            left = left.and_then(|left| left.checked_sub(frame.bytes.len()));
            fits
        });
        Some((position..).zip(frames))
    }

    /// Returns the number of frames from a position to the end, and the bytes of all but the first of them.
    pub fn lag(&self, position: Position) -> (usize, usize) {
        let behind = self.frames.iter().skip(position.saturating_sub(self.start) as usize);
        let frames = self.end().saturating_sub(position) as usize;
        (frames, behind.skip(1).map(|frame| frame.bytes.len()).sum())
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
        self.frames.push_back(frame);
        self.bytes += size;
        self.node_bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Returns true if the buffer takes too many bytes.
    pub fn is_full(&self) -> bool {
        self.bytes > MAX_BUFFER_BYTES
    }

    /// Removes the oldest frame, unless it is the newest one as well, and returns it with its position.
    pub fn pop_oldest(&mut self) -> Option<(Position, Frame)> {
        if self.frames.len() < 2 {
            return None;
        }
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.size();
        self.node_bytes.fetch_sub(frame.size(), Ordering::Relaxed);
        self.start += 1;
        Some((self.start - 1, frame))
    }

    /// Removes all frames and invalidates all positions. Subscribers look their cursor up again, and do not count as
    /// lagging for it.
    pub fn invalidate_positions(&mut self) {
        self.start = self.end() + 1;
        self.burst_end = self.start;
        self.frames.clear();
        self.node_bytes.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for FrameBuffer {
    fn drop(&mut self) {
        self.node_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
