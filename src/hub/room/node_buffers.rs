//! The frame buffers of a node. When they take too many bytes together, those that were read least recently give up
//! their oldest frames: the memory belongs to the rooms in use.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

use crate::hub::weak_table::{WeakEntry, WeakTable};

/// The most bytes of all buffers of a node together, not counting the newest frame of each.
const MAX_NODE_BYTES: usize = 256 << 20;

/// What owns a frame buffer.
pub trait BufferOwner: Send + Sync {
    /// Returns when frames were last read from the buffer.
    fn last_read(&self) -> Instant;

    /// Removes the oldest frames, but not the newest one, for as long as the function returns true.
    fn evict_while(&self, is_needed: &dyn Fn() -> bool);
}

/// All frame buffers of a node.
pub struct NodeBuffers {
    max_bytes: usize,
    bytes: Arc<AtomicUsize>,
    /// The owners by the order in which they were added.
    owners: WeakTable<u64, dyn BufferOwner>,
    /// How many were added so far.
    added: AtomicU64,
    /// Held by the thread that evicts frames.
    reclaiming: Mutex<()>,
}

/// The entry of an owner among the buffers of its node. It belongs to the owner.
pub type BufferEntry = WeakEntry<u64, dyn BufferOwner>;

impl Default for NodeBuffers {
    fn default() -> Self {
        Self {
            max_bytes: MAX_NODE_BYTES,
            bytes: Arc::default(),
            owners: WeakTable::default(),
            added: AtomicU64::new(0),
            reclaiming: Mutex::default(),
        }
    }
}

impl NodeBuffers {
    /// Returns the counter of the bytes of all buffers, for a new buffer.
    pub fn counter(&self) -> Arc<AtomicUsize> {
        self.bytes.clone()
    }

    /// Returns the bytes of all buffers.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of owners.
    #[cfg(test)]
    pub fn owners(&self) -> usize {
        self.owners.len()
    }

    /// Adds the owner of a buffer that counts its bytes here.
    pub fn add(&self, owner: Weak<dyn BufferOwner>) -> BufferEntry {
        self.owners.insert(self.added.fetch_add(1, Ordering::Relaxed), owner)
    }

    /// Evicts frames if the buffers take too many bytes, and then a few more, so that it is not due with each frame. The
    /// caller must not hold the lock of a buffer.
    pub fn reclaim(&self) {
        if self.bytes() <= self.max_bytes {
            return;
        }
        // If it is locked, another thread does it.
        let Some(_reclaiming) = self.reclaiming.try_lock() else {
            return;
        };
        let owners = self.owners.values().into_iter();
        let mut by_last_read: Vec<_> = owners.map(|owner| (owner.last_read(), owner)).collect();
        by_last_read.sort_by_key(|(last_read, _)| *last_read);
        let is_needed = || self.bytes() > self.max_bytes - self.max_bytes / 16;
        for (_, owner) in by_last_read {
            owner.evict_while(&is_needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::room::buffer::{Frame, FrameBuffer};
    use crate::sse::Event;

    struct Owner {
        buffer: Mutex<FrameBuffer>,
        _entry: BufferEntry,
    }

    impl BufferOwner for Owner {
        fn last_read(&self) -> Instant {
            self.buffer.lock().last_read()
        }

        fn evict_while(&self, is_needed: &dyn Fn() -> bool) {
            let mut buffer = self.buffer.lock();
            while is_needed() && buffer.pop_oldest().is_some() {}
        }
    }

    impl Owner {
        fn new(buffers: &NodeBuffers) -> Arc<Self> {
            Arc::new_cyclic(|owner: &Weak<Self>| Self {
                buffer: Mutex::new(FrameBuffer::new(true, buffers.counter())),
                _entry: buffers.add(owner.clone()),
            })
        }

        fn push(&self, buffers: &NodeBuffers) {
            self.buffer.lock().push(Frame::ephemeral(Event::foreign(&[0; 1000], 1)));
            buffers.reclaim();
        }

        fn read(&self) {
            let buffer = self.buffer.lock();
            assert!(buffer.frames_from(buffer.start(), usize::MAX).is_some());
        }

        fn frames(&self) -> u64 {
            let buffer = self.buffer.lock();
            buffer.end() - buffer.start()
        }
    }

    #[test]
    fn the_least_recently_read_frames_go_first() {
        let buffers = NodeBuffers { max_bytes: 100_000, ..NodeBuffers::default() };
        let quiet = [Owner::new(&buffers), Owner::new(&buffers), Owner::new(&buffers)];
        for owner in &quiet {
            (0..25).for_each(|_| owner.push(&buffers));
        }
        quiet[0].read();
        let busy = Owner::new(&buffers);
        (0..40).for_each(|_| {
            busy.push(&buffers);
            busy.read();
        });
        assert_eq!(busy.frames(), 40);
        assert_eq!(quiet[0].frames(), 25, "it was read after the others");
        assert_eq!(quiet[1].frames(), 1, "its newest frame is left");
        assert!(buffers.bytes() <= 100_000);
    }
}
