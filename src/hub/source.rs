//! What a subscriber reads: the frames of one room, or of several rooms merged into one buffer.

pub mod by_names;
pub mod lookup;
pub mod merged;
pub mod ordered;

use std::sync::Arc;

use bytes::Bytes;

use super::changes::Changes;
use super::room::buffer::{FrameBuffer, Position};
use super::room::{Room, RoomGuard};
use crate::chat::{Cursor, Rooms};
use crate::sse::{Block, Event, Form};
use lookup::{Lookup, NotBuffered};
use ordered::{Order, OrderedRooms};

/// One room or merged rooms. Its rooms stay in memory for as long as it is held.
#[derive(Clone)]
pub enum Source {
    /// The frames of one room.
    Room(RoomGuard),
    /// Frames made from those of several rooms.
    Merged(Arc<OrderedRooms>),
}

impl Source {
    /// Returns the names of the rooms, in the order of the ids in a cursor.
    pub fn names(&self) -> &Rooms {
        match self {
            Source::Room(room) => room.names(),
            Source::Merged(merged) => merged.names(),
        }
    }

    /// Returns the rooms, in the same order.
    pub fn rooms(&self) -> &[RoomGuard] {
        match self {
            Source::Room(room) => std::slice::from_ref(room),
            Source::Merged(merged) => merged.rooms(),
        }
    }

    /// Returns the room with this index.
    pub fn room(&self, index: usize) -> &Arc<Room> {
        &self.rooms()[index]
    }

    /// Returns the number of subscribers on this node, and of their fan-outs. Arriving subscribers are counted twice: once
    /// by the guard of their handoff, once by their own.
    pub fn subscribers(&self) -> usize {
        match self {
            Source::Room(room) => room.usage().guards(),
            Source::Merged(merged) => Arc::strong_count(merged),
        }
    }

    /// Returns what notifies when there may be new frames or a new status.
    pub fn changes(&self) -> &Changes {
        match self {
            Source::Room(room) => room.changes(),
            Source::Merged(merged) => merged.merged().changes(),
        }
    }

    /// Calls a function with the frames, which are locked for as long as it runs.
    pub fn with_buffer<T>(&self, function: impl FnOnce(&FrameBuffer) -> T) -> T {
        match self {
            Source::Room(room) => function(room.log().buffer()),
            Source::Merged(merged) => function(merged.merged().frames().buffer()),
        }
    }

    /// Forgets the frames before this position, which all subscribers have, if they are ephemeral and there are no others: a
    /// silent room takes no memory for them.
    pub fn forget_ephemeral(&self, end: Position) {
        match self {
            Source::Room(room) => room.log().forget_ephemeral(end),
            Source::Merged(_) => {}
        }
    }

    /// Returns true if the lag of a subscriber at this position was caused by this node catching up.
    pub fn is_node_lag(&self, position: Position) -> bool {
        match self {
            Source::Room(room) => room.log().is_node_lag(position),
            Source::Merged(merged) => merged.merged().frames().is_node_lag(position),
        }
    }

    /// Returns the order in which the frames' cursors have to be put, if that is not theirs.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Source::Room(_) => None,
            Source::Merged(merged) => merged.order(),
        }
    }

    /// Looks up the position after a cursor.
    ///
    /// # Errors
    /// If a room's frames do not reach back to it, so that its log has to be read.
    pub fn look_up(&self, cursor: &Cursor) -> Result<Lookup, NotBuffered> {
        match self {
            Source::Merged(merged) => merged.look_up(cursor),
            Source::Room(room) => {
                let log = room.log();
                let position = Some(log.position_after(cursor.of(0)).ok_or(NotBuffered(0))?);
                let live_from = log.buffer().end();
                Ok(Lookup { missed: Vec::new(), position, live_from })
            }
        }
    }

    /// Encodes an event of one room for one subscriber; `cursor` is the subscriber's after it, if the event moves it.
    pub fn encode(&self, index: usize, event: &Event, cursor: Option<&Cursor>, form: Form) -> Bytes {
        let room = match self {
            Source::Room(_) => None,
            Source::Merged(merged) => merged.names().get(index),
        };
        form.encode(&Block { retry_ms: None, cursor, room, event })
    }
}
