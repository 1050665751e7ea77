//! Room names, and streams that merge several rooms.

pub mod merged;
mod merged_frames;
mod merged_gaps;
mod merged_outages;
mod names;
