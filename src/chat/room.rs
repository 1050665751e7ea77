use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// The most Unicode scalar values a room name may have, after NFC.
const LONGEST: usize = 64;

/// First path segments that are no rooms: our own, and those that a chat server is likely to need
/// or that other programs ask for. Compared without regard to ASCII case.
const RESERVED: &[&str] = &[
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

/// Everything but RFC 3986 § 2.3's unreserved characters is escaped in a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The name of a room, in NFC: 1–64 Unicode letters, marks, digits, `-`, `_`, `.` and `~`,
/// starting with a letter or a digit, and none of the reserved names. Case counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

/// Why a text is no room name; displayed, it is the rule for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotARoom {
    /// The characters or their number break the rule.
    Malformed,
    /// The name belongs to the server.
    Reserved,
}

impl RoomName {
    /// Reads one path segment as it stands in a URL. Bytes that are not UTF-8 are no name.
    pub fn from_path(segment: &str) -> Result<Self, NotARoom> {
        let text = percent_decode_str(segment).decode_utf8().map_err(|_| NotARoom::Malformed)?;
        Self::parse(&text)
    }

    /// Reads a name as a person writes it.
    pub fn parse(text: &str) -> Result<Self, NotARoom> {
        let name: String = text.nfc().collect();
        let starts_well = name.chars().next().is_some_and(|c| is_letter(c) || is_digit(c));
        if !starts_well || name.chars().count() > LONGEST || !name.chars().all(is_allowed) {
            return Err(NotARoom::Malformed);
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(&name)) {
            return Err(NotARoom::Reserved);
        }
        Ok(Self(name.into()))
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of the room's page, escaped: `/caf%C3%A9`.
    pub fn path(&self) -> String {
        format!("/{}", utf8_percent_encode(&self.0, ESCAPED))
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

impl fmt::Display for NotARoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotARoom::Malformed => {
                "A room name has 1 to 64 Unicode letters, marks, digits, '-', '_', '.' or '~' and starts with a letter or a digit."
            }
            NotARoom::Reserved => "This name is reserved for the server itself; any other room name will do.",
        })
    }
}

impl std::error::Error for NotARoom {}

fn is_letter(c: char) -> bool {
    c.general_category_group() == GeneralCategoryGroup::Letter
}

fn is_digit(c: char) -> bool {
    c.general_category() == GeneralCategory::DecimalNumber
}

fn is_allowed(c: char) -> bool {
    is_letter(c)
        || is_digit(c)
        || matches!(c, '-' | '_' | '.' | '~')
        || c.general_category_group() == GeneralCategoryGroup::Mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_after_decoding_and_nfc() {
        let composed = RoomName::from_path("caf%C3%A9").unwrap();
        assert_eq!(RoomName::from_path("cafe%CC%81").unwrap(), composed);
        assert_eq!(composed.path(), "/caf%C3%A9");
        assert_ne!(RoomName::parse("Room").unwrap(), RoomName::parse("room").unwrap());
    }

    #[test]
    fn a_name_has_at_most_64_characters_and_starts_with_a_letter_or_digit() {
        assert!(RoomName::parse(&"é".repeat(64)).is_ok());
        for name in ["", ".", "..", "-a", "_a", "~a", "\u{301}a", "a b", "a/b", "a{b}", "a\u{200b}", "😀"] {
            assert_eq!(RoomName::parse(name), Err(NotARoom::Malformed), "{name:?}");
        }
        assert_eq!(RoomName::parse(&"é".repeat(65)), Err(NotARoom::Malformed));
        assert_eq!(RoomName::from_path("%ff"), Err(NotARoom::Malformed));
    }

    #[test]
    fn reserved_names_are_reserved_in_any_ascii_case() {
        for name in ["subscribe", "HISTORY", "Favicon.ICO", "ws"] {
            assert_eq!(RoomName::parse(name), Err(NotARoom::Reserved));
        }
    }
}
