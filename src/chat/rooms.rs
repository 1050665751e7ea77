//! The list of rooms of one stream.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::room::{RoomName, RoomNameError};

/// The maximum number of rooms of one stream.
pub const MAX_ROOMS: usize = 16;

/// The rooms of one stream in the order of its URL: up to 16, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rooms(Arc<[RoomName]>);

/// The reason why a text is not a list of rooms. Its display states the rule to end users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomsError {
    /// One of the names is not a room name.
    Name(RoomNameError),
    /// There are too many rooms, or duplicates.
    Count,
}

impl Rooms {
    /// Parses a percent-encoded path segment of names separated by commas. The commas may be encoded
    /// too, since a name cannot contain one.
    ///
    /// # Errors
    /// If a name is invalid, there are too many, or one appears twice.
    pub fn from_path(segment: &str) -> Result<Self, RoomsError> {
        let text = percent_decode_str(segment).decode_utf8().map_err(|_| RoomsError::Name(RoomNameError::Malformed))?;
        let mut rooms = Vec::new();
        for name in text.split(',') {
            // Before the name is looked at: a path can hold thousands of them.
            if rooms.len() == MAX_ROOMS {
                return Err(RoomsError::Count);
            }
            let room = RoomName::parse(name).map_err(RoomsError::Name)?;
            if rooms.contains(&room) {
                return Err(RoomsError::Count);
            }
            rooms.push(room);
        }
        Ok(Self(rooms.into()))
    }

    /// Returns no rooms, for a stream of nothing but heartbeats.
    pub fn none() -> Self {
        Self([].into())
    }

    /// Returns the same rooms, sorted by their names.
    pub fn sorted(&self) -> Self {
        let mut rooms = self.0.to_vec();
        rooms.sort_unstable();
        Self(rooms.into())
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

impl fmt::Display for RoomsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomsError::Name(why) => why.fmt(f),
            RoomsError::Count => write!(f, "A stream must have 1 to {MAX_ROOMS} different rooms, separated by commas."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the parsed names separated by spaces.
    fn names(segment: &str) -> Result<String, RoomsError> {
        let rooms = Rooms::from_path(segment)?;
        Ok(rooms.iter().map(RoomName::as_str).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn up_to_16_different_rooms_are_parsed_in_order() {
        assert_eq!(names("b,a%2Ccaf%C3%A9"), Ok("b a café".into()));
        let numbered = |count: usize| (1..=count).map(|n| format!("r{n}")).collect::<Vec<_>>().join(",");
        assert!(names(&numbered(16)).is_ok());
        assert_eq!(names(&numbered(17)), Err(RoomsError::Count));
        assert_eq!(names("a,b,a"), Err(RoomsError::Count));
        assert_eq!(names("caf%C3%A9,cafe%CC%81"), Err(RoomsError::Count));
        assert_eq!(names("a,"), Err(RoomsError::Name(RoomNameError::Malformed)));
        assert_eq!(names("a,metrics"), Err(RoomsError::Name(RoomNameError::Reserved)));
    }

    #[test]
    fn the_17th_name_ends_the_parsing() {
        let seventeenth_is_invalid =
            format!("{},-,metrics", (1..=16).map(|n| format!("r{n}")).collect::<Vec<_>>().join(","));
        assert_eq!(names(&seventeenth_is_invalid), Err(RoomsError::Count));
        assert_eq!(names("a,a,-"), Err(RoomsError::Count));
    }
}
