//! The format of an announcement: the byte 0x1E, the id, a space, the type (empty for a message), a space, the data.
//!
//! `publish.lua` writes it. Neither JSON nor what people type into `redis-cli` begins with 0x1E, so a foreign payload is
//! not mistaken for an announcement. Presence is announced with the id `0-0`, which no entry has, and the type
//! `presence`.

use crate::bus::log::Entry;
use crate::bus::presence::PresenceEntry;
use crate::chat::Id;

/// The type of a presence announcement.
const PRESENCE: &str = "presence";

/// A payload on a room's channel that was published by a node.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    /// An entry was appended to the log.
    Entry(Entry),
    /// A process announced its subscribers in the room.
    Presence(PresenceEntry),
}

/// Parses an announcement. Returns `None` if the payload is foreign.
pub fn parse(payload: &[u8]) -> Option<Announcement> {
    let text = std::str::from_utf8(payload.strip_prefix(b"\x1e")?).ok()?;
    let (id, rest) = text.split_once(' ')?;
    let (kind, data) = rest.split_once(' ')?;
    let id = id.parse().ok()?;
    if (id, kind) == (Id::ZERO, PRESENCE) {
        return serde_json::from_str(data).ok().map(Announcement::Presence);
    }
    Some(Announcement::Entry(Entry { id, prev: None, kind: kind.into(), data: data.into(), node: None }))
}

/// Encodes a presence entry as it is stored and announced.
pub fn encode_presence(entry: &PresenceEntry) -> String {
    serde_json::to_string(entry).unwrap_or_default()
}

/// Wraps an encoded presence entry into an announcement.
pub fn announce_presence(encoded: &str) -> String {
    format!("\x1e{} {PRESENCE} {encoded}", Id::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(payload: &[u8]) -> Entry {
        match parse(payload) {
            Some(Announcement::Entry(entry)) => entry,
            other => panic!("{other:?} is not an entry"),
        }
    }

    #[test]
    fn an_announcement_keeps_id_type_and_data_with_its_spaces() {
        let message = entry(b"\x1e1361572294000-42  {\"a\": 1 }");
        assert_eq!(
            (message.id, message.kind.as_str(), message.data.as_str()),
            (Id { ms: 1_361_572_294_000, n: 42 }, "", "{\"a\": 1 }")
        );
        assert_eq!(entry(b"\x1e1-1 note x y").kind, "note");
    }

    #[test]
    fn a_presence_entry_is_parsed_as_it_was_encoded() {
        let names = vec!["mason".to_owned(), "a &amp; b".to_owned()];
        let entry = PresenceEntry {
            process: "chat-1~7f".into(),
            version: 3,
            count: 4,
            names,
            ids: vec!["a<b".into()],
            listed: true,
        };
        let announced = announce_presence(&encode_presence(&entry));
        assert!(announced.starts_with("\x1e0-0 presence {"), "{announced}");
        assert_eq!(parse(announced.as_bytes()), Some(Announcement::Presence(entry)));
    }

    #[test]
    fn any_other_payload_is_foreign() {
        for payload in
            [&b""[..], b"hello", b"1-1  x", b"\x1e", b"\x1e1-1", b"\x1e1-1 x", b"\x1eone  x", b"\x1e1-1  \xff"]
        {
            assert_eq!(parse(payload), None, "{payload:?}");
        }
    }
}
