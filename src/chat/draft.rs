//! What is published: a message, or an event of an app.

use std::borrow::Cow;
use std::fmt::Write;

use memchr::memchr2_iter;

use super::event_type::EventType;
use super::mark::Mark;
use super::message::{Fields, InvalidField, Message, escape, validate_key, validate_message, validate_sender};

/// The largest frame of an event, in bytes. Each line break in its data is one more line of the frame.
const MAX_FRAME_BYTES: usize = 128 << 10;

/// The bytes of a frame beside its data and its type: those of its longest id and of its field names.
const FRAME_OVERHEAD_BYTES: usize = 64;

/// A valid message or event that is not stored yet and so has no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    kind: Cow<'static, str>,
    data: String,
    key: Option<String>,
}

/// The reason why an event of an app cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidEvent {
    /// Its frame would be too large.
    TooLarge,
    /// Its idempotency key breaks the rule.
    Key,
}

impl Draft {
    /// Validates the fields of a message, and escapes `sender` and `message` for HTML.
    ///
    /// Nothing else escapes what is stored, so every client receives text that is safe even if it
    /// is inserted as HTML. Lengths count Unicode scalar values before escaping.
    ///
    /// # Errors
    /// Returns the first field that is invalid.
    pub fn new(fields: &Fields) -> Result<Self, InvalidField> {
        let message = Message {
            sender: escape(validate_sender(fields.sender.as_deref().unwrap_or_default())?),
            message: escape(validate_message(fields.message.as_deref().unwrap_or_default())?),
            key: fields.key.as_deref().map(validate_key).transpose()?.map(str::to_owned),
            mark: None,
            edited: false,
        };
        if fields.secret.as_ref().is_some_and(|secret| !secret.is_valid()) {
            return Err(InvalidField::Secret);
        }
        let data = serde_json::to_string(&message).map_err(|_| InvalidField::Message)?;
        Ok(Self { kind: Cow::Borrowed(""), data, key: message.key })
    }

    /// Adds the mark of the secret that came with a message, as the last member of its data.
    pub fn with_mark(mut self, mark: &Mark) -> Self {
        self.data.pop(); // the brace
        // Writing to a String cannot fail.
        let _ = write!(self.data, ",\"mark\":\"{mark}\"}}");
        self
    }

    /// Creates the draft of an app's event, whose data is any text and is not escaped.
    ///
    /// # Errors
    /// If its frame would have more than 128 KiB, or the idempotency key is not valid.
    pub fn event(kind: EventType, data: String, key: Option<String>) -> Result<Self, InvalidEvent> {
        if let Some(key) = &key {
            validate_key(key).map_err(|_| InvalidEvent::Key)?;
        }
        let lines = 1 + memchr2_iter(b'\n', b'\r', data.as_bytes()).count();
        let frame = FRAME_OVERHEAD_BYTES + kind.stored().len() + data.len() + lines * "data: ".len();
        if frame > MAX_FRAME_BYTES {
            return Err(InvalidEvent::TooLarge);
        }
        Ok(Self { kind: kind.into_stored(), data, key })
    }

    /// Returns the type that is stored: empty for a message.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns the data as it is stored and streamed: of a message, a [`Message`] as one line of JSON.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// Returns the idempotency key, if the client sent one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the idempotency key if the data does not have it: that of a message does.
    pub fn key_beside_data(&self) -> Option<&str> {
        self.key().filter(|_| !self.kind.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::mark::{Salt, Secret};

    #[test]
    fn a_mark_is_the_last_member_of_a_message() {
        let (secret, salt) = (Secret::new("0123456789abcdef".into()), Salt::random());
        let fields = Fields { message: Some("hi}".into()), key: Some("k".into()), ..Fields::default() };
        let mark = Mark::new(&salt, &secret);
        let draft = Draft::new(&Fields { secret: Some(secret), ..fields.clone() }).unwrap().with_mark(&mark);
        let expected = format!(r#"{{"sender":"Anonymous","message":"hi}}","key":"k","mark":"{mark}"}}"#);
        assert_eq!(draft.data(), expected);
        assert_eq!(Message::parse(draft.data()).unwrap().mark, Some(mark.to_string()));
        let bad = Fields { secret: Some(Secret::new("short".into())), ..fields };
        assert_eq!(Draft::new(&bad), Err(InvalidField::Secret));
    }

    fn event(data: String, key: Option<&str>) -> Result<Draft, InvalidEvent> {
        Draft::event(EventType::parse("note").unwrap(), data, key.map(str::to_owned))
    }

    #[test]
    fn an_event_keeps_its_data_as_it_is() {
        let data = "<b>&\r\n\u{0}";
        let draft = event(data.to_owned(), Some("k")).unwrap();
        assert_eq!((draft.kind(), draft.data(), draft.key()), ("note", data, Some("k")));
        let untyped = Draft::event(EventType::parse("").unwrap(), String::new(), None).unwrap();
        assert_eq!((untyped.kind(), untyped.data(), untyped.key()), ("message", "", None));
    }

    #[test]
    fn each_line_counts_for_the_size_of_a_frame() {
        assert!(event("x".repeat(64 << 10), None).is_ok());
        assert!(event("\n".repeat(17 << 10), None).is_ok());
        assert_eq!(event("\n".repeat(64 << 10), None), Err(InvalidEvent::TooLarge));
        assert_eq!(event("\r".repeat(64 << 10), None), Err(InvalidEvent::TooLarge));
    }

    #[test]
    fn an_event_has_the_idempotency_keys_of_a_message() {
        assert_eq!(event(String::new(), Some("a b")), Err(InvalidEvent::Key));
        assert_eq!(event(String::new(), Some("")), Err(InvalidEvent::Key));
    }
}
