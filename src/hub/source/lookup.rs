//! The result of looking up a cursor among the frames of a source.

use std::sync::Arc;

use crate::chat::Id;
use crate::hub::room::buffer::Position;
use crate::sse::Event;

/// Where a subscriber continues.
pub struct Lookup {
    /// Frames between its cursor and the position, which it has missed.
    pub missed: Vec<Missed>,
    /// The position of the next frame; `None` if even more was missed.
    pub position: Option<Position>,
    /// The position from which on ephemeral frames are delivered as well.
    pub live_from: Position,
}

/// A frame that a subscriber has missed.
pub struct Missed {
    /// The index of the room.
    pub room: usize,
    /// The cursor in that room after the frame.
    pub id: Id,
    /// What it says; `None` for an entry without data.
    pub event: Option<Arc<Event>>,
}

/// The index of a room whose frames do not reach back to the cursor: its log has to be read.
#[derive(Debug, PartialEq, Eq)]
pub struct NotBuffered(pub usize);
