//! Frames of a stream. The input is a list of what is to be told, separated by the byte 0xFF; the first byte of each
//! says in which way.

use bytes::Bytes;
use serde_json::{Map, Value};
use tiny_chat::chat::{Cursor, Id, RoomName};
use tiny_chat::hub::PresenceSnapshot;
use tiny_chat::sse::{self, GapReason};

use super::stream::{Event, read};

const DELAY: u32 = 2000;
const ROOM: &str = "café";

/// What is told, and what a reader should make of it.
struct Told {
    frame: Bytes,
    kind: String,
    data: String,
    /// The place after it, where it moves it.
    place: Option<Id>,
    /// Whether the event itself is at that place.
    at_once: bool,
}

/// Panics where a reader is told something else than what went in: not one event more or less, none of another name,
/// no other place, no other delay.
pub fn hold(bytes: &[u8]) {
    let mut place = Id { ms: 1, n: 1 };
    let mut stream = sse::opening(DELAY, Some(&place.into())).into_bytes();
    let mut expected = Vec::new();
    for (piece, n) in bytes.split(|byte| *byte == 0xff).zip(2..) {
        let told = told(piece, Id { ms: 1, n });
        among_several(&told.frame);
        stream.extend(&told.frame);
        let after = told.place.unwrap_or(place);
        let last_id = if told.at_once { after } else { place }.to_string();
        expected.push(Event { kind: told.kind, data: told.data, last_id });
        place = after;
    }
    let reading = read(&stream);
    assert_eq!(reading.events, expected);
    assert_eq!((reading.last_id, reading.retry), (place.to_string(), Some(DELAY.into())));
}

fn told(piece: &[u8], id: Id) -> Told {
    let (way, rest) = piece.split_first().unwrap_or((&b'f', b""));
    let text = String::from_utf8_lossy(rest);
    match way {
        b'e' => entry(id, &text),
        b'g' => gap(id, &text),
        b'j' => named("userJoined", sse::user_joined(&text), format!("{{\"username\":{}}}", quoted(&text))),
        b'l' => named("userLeft", sse::user_left(&text), format!("{{\"username\":{}}}", quoted(&text))),
        b'p' => presence(&text),
        b's' => status(&text),
        b'h' => named("heartbeat", sse::heartbeat(), "OK".into()),
        _ => Told { at_once: true, ..named("message", sse::foreign(rest), with_one_line_end(&text)) },
    }
}

/// The first line is the kind, as it may stand in Redis.
fn entry(id: Id, text: &str) -> Told {
    let (kind, data) = text.split_once('\n').unwrap_or(("", text));
    let shown: String = kind.chars().filter(|c| !c.is_control()).collect();
    Told {
        frame: sse::entry(id, kind, data),
        kind: if shown.is_empty() { "message".into() } else { shown },
        data: with_one_line_end(data),
        place: Some(id),
        at_once: true,
    }
}

fn gap(id: Id, asked: &str) -> Told {
    let cut: String = asked.chars().take(64).collect();
    let data = format!("{{\"asked\":{},\"resumed\":null,\"reason\":\"invalid\"}}", quoted(&cut));
    Told { place: Some(id), ..named("gap", sse::gap(asked, None, GapReason::Invalid, id), data) }
}

fn presence(text: &str) -> Told {
    let names: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let data = format!("{{\"count\":{},\"names\":[{}]}}", names.len(), quoted.join(","));
    named("presence", sse::presence(&PresenceSnapshot { count: names.len(), names: Some(names) }), data)
}

fn status(node: &str) -> Told {
    let data = format!("{{\"live\":true,\"node\":{},\"heartbeat\":15}}", quoted(node));
    named("status", sse::status(true, node, 15), data)
}

fn named(kind: &str, frame: Bytes, data: String) -> Told {
    Told { frame, kind: kind.into(), data, place: None, at_once: false }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn with_one_line_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// In a stream of several rooms the same is told, with the places in all of them and the room.
fn among_several(frame: &[u8]) {
    let room = RoomName::parse(ROOM).unwrap_or_else(|why| panic!("{ROOM}: {why}"));
    let places: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
    let (alone, several) = (read(frame), read(&sse::for_merged_rooms(frame, &room, &places)));
    assert_eq!(alone.events.len(), several.events.len(), "{alone:?} {several:?}");
    assert_eq!(alone.last_id.is_empty(), several.last_id.is_empty());
    assert!(several.last_id.is_empty() || several.last_id == places.to_string(), "{several:?}");
    for (alone, several) in alone.events.iter().zip(&several.events) {
        assert_eq!(alone.kind, several.kind);
        names_its_room(&alone.data, &several.data);
    }
}

fn names_its_room(alone: &str, several: &str) {
    let object = |text| serde_json::from_str::<Map<String, Value>>(text).ok();
    if let Some(mut members) = object(alone) {
        members.insert("room".into(), ROOM.into());
        assert_eq!(object(several), Some(members));
    } else if several != alone {
        // An object that is too deep, or holds a number that is too large, to be looked into.
        let member = format!("\"room\":\"{ROOM}\"");
        let (before, after) = several.rsplit_once(&member).unwrap_or_else(|| panic!("{several:?}"));
        assert_eq!(format!("{}{after}", before.strip_suffix(',').unwrap_or(before)), alone);
    }
}
