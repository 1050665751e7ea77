//! Room names, message ids, cursors and messages.
//!
//! Input is parsed into types that can only hold valid values, or rejected with an error that
//! states the rule it breaks. Nothing here does I/O.

mod cursor;
mod id;
mod message;
mod room;
mod rooms;

pub use cursor::Cursor;
pub use id::{Id, NotAnId};
pub use message::{Draft, Fields, Invalid, Message, Name};
pub use room::{NotARoom, RoomName};
pub use rooms::{NotRooms, Rooms};
