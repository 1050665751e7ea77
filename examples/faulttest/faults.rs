//! The faults of a run.

use tokio::time::Instant;

/// A fault that was tried.
#[derive(Debug, Clone)]
pub struct FaultRecord {
    pub name: &'static str,
    pub begun: Instant,
    pub ended: Instant,
    /// Whether Redis itself may lose acknowledged messages.
    pub loses: bool,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Ran,
    NotRun(String),
}
