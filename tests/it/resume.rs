//! Resuming after a cursor: replay, gaps, and the splice of replay and live.

mod cursors;
mod gaps;
mod lineage;
mod manual_edits;
mod model;
mod splice;
mod storm;
