//! Whether a room is in use, and since when it is not.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

/// Counts the guards of a room, which keep it in memory.
pub struct Usage {
    guards: AtomicUsize,
    last_dropped: Mutex<Instant>,
}

impl Usage {
    /// Creates the usage of a room that was created now.
    pub fn new(now: Instant) -> Self {
        Self { guards: AtomicUsize::new(0), last_dropped: Mutex::new(now) }
    }

    /// Counts one more guard.
    pub fn add_guard(&self) {
        self.guards.fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one guard less. Returns true if it was the last one.
    pub fn drop_guard(&self) -> bool {
        *self.last_dropped.lock() = Instant::now();
        self.guards.fetch_sub(1, Ordering::SeqCst) == 1
    }

    /// Returns the number of guards. A subscriber holds one, and a second one during its handoff to a worker.
    pub fn guards(&self) -> usize {
        self.guards.load(Ordering::SeqCst)
    }

    /// Returns true if there has been no guard since `limit`.
    pub fn is_unused_since(&self, limit: Instant) -> bool {
        self.guards() == 0 && *self.last_dropped.lock() <= limit
    }
}
