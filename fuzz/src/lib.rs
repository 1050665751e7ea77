//! Properties that hold for every input, one per file. Each has a function `check(bytes)` that panics if the property
//! does not hold.
//!
//! The fuzz targets run them without end or for a given time; `tests/it/tools/fuzz.rs` runs them with the corpus and
//! some thousand random inputs.

pub mod announcements;
pub mod bodies;
pub mod frames;
pub mod ids;
pub mod rooms;
mod stream;
pub mod streams;
