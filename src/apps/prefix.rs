//! How the rooms of a key begin.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::chat::RoomName;

/// How private rooms begin.
const PRIVATE: &str = "private-";

/// How the rooms begin whose names are hashes, after `private-` if they are private.
const HASHED: &str = "eshq.";

/// The end of each prefix: no room name begins with it, so that prefix and channel are never joined in another way.
const END: char = '~';

/// The longest prefix, in characters.
const MAX_PREFIX_CHARS: usize = 48;

/// The longest key whose default prefix contains it.
const MAX_KEY_CHARS_IN_PREFIX: usize = MAX_PREFIX_CHARS - PRIVATE.len() - 1;

/// How the rooms of a key begin: empty, or the beginning of a room name, in NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Parses the prefix that an entry names.
    ///
    /// # Errors
    /// If it breaks a rule, with that rule.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Ok(Self("".into()));
        }
        let room = RoomName::parse(text).ok().filter(|room| room.as_str().chars().count() <= MAX_PREFIX_CHARS);
        let room = room.ok_or("a prefix is empty, or a room name of at most 48 characters")?;
        if !room.as_str().ends_with(END) {
            return Err("a prefix ends in ~");
        }
        if is_hashed_name(room.as_str()) {
            return Err("a prefix begins with neither eshq. nor private-eshq.");
        }
        Ok(Self(room.as_str().into()))
    }

    /// Returns the prefix of a key whose entry names none.
    pub fn default_of(key: &str) -> Self {
        // All characters of a key are ASCII.
        if key.len() > MAX_KEY_CHARS_IN_PREFIX || key.starts_with(HASHED) {
            Self(format!("{PRIVATE}{}{END}", hash(key)).into())
        } else {
            Self(format!("{PRIVATE}{key}{END}").into())
        }
    }

    /// Returns the prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true if channel and room are the same.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the rooms are private.
    pub fn is_private(&self) -> bool {
        is_private_name(&self.0)
    }

    /// Returns true if neither is empty and one begins with the other: rooms of one key are those of the other.
    pub fn shares_rooms(&self, other: &Self) -> bool {
        let is_either_empty = self.is_empty() || other.is_empty();
        !is_either_empty && (self.0.starts_with(&*other.0) || other.0.starts_with(&*self.0))
    }

    /// Returns the name of the room whose name as text cannot be one.
    pub(super) fn hashed_room(&self, text: &str) -> String {
        format!("{}{HASHED}{}", if self.is_private() { PRIVATE } else { "" }, hash(text))
    }
}

/// Returns true if the name is that of a private room, once there are keys.
pub fn is_private_name(name: &str) -> bool {
    name.starts_with(PRIVATE)
}

/// Returns true if the name begins like one that is a hash.
pub(super) fn is_hashed_name(name: &str) -> bool {
    name.strip_prefix(PRIVATE).unwrap_or(name).starts_with(HASHED)
}

/// Returns the first 32 hex digits of the SHA-256 of a text.
fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_prefix_holds_the_key_or_its_hash() {
        let default = |key: &str| Prefix::default_of(key).as_str().to_owned();
        assert_eq!(default("shop"), "private-shop~");
        assert_eq!(default(&"k".repeat(39)), format!("private-{}~", "k".repeat(39)));
        // printf %s eshq.1 | sha256sum
        assert_eq!(default("eshq.1"), "private-637efd39d9536938b16741238a1952b5~");
        assert_eq!(default(&"k".repeat(40)), "private-dc4c5d17d972b66638dd360cf701ca3d~");
        for key in ["shop", "eshq.1", &"k".repeat(39), &"k".repeat(40), &"k".repeat(64), "-._"] {
            let default = default(key);
            assert_eq!(Prefix::parse(&default).map(|it| it.as_str().to_owned()), Ok(default));
        }
    }

    #[test]
    fn a_prefix_is_empty_or_begins_room_names_of_its_own() {
        for prefix in ["", "a~", "caf\u{e9}~", "private-a~", "private-~", "a~b~", "Private-a~", "eshq~"] {
            assert_eq!(Prefix::parse(prefix).map(|it| it.as_str().to_owned()), Ok(prefix.to_owned()), "{prefix}");
        }
        assert_eq!(Prefix::parse("cafe\u{301}~").unwrap(), Prefix::parse("caf\u{e9}~").unwrap());
        assert!(Prefix::parse(&format!("{}~", "e\u{301}".repeat(47))).is_ok());
        for prefix in
            ["~", "a", "a b~", "a:~", "/~", "eshq.a~", "private-eshq.a~", "a~ ", &format!("{}~", "a".repeat(48))]
        {
            assert!(Prefix::parse(prefix).is_err(), "{prefix}");
        }
    }
}
