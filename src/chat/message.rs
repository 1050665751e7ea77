use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Who a message is from when its sender did not say.
const ANONYMOUS: &str = "Anonymous";
/// The most Unicode scalar values of a message.
const LONGEST_MESSAGE: usize = 4000;
/// The most Unicode scalar values of a sender.
const LONGEST_SENDER: usize = 64;
/// The most characters of an idempotency key.
const LONGEST_KEY: usize = 64;

/// What a person typed, before anything about it was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Who it is from.
    pub sender: Option<String>,
    /// The text.
    pub message: Option<String>,
    /// The idempotency key.
    pub key: Option<String>,
}

/// A message on its way to the bus. To hold one is proof that it keeps every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    data: String,
    key: Option<String>,
}

/// A message as it is stored and streamed: `sender` and `message` are escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who it is from, escaped.
    pub sender: String,
    /// The text, escaped.
    pub message: String,
    /// The idempotency key that its sender gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The name under which a reader is present: keeps the rule of a sender, and is escaped for HTML.
/// Many may have the same, and it is no identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// The field of a draft that breaks its rule; displayed, it names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The text is missing, blank or too long.
    Message,
    /// The name is too long or holds control or format characters.
    Sender,
    /// The key is empty, too long or holds other characters than it may.
    Key,
}

impl Draft {
    /// Checks the fields and escapes the two that people see, in this one place: what is stored is
    /// safe even for a client that inserts it as HTML. Lengths count Unicode scalar values.
    pub fn new(fields: &Fields) -> Result<Self, Invalid> {
        let message = Message {
            sender: escape(sender(fields.sender.as_deref().unwrap_or_default())?),
            message: escape(text(fields.message.as_deref().unwrap_or_default())?),
            key: fields.key.as_deref().map(key).transpose()?,
        };
        let data = serde_json::to_string(&message).map_err(|_| Invalid::Message)?;
        Ok(Self { data, key: message.key })
    }

    /// The one line of JSON that is stored and streamed.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The idempotency key, if the sender gave one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl Message {
    /// Reads an event's data; `None` when it is no message.
    pub fn parse(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }

    /// The message with its text as it was typed, for where text is not HTML and for templates,
    /// which escape by themselves.
    pub fn decoded(&self) -> Self {
        Self {
            sender: html_escape::decode_html_entities(&self.sender).into_owned(),
            message: html_escape::decode_html_entities(&self.message).into_owned(),
            key: self.key.clone(),
        }
    }
}

impl Name {
    /// Reads a name as a person writes it; a blank one is none.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        let name = escape(sender(text)?);
        Ok((!text.trim().is_empty()).then(|| Self(name.into())))
    }

    /// The name, escaped.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Invalid {
    /// The name of the field.
    pub fn field(self) -> &'static str {
        match self {
            Invalid::Message => "message",
            Invalid::Sender => "sender",
            Invalid::Key => "key",
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invalid::Message => "A message has 1 to 4000 characters and is not only white space.",
            Invalid::Sender => "A sender has at most 64 characters, none of them control or format characters.",
            Invalid::Key => "A key has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -",
        })
    }
}

fn escape(text: &str) -> String {
    html_escape::encode_safe(text).into_owned()
}

fn text(message: &str) -> Result<&str, Invalid> {
    let blank = message.chars().all(char::is_whitespace);
    if blank || message.chars().count() > LONGEST_MESSAGE {
        Err(Invalid::Message)
    } else {
        Ok(message)
    }
}

fn sender(name: &str) -> Result<&str, Invalid> {
    if name.chars().any(is_invisible) || name.chars().count() > LONGEST_SENDER {
        return Err(Invalid::Sender);
    }
    Ok(if name.trim().is_empty() { ANONYMOUS } else { name })
}

/// Control and format characters could forge or reorder a name. Two of them are needed to write
/// Persian, Indic scripts and composed emoji: ZERO WIDTH NON-JOINER and JOINER.
fn is_invisible(c: char) -> bool {
    matches!(c.general_category(), GeneralCategory::Control | GeneralCategory::Format)
        && !matches!(c, '\u{200c}' | '\u{200d}')
}

fn key(key: &str) -> Result<String, Invalid> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-');
    if (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(allowed) {
        Ok(key.to_owned())
    } else {
        Err(Invalid::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(sender: &str, message: &str) -> Result<Draft, Invalid> {
        Draft::new(&Fields { sender: Some(sender.into()), message: Some(message.into()), key: None })
    }

    #[test]
    fn both_fields_are_escaped_and_decode_to_what_was_typed() {
        let draft = draft("<i>'m'</i>", "a & \"b\" &amp; </script>\r\n").unwrap();
        assert_eq!(
            draft.data(),
            r#"{"sender":"&lt;i&gt;&#x27;m&#x27;&lt;&#x2F;i&gt;","message":"a &amp; &quot;b&quot; &amp;amp; &lt;&#x2F;script&gt;\r\n"}"#
        );
        let read = Message::parse(draft.data()).unwrap().decoded();
        assert_eq!((read.sender.as_str(), read.message.as_str()), ("<i>'m'</i>", "a & \"b\" &amp; </script>\r\n"));
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
        assert_eq!(draft(&"😀".repeat(65), "x"), Err(Invalid::Sender));
        assert_eq!(draft("m", &"x".repeat(4001)), Err(Invalid::Message));
        assert_eq!(draft("m", " \n\u{2003}"), Err(Invalid::Message));
    }

    #[test]
    fn a_sender_holds_no_control_or_format_character_but_the_two_joiners() {
        assert!(draft("a\u{200c}b\u{200d}c", "x").is_ok());
        for name in ["a\u{7}", "a\n", "\u{202e}a", "a\u{200b}", "\u{feff}a", "a\u{ad}b"] {
            assert_eq!(draft(name, "x"), Err(Invalid::Sender), "{name:?}");
        }
    }
}
