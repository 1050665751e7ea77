//! Summaries of what this process does, which it keeps in the store every 10 s, and reports made of those of all
//! processes. Nothing else keeps a history.
//!
//! - `summary/totals.rs`: what is summed up, and how two summaries become one; pure
//! - `summary/latency.rs`: percentiles of a histogram; pure
//! - `summary/reading.rs`: the metrics of this process at one time
//! - `summary/history.rs`: the newest slot of each ring; pure
//! - `summary/busy_rooms.rs`: the rooms with the most subscribers and frames; pure
//! - `summary/state.rs`: what a process tells about itself
//! - `summary/values.rs`: the values of plots, of one or more summaries; pure
//! - `summary/writer.rs`: the task that samples and writes
//! - `summary/report.rs`: a time series for nodes and keys, made of what the store has; pure

mod busy_rooms;
mod history;
mod latency;
mod reading;
mod report;
mod state;
mod totals;
mod values;
mod writer;

pub use report::{Report, ReportQuery, report};
pub use writer::run;
