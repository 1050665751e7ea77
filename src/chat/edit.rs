//! Edits: the other text of a message, and the entry of a log that tells of it.

use serde::{Deserialize, Serialize};

use super::message::{InvalidField, Message, escape, unescape, validate_message};

/// The type of an entry that tells of an edit. Apps cannot send it.
pub const EDIT: &str = "edit";

/// The other text of a message, escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageText(String);

/// The data of an entry that tells of an edit, with `sender` and `message` escaped for HTML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The id of the message.
    pub id: String,
    /// Its sender, which stays as it was.
    pub sender: String,
    /// Its text from now on.
    pub message: String,
}

impl MessageText {
    /// Validates a text as that of a message, and escapes it.
    ///
    /// # Errors
    /// If it breaks the rule of a message.
    pub fn new(text: &str) -> Result<Self, InvalidField> {
        Ok(Self(escape(validate_message(text)?)))
    }

    /// Returns the text, escaped for HTML.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text as a string of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

impl Edit {
    /// Parses the data of an entry that tells of an edit.
    pub fn parse(data: &str) -> Option<Self> {
        serde_json::from_str(data).ok()
    }

    /// Returns the edit with its fields unescaped.
    pub fn decoded(&self) -> Self {
        Self { id: self.id.clone(), sender: unescape(&self.sender), message: unescape(&self.message) }
    }

    /// Returns the data of the entry.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Message {
    /// Returns the message with another text.
    pub fn edited(self, text: &MessageText) -> Self {
        Self { message: text.0.clone(), edited: true, ..self }
    }
}
