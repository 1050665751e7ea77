//! The type of an event that an app sends.

use std::borrow::Cow;
use std::fmt;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The maximum length of a type, in Unicode scalar values.
const MAX_TYPE_CHARS: usize = 64;

/// The type with which an untyped event is stored, so that it is no message. It is written without a name.
pub const UNTYPED: &str = "message";

/// Types that the server itself sends, or that clients dispatch for themselves.
const RESERVED_TYPES: &[&str] = &[
    "ping",
    "heartbeat",
    "status",
    "gap",
    "backoff",
    "presence",
    "userJoined",
    "userLeft",
    "chat",
    "edit",
    "delete",
    "typing",
    "error",
    "open",
];

/// The type of an app's event, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventType(Option<Box<str>>);

/// The text is no type of an event. Its display states the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEventType;

impl EventType {
    /// Parses a type. An empty one, and `message`, are the type of an untyped event.
    ///
    /// # Errors
    /// If it has more than 64 characters, white space or control or format characters, or is reserved.
    pub fn parse(text: &str) -> Result<Self, InvalidEventType> {
        if text.is_empty() || text == UNTYPED {
            return Ok(Self(None));
        }
        let is_valid = text.chars().count() <= MAX_TYPE_CHARS && text.chars().all(is_allowed);
        if is_valid && !RESERVED_TYPES.contains(&text) {
            Ok(Self(Some(text.into())))
        } else {
            Err(InvalidEventType)
        }
    }

    /// Returns the type that is stored.
    pub fn stored(&self) -> &str {
        self.0.as_deref().unwrap_or(UNTYPED)
    }

    /// Converts it into the type that is stored.
    pub(super) fn into_stored(self) -> Cow<'static, str> {
        self.0.map_or(Cow::Borrowed(UNTYPED), |text| Cow::Owned(text.into()))
    }
}

impl fmt::Display for InvalidEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a type has 1 to {MAX_TYPE_CHARS} characters, none of them white space, a control or a format character, \
             and is none of {}",
            RESERVED_TYPES.join(" ")
        )
    }
}

fn is_allowed(c: char) -> bool {
    !c.is_whitespace() && !matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_kept_as_it_is() {
        for text in ["my-event", "post:created", "datastar-patch-elements", "新着", "Ping", &"é".repeat(64)] {
            assert_eq!(EventType::parse(text).unwrap().stored(), text);
        }
        for untyped in ["", "message"] {
            assert_eq!(EventType::parse(untyped).unwrap(), EventType(None));
        }
    }

    #[test]
    fn a_type_is_visible_without_space_and_not_reserved() {
        for text in ["a b", " ", "a\u{3000}", "a\n", "\u{0}", "a\u{200d}b", "\u{feff}", "ping", "userLeft", "delete"] {
            assert_eq!(EventType::parse(text), Err(InvalidEventType), "{text:?}");
        }
        assert_eq!(EventType::parse(&"é".repeat(65)), Err(InvalidEventType));
    }
}
