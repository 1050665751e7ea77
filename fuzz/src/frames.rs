//! Frames are parsed as what was encoded. The input is a list of pieces separated by the byte 0xFF, one for each frame;
//! the first byte of a piece selects the kind of frame.

use serde_json::{Map, Value};
use tiny_chat::chat::{Cursor, Id, RoomName};
use tiny_chat::hub::PresenceSnapshot;
use tiny_chat::sse::{Block, Event, Form, GapReason};

use super::stream::{self, parse};

const DELAY: u32 = 2000;
const ROOM: &str = "café";

/// An event, and what a parser should make of it.
struct Sample {
    event: Event,
    kind: String,
    data: String,
    /// The cursor after it, if it moves the client's.
    id: Option<Id>,
}

/// Panics if the parsed events differ from what was encoded, in number, name, data or id, or if the retry delay does.
pub fn check(bytes: &[u8]) {
    let mut cursor = Id { ms: 1, n: 1 };
    let opening = status("node", Some(cursor));
    let block = Block { retry_ms: Some(DELAY), cursor: Some(&cursor.into()), room: None, event: &opening.event };
    let mut stream = bare().encode(&block).to_vec();
    let mut expected = vec![opening.expected(cursor)];
    for (piece, n) in bytes.split(|byte| *byte == 0xff).zip(2..) {
        let sample = sample(piece, Id { ms: 1, n });
        check_chunk(&sample);
        check_merged(&sample);
        stream.extend(sample.encode(bare(), None));
        cursor = sample.id.unwrap_or(cursor);
        expected.push(sample.expected(cursor));
    }
    let parsed = parse(&stream);
    assert_eq!(parsed.events, expected);
    assert_eq!((parsed.last_id, parsed.retry), (cursor.to_string(), Some(DELAY.into())));
}

impl Sample {
    fn encode(&self, form: Form, room: Option<(&RoomName, &Cursor)>) -> Vec<u8> {
        let own = self.id.map(Cursor::from);
        let cursor = own.as_ref().map(|own| room.map_or(own, |(_, merged)| merged));
        let block = Block { retry_ms: None, cursor, room: room.map(|(name, _)| name), event: &self.event };
        form.encode(&block).to_vec()
    }

    fn expected(&self, cursor: Id) -> stream::Event {
        stream::Event { kind: self.kind.clone(), data: self.data.clone(), last_id: cursor.to_string() }
    }
}

/// Returns the form without chunks.
fn bare() -> Form {
    Form { is_chunked: false, ..Form::default() }
}

/// Returns the sample of a piece.
fn sample(piece: &[u8], id: Id) -> Sample {
    let (selector, rest) = piece.split_first().unwrap_or((&b'f', b""));
    let text = String::from_utf8_lossy(rest);
    let user = || format!("{{\"username\":{}}}", quoted(&text));
    match selector {
        b'e' => entry(id, &text),
        b'g' => gap(id, &text),
        b'j' => named("userJoined", Event::user_joined(&text), user()),
        b'l' => named("userLeft", Event::user_left(&text), user()),
        b'p' => presence(&text),
        b's' => status(&text, None),
        b'h' => named("heartbeat", Event::heartbeat(), "OK".into()),
        _ => named("message", Event::foreign(rest, 1), with_one_line_end(&text)),
    }
}

/// Returns an entry of the log. The first line of the text is its kind, which may be any string in Redis.
fn entry(id: Id, text: &str) -> Sample {
    let (kind, data) = text.split_once('\n').unwrap_or(("", text));
    let shown: String = kind.chars().filter(|c| !c.is_control()).collect();
    Sample {
        event: Event::entry(id, kind, data.to_owned()),
        kind: if shown.is_empty() { "message".into() } else { shown },
        data: with_one_line_end(data),
        id: Some(id),
    }
}

fn gap(id: Id, asked: &str) -> Sample {
    let cut: String = asked.chars().take(64).collect();
    let data = format!("{{\"asked\":{},\"resumed\":null,\"reason\":\"invalid\"}}", quoted(&cut));
    Sample { id: Some(id), ..named("gap", Event::gap(asked, None, GapReason::Invalid), data) }
}

fn presence(text: &str) -> Sample {
    let names: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    let data = format!("{{\"count\":{},\"names\":[{}]}}", names.len(), quoted.join(","));
    named("presence", Event::presence(&PresenceSnapshot { count: names.len(), names: Some(names) }), data)
}

fn status(node: &str, id: Option<Id>) -> Sample {
    let data = format!("{{\"live\":true,\"node\":{},\"heartbeat\":15}}", quoted(node));
    Sample { id, ..named("status", Event::status(true, node, 15), data) }
}

fn named(kind: &str, event: Event, data: String) -> Sample {
    Sample { event, kind: kind.into(), data, id: None }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn with_one_line_end(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Checks that the chunked form is one chunk of the bare one.
fn check_chunk(sample: &Sample) {
    let (alone, chunked) = (sample.encode(bare(), None), sample.encode(Form::default(), None));
    assert_eq!(chunked, [format!("{:x}\r\n", alone.len()).as_bytes(), &alone, b"\r\n"].concat());
}

/// Checks that the block in merged rooms differs only by the room's name and by the ids of all rooms.
fn check_merged(sample: &Sample) {
    let room = RoomName::parse(ROOM).unwrap_or_else(|why| panic!("{ROOM}: {why}"));
    let cursor: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
    let alone = parse(&sample.encode(bare(), None));
    let merged = parse(&sample.encode(bare(), Some((&room, &cursor))));
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
