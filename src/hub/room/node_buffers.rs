//! The frame buffers of a node. When they take too many bytes together, those that were read least recently give up
//! their oldest frames: the memory belongs to the rooms in use.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;

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
    owners: Mutex<Vec<Weak<dyn BufferOwner>>>,
}

impl Default for NodeBuffers {
    fn default() -> Self {
        Self { max_bytes: MAX_NODE_BYTES, bytes: Arc::default(), owners: Mutex::default() }
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

    /// Adds the owner of a buffer that counts its bytes here.
    pub fn add(&self, owner: Weak<dyn BufferOwner>) {
        let mut owners = self.owners.lock();
        if owners.len() == owners.capacity() {
            owners.retain(|owner| owner.strong_count() > 0);
        }
        owners.push(owner);
    }

    /// Evicts frames if the buffers take too many bytes, and then a few more, so that it is not due with each frame. The
    /// caller must not hold the lock of a buffer.
    pub fn reclaim(&self) {
        if self.bytes() <= self.max_bytes {
            return;
        }
        // If it is locked, another thread reclaims, or a room is added: the next frame brings it about.
        let Some(owners) = self.owners.try_lock() else { return };
        let owners = owners.iter().filter_map(Weak::upgrade);
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

    struct Owner(Mutex<FrameBuffer>);

    impl BufferOwner for Owner {
        fn last_read(&self) -> Instant {
            self.0.lock().last_read()
        }

        fn evict_while(&self, is_needed: &dyn Fn() -> bool) {
            let mut buffer = self.0.lock();
            while is_needed() && buffer.pop_oldest().is_some() {}
        }
    }

    impl Owner {
        fn new(buffers: &NodeBuffers) -> Arc<Self> {
            let owner = Arc::new(Self(Mutex::new(FrameBuffer::new(true, buffers.counter()))));
            let as_owner: Arc<dyn BufferOwner> = owner.clone();
            buffers.add(Arc::downgrade(&as_owner));
            owner
        }

        fn push(&self, buffers: &NodeBuffers) {
            self.0.lock().push(Frame::ephemeral(Event::foreign(&[0; 1000], 1)));
            buffers.reclaim();
        }

        fn read(&self) {
            let buffer = self.0.lock();
            assert!(buffer.frames_from(buffer.start(), usize::MAX).is_some());
        }

        fn frames(&self) -> u64 {
            let buffer = self.0.lock();
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
