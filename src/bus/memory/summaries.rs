//! Summaries of a single process.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::bus::error::Unavailable;
use crate::bus::log::unix_ms;
use crate::bus::summaries::{Ring, StoredSummaries, SummaryStore, SummaryUpdate};

/// The summaries of this process. The writer has to notify the readers.
#[derive(Default)]
pub struct MemorySummaries(Mutex<Option<Written>>);

struct Written {
    process: String,
    at: u64,
    state: String,
    slots: HashMap<(Ring, u64), String>,
}

#[async_trait]
impl SummaryStore for MemorySummaries {
    fn is_shared(&self) -> bool {
        false
    }

    async fn write(&self, process: &str, update: &SummaryUpdate) -> Result<(), Unavailable> {
        let mut written = self.0.lock();
        let mut slots = written.take().map(|written| written.slots).unwrap_or_default();
        slots.extend(update.slots.iter().map(|(ring, start, slot)| ((*ring, ring.place(*start)), slot.clone())));
        *written = Some(Written { process: process.into(), at: unix_ms(), state: update.state.clone(), slots });
        Ok(())
    }

    async fn processes(&self) -> Result<Vec<(String, u64)>, Unavailable> {
        Ok(self.0.lock().iter().map(|written| (written.process.clone(), written.at)).collect())
    }

    async fn read(&self, ring: Ring, processes: &[String]) -> Result<Vec<StoredSummaries>, Unavailable> {
        let written = self.0.lock();
        let read = |process: &String| match &*written {
            Some(written) if written.process == *process => StoredSummaries {
                state: Some(written.state.clone()).filter(|_| ring == Ring::TenMinutes),
                slots: written.slots.iter().filter(|((of, _), _)| *of == ring).map(|(_, slot)| slot.clone()).collect(),
            },
            _ => StoredSummaries::default(),
        };
        Ok(processes.iter().map(read).collect())
    }
}
