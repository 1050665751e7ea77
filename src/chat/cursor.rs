use std::fmt;

use smallvec::{SmallVec, smallvec};

use super::Id;

/// A reader's place: the last id of each of its rooms, in the order of its URL. Written with commas
/// in between, so that the place in one room is written as the id.
#[derive(Debug, PartialEq, Eq)]
pub struct Cursor(SmallVec<[Id; 1]>);

impl Cursor {
    /// The place before the first message of so many rooms.
    pub fn zero(rooms: usize) -> Self {
        Self(smallvec![Id::ZERO; rooms])
    }

    /// The place in the room with this index.
    pub fn of(&self, room: usize) -> Id {
        self.0.get(room).copied().unwrap_or(Id::ZERO)
    }

    /// Moves the place in one room.
    pub fn set(&mut self, room: usize, id: Id) {
        if let Some(place) = self.0.get_mut(room) {
            *place = id;
        }
    }
}

impl Clone for Cursor {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }

    /// Keeps the list: every delivery moves a place.
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
        for (at, id) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{id}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_one_room_is_written_as_its_id_and_in_several_as_a_list() {
        let id = |n| Id { ms: 7, n };
        assert_eq!(Cursor::from(id(1)).to_string(), "7-1");
        let mut cursor = Cursor::zero(3);
        cursor.set(1, id(2));
        assert_eq!(cursor.to_string(), "0-0,7-2,0-0");
        assert_eq!((cursor.of(1), cursor.of(2)), (id(2), Id::ZERO));
    }
}
