//! Frames of an event stream as bytes (WHATWG HTML § 9.2.5, "Parsing an event stream").
//!
//! Lines end with LF and a space follows each colon, because some clients insist on both. No text from outside can
//! begin a line of its own.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;

use crate::chat::{Cursor, Id};

/// The beginning of each line of data.
pub(super) const DATA_PREFIX: &str = "data: ";

/// The most characters of a requested cursor that a gap event repeats.
const MAX_ASKED_CHARS: usize = 64;

/// Encodes the opening of a stream: the milliseconds after which a client reconnects, and the cursor it begins with, if
/// that is known.
pub fn opening(retry_ms: u32, cursor: Option<&Cursor>) -> String {
    match cursor {
        Some(cursor) => format!("retry: {retry_ms}\nid: {cursor}\n\n"),
        None => format!("retry: {retry_ms}\n\n"),
    }
}

/// Encodes a block that moves the client's cursor and dispatches no event, since it has no data.
pub fn cursor(cursor: &Cursor) -> String {
    format!("id: {cursor}\n\n")
}

/// Encodes an entry of the log. A message has no `event:` line: some clients dispatch `event: message` to another
/// listener than an event without a type.
pub fn entry(id: Id, kind: &str, data: &str) -> Bytes {
    let mut frame = String::with_capacity(data.len() + kind.len() + 64);
    // Writing to a String cannot fail.
    let _ = writeln!(frame, "id: {id}");
    let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
    if !kind.is_empty() && kind != "message" {
        let _ = writeln!(frame, "event: {kind}");
    }
    push_data(&mut frame, data);
    frame.into()
}

/// Encodes what another program published on the room's channel: no id, and one `data:` line for each of its lines.
/// Bytes that are not UTF-8 become U+FFFD.
pub fn foreign(payload: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(payload);
    let mut frame = String::with_capacity(text.len() + 16);
    push_data(&mut frame, &text);
    frame.into()
}

/// Encodes whether the node receives announcements, its name, and its heartbeat interval in seconds.
pub fn status(live: bool, node: &str, heartbeat: u64) -> Bytes {
    #[derive(Serialize)]
    struct Status<'a> {
        live: bool,
        node: &'a str,
        heartbeat: u64,
    }
    event("status", &Status { live, node, heartbeat })
}

/// Why continuity cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// The messages after the requested id are no longer retained.
    Trimmed,
    /// The requested id does not belong to the current log.
    Reset,
    /// What was requested is not an id.
    Invalid,
}

impl GapReason {
    /// Returns the reason as it is written in the stream and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::Trimmed => "trimmed",
            GapReason::Reset => "reset",
            GapReason::Invalid => "invalid",
        }
    }
}

/// Encodes that messages may be missing after `asked` and which message follows at once, and then, in a block of its
/// own, the cursor before what follows.
pub fn gap(asked: &str, resumed: Option<Id>, reason: GapReason, cursor_before: Id) -> Bytes {
    #[derive(Serialize)]
    struct Gap<'a> {
        asked: &'a str,
        resumed: Option<String>,
        reason: GapReason,
    }
    let cut = asked.char_indices().nth(MAX_ASKED_CHARS).map_or(asked, |(end, _)| &asked[..end]);
    let gap = event("gap", &Gap { asked: cut, resumed: resumed.map(|id| id.to_string()), reason });
    [gap, cursor(&cursor_before.into()).into()].concat().into()
}

/// Returns a heartbeat that scripts can see, unlike a comment. It has no id, so it does not move the cursor.
pub fn heartbeat() -> Bytes {
    Bytes::from_static(b"event: heartbeat\ndata: OK\n\n")
}

/// Encodes the number of subscribers in the room and, if there are not too many, their names.
pub fn presence(snapshot: &impl Serialize) -> Bytes {
    event("presence", snapshot)
}

/// Encodes that the first subscriber with this name has joined.
pub fn user_joined(name: &str) -> Bytes {
    event("userJoined", &User { username: name })
}

/// Encodes that no subscriber has had this name for a while.
pub fn user_left(name: &str) -> Bytes {
    event("userLeft", &User { username: name })
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
}

/// Why a stream is refused or ended with a `backoff` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffReason {
    /// The node or the client's address has all the streams it may have.
    Full,
    /// The node is about to stop.
    Draining,
    /// The subscriber lagged too far behind.
    Slow,
}

/// Encodes the end of a stream: the milliseconds after which the client reconnects, and the reason. A browser does not
/// reconnect after a status other than 200 (WHATWG HTML § 9.2.3), so this is how to refuse a stream.
pub fn backoff(reason: BackoffReason, retry_ms: u32) -> Bytes {
    #[derive(Serialize)]
    struct Backoff {
        reason: BackoffReason,
    }
    [opening(retry_ms, None).into(), event("backoff", &Backoff { reason })].concat().into()
}

/// Encodes an event of the server's own: a constant name and one line of JSON.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n").into()
}

/// Appends one `data:` line for each line of the text, and the blank line that ends the frame. CR, LF and CRLF all end a
/// line for the client's parser, so each of them ends one here.
pub(super) fn push_data(frame: &mut String, text: &str) {
    let text = if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    };
    for line in text.split('\n') {
        frame.push_str(DATA_PREFIX);
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sse::parser::{Dispatched, hostile_text, normalize_line_ends, parse};

    fn message(data: &str, last_event_id: &str) -> Dispatched {
        Dispatched { event: "message".into(), data: data.into(), last_event_id: last_event_id.into() }
    }

    proptest! {
        #[test]
        fn an_entry_is_one_event_with_its_id(data in hostile_text(), ms in 0..1u64 << 53, n in 0..1u64 << 53) {
            let id = Id { ms, n };
            let expected = message(&normalize_line_ends(&data), &id.to_string());
            prop_assert_eq!(parse(&entry(id, "", &data)), [expected]);
        }

        #[test]
        fn an_event_type_cannot_forge_a_field(kind in hostile_text()) {
            let events = parse(&entry(Id { ms: 1, n: 1 }, &kind, "x"));
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!((&events[0].data[..], &events[0].last_event_id[..]), ("x", "1-1"));
        }

        #[test]
        fn a_foreign_payload_is_one_event_without_an_id(payload in hostile_text()) {
            let before = cursor(&Id { ms: 5, n: 7 }.into());
            let events = parse(&[before.as_bytes(), &foreign(payload.as_bytes())].concat());
            prop_assert_eq!(events, [message(&normalize_line_ends(&payload), "5-7")]);
        }

        #[test]
        fn any_bytes_are_one_event(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(parse(&foreign(&payload)).len(), 1);
        }

        #[test]
        fn a_gap_repeats_64_characters_of_what_was_asked(asked in hostile_text()) {
            let events = parse(&gap(&asked, None, GapReason::Invalid, Id { ms: 3, n: 4 }));
            prop_assert_eq!(events.len(), 1);
            let gap: serde_json::Value = serde_json::from_str(&events[0].data).unwrap();
            prop_assert_eq!(gap["asked"].as_str().unwrap(), asked.chars().take(64).collect::<String>());
        }
    }

    #[test]
    fn frames_are_byte_for_byte_as_the_contract_has_them() {
        let id = Id { ms: 1_361_572_294_000, n: 42 };
        let as_text = |bytes: Bytes| String::from_utf8(bytes.into()).unwrap();
        assert_eq!(opening(2000, Some(&id.into())), "retry: 2000\nid: 1361572294000-42\n\n");
        assert_eq!(opening(2000, None), "retry: 2000\n\n");
        assert_eq!(as_text(entry(id, "", "{}")), "id: 1361572294000-42\ndata: {}\n\n");
        assert_eq!(as_text(entry(id, "message", "{}")), "id: 1361572294000-42\ndata: {}\n\n");
        assert_eq!(as_text(entry(id, "note", "{}")), "id: 1361572294000-42\nevent: note\ndata: {}\n\n");
        assert_eq!(as_text(heartbeat()), "event: heartbeat\ndata: OK\n\n");
        assert_eq!(
            as_text(status(true, "chat-2", 15)),
            "event: status\ndata: {\"live\":true,\"node\":\"chat-2\",\"heartbeat\":15}\n\n"
        );
        assert_eq!(
            as_text(gap("x", Some(id), GapReason::Trimmed, Id::ZERO)),
            "event: gap\ndata: {\"asked\":\"x\",\"resumed\":\"1361572294000-42\",\"reason\":\"trimmed\"}\n\nid: 0-0\n\n"
        );
    }
}
