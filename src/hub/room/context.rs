//! What the rooms of a node share.

use std::sync::Arc;

use super::agenda::Agenda;
use super::node_buffers::NodeBuffers;
use super::processes::Processes;
use crate::hub::log_reader::LogReader;
use crate::metrics::Metrics;
use crate::sse::GapReason;

/// What the rooms of a node share.
pub struct RoomContext {
    /// Reads the rooms' logs.
    pub logs: LogReader,
    /// The processes that share the presence store.
    pub processes: Arc<Processes>,
    /// The rooms that the next tick looks at.
    pub agenda: Arc<Agenda>,
    /// The node's metrics.
    pub metrics: Arc<Metrics>,
    /// All frame buffers of the node.
    pub buffers: NodeBuffers,
}

impl RoomContext {
    /// Counts a gap event.
    pub fn count_gap(&self, reason: GapReason) {
        self.metrics.gaps.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts a resuming subscriber, by where its cursor was found.
    pub fn count_resume(&self, in_memory: bool) {
        let source = if in_memory { "memory" } else { "log" };
        self.metrics.resumes.with_label_values(&[source]).inc();
    }
}
