//! The room of a channel, which is what an app calls it by.

use unicode_normalization::UnicodeNormalization;

use super::prefix::{Prefix, is_hashed_name, is_private_name};
use crate::chat::RoomName;

/// The longest channel, in bytes.
pub const MAX_CHANNEL_BYTES: usize = 1024;

/// The reason why a text is no channel of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelError {
    /// It is empty.
    Missing,
    /// It is too long, or the name of a room that is not this app's.
    Invalid,
}

/// Returns the room of a channel: prefix and channel, or their hash where that is no room name.
///
/// # Errors
/// If the channel is too short or too long, or if the prefix is empty and the room belongs to one of the other prefixes.
pub(super) fn room_of(prefix: &Prefix, channel: &str, prefixes: &[Prefix]) -> Result<RoomName, ChannelError> {
    match channel.len() {
        0 => return Err(ChannelError::Missing),
        1..=MAX_CHANNEL_BYTES => {}
        _ => return Err(ChannelError::Invalid),
    }
    if prefix.is_empty() && is_of_others(channel, prefixes) {
        return Err(ChannelError::Invalid);
    }
    let name = format!("{}{channel}", prefix.as_str());
    RoomName::parse(&name)
        .or_else(|_| RoomName::parse(&prefix.hashed_room(&name)))
        .map_err(|_| ChannelError::Invalid)
}

/// Returns true if the room's name is a hash, from which its channel cannot be told.
pub fn is_hashed(room: &RoomName) -> bool {
    is_hashed_name(room.as_str())
}

/// Returns true if a key with the empty prefix may not name the channel, whether it is a room name or has to be hashed.
fn is_of_others(channel: &str, prefixes: &[Prefix]) -> bool {
    let name: String = channel.nfc().collect();
    let is_of = |prefix: &Prefix| name.starts_with(prefix.as_str());
    is_private_name(&name) || is_hashed_name(&name) || prefixes.iter().any(is_of)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the room of a channel, as text.
    fn room(prefix: &str, channel: &str) -> Result<String, ChannelError> {
        let prefixes = ["private-a~", "b~", "caf\u{e9}~"].map(|prefix| Prefix::parse(prefix).unwrap());
        room_of(&Prefix::parse(prefix).unwrap(), channel, &prefixes).map(|room| room.to_string())
    }

    #[test]
    fn a_channel_is_the_room_of_prefix_and_channel() {
        assert_eq!(room("private-a~", "news"), Ok("private-a~news".into()));
        assert_eq!(room("private-a~", "status"), Ok("private-a~status".into()));
        assert_eq!(room("b~", "cafe\u{301}"), Ok("b~caf\u{e9}".into()));
        assert_eq!(room("", "news"), Ok("news".into()));
    }

    /// The digests are those of `printf %s 'private-a~user:17' | sha256sum`.
    #[test]
    fn a_channel_that_is_no_room_name_is_hashed() {
        let hashed = "private-eshq.86b092ca1fcebc113889d6f22f0d91d7";
        assert_eq!(room("private-a~", "user:17"), Ok(hashed.into()));
        assert_eq!(room("", "status"), Ok("eshq.073c1634c496cdb649d1afe0a312bbb4".into()));
        assert_eq!(room("b~", "a b"), Ok("eshq.e414b9d758b3aaca6351d4589fb01895".into()));
        for channel in ["/news", " ", "a b", "\n", "\u{0}", "news\u{1f389}", &"a".repeat(64), &"\u{e9}".repeat(512)] {
            assert!(room("private-a~", channel).unwrap().starts_with("private-eshq."), "{channel}");
            assert!(room("b~", channel).unwrap().starts_with("eshq."), "{channel}");
        }
    }

    #[test]
    fn a_channel_has_1_to_1024_bytes() {
        assert_eq!(room("b~", ""), Err(ChannelError::Missing));
        assert!(room("b~", &"a".repeat(1024)).is_ok());
        assert_eq!(room("b~", &"a".repeat(1025)), Err(ChannelError::Invalid));
        assert_eq!(room("b~", &"\u{e9}".repeat(513)), Err(ChannelError::Invalid));
    }

    #[test]
    fn the_empty_prefix_reaches_no_room_of_another() {
        for channel in [
            "private-a~news",
            "private-x",
            "private-",
            "private-a b",
            "eshq.1",
            "eshq.",
            "b~news",
            "b~a b",
            "cafe\u{301}~news",
        ] {
            assert_eq!(room("", channel), Err(ChannelError::Invalid), "{channel}");
        }
        for channel in ["private", "b", "a~news", "Private-x", "xprivate-", "eshq-1"] {
            assert_eq!(room("", channel), Ok(channel.into()));
        }
    }

    proptest! {
        /// Whatever the channel is, its room is private where the prefix is, and of no other prefix.
        #[test]
        fn privacy_does_not_depend_on_the_spelling(channel in "\\PC{1,80}|[\\x00-\\x7f~.\\-]{1,80}") {
            let room = room("private-a~", &channel).unwrap();
            prop_assert!(room.starts_with("private-a~") || room.starts_with("private-eshq."), "{}", room);
            let room = self::room("b~", &channel).unwrap();
            prop_assert!(room.starts_with("b~") || room.starts_with("eshq."), "{}", room);
            if let Ok(room) = self::room("", &channel) {
                prop_assert!(!room.starts_with("private-") && !room.starts_with("b~"), "{}", room);
            }
        }
    }
}
