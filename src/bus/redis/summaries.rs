//! Summaries in Redis: a hash for each ring of each process, and one of the processes.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use redis::{Script, cmd};

use super::connection::ThreadConnections;
use super::error::CallError;
use super::keys::Keys;
use super::scripts::{self, Announcing};
use crate::bus::error::Unavailable;
use crate::bus::summaries::{MAX_PROCESSES, Ring, StoredSummaries, SummaryStore, SummaryUpdate};

/// The field with what a process does now. Those of slots are numbers.
const STATE: &str = "state";

/// The summaries of one Redis.
pub struct RedisSummaries {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    script: Script,
}

impl RedisSummaries {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>, announcing: Announcing) -> Self {
        Self { keys, connections, script: announcing.script(scripts::WRITE_SUMMARY) }
    }

    async fn run_write(&self, process: &str, update: &SummaryUpdate) -> Result<(), CallError> {
        let processes = self.keys.summarized_processes();
        let mut call = self.script.key(&processes);
        call.arg(self.keys.dashboard_channel()).arg(process).arg(Ring::Week.span_ms()).arg(MAX_PROCESSES);
        for ring in Ring::ALL {
            let slots = update.slots.iter().filter(|(of, ..)| *of == ring);
            let mut fields: Vec<(String, &str)> =
                slots.map(|(_, start, slot)| (ring.place(*start).to_string(), slot.as_str())).collect();
            if ring == Ring::TenMinutes {
                fields.push((STATE.to_owned(), &update.state));
            }
            if fields.is_empty() {
                continue;
            }
            call.key(self.keys.summaries(process, ring.name())).arg(ring.span_ms()).arg(fields.len());
            for (field, value) in fields {
                call.arg(field).arg(value);
            }
        }
        self.connections.run(&processes, &call).await
    }

    async fn run_processes(&self) -> Result<Vec<(String, u64)>, CallError> {
        let key = self.keys.summarized_processes();
        let written: HashMap<String, String> = self.connections.command(&key, cmd("HGETALL").arg(&key)).await?;
        let written = written.into_iter().filter_map(|(process, at)| Some((process, at.parse().ok()?)));
        Ok(written.collect())
    }

    async fn run_read(&self, ring: Ring, process: &str) -> Result<StoredSummaries, CallError> {
        let key = self.keys.summaries(process, ring.name());
        let mut fields: HashMap<String, String> = self.connections.command(&key, cmd("HGETALL").arg(&key)).await?;
        let state = fields.remove(STATE);
        Ok(StoredSummaries { state, slots: fields.into_values().collect() })
    }
}

#[async_trait]
impl SummaryStore for RedisSummaries {
    fn is_shared(&self) -> bool {
        true
    }

    async fn write(&self, process: &str, update: &SummaryUpdate) -> Result<(), Unavailable> {
        let result = self.run_write(process, update).await;
        self.connections.calls().settle("write summary", None, result)
    }

    async fn processes(&self) -> Result<Vec<(String, u64)>, Unavailable> {
        let result = self.run_processes().await;
        self.connections.calls().settle("list summaries", None, result)
    }

    async fn read(&self, ring: Ring, processes: &[String]) -> Result<Vec<StoredSummaries>, Unavailable> {
        let result = try_join_all(processes.iter().map(|process| self.run_read(ring, process))).await;
        self.connections.calls().settle("read summaries", None, result)
    }
}
