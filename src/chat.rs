//! Room names, message ids, cursors, messages with their marks, and types of events.
//!
//! Input is parsed into types that can only hold valid values, or rejected with an error that
//! states the rule it breaks. Nothing here does I/O.

mod article_chat;
mod cursor;
mod draft;
mod edit;
mod event_type;
mod id;
mod mark;
mod message;
mod room;
mod rooms;
mod text_line;
mod time_zone;

pub use article_chat::ArticleChat;
pub use cursor::Cursor;
pub use draft::{Draft, InvalidEvent};
pub use edit::{EDIT, Edit, MessageText};
pub use event_type::{EventType, InvalidEventType, UNTYPED};
pub use id::{Id, ParseIdError, parse_canonical};
pub use mark::{Mark, Salt, Secret};
pub use message::{Fields, InvalidField, MAX_MESSAGE_CHARS, MAX_SENDER_CHARS, Message, Name, unescape};
pub use room::{RoomName, RoomNameError};
pub use rooms::{MAX_ROOMS, Rooms, RoomsError};
pub use text_line::{push_text_line, to_visible_json, visible_line};
pub use time_zone::{TimeZone, TimeZoneError, parse_time};
