//! The words of the chat: room names, ids, drafts and messages.
//!
//! Everything here is parsed at the edge into a type that cannot be wrong, or refused with an
//! [`Invalid`] that names the rule. Nothing here does I/O.

mod id;
mod message;
mod room;

pub use id::{Id, NotAnId};
pub use message::{Draft, Fields, Invalid, Message};
pub use room::{NotARoom, RoomName};
