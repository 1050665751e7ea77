//! Frames are parsed as what was encoded. The input is a list of pieces separated by the byte 0xFF, one for each frame;
//! the first byte of a piece selects the kind of frame.

use bytes::Bytes;
use serde_json::{Map, Value};
use tiny_chat::chat::{Cursor, Id, RoomName};
use tiny_chat::hub::PresenceSnapshot;
use tiny_chat::sse::{self, GapReason};

use super::stream::{Event, parse};

const DELAY: u32 = 2000;
const ROOM: &str = "café";

/// A frame, and what a parser should make of it.
struct Sample {
    bytes: Bytes,
    kind: String,
    data: String,
    /// The id that a client keeps after the frame, if the frame sets one.
    id: Option<Id>,
    /// Whether the event itself has that id.
    has_id: bool,
}

/// Panics if the parsed events differ from what was encoded, in number, name, data or id, or if the retry delay does.
pub fn check(bytes: &[u8]) {
    let mut cursor = Id { ms: 1, n: 1 };
    let mut stream = sse::opening(DELAY, Some(&cursor.into())).into_bytes();
    let mut expected = Vec::new();
    for (piece, n) in bytes.split(|byte| *byte == 0xff).zip(2..) {
        let frame = encode(piece, Id { ms: 1, n });
        check_merged(&frame.bytes);
        stream.extend(&frame.bytes);
        let after = frame.id.unwrap_or(cursor);
        let last_id = if frame.has_id { after } else { cursor }.to_string();
        expected.push(Event { kind: frame.kind, data: frame.data, last_id });
        cursor = after;
    }
    let parsed = parse(&stream);
    assert_eq!(parsed.events, expected);
    assert_eq!((parsed.last_id, parsed.retry), (cursor.to_string(), Some(DELAY.into())));
}

/// Encodes the frame of a piece.
fn encode(piece: &[u8], id: Id) -> Sample {
    let (selector, rest) = piece.split_first().unwrap_or((&b'f', b""));
    let text = String::from_utf8_lossy(rest);
    match selector {
        b'e' => entry(id, &text),
        b'g' => gap(id, &text),
        b'j' => named("userJoined", sse::user_joined(&text), format!("{{\"username\":{}}}", quoted(&text))),
        b'l' => named("userLeft", sse::user_left(&text), format!("{{\"username\":{}}}", quoted(&text))),
        b'p' => presence(&text),
        b's' => status(&text),
        b'h' => named("heartbeat", sse::heartbeat(), "OK".into()),
        _ => Sample { has_id: true, ..named("message", sse::foreign(rest), with_one_line_end(&text)) },
    }
}

/// Encodes an entry of the log. The first line of the text is its kind, which may be any string in Redis.
fn entry(id: Id, text: &str) -> Sample {
    let (kind, data) = text.split_once('\n').unwrap_or(("", text));
    let shown: String = kind.chars().filter(|c| !c.is_control()).collect();
    Sample {
        bytes: sse::entry(id, kind, data),
        kind: if shown.is_empty() { "message".into() } else { shown },
        data: with_one_line_end(data),
        id: Some(id),
        has_id: true,
    }
}

fn gap(id: Id, asked: &str) -> Sample {
    let cut: String = asked.chars().take(64).collect();
    let data = format!("{{\"asked\":{},\"resumed\":null,\"reason\":\"invalid\"}}", quoted(&cut));
    Sample { id: Some(id), ..named("gap", sse::gap(asked, None, GapReason::Invalid, id), data) }
}

fn presence(text: &str) -> Sample {
    let names: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let data = format!("{{\"count\":{},\"names\":[{}]}}", names.len(), quoted.join(","));
    named("presence", sse::presence(&PresenceSnapshot { count: names.len(), names: Some(names) }), data)
}

fn status(node: &str) -> Sample {
    let data = format!("{{\"live\":true,\"node\":{},\"heartbeat\":15}}", quoted(node));
    named("status", sse::status(true, node, 15), data)
}

fn named(kind: &str, frame: Bytes, data: String) -> Sample {
    Sample { bytes: frame, kind: kind.into(), data, id: None, has_id: false }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn with_one_line_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Checks that the frame in merged rooms differs only by the room's name and by the ids of all rooms.
fn check_merged(frame: &[u8]) {
    let room = RoomName::parse(ROOM).unwrap_or_else(|why| panic!("{ROOM}: {why}"));
    let cursor: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
    let (alone, merged) = (parse(frame), parse(&sse::for_merged_rooms(frame, &room, &cursor)));
    assert_eq!(alone.events.len(), merged.events.len(), "{alone:?} {merged:?}");
    assert_eq!(alone.last_id.is_empty(), merged.last_id.is_empty());
    assert!(merged.last_id.is_empty() || merged.last_id == cursor.to_string(), "{merged:?}");
    for (alone, merged) in alone.events.iter().zip(&merged.events) {
        assert_eq!(alone.kind, merged.kind);
        check_room(&alone.data, &merged.data);
    }
}

fn check_room(alone: &str, merged: &str) {
    let object = |text| serde_json::from_str::<Map<String, Value>>(text).ok();
    if let Some(mut members) = object(alone) {
        members.insert("room".into(), ROOM.into());
        assert_eq!(object(merged), Some(members));
    } else if merged != alone {
        // serde_json does not parse an object that is nested too deeply or has too large a number; the server splices
        // it.
        let member = format!("\"room\":\"{ROOM}\"");
        let (before, after) = merged.rsplit_once(&member).unwrap_or_else(|| panic!("{merged:?}"));
        assert_eq!(format!("{}{after}", before.strip_suffix(',').unwrap_or(before)), alone);
    }
}
