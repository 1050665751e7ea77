//! An announcement: the byte 0x1E, the id, a space, the type (empty for a message), a space, the
//! data. `publish.lua` writes it. The first byte cannot stand in JSON text or in what people type
//! into `redis-cli`, so a foreign payload is not taken for one by accident.
//!
//! Who is in a room is announced with the id `0-0`, which no entry has, and the type `presence`.

use crate::bus::{Entry, PresenceEntry};
use crate::chat::Id;

const PRESENCE: &str = "presence";

/// What a node is told on a room's channel.
#[derive(Debug, PartialEq, Eq)]
pub enum Announcement {
    /// Something was appended to the log.
    Entry(Entry),
    /// A process has said who is in the room.
    PresenceEntry(PresenceEntry),
}

/// Reads an announcement; `None` means that the payload is foreign.
pub fn parse(payload: &[u8]) -> Option<Announcement> {
    let text = std::str::from_utf8(payload.strip_prefix(b"\x1e")?).ok()?;
    let (id, rest) = text.split_once(' ')?;
    let (kind, data) = rest.split_once(' ')?;
    let id = id.parse().ok()?;
    if (id, kind) == (Id::ZERO, PRESENCE) {
        return serde_json::from_str(data).ok().map(Announcement::PresenceEntry);
    }
    Some(Announcement::Entry(Entry { id, kind: kind.into(), data: data.into(), node: None }))
}

/// Writes who is in a room by way of one process, as it is kept and announced.
pub fn attendance(attendance: &PresenceEntry) -> String {
    serde_json::to_string(attendance).unwrap_or_default()
}

/// Writes the announcement of an [`attendance`].
pub fn announce(attendance: &str) -> String {
    format!("\x1e{} {PRESENCE} {attendance}", Id::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(payload: &[u8]) -> Entry {
        match parse(payload) {
            Some(Announcement::Entry(entry)) => entry,
            other => panic!("{other:?} is no entry"),
        }
    }

    #[test]
    fn an_announcement_gives_back_id_type_and_data_with_its_spaces() {
        let message = entry(b"\x1e1361572294000-42  {\"a\": 1 }");
        assert_eq!(
            (message.id, message.kind.as_str(), message.data.as_str()),
            (Id { ms: 1_361_572_294_000, n: 42 }, "", "{\"a\": 1 }")
        );
        assert_eq!(entry(b"\x1e1-1 note x y").kind, "note");
    }

    #[test]
    fn who_is_in_a_room_is_read_as_it_was_written() {
        let names = vec!["mason".to_owned(), "a &amp; b".to_owned()];
        let said = PresenceEntry { process: "chat-1~7f".into(), version: 3, count: 4, names };
        let announced = announce(&attendance(&said));
        assert!(announced.starts_with("\x1e0-0 presence {"), "{announced}");
        assert_eq!(parse(announced.as_bytes()), Some(Announcement::PresenceEntry(said)));
    }

    #[test]
    fn anything_else_is_foreign() {
        for payload in
            [&b""[..], b"hello", b"1-1  x", b"\x1e", b"\x1e1-1", b"\x1e1-1 x", b"\x1eone  x", b"\x1e1-1  \xff"]
        {
            assert_eq!(parse(payload), None, "{payload:?}");
        }
    }
}
