//! Blocks of an event stream (WHATWG HTML § 9.2.5, "Parsing an event stream").
//!
//! Lines end with LF. A space follows each colon, because some clients insist on it, but not that of `retry`, because
//! others then read its milliseconds as seconds. No block is without data: clients forget the id of one, or take it for
//! an empty message. No text from outside can begin a line of its own.

use std::borrow::Cow;
use std::fmt::Write;

use super::event::{Block, Kind, Text};

/// Appends a block as an event of its own kind.
pub fn push_block(out: &mut String, block: &Block<'_>, text: Text) {
    push_event(out, block, block.event.kind.name(), &block.data(text));
}

/// Appends a block with another name and data than its event has.
pub fn push_event(out: &mut String, block: &Block<'_>, name: Option<&str>, data: &str) {
    // Writing to a String cannot fail.
    if let Some(retry_ms) = block.retry_ms {
        let _ = writeln!(out, "retry:{retry_ms}");
    }
    if let Some(cursor) = block.cursor {
        out.push_str("id: ");
        let _ = write!(out, "{cursor}");
        out.push('\n');
    }
    if let Some(name) = name {
        out.extend(["event: ", name, "\n"]);
    }
    push_data(out, data);
}

/// Appends a heartbeat without a cursor, as the only event of a stream.
pub fn push_heartbeat(out: &mut String, block: &Block<'_>) {
    match block.event.kind {
        Kind::Heartbeat | Kind::Backoff => push_block(out, &Block { cursor: None, ..*block }, Text::Escaped),
        _ => {}
    }
}

/// Returns the text with LF at the end of each line but the last. CR, LF and CRLF all end a line for a client's parser, so
/// each of them ends one in every form of a stream.
pub fn lines_joined(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Appends one `data:` line for each line of the text, and the blank line that ends the block.
fn push_data(out: &mut String, text: &str) {
    for line in lines_joined(text).split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::{Cursor, Id, RoomName};
    use crate::sse::event::{BackoffReason, Event, GapReason};
    use crate::sse::parser::{Dispatched, hostile_text, normalize_line_ends, parse};

    fn encode(block: &Block<'_>) -> String {
        let mut out = String::new();
        push_block(&mut out, block, Text::Escaped);
        out
    }

    fn message(data: &str, last_event_id: &str) -> Dispatched {
        Dispatched { event: "message".into(), data: data.into(), last_event_id: last_event_id.into() }
    }

    proptest! {
        #[test]
        fn an_entry_is_one_event_with_its_id(data in hostile_text(), ms in 0..1u64 << 53, n in 0..1u64 << 53) {
            let id = Id { ms, n };
            let expected = message(&normalize_line_ends(&data), &id.to_string());
            let event = Event::entry(id, "", data);
            let block = Block { cursor: Some(&id.into()), ..Block::of(&event) };
            prop_assert_eq!(parse(encode(&block).as_bytes()), [expected]);
        }

        #[test]
        fn an_event_type_cannot_forge_a_field(kind in hostile_text()) {
            let id = Id { ms: 1, n: 1 };
            let event = Event::entry(id, &kind, "x".to_owned());
            let events = parse(encode(&Block { cursor: Some(&id.into()), ..Block::of(&event) }).as_bytes());
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!((&events[0].data[..], &events[0].last_event_id[..]), ("x", "1-1"));
        }

        #[test]
        fn any_payload_is_one_event_without_an_id(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            let event = Event::foreign(&payload, 1);
            let events = parse([b"id: 5-7\n\n", encode(&Block::of(&event)).as_bytes()].concat().as_slice());
            prop_assert_eq!(events, [message(&normalize_line_ends(&String::from_utf8_lossy(&payload)), "5-7")]);
        }

        #[test]
        fn a_foreign_payload_in_merged_rooms_is_one_event(payload in hostile_text()) {
            let room = RoomName::parse("a").unwrap();
            let event = Event::foreign(payload.as_bytes(), 1);
            let block = Block { room: Some(&room), ..Block::of(&event) };
            let expected = normalize_line_ends(&block.data(Text::Escaped));
            prop_assert_eq!(parse(encode(&block).as_bytes()), [message(&expected, "")]);
        }

        #[test]
        fn a_gap_repeats_64_characters_of_what_was_asked(asked in hostile_text()) {
            let events = parse(encode(&Block::of(&Event::gap(&asked, None, GapReason::Invalid))).as_bytes());
            prop_assert_eq!(events.len(), 1);
            let gap: serde_json::Value = serde_json::from_str(&events[0].data).unwrap();
            prop_assert_eq!(gap["asked"].as_str().unwrap(), asked.chars().take(64).collect::<String>());
        }
    }

    #[test]
    fn blocks_are_byte_for_byte_as_the_contract_has_them() {
        let id = Id { ms: 1_361_572_294_000, n: 42 };
        let cursor = Cursor::from(id);
        let with_id = |event: Event| encode(&Block { cursor: Some(&cursor), ..Block::of(&event) });
        assert_eq!(
            encode(&Block {
                retry_ms: Some(2000),
                cursor: Some(&cursor),
                room: None,
                event: &Event::status(true, "chat-2", 15)
            }),
            "retry:2000\nid: 1361572294000-42\nevent: status\ndata: {\"live\":true,\"node\":\"chat-2\",\"heartbeat\":15}\n\n"
        );
        assert_eq!(with_id(Event::entry(id, "", "{}".into())), "id: 1361572294000-42\ndata: {}\n\n");
        assert_eq!(with_id(Event::entry(id, "message", "{}".into())), "id: 1361572294000-42\ndata: {}\n\n");
        assert_eq!(with_id(Event::entry(id, "note", "{}".into())), "id: 1361572294000-42\nevent: note\ndata: {}\n\n");
        assert_eq!(encode(&Block::of(&Event::heartbeat())), "event: heartbeat\ndata: OK\n\n");
        assert_eq!(
            with_id(Event::gap("x", Some(id), GapReason::Trimmed)),
            "id: 1361572294000-42\nevent: gap\ndata: {\"asked\":\"x\",\"resumed\":\"1361572294000-42\",\"reason\":\"trimmed\"}\n\n"
        );
        assert_eq!(
            encode(&Block { retry_ms: Some(17403), ..Block::of(&Event::backoff(BackoffReason::Full, 17403)) }),
            "retry:17403\nevent: backoff\ndata: {\"reason\":\"full\",\"retry\":17403}\n\n"
        );
    }

    #[test]
    fn a_block_of_merged_rooms_has_all_ids_and_names_its_room() {
        let room = RoomName::parse("caf\u{e9}").unwrap();
        let cursor: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
        let event = Event::entry(Id { ms: 3, n: 4 }, "note", r#"{"a":1}"#.to_owned());
        let block = Block { retry_ms: None, cursor: Some(&cursor), room: Some(&room), event: &event };
        assert_eq!(encode(&block), "id: 3-4,0-0\nevent: note\ndata: {\"a\":1,\"room\":\"café\"}\n\n");
    }
}
