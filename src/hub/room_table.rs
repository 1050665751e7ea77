//! The rooms of a node by name, in slices of about the same size, so that all of them can be looked at a few at a time.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashTable;
use parking_lot::Mutex;

use super::room::{Room, RoomGuard};
use crate::chat::RoomName;
use crate::shrink::smaller_capacity;

/// The rooms of a node. A name is hashed once, for its slice and its place there.
pub struct RoomTable {
    slices: Box<[Mutex<HashTable<Arc<Room>>>]>,
    hasher: RandomState,
}

impl RoomTable {
    /// Creates a table without rooms that has this many slices.
    pub fn new(slices: usize) -> Self {
        Self { slices: (0..slices).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    /// Returns a room.
    pub fn get(&self, name: &str) -> Option<Arc<Room>> {
        let hash = self.hash(name);
        self.slice_of(hash).lock().find(hash, |room| room.name().as_str() == name).cloned()
    }

    /// Returns the rooms of a slice.
    pub fn slice(&self, index: usize) -> Vec<Arc<Room>> {
        self.slices[index].lock().iter().cloned().collect()
    }

    /// Returns all rooms.
    pub fn all(&self) -> Vec<Arc<Room>> {
        (0..self.slices.len()).flat_map(|index| self.slice(index)).collect()
    }

    /// Enters a room. If there is none of this name, creates it, and returns true.
    pub fn enter(&self, name: &RoomName, create: impl FnOnce() -> Arc<Room>) -> (RoomGuard, bool) {
        let hash = self.hash(name.as_str());
        let mut slice = self.slice_of(hash).lock();
        if let Some(room) = slice.find(hash, |room| room.name() == name) {
            return (room.clone().enter(), false);
        }
        let room = create();
        slice.insert_unique(hash, room.clone(), |room| self.hash(room.name().as_str()));
        (room.enter(), true)
    }

    /// Removes a room if it was not in use since then, and returns true. No room of its name can be entered before
    /// `on_removed` has returned.
    pub fn remove_if_unused(&self, room: &Room, since: Instant, on_removed: impl FnOnce()) -> bool {
        let hash = self.hash(room.name().as_str());
        let mut slice = self.slice_of(hash).lock();
        if !room.usage().is_unused_since(since) {
            return false;
        }
        let Ok(entry) = slice.find_entry(hash, |other| other.name() == room.name()) else {
            return false;
        };
        entry.remove();
        if let Some(capacity) = smaller_capacity(slice.len(), slice.capacity()) {
            slice.shrink_to(capacity, |room| self.hash(room.name().as_str()));
        }
        on_removed();
        true
    }

    fn hash(&self, name: &str) -> u64 {
        self.hasher.hash_one(name)
    }

    fn slice_of(&self, hash: u64) -> &Mutex<HashTable<Arc<Room>>> {
        let upper = hash >> 32; // the lower half is for the place in the slice
        &self.slices[upper as usize % self.slices.len()]
    }
}
