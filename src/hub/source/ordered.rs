//! Merged rooms in the order of one URL. The frames are those of the set of rooms, whatever their order; only the ids in
//! their cursors are put in order.

use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::lookup::{Lookup, Missed, NotBuffered};
use super::merged::MergedRooms;
use crate::chat::{Cursor, Rooms};
use crate::hub::room::RoomGuard;
use crate::hub::room::buffer::Frame;
use crate::hub::weak_table::{WeakEntry, WeakTable};
use crate::sse::Form;

/// Merged rooms in the order of one URL.
pub struct OrderedRooms {
    names: Rooms,
    rooms: Vec<RoomGuard>,
    merged: Arc<MergedRooms>,
    order: Order,
    _entry: WeakEntry<Rooms, OrderedRooms>,
}

/// The order of the ids in a cursor, compared with that of the merged rooms.
pub struct Order {
    /// For each room its index among the merged rooms.
    merged_indexes: Vec<usize>,
}

impl OrderedRooms {
    /// Puts merged rooms in the order of these names, and adds them to a table. `rooms` are in this order already.
    pub fn new(
        names: Rooms,
        rooms: Vec<RoomGuard>,
        merged: Arc<MergedRooms>,
        table: &WeakTable<Rooms, Self>,
    ) -> Arc<Self> {
        let index = |name| merged.names().iter().position(|other| other == name);
        let order = Order { merged_indexes: names.iter().filter_map(index).collect() };
        Arc::new_cyclic(|ordered: &Weak<Self>| Self {
            rooms,
            merged,
            order,
            _entry: table.insert(names.clone(), ordered.clone()),
            names,
        })
    }

    /// Returns the names of the rooms, in the order of the ids in a cursor.
    pub fn names(&self) -> &Rooms {
        &self.names
    }

    /// Returns the rooms, in the same order.
    pub fn rooms(&self) -> &[RoomGuard] {
        &self.rooms
    }

    /// Returns the rooms as they are merged.
    pub fn merged(&self) -> &Arc<MergedRooms> {
        &self.merged
    }

    /// Returns the order of the ids in a cursor; `None` if it is that of the merged rooms.
    pub fn order(&self) -> Option<&Order> {
        Some(&self.order).filter(|_| self.names != *self.merged.names())
    }

    /// Looks up a cursor: what was missed in each room, up to the point that merging has reached.
    ///
    /// # Errors
    /// If a room's frames do not reach back to the cursor.
    pub fn look_up(&self, cursor: &Cursor) -> Result<Lookup, NotBuffered> {
        let Some(order) = self.order() else {
            return self.merged.look_up(cursor);
        };
        let room = |merged_index| order.merged_indexes.iter().position(|index| *index == merged_index).unwrap_or(0);
        let lookup = self.merged.look_up(&order.of_merged(cursor));
        let lookup = lookup.map_err(|NotBuffered(index)| NotBuffered(room(index)))?;
        let reorder = |missed: Missed| Missed { room: room(missed.room), ..missed };
        Ok(Lookup { missed: lookup.missed.into_iter().map(reorder).collect(), ..lookup })
    }
}

impl Order {
    /// Encodes a frame with its cursor in this order, and returns that as well.
    pub fn encode(&self, frame: &Frame, form: Form) -> (Bytes, Option<Cursor>) {
        let reorder = |merged: &Cursor| self.merged_indexes.iter().map(|index| merged.of(*index)).collect();
        let cursor: Option<Cursor> = frame.cursor.as_ref().map(reorder);
        (frame.encode_with(cursor.as_ref(), form), cursor)
    }

    /// Returns a cursor in the order of the merged rooms.
    fn of_merged(&self, cursor: &Cursor) -> Cursor {
        let mut merged = Cursor::zero(self.merged_indexes.len());
        for (index, merged_index) in self.merged_indexes.iter().enumerate() {
            merged.set(*merged_index, cursor.of(index));
        }
        merged
    }
}
