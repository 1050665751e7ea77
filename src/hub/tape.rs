use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::chat::Cursor;

/// The frames of one feed on this node take at most this many bytes. It is more than a reader may
/// fall behind, so that only one who is too slow loses its place.
pub const CAPACITY: usize = 4 << 20;

/// All frames on this node take at most this many bytes, and the newest frame of each feed.
const NODE_CAPACITY: usize = 256 << 20;

/// What a frame costs beside its bytes.
const OVERHEAD: usize = 144;

/// A counter of position: the frames of a feed on a node are numbered from 0 as they come.
pub type Position = u64;

/// A part of the stream that is the same for every reader of the feed, encoded once.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The reader's place after it, where it moves the place.
    pub place: Option<Cursor>,
    /// Whether it is in a log, and so is replayed.
    pub logged: bool,
    /// As it goes over the wire.
    pub bytes: Bytes,
    /// When it arrived here.
    pub arrived: Instant,
    /// When it was posted, if it was posted here.
    pub posted: Option<Instant>,
}

impl Frame {
    /// A frame that came just now and was not posted here.
    pub fn new(place: Option<Cursor>, logged: bool, bytes: Bytes) -> Self {
        Self { place, logged, bytes, arrived: Instant::now(), posted: None }
    }
}

/// The newest frames of a feed, in the order in which they came. It forgets from the oldest on.
#[derive(Debug)]
pub struct Tape {
    frames: VecDeque<Frame>,
    /// The position of the first frame that is held.
    base: Position,
    /// The position up to which frames came at once, when the log was known again.
    leap: Position,
    /// Whether readers are told that the node hears its bus.
    pub live: bool,
    bytes: usize,
    node_bytes: Arc<AtomicUsize>,
}

impl Tape {
    /// An empty one. `live` is what readers are told at first, `node_bytes` counts the frames of all
    /// feeds.
    pub fn new(live: bool, node_bytes: Arc<AtomicUsize>) -> Self {
        Self { frames: VecDeque::new(), base: 0, leap: 0, live, bytes: 0, node_bytes }
    }

    /// The position of the first frame that is held.
    pub fn base(&self) -> Position {
        self.base
    }

    /// The position after the last frame.
    pub fn end(&self) -> Position {
        self.base + self.frames.len() as Position
    }

    /// The frame at a position.
    pub fn at(&self, position: Position) -> Option<&Frame> {
        self.frames.get(position.checked_sub(self.base)? as usize)
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

    /// Whether what comes after this position came at once: more than any socket takes.
    pub fn leaps_over(&self, position: Position) -> bool {
        position < self.leap
    }

    /// All that is held came at once.
    pub fn leap(&mut self) {
        self.leap = self.end();
    }

    /// Adds a frame. [`Tape::forget`] has to follow.
    pub fn push(&mut self, frame: Frame) {
        let size = frame.bytes.len() + OVERHEAD;
        self.frames.push_back(frame);
        self.bytes += size;
        self.node_bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Forgets the oldest frame if there are too many, and gives it with its position.
    pub fn forget(&mut self) -> Option<(Position, Frame)> {
        let too_many = self.bytes > CAPACITY || self.node_bytes.load(Ordering::Relaxed) > NODE_CAPACITY;
        if self.frames.len() < 2 || !too_many {
            return None;
        }
        let frame = self.frames.pop_front()?;
        let size = frame.bytes.len() + OVERHEAD;
        self.bytes -= size;
        self.node_bytes.fetch_sub(size, Ordering::Relaxed);
        self.base += 1;
        Some((self.base - 1, frame))
    }

    /// Forgets everything, and every position up to now with it: who is there has to be brought to its
    /// place anew, and is not to blame for it.
    pub fn break_off(&mut self) {
        self.base = self.end() + 1;
        self.leap = self.base;
        self.frames.clear();
        self.node_bytes.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.node_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
