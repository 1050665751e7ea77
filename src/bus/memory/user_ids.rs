//! User ids of a single process.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use crate::bus::error::Unavailable;
use crate::bus::user_ids::UserIds;

/// A counter that goes on from the time at which it was created: after a restart it gives out none of the ids that it
/// gave out before, unless the clock was set back.
pub struct MemoryUserIds {
    start: u64,
    last: AtomicU64,
}

impl MemoryUserIds {
    /// Creates a counter whose first id comes after `start`, in Unix milliseconds.
    pub fn new(start: u64) -> Self {
        Self { start, last: AtomicU64::new(start) }
    }
}

#[async_trait]
impl UserIds for MemoryUserIds {
    async fn next(&self) -> Result<u64, Unavailable> {
        Ok(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    async fn was_given_out(&self, id: u64) -> Result<bool, Unavailable> {
        Ok(self.start < id && id <= self.last.load(Ordering::Relaxed))
    }
}
