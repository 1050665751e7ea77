//! The rooms of a node by name, in slices of about the same size, so that all of them can be looked at a few at a time.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::room::{Room, RoomGuard};
use crate::chat::RoomName;
use crate::shrink::Shrink;

type Slice = Mutex<HashMap<RoomName, Arc<Room>>>;

/// The rooms of a node.
pub struct RoomTable {
    slices: Box<[Slice]>,
    hasher: RandomState,
}

impl RoomTable {
    /// Creates a table without rooms that has this many slices.
    pub fn new(slices: usize) -> Self {
        Self { slices: (0..slices).map(|_| Slice::default()).collect(), hasher: RandomState::new() }
    }

    /// Returns a room.
    pub fn get(&self, name: &str) -> Option<Arc<Room>> {
        self.slice_of(name).lock().get(name).cloned()
    }

    /// Returns the rooms of a slice.
    pub fn slice(&self, index: usize) -> Vec<Arc<Room>> {
        self.slices[index].lock().values().cloned().collect()
    }

    /// Returns all rooms.
    pub fn all(&self) -> Vec<Arc<Room>> {
        (0..self.slices.len()).flat_map(|index| self.slice(index)).collect()
    }

    /// Enters a room. If there is none of this name, creates it, and returns true.
    pub fn enter(&self, name: &RoomName, create: impl FnOnce() -> Arc<Room>) -> (RoomGuard, bool) {
        let mut slice = self.slice_of(name.as_str()).lock();
        if let Some(room) = slice.get(name) {
            return (room.clone().enter(), false);
        }
        let room = create();
        slice.insert(name.clone(), room.clone());
        (room.enter(), true)
    }

    /// Removes a room if it was not in use since then, and returns true. No room of its name can be entered before
    /// `on_removed` has returned.
    pub fn remove_if_unused(&self, room: &Room, since: Instant, on_removed: impl FnOnce()) -> bool {
        let mut slice = self.slice_of(room.name().as_str()).lock();
        if !room.is_unused_since(since) || slice.remove(room.name()).is_none() {
            return false;
        }
        slice.shrink_if_sparse();
        on_removed();
        true
    }

    fn slice_of(&self, name: &str) -> &Slice {
        &self.slices[self.hasher.hash_one(name) as usize % self.slices.len()]
    }
}
