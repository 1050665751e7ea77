//! How far a subscriber has read in each of its rooms.

use std::fmt;

use smallvec::{SmallVec, smallvec};

use super::id::Id;

/// The id of the last message that a subscriber received from each of its rooms, in the order of the
/// rooms in its URL.
///
/// It is displayed as the ids separated by commas, so that a cursor in one room looks like an id.
#[derive(Debug, PartialEq, Eq)]
pub struct Cursor(SmallVec<[Id; 1]>);

impl Cursor {
    /// Returns the cursor before the first message of every room, for this number of rooms.
    pub fn zero(rooms: usize) -> Self {
        Self(smallvec![Id::ZERO; rooms])
    }

    /// Returns the id for the room with this index, or [`Id::ZERO`] if there is no such room.
    pub fn of(&self, room: usize) -> Id {
        self.0.get(room).copied().unwrap_or(Id::ZERO)
    }

    /// Sets the id for the room with this index.
    pub fn set(&mut self, room: usize, id: Id) {
        if let Some(current) = self.0.get_mut(room) {
            *current = id;
        }
    }
}

impl Clone for Cursor {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    /// Reuses the allocation, because every batch that is sent moves a cursor.
    fn clone_from(&mut self, other: &Self) {
        self.0.clone_from(&other.0);
    }
}

impl From<Id> for Cursor {
    fn from(id: Id) -> Self {
        Self(smallvec![id])
    }
}

impl FromIterator<Id> for Cursor {
    fn from_iter<T: IntoIterator<Item = Id>>(ids: T) -> Self {
        Self(ids.into_iter().collect())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (room, id) in self.0.iter().enumerate() {
            if room > 0 {
                f.write_str(",")?;
            }
            id.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_displayed_as_ids_separated_by_commas() {
        let id = |n| Id { ms: 7, n };
        assert_eq!(Cursor::from(id(1)).to_string(), "7-1");
        let mut cursor = Cursor::zero(3);
        cursor.set(1, id(2));
        assert_eq!(cursor.to_string(), "0-0,7-2,0-0");
        assert_eq!((cursor.of(1), cursor.of(2)), (id(2), Id::ZERO));
    }
}
