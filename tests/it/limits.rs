//! Rate limits, stream limits, and attacks on memory, files and time.

pub mod backoff;
mod exhaustion;
pub mod rate;
mod shared;
