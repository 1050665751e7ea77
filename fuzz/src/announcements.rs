//! Announcements. The input is what came on a room's channel.

use tiny_chat::bus::announcement::{Announcement, announce_presence, encode_presence, parse};
use tiny_chat::bus::{Entry, PresenceEntry};
use tiny_chat::chat::Id;
use tiny_chat::hub::PresenceSnapshot;

/// Panics where a payload is taken for something else than it says.
pub fn hold(payload: &[u8]) {
    match parse(payload) {
        Some(Announcement::Entry(entry)) => assert_eq!(written(&entry).as_bytes(), payload, "word for word"),
        Some(Announcement::Presence(said)) => who_is_here(said),
        None => {}
    }
    let text = String::from_utf8_lossy(payload);
    is_read_as_it_was_written(&text);
    let json = text.split_once("presence ").map_or(&*text, |(_, json)| json);
    if let Ok(said) = serde_json::from_str::<PresenceEntry>(json) {
        who_is_here(said);
    }
}

/// As `publish.lua` writes it.
fn written(entry: &Entry) -> String {
    format!("\x1e{} {} {}", entry.id, entry.kind, entry.data)
}

fn is_read_as_it_was_written(data: &str) {
    let first_word = data.split(' ').next().unwrap_or_default();
    for kind in ["", first_word] {
        let entry = Entry { id: Id { ms: 7, n: 1 }, kind: kind.into(), data: data.into(), node: None };
        let announced = written(&entry);
        assert_eq!(parse(&announced.as_bytes()[1..]), None, "without its first byte it is foreign");
        assert_eq!(parse(announced.as_bytes()), Some(Announcement::Entry(entry)));
    }
}

/// Whoever writes to the bus may say anything: it comes back as it was said, and can be added up.
fn who_is_here(said: PresenceEntry) {
    let announced = announce_presence(&encode_presence(&said));
    assert!(!announced.contains(['\n', '\r']), "one line: {announced:?}");
    let roster = PresenceSnapshot::of([&said, &said].into_iter());
    assert!(roster.count >= said.count, "{roster:?}");
    assert!(roster.names.is_none_or(|names| names.len() <= said.names.len()));
    assert_eq!(parse(announced.as_bytes()), Some(Announcement::Presence(said)));
}
