//! The wire format of a stream: frames as bytes, and nothing else.
//!
//! WHATWG HTML § server-sent events. Lines end with LF only and a space follows each colon, since
//! some clients insist on both. Nothing that comes from outside can start a line of its own.

use std::borrow::Cow;
use std::fmt::Write;

use bytes::Bytes;
use serde::Serialize;

use crate::chat::Id;

/// A stream's opening: the delay in milliseconds after which the reader comes back when the
/// connection ends, and its place, where that is known.
pub fn opening(retry: u32, place: Option<Id>) -> String {
    match place {
        Some(id) => format!("retry: {retry}\nid: {id}\n\n"),
        None => format!("retry: {retry}\n\n"),
    }
}

/// Moves the reader's cursor and dispatches nothing: an event without data is none.
pub fn place(id: Id) -> String {
    format!("id: {id}\n\n")
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
    let said = named(
        "gap",
        &Gap {
            asked: cut,
            resumed: resumed.map(|id| id.to_string()),
            reason,
        },
    );
    [said, place(place_before).into()].concat().into()
}

/// Proof of life that a page can see. It has no id: it must not move the cursor.
pub fn heartbeat() -> Bytes {
    Bytes::from_static(b"event: heartbeat\ndata: OK\n\n")
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

/// One `data:` line for each line of the text and the blank line that ends the frame. CR, LF and
/// CRLF all end a line for a reader, so all of them end one here.
fn push_data(frame: &mut String, text: &str) {
    let text = match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    };
    for line in text.split('\n') {
        frame.push_str("data: ");
        frame.push_str(line);
        frame.push('\n');
    }
    frame.push('\n');
}
