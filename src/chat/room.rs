//! The name of a room.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The maximum length of a room name, in Unicode scalar values after normalization to NFC.
const MAX_NAME_CHARS: usize = 64;

/// The maximum length of a room name before normalization, in bytes: NFC makes one character of at most four, of four
/// bytes each.
const MAX_TEXT_BYTES: usize = MAX_NAME_CHARS * 4 * 4;

/// Path segments that cannot be room names: those that are in use, those that later versions may
/// need, and those that other programs request. Compared case-insensitively in ASCII.
const RESERVED_NAMES: &[&str] = &[
    "subscribe",
    "history",
    "assets",
    "healthz",
    "readyz",
    "metrics",
    "robots.txt",
    "socket",
    "event",
    "events",
    "eventsource",
    "eshq",
    "es.js",
    "rooms",
    "users",
    "api",
    "channel",
    "status",
    "broker",
    "iframe",
    "iframe.js",
    "message",
    "dashboard",
    "static",
    "presence",
    "openapi.json",
    "sw.js",
    "manifest.webmanifest",
    "favicon.ico",
    "admin",
    "login",
    "ws",
];

/// The characters that are percent-encoded in a path: all but the unreserved ones (RFC 3986 § 2.3).
const PATH_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The name of a room, in Unicode Normalization Form C.
///
/// It has 1 to 64 characters, each a Unicode letter, mark or digit or one of `-`, `_`, `.` and `~`,
/// starts with a letter or digit, and is not reserved. It is case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

/// The reason why a text is not a room name. Its display states the rule to end users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoomNameError {
    /// It has too few, too many or wrong characters.
    Malformed,
    /// The server uses it for something else.
    Reserved,
}

impl RoomName {
    /// Parses a percent-encoded path segment.
    ///
    /// # Errors
    /// If the decoded bytes are not UTF-8, or the text is not a room name.
    pub fn from_path(segment: &str) -> Result<Self, RoomNameError> {
        let text = percent_decode_str(segment).decode_utf8().map_err(|_| RoomNameError::Malformed)?;
        Self::parse(&text)
    }

    /// Normalizes and validates a name that is not percent-encoded.
    ///
    /// # Errors
    /// If the text is not a room name.
    pub fn parse(text: &str) -> Result<Self, RoomNameError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(RoomNameError::Malformed);
        }
        // ASCII is in this form already.
        let name: Cow<'_, str> = if text.is_ascii() { text.into() } else { text.nfc().collect() };
        let has_valid_start = name.chars().next().is_some_and(|c| is_letter(c) || is_digit(c));
        if !has_valid_start || name.chars().count() > MAX_NAME_CHARS || !name.chars().all(is_allowed) {
            return Err(RoomNameError::Malformed);
        }
        if RESERVED_NAMES.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
            return Err(RoomNameError::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// Returns a name like a text that is not one: `a-b` for `a b`. `assets/tokens.js` does the same on the page.
    pub fn like(text: &str) -> Option<Self> {
        let text: String = text.nfc().collect();
        let words: Vec<&str> = text.split(|c| c == '-' || !is_allowed(c)).filter(|word| !word.is_empty()).collect();
        let joined = words.join("-");
        let name: String =
            joined.trim_start_matches(|c| !is_letter(c) && !is_digit(c)).chars().take(MAX_NAME_CHARS).collect();
        let name = name.trim_end_matches('-');
        Self::parse(name)
            .or_else(|_| Self::parse(&format!("{name}-room")))
            .ok()
            .filter(|_| !name.is_empty())
    }

    /// Returns the room of the dashboard's stream, which no path can name.
    pub fn dashboard() -> Self {
        Self("~dashboard".into())
    }

    /// Returns the name, not percent-encoded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the percent-encoded path of the room's page, such as `/caf%C3%A9`.
    pub fn path(&self) -> String {
        format!("/{}", utf8_percent_encode(&self.0, PATH_ESCAPES))
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RoomNameError::Malformed => write!(
                f,
                "A room name must have 1 to {MAX_NAME_CHARS} Unicode letters, marks, digits, '-', '_', '.' or '~', and \
                 must start with a letter or a digit."
            ),
            RoomNameError::Reserved => {
                f.write_str("This name is reserved for the server itself; choose another room name.")
            }
        }
    }
}

impl std::error::Error for RoomNameError {}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || !c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Letter
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || !c.is_ascii() && c.general_category() == GeneralCategory::DecimalNumber
}

fn is_allowed(c: char) -> bool {
    is_letter(c)
        || is_digit(c)
        || matches!(c, '-' | '_' | '.' | '~')
        || !c.is_ascii() && c.general_category_group() == GeneralCategoryGroup::Mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_after_decoding_and_normalization() {
        let composed = RoomName::from_path("caf%C3%A9").unwrap();
        assert_eq!(RoomName::from_path("cafe%CC%81").unwrap(), composed);
        assert_eq!(composed.path(), "/caf%C3%A9");
        assert_ne!(RoomName::parse("Room").unwrap(), RoomName::parse("room").unwrap());
    }

    #[test]
    fn a_name_has_1_to_64_valid_characters() {
        assert!(RoomName::parse(&"é".repeat(64)).is_ok());
        for name in ["", ".", "..", "-a", "_a", "~a", "\u{301}a", "a b", "a/b", "a{b}", "a\u{200b}", "😀"] {
            assert_eq!(RoomName::parse(name), Err(RoomNameError::Malformed), "{name:?}");
        }
        assert_eq!(RoomName::parse(&"é".repeat(65)), Err(RoomNameError::Malformed));
        assert_eq!(RoomName::from_path("%ff"), Err(RoomNameError::Malformed));
    }

    #[test]
    fn a_text_that_is_no_name_is_like_one() {
        let like = |text: &str| RoomName::like(text).map(|name| name.to_string());
        let examples: Vec<(String, String)> =
            serde_json::from_str(include_str!("../../tests/js/room-suggestions.json")).unwrap();
        for (text, name) in examples {
            assert_eq!(like(&text).unwrap_or_default(), name, "{text}");
        }
        assert_eq!(like("history").unwrap(), "history-room");
    }

    #[test]
    fn reserved_names_are_rejected_in_any_ascii_case() {
        for name in ["subscribe", "HISTORY", "Favicon.ICO", "ws"] {
            assert_eq!(RoomName::parse(name), Err(RoomNameError::Reserved));
        }
    }
}
