//! Messages: what a sender submits, what is stored, and the rules in between.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use utoipa::ToSchema;

use super::mark::Secret;

/// The sender of a message that names none.
const ANONYMOUS: &str = "Anonymous";
/// The maximum length of a message, in Unicode scalar values.
pub const MAX_MESSAGE_CHARS: usize = 4000;
/// The maximum length of a sender, in Unicode scalar values.
pub const MAX_SENDER_CHARS: usize = 64;
/// The maximum length of an idempotency key, whose characters are all ASCII.
const MAX_KEY_CHARS: usize = 64;

/// The fields of a submitted message, before they are validated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// The name of the sender.
    pub sender: Option<String>,
    /// The text.
    pub message: Option<String>,
    /// The idempotency key.
    pub key: Option<String>,
    /// The secret that leaves a mark.
    pub secret: Option<Secret>,
}

/// A message as it is stored and streamed, with `sender` and `message` escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// The name of the sender, escaped.
    pub sender: String,
    /// The text, escaped.
    pub message: String,
    /// The idempotency key, if the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The mark of the secret that came with it, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether it has another text than the one that was posted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
}

/// The name that a subscriber is listed under in the presence of a room, valid as a sender and escaped
/// for HTML. It is not an identity: several subscribers may use the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// The field of a message that is invalid. Its display states the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidField {
    /// The message is missing, blank or too long.
    Message,
    /// The sender is too long or contains control or format characters.
    Sender,
    /// The key is empty, too long or contains a character that is not allowed.
    Key,
    /// The secret is too short or too long, or contains a character that is not allowed.
    Secret,
}

impl Message {
    /// Parses the data of a stored entry. Returns `None` if it is not a message.
    pub fn parse(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }

    /// Returns the message with its fields unescaped, for plain text and for templates, which escape
    /// them again.
    pub fn decoded(&self) -> Self {
        Self {
            sender: unescape(&self.sender),
            message: unescape(&self.message),
            key: self.key.clone(),
            mark: self.mark.clone(),
            edited: self.edited,
        }
    }
}

impl Name {
    /// Parses an unescaped name. Returns `None` if it is blank.
    ///
    /// # Errors
    /// If it is not a valid sender.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidField> {
        let name = escape(validate_sender(text)?);
        Ok((!text.trim().is_empty()).then(|| Self(name.into())))
    }

    /// Returns the name, escaped for HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as it was given.
    pub fn plain(&self) -> Cow<'_, str> {
        html_escape::decode_html_entities(&*self.0)
    }
}

impl InvalidField {
    /// Returns the name of the field.
    pub fn field(self) -> &'static str {
        match self {
            InvalidField::Message => "message",
            InvalidField::Sender => "sender",
            InvalidField::Key => "key",
            InvalidField::Secret => "secret",
        }
    }
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidField::Message => {
                write!(f, "A message must have 1 to {MAX_MESSAGE_CHARS} characters that are not all white space.")
            }
            InvalidField::Sender => {
                write!(
                    f,
                    "A sender must have at most {MAX_SENDER_CHARS} characters, and no control or format characters."
                )
            }
            InvalidField::Key => {
                write!(f, "A key must have 1 to {MAX_KEY_CHARS} characters, each of them one of A-Z a-z 0-9 . _ ~ -")
            }
            InvalidField::Secret => f.write_str("A secret must have 16 to 128 printable ASCII characters."),
        }
    }
}

pub(super) fn escape(text: &str) -> String {
    html_escape::encode_safe(text).into_owned()
}

/// Returns a text as it was before it was escaped.
pub fn unescape(text: &str) -> String {
    html_escape::decode_html_entities(text).into_owned()
}

pub(super) fn validate_message(message: &str) -> Result<&str, InvalidField> {
    let blank = message.chars().all(char::is_whitespace);
    if blank || message.chars().count() > MAX_MESSAGE_CHARS {
        Err(InvalidField::Message)
    } else {
        Ok(message)
    }
}

/// Returns the sender to store, which is [`ANONYMOUS`] if the name is blank.
pub(super) fn validate_sender(name: &str) -> Result<&str, InvalidField> {
    if name.chars().any(is_invisible) || name.chars().count() > MAX_SENDER_CHARS {
        return Err(InvalidField::Sender);
    }
    Ok(if name.trim().is_empty() { ANONYMOUS } else { name })
}

/// Returns true for control and format characters, which could make a name look like another one.
///
/// ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER are exceptions: Persian, Indic scripts and composed
/// emoji need them.
fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format)
        && !matches!(c, '\u{200c}' | '\u{200d}')
}

pub(super) fn validate_key(key: &str) -> Result<&str, InvalidField> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    if (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(is_allowed) {
        Ok(key)
    } else {
        Err(InvalidField::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::draft::Draft;

    fn draft(sender: &str, message: &str) -> Result<Draft, InvalidField> {
        Draft::new(&Fields { sender: Some(sender.into()), message: Some(message.into()), ..Fields::default() })
    }

    #[test]
    fn sender_and_message_are_escaped_and_can_be_decoded() {
        let draft = draft("<i>'m'</i>", "a & \"b\" &amp; </script>\r\n").unwrap();
        assert_eq!(
            draft.data(),
            r#"{"sender":"&lt;i&gt;&#x27;m&#x27;&lt;&#x2F;i&gt;","message":"a &amp; &quot;b&quot; &amp;amp; &lt;&#x2F;script&gt;\r\n"}"#
        );
        let decoded = Message::parse(draft.data()).unwrap().decoded();
        assert_eq!(
            (decoded.sender.as_str(), decoded.message.as_str()),
            ("<i>'m'</i>", "a & \"b\" &amp; </script>\r\n")
        );
    }

    #[test]
    fn a_missing_or_blank_sender_is_anonymous() {
        assert_eq!(draft("  \u{3000}", "x").unwrap().data(), r#"{"sender":"Anonymous","message":"x"}"#);
        assert_eq!(
            Draft::new(&Fields { message: Some("x".into()), ..Fields::default() }).unwrap(),
            draft("", "x").unwrap()
        );
    }

    #[test]
    fn lengths_count_scalar_values_before_escaping() {
        assert!(draft(&"😀".repeat(64), &"<".repeat(4000)).is_ok());
        assert_eq!(draft(&"😀".repeat(65), "x"), Err(InvalidField::Sender));
        assert_eq!(draft("m", &"x".repeat(4001)), Err(InvalidField::Message));
        assert_eq!(draft("m", " \n\u{2003}"), Err(InvalidField::Message));
    }

    #[test]
    fn a_sender_has_no_invisible_characters_but_joiners() {
        assert!(draft("a\u{200c}b\u{200d}c", "x").is_ok());
        for name in ["a\u{7}", "a\n", "\u{202e}a", "a\u{200b}", "\u{feff}a", "a\u{ad}b"] {
            assert_eq!(draft(name, "x"), Err(InvalidField::Sender), "{name:?}");
        }
    }
}
