//! What holds for every input, one property a file: `hold(bytes)` returns, or panics where it does not hold.
//!
//! Two programs use this text: the fuzz targets beside it, which run for as long as one likes, and
//! `tests/it/fuzz.rs`, which tries the corpus and some thousand inputs more in every test run.

pub mod announcements;
pub mod bodies;
pub mod frames;
pub mod ids;
pub mod rooms;
mod stream;
