//! What a process tells about itself with each summary.

use serde::{Deserialize, Serialize};

use super::busy_rooms::BusyRoom;
use super::totals::Summary;

/// A process as it was when it wrote last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The node's name, which several processes may have.
    pub node: String,
    /// The version that runs.
    pub version: String,
    /// When the process began, in Unix milliseconds.
    pub started: u64,
    /// Whether the node is about to end.
    pub leaving: bool,
    /// What happened in the last seconds.
    pub sample: Summary,
    /// Its busiest rooms.
    pub rooms: Vec<BusyRoom>,
}
