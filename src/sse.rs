//! The wire format of a stream: frames as bytes, and nothing else.
//!
//! WHATWG HTML § server-sent events. Lines end with LF only and a space follows each colon, since
//! some clients insist on both. Nothing that comes from outside can start a line of its own.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;
use serde::de::IgnoredAny;

use crate::chat::{Cursor, Id, RoomName};

/// What each line of data begins with.
const DATA: &str = "data: ";

/// A stream's opening: the delay in milliseconds after which the reader comes back when the
/// connection ends, and its place, where that is known.
pub fn opening(retry: u32, place: Option<&Cursor>) -> String {
    match place {
        Some(place) => format!("retry: {retry}\nid: {place}\n\n"),
        None => format!("retry: {retry}\n\n"),
    }
}

/// Moves the reader's cursor and dispatches nothing: an event without data is none.
pub fn place(place: &Cursor) -> String {
    format!("id: {place}\n\n")
}

/// An entry of the log. A message has no `event:` line, and `event: message` is never written,
/// because some clients hand it to another listener.
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

/// What another program published on the room's channel: passed on without an id, one `data:` line
/// for each of its lines. Bytes that are not UTF-8 become U+FFFD.
pub fn foreign(payload: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(payload);
    let mut frame = String::with_capacity(text.len() + 16);
    push_data(&mut frame, &text);
    frame.into()
}

/// A frame of one room as it stands in a stream of several: its id becomes the place in all of them,
/// and the room is the last member of its data, where that is an object of JSON.
pub fn of_several(frame: &[u8], room: &RoomName, place: &Cursor) -> Bytes {
    let text = String::from_utf8_lossy(frame);
    let mut several = String::with_capacity(frame.len() + 128);
    for block in text.split_terminator("\n\n") {
        let (data, fields): (Vec<&str>, Vec<&str>) = block.split('\n').partition(|line| line.starts_with(DATA));
        for field in fields {
            // Writing to a String cannot fail.
            let _ = match field.starts_with("id: ") {
                true => writeln!(several, "id: {place}"),
                false => writeln!(several, "{field}"),
            };
        }
        let lines: Vec<&str> = data.iter().map(|line| &line[DATA.len()..]).collect();
        match lines.is_empty() {
            true => several.push('\n'),
            false => push_data(&mut several, &naming(&lines.join("\n"), room)),
        }
    }
    several.into()
}

/// Whether the node hears its bus, which node it is, and after how many seconds of silence it says
/// `heartbeat`.
pub fn status(live: bool, node: &str, heartbeat: u64) -> Bytes {
    #[derive(Serialize)]
    struct Status<'a> {
        live: bool,
        node: &'a str,
        heartbeat: u64,
    }
    named("status", &Status { live, node, heartbeat })
}

/// Why continuity cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// The messages after the asked id are no longer retained.
    Trimmed,
    /// The asked id does not belong to the log that there is now.
    Reset,
    /// What was asked is no id.
    Invalid,
}

impl GapReason {
    /// As it stands in the stream and in the metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            GapReason::Trimmed => "trimmed",
            GapReason::Reset => "reset",
            GapReason::Invalid => "invalid",
        }
    }
}

/// Says that messages may be missing after `asked` (cut to 64 characters), and which message
/// follows at once; then, in a block of its own, the place before what follows.
pub fn gap(asked: &str, resumed: Option<Id>, reason: GapReason, place_before: Id) -> Bytes {
    #[derive(Serialize)]
    struct Gap<'a> {
        asked: &'a str,
        resumed: Option<String>,
        reason: GapReason,
    }
    let cut = asked.char_indices().nth(64).map_or(asked, |(end, _)| &asked[..end]);
    let said = named("gap", &Gap { asked: cut, resumed: resumed.map(|id| id.to_string()), reason });
    [said, place(&place_before.into()).into()].concat().into()
}

/// Proof of life that a page can see. It has no id: it must not move the cursor.
pub fn heartbeat() -> Bytes {
    Bytes::from_static(b"event: heartbeat\ndata: OK\n\n")
}

/// Who is in the room: how many readers, and their names where there are not too many.
pub fn presence(roster: &impl Serialize) -> Bytes {
    named("presence", roster)
}

/// The first reader of this name has come.
pub fn user_joined(name: &str) -> Bytes {
    named("userJoined", &User { username: name })
}

/// The last reader of this name has been away for a while.
pub fn user_left(name: &str) -> Bytes {
    named("userLeft", &User { username: name })
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
}

/// Why a reader is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackoffReason {
    /// There is no room for one more stream here, or from this address.
    Full,
    /// The node is about to end.
    Draining,
    /// The reader fell too far behind.
    Slow,
}

/// Sends a reader away for a while drawn at random, in milliseconds: 5–30 s where it is full,
/// else 1–5 s. A browser never comes back after a status other than 200, so this is how to refuse.
pub fn backoff(reason: BackoffReason) -> Bytes {
    #[derive(Serialize)]
    struct Backoff {
        reason: BackoffReason,
    }
    let retry = match reason {
        BackoffReason::Full => rand::random_range(5_000..=30_000),
        BackoffReason::Draining | BackoffReason::Slow => rand::random_range(1_000..=5_000),
    };
    let said = named("backoff", &Backoff { reason });
    [opening(retry, None).into(), said].concat().into()
}

/// The delay of a stream's opening: 1–3 s, drawn per connection, so that readers that were cut at
/// once do not come back at once.
pub fn retry() -> u32 {
    rand::random_range(1_000..=3_000)
}

/// An event of the server's own: a constant name and one line of JSON.
fn named(event: &str, data: &impl Serialize) -> Bytes {
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {event}\ndata: {data}\n\n").into()
}

/// Adds the room to an object, as its last member: whoever wrote another of this name is overruled.
fn naming<'a>(data: &'a str, room: &RoomName) -> Cow<'a, str> {
    let is_object = data.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(data).is_ok();
    let Some((members, end)) = data.rsplit_once('}').filter(|_| is_object) else {
        return data.into();
    };
    let comma = if members.trim_end().ends_with('{') { "" } else { "," };
    format!("{members}{comma}\"room\":\"{room}\"}}{end}").into()
}

/// One `data:` line for each line of the text and the blank line that ends the frame. CR, LF and
/// CRLF all end a line for a reader, so all of them end one here.
fn push_data(frame: &mut String, text: &str) {
    let text = match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    };
    for line in text.split('\n') {
        frame.push_str(DATA);
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a reader makes of a stream.
    #[derive(Debug, PartialEq)]
    struct Dispatched {
        event: String,
        data: String,
        last_event_id: String,
    }

    /// An event stream parser of its own, after WHATWG HTML § 9.2.6, "Interpreting an event stream".
    fn read(stream: &[u8]) -> Vec<Dispatched> {
        let text = String::from_utf8(stream.to_vec()).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut data, mut event, mut id) = (Vec::new(), String::new(), String::new(), String::new());
        for line in text.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if line.is_empty() => {
                    let data = std::mem::take(&mut data);
                    let event = std::mem::take(&mut event);
                    if let Some(data) = data.strip_suffix('\n') {
                        let event = if event.is_empty() { "message".to_owned() } else { event };
                        events.push(Dispatched { event, data: data.to_owned(), last_event_id: id.clone() });
                    }
                }
                "event" => event = value.to_owned(),
                "data" => data.extend([value, "\n"]),
                "id" if !value.contains('\0') => id = value.to_owned(),
                _ => {}
            }
        }
        events
    }

    /// Text that tries to be more than one line of one field.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\r"),
            Just("\n"),
            Just("\r\n"),
            Just("\0"),
            Just("\u{feff}"),
            Just("\u{2028}"),
            Just("id: 9-9"),
            Just("data: x"),
            Just("event: gap"),
            Just(": "),
            Just("é😀"),
        ];
        prop_oneof![prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat()), any::<String>()]
    }

    fn with_one_kind_of_line_end(text: &str) -> String {
        text.replace("\r\n", "\n").replace('\r', "\n")
    }

    proptest! {
        #[test]
        fn an_entry_is_read_back_as_one_event_with_its_id(data in hostile(), ms in 0..1u64 << 53, n in 0..1u64 << 53) {
            let id = Id { ms, n };
            let expected = Dispatched { event: "message".into(), data: with_one_kind_of_line_end(&data), last_event_id: id.to_string() };
            prop_assert_eq!(read(&entry(id, "", &data)), [expected]);
        }

        #[test]
        fn a_kind_cannot_forge_a_field(kind in hostile()) {
            let events = read(&entry(Id { ms: 1, n: 1 }, &kind, "x"));
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!((&events[0].data[..], &events[0].last_event_id[..]), ("x", "1-1"));
        }

        #[test]
        fn a_foreign_payload_is_read_back_as_one_event_without_an_id(payload in hostile()) {
            let before = place(&Id { ms: 5, n: 7 }.into());
            let events = read(&[before.as_bytes(), &foreign(payload.as_bytes())].concat());
            let expected = Dispatched { event: "message".into(), data: with_one_kind_of_line_end(&payload), last_event_id: "5-7".into() };
            prop_assert_eq!(events, [expected]);
        }

        #[test]
        fn among_several_rooms_it_is_still_one_event(payload in hostile()) {
            let room = RoomName::parse("a").unwrap();
            let told = of_several(&foreign(payload.as_bytes()), &room, &Cursor::zero(2));
            let expected = naming(&with_one_kind_of_line_end(&payload), &room).into_owned();
            prop_assert_eq!(read(&told), [Dispatched { event: "message".into(), data: expected, last_event_id: String::new() }]);
        }

        #[test]
        fn any_bytes_at_all_give_one_event(payload in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(read(&foreign(&payload)).len(), 1);
        }

        #[test]
        fn a_gap_tells_what_was_asked_cut_to_64_characters(asked in hostile()) {
            let events = read(&gap(&asked, None, GapReason::Invalid, Id { ms: 3, n: 4 }));
            prop_assert_eq!(events.len(), 1);
            let told: serde_json::Value = serde_json::from_str(&events[0].data).unwrap();
            prop_assert_eq!(told["asked"].as_str().unwrap(), asked.chars().take(64).collect::<String>());
        }
    }

    #[test]
    fn a_frame_among_several_rooms_has_all_places_and_names_its_room() {
        let room = RoomName::parse("caf\u{e9}").unwrap();
        let all: Cursor = [Id { ms: 3, n: 4 }, Id::ZERO].into_iter().collect();
        let told = |frame: Bytes| String::from_utf8(of_several(&frame, &room, &all).into()).unwrap();
        let id = Id { ms: 3, n: 4 };
        assert_eq!(told(entry(id, "", r#"{"a":{}}"#)), "id: 3-4,0-0\ndata: {\"a\":{},\"room\":\"café\"}\n\n");
        assert_eq!(told(entry(id, "note", "{ }")), "id: 3-4,0-0\nevent: note\ndata: { \"room\":\"café\"}\n\n");
        assert_eq!(told(foreign(b"{\n\"a\":1}\n")), "data: {\ndata: \"a\":1,\"room\":\"café\"}\ndata: \n\n");
        for text in ["plain", "[{}]", "{not json}", "{} {}", ""] {
            assert_eq!(told(foreign(text.as_bytes())), format!("data: {text}\n\n"));
        }
        assert_eq!(
            told(gap("1-1", None, GapReason::Reset, id)),
            "event: gap\ndata: {\"asked\":\"1-1\",\"resumed\":null,\"reason\":\"reset\",\"room\":\"café\"}\n\nid: 3-4,0-0\n\n"
        );
    }

    #[test]
    fn frames_are_written_byte_for_byte_as_the_contract_has_them() {
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

    #[test]
    fn whoever_is_sent_away_gets_a_delay_a_reason_and_no_id() {
        for (reason, range) in [
            (BackoffReason::Full, 5_000..=30_000),
            (BackoffReason::Slow, 1_000..=5_000),
            (BackoffReason::Draining, 1_000..=5_000),
        ] {
            let text = String::from_utf8(backoff(reason).into()).unwrap();
            let delay: u32 = text.lines().next().unwrap().strip_prefix("retry: ").unwrap().parse().unwrap();
            assert!(range.contains(&delay) && !text.contains("id:"), "{text}");
            assert!(text.contains("event: backoff\ndata: {\"reason\":"), "{text}");
        }
    }
}
