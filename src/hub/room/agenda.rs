//! The rooms that the next tick has to look at, so that a room where nothing changes costs nothing.

use std::collections::HashSet;

use parking_lot::Mutex;

use crate::chat::RoomName;

/// A set of rooms.
#[derive(Debug, Default)]
pub struct Agenda(Mutex<HashSet<RoomName>>);

impl Agenda {
    /// Adds a room.
    pub fn add(&self, room: &RoomName) {
        let mut rooms = self.0.lock();
        if !rooms.contains(room) {
            rooms.insert(room.clone());
        }
    }

    /// Removes and returns all rooms.
    pub fn take(&self) -> HashSet<RoomName> {
        std::mem::take(&mut *self.0.lock())
    }
}
