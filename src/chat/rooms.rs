use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::{NotARoom, RoomName};

/// The most rooms that one stream has.
const MOST: usize = 16;

/// The rooms of one stream, in the order of its URL: 1 to 16, all different.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rooms(Arc<[RoomName]>);

/// Why a text is no list of rooms; displayed, it is the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRooms {
    /// One of them is no room.
    NotARoom(NotARoom),
    /// There are too many, or one of them twice.
    Number,
}

impl Rooms {
    /// Reads one path segment as it stands in a URL: names separated by commas, escaped or not,
    /// since a comma cannot stand in a name.
    pub fn from_path(segment: &str) -> Result<Self, NotRooms> {
        let text = percent_decode_str(segment).decode_utf8().map_err(|_| NotRooms::NotARoom(NotARoom::Malformed))?;
        let rooms: Result<Vec<_>, _> = text.split(',').map(RoomName::parse).collect();
        let rooms = rooms.map_err(NotRooms::NotARoom)?;
        let twice = rooms.iter().enumerate().any(|(at, room)| rooms[..at].contains(room));
        match rooms.len() <= MOST && !twice {
            true => Ok(Self(rooms.into())),
            false => Err(NotRooms::Number),
        }
    }

    /// Whether events have to name their room.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }
}

impl From<RoomName> for Rooms {
    fn from(room: RoomName) -> Self {
        Self([room].into())
    }
}

impl std::ops::Deref for Rooms {
    type Target = [RoomName];

    fn deref(&self) -> &[RoomName] {
        &self.0
    }
}

impl fmt::Display for NotRooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotRooms::NotARoom(why) => why.fmt(f),
            NotRooms::Number => write!(f, "One stream has 1 to {MOST} different rooms, separated by commas."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_to_sixteen_different_rooms_are_read_in_their_order() {
        let names = |segment: &str| Rooms::from_path(segment).map(|rooms| rooms.join_names());
        assert_eq!(names("b,a%2Ccaf%C3%A9"), Ok("b a café".into()));
        let numbered = |count: usize| (1..=count).map(|n| format!("r{n}")).collect::<Vec<_>>().join(",");
        assert!(names(&numbered(16)).is_ok());
        assert_eq!(names(&numbered(17)), Err(NotRooms::Number));
        assert_eq!(names("a,b,a"), Err(NotRooms::Number));
        assert_eq!(names("caf%C3%A9,cafe%CC%81"), Err(NotRooms::Number));
        assert_eq!(names("a,"), Err(NotRooms::NotARoom(NotARoom::Malformed)));
        assert_eq!(names("a,metrics"), Err(NotRooms::NotARoom(NotARoom::Reserved)));
    }

    impl Rooms {
        fn join_names(&self) -> String {
            self.iter().map(RoomName::as_str).collect::<Vec<_>>().join(" ")
        }
    }
}
