//! What the rooms of a node share.

use std::sync::Arc;

use super::agenda::Agenda;
use super::node_buffers::NodeBuffers;
use super::processes::Processes;
use crate::chat::RoomName;
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
    pub agenda: Agenda,
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

    /// Counts and logs a gap that was found while subscribers were connected.
    pub fn report_gap(&self, room: &RoomName, gap: Option<GapReason>) {
        if let Some(reason) = gap {
            self.count_gap(reason);
            tracing::warn!(%room, reason = reason.as_str(), "the log was trimmed or lost while subscribers were connected; sending them a gap event");
        }
    }

    /// Counts a resuming subscriber, by where its cursor was found.
    pub fn count_resume(&self, in_memory: bool) {
        let source = if in_memory { "memory" } else { "log" };
        self.metrics.resumes.with_label_values(&[source]).inc();
    }
}
