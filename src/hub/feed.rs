use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::room::{Room, Stay};
use super::several::Several;
use super::tape::{Position, Tape};
use crate::chat::{Cursor, Rooms};
use crate::sse;

/// What a reader reads: one room, or several merged into one. The rooms stay in memory for as long as
/// somebody holds it.
#[derive(Clone)]
pub enum Feed {
    /// A room's own frames.
    One(Stay),
    /// Frames made of those of several rooms.
    Several(Arc<Several>),
}

/// A reader's place among the frames of its feed.
pub struct Found {
    /// What comes before that position and the reader lacks.
    pub lacking: Vec<Bytes>,
    /// Its place after these.
    pub place: Cursor,
    /// The position of the next frame; `None` where even more is lacking.
    pub at: Option<Position>,
    /// The position from which on it gets what is not in a log, too.
    pub joined: Position,
}

/// The index of a room whose frames do not reach back to the reader's place: its log has to be read.
#[derive(Debug, PartialEq, Eq)]
pub struct NotHeld(pub usize);

impl Feed {
    /// The names of its rooms, in the order of the places.
    pub fn names(&self) -> &Rooms {
        match self {
            Feed::One(room) => room.names(),
            Feed::Several(several) => several.names(),
        }
    }

    /// Its rooms.
    pub fn rooms(&self) -> &[Stay] {
        match self {
            Feed::One(room) => std::slice::from_ref(room),
            Feed::Several(several) => several.rooms(),
        }
    }

    /// How many readers it has on this node, those that are arriving counted twice.
    pub fn readers(&self) -> usize {
        match self {
            Feed::One(room) => room.stays(),
            Feed::Several(several) => Arc::strong_count(several),
        }
    }

    /// The room with this index.
    pub fn room(&self, member: usize) -> &Arc<Room> {
        &self.rooms()[member]
    }

    /// Wakes whenever there may be new frames or a new status.
    pub fn changes(&self) -> watch::Receiver<()> {
        match self {
            Feed::One(room) => room.changes(),
            Feed::Several(several) => several.changes(),
        }
    }

    /// Looks at the frames. They are held for as long, so it must not take long.
    pub fn tape<T>(&self, look: impl FnOnce(&Tape) -> T) -> T {
        match self {
            Feed::One(room) => look(room.log().tape()),
            Feed::Several(several) => look(several.merged().tape()),
        }
    }

    /// Whether a reader at this position is behind through no fault of its own.
    pub fn excuses(&self, position: Position) -> bool {
        match self {
            Feed::One(room) => room.log().excuses(position),
            Feed::Several(several) => several.merged().excuses(position),
        }
    }

    /// Looks for a reader's place.
    ///
    /// # Errors
    /// When it is not held.
    pub fn find(&self, place: &Cursor) -> Result<Found, NotHeld> {
        match self {
            Feed::Several(several) => several.find(place),
            Feed::One(room) => {
                let log = room.log();
                let at = Some(log.position_after(place.of(0)).ok_or(NotHeld(0))?);
                Ok(Found { lacking: Vec::new(), place: place.clone(), at, joined: log.tape().end() })
            }
        }
    }

    /// A frame of one of the rooms as it stands in this feed, where it moves the reader to `place`.
    pub fn frame(&self, member: usize, frame: Bytes, place: &Cursor) -> Bytes {
        match self {
            Feed::One(_) => frame,
            Feed::Several(several) => sse::of_several(&frame, &several.names()[member], place),
        }
    }
}
