//! The words of the chat: room names, ids, drafts and messages.
//!
//! Everything here is parsed at the edge into a type that cannot be wrong, or refused with an
//! [`Invalid`] that names the rule. Nothing here does I/O.

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
