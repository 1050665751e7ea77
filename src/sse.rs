//! The wire format of a stream: frames as bytes, without I/O.
//!
//! `frame.rs` encodes a frame of one room. `merged.rs` encodes it again for a stream of several rooms.

mod frame;
mod merged;
#[cfg(test)]
mod parser;

pub use frame::{
    BackoffReason, GapReason, backoff, cursor, entry, foreign, gap, heartbeat, opening, presence, status, user_joined,
    user_left,
};
pub use merged::{for_merged_rooms, with_cursor};
