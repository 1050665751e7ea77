//! Announcements are parsed as they were written. The input is a payload published on the channel of a room.

use tiny_chat::bus::announcement::{Announcement, announce_presence, encode_presence, parse};
use tiny_chat::bus::{Entry, PresenceEntry};
use tiny_chat::chat::Id;
use tiny_chat::hub::PresenceSnapshot;

/// Panics if a payload is parsed as anything but what was written.
pub fn check(payload: &[u8]) {
    match parse(payload) {
        Some(Announcement::Entry(entry)) => assert_eq!(encode(&entry).as_bytes(), payload, "byte for byte"),
        Some(Announcement::Presence(entry)) => check_presence(entry),
        None => {}
    }
    let text = String::from_utf8_lossy(payload);
    check_round_trip(&text);
    let json = text.split_once("presence ").map_or(&*text, |(_, json)| json);
    if let Ok(entry) = serde_json::from_str::<PresenceEntry>(json) {
        check_presence(entry);
    }
}

/// Encodes an announcement as `publish.lua` does.
fn encode(entry: &Entry) -> String {
    format!("\x1e{} {} {}", entry.id, entry.kind, entry.data)
}

fn check_round_trip(data: &str) {
    let first_word = data.split(' ').next().unwrap_or_default();
    for kind in ["", first_word] {
        let entry = Entry { id: Id { ms: 7, n: 1 }, prev: None, kind: kind.into(), data: data.into(), node: None };
        let payload = encode(&entry);
        assert_eq!(parse(&payload.as_bytes()[1..]), None, "without its first byte it is foreign");
        assert_eq!(parse(payload.as_bytes()), Some(Announcement::Entry(entry)));
    }
}

/// Checks a presence entry of another node, which may hold any count and any names.
fn check_presence(entry: PresenceEntry) {
    let payload = announce_presence(&encode_presence(&entry));
    assert!(!payload.contains(['\n', '\r']), "one line: {payload:?}");
    let snapshot = PresenceSnapshot::of([&entry, &entry].into_iter());
    assert!(snapshot.count >= entry.count, "{snapshot:?}");
    assert!(snapshot.names.is_none_or(|names| names.len() <= entry.names.len()));
    assert_eq!(parse(payload.as_bytes()), Some(Announcement::Presence(entry)));
}
