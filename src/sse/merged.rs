//! A frame of one room, encoded again for a stream of several rooms.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;
use serde::de::IgnoredAny;

use super::frame::{DATA_PREFIX, push_data};
use crate::chat::{Cursor, RoomName};

/// Replaces the id of a frame with the cursor of all rooms, and appends the room as the last member of its data if that
/// is a JSON object.
pub fn for_merged_rooms(frame: &[u8], room: &RoomName, cursor: &Cursor) -> Bytes {
    let text = String::from_utf8_lossy(frame);
    let mut merged = String::with_capacity(frame.len() + 128);
    for block in text.split_terminator("\n\n") {
        let (data, fields): (Vec<&str>, Vec<&str>) = block.split('\n').partition(|line| line.starts_with(DATA_PREFIX));
        for field in fields {
            // Writing to a String cannot fail.
            let _ = if field.starts_with("id: ") {
                writeln!(merged, "id: {cursor}")
            } else {
                writeln!(merged, "{field}")
            };
        }
        let lines: Vec<&str> = data.iter().map(|line| &line[DATA_PREFIX.len()..]).collect();
        if lines.is_empty() {
            merged.push('\n');
        } else {
            push_data(&mut merged, &with_room(&lines.join("\n"), room));
        }
    }
    merged.into()
}

/// Replaces the id of a frame that has one with another cursor.
pub fn with_cursor(frame: &[u8], cursor: &Cursor) -> Bytes {
    let is_id = |line: &&[u8]| line.starts_with(b"id: ");
    let mut replaced = Vec::with_capacity(frame.len() + 16);
    for line in frame.split_inclusive(|byte| *byte == b'\n') {
        match Some(line).filter(is_id) {
            // Writing to a Vec cannot fail.
            Some(_) => drop(writeln!(replaced, "id: {cursor}")),
            None => replaced.extend_from_slice(line),
        }
    }
    replaced.into()
}

/// Appends the member `room` to a JSON object. Of two members with this name, a parser keeps the last one.
fn with_room<'a>(data: &'a str, room: &RoomName) -> Cow<'a, str> {
    let is_object = data.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(data).is_ok();
    let Some((members, end)) = data.rsplit_once('}').filter(|_| is_object) else {
        return data.into();
    };
    let comma = if members.trim_end().ends_with('{') { "" } else { "," };
    format!("{members}{comma}\"room\":\"{room}\"}}{end}").into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Id;
    use crate::sse::frame::{GapReason, entry, foreign, gap};
    use crate::sse::parser::{Dispatched, hostile_text, normalize_line_ends, parse};

    proptest! {
        #[test]
        fn a_foreign_payload_is_still_one_event(payload in hostile_text()) {
            let room = RoomName::parse("a").unwrap();
            let frame = for_merged_rooms(&foreign(payload.as_bytes()), &room, &Cursor::zero(2));
            let expected = with_room(&normalize_line_ends(&payload), &room).into_owned();
            prop_assert_eq!(parse(&frame), [Dispatched { event: "message".into(), data: expected, last_event_id: String::new() }]);
        }
    }

    #[test]
    fn only_the_id_of_a_frame_is_replaced() {
        let (before, after): (Cursor, Cursor) = (
            [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect(),
            [Id::ZERO, Id { ms: 3, n: 4 }].into_iter().collect(),
        );
        let room = RoomName::parse("a").unwrap();
        let id = Id { ms: 3, n: 4 };
        for frame in [entry(id, "note", "id: 1-1\nid: 2-2"), gap("id: 1-1", Some(id), GapReason::Reset, id)] {
            let encoded = |cursor| for_merged_rooms(&frame, &room, cursor);
            assert_eq!(with_cursor(&encoded(&before), &after), encoded(&after));
        }
        assert_eq!(with_cursor(b"", &after), Bytes::new());
    }

    #[test]
    fn a_frame_has_the_cursor_of_all_rooms_and_names_its_room() {
        let room = RoomName::parse("caf\u{e9}").unwrap();
        let cursor: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
        let merged = |frame: Bytes| String::from_utf8(for_merged_rooms(&frame, &room, &cursor).into()).unwrap();
        let id = Id { ms: 3, n: 4 };
        assert_eq!(merged(entry(id, "", r#"{"a":{}}"#)), "id: 3-4,0-0\ndata: {\"a\":{},\"room\":\"café\"}\n\n");
        assert_eq!(merged(entry(id, "note", "{ }")), "id: 3-4,0-0\nevent: note\ndata: { \"room\":\"café\"}\n\n");
        assert_eq!(merged(foreign(b"{\n\"a\":1}\n")), "data: {\ndata: \"a\":1,\"room\":\"café\"}\ndata: \n\n");
        for text in ["plain", "[{}]", "{not json}", "{} {}", ""] {
            assert_eq!(merged(foreign(text.as_bytes())), format!("data: {text}\n\n"));
        }
        assert_eq!(
            merged(gap("1-1", None, GapReason::Reset, id)),
            "event: gap\ndata: {\"asked\":\"1-1\",\"resumed\":null,\"reason\":\"reset\",\"room\":\"café\"}\n\nid: 3-4,0-0\n\n"
        );
    }
}
