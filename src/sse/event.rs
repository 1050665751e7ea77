//! What a block of a stream says, whatever the form in which it is written.

use std::borrow::Cow;

use memchr::memchr2_iter;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::chat::{Cursor, EDIT, Edit, Id, Message, RoomName, UNTYPED, unescape};

/// Estimated bytes of an event in a stream beside its data.
const FIELDS_BYTES: usize = 64;

/// The most characters of a requested cursor that a gap event repeats.
const MAX_ASKED_CHARS: usize = 64;

/// An event, or a delay with one: what clients receive as a unit.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// The milliseconds after which the client reconnects from now on.
    pub retry_ms: Option<u32>,
    /// The cursor of a client that has received the block; `None` if the block does not move it.
    pub cursor: Option<&'a Cursor>,
    /// The room to name in the data, in a stream of several rooms.
    pub room: Option<&'a RoomName>,
    /// The event.
    pub event: &'a Event,
}

/// An event: an entry of a log, what another program published, or an event of the node itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind of event it is.
    pub kind: Kind,
    /// Its data, as it was stored or published: not escaped any further, of one or more lines.
    pub data: String,
    /// When it was stored, or else came about, in milliseconds since the Unix epoch.
    pub ms: u64,
}

/// The kinds of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message that was posted.
    Message,
    /// An entry of a log that an app sent without a type. It is no message: its text is not escaped.
    Untyped,
    /// Another entry of a log, which has a type.
    Typed(Box<str>),
    /// What another program published on the room's channel.
    Foreign,
    /// Messages may be missing.
    Gap,
    /// Whether the node receives announcements.
    Status {
        /// Whether it does.
        live: bool,
    },
    /// Nothing has happened.
    Heartbeat,
    /// The same, in the stream of a socket.
    Ping,
    /// The stream is refused, or ends.
    Backoff,
    /// How many subscribers the room has, and who they are.
    Presence,
    /// The first subscriber with a name has joined.
    UserJoined,
    /// No subscriber has had a name for a while.
    UserLeft,
}

/// Whether the text of messages is written as it is stored, escaped for HTML.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Text {
    /// As it is stored.
    Escaped,
    /// As it was posted.
    Plain,
}

impl Kind {
    /// Returns the name of the event in a stream; `None` for messages, untyped events and foreign payloads. Some clients dispatch
    /// `event: message` to another listener than an event without a name.
    pub fn name(&self) -> Option<&str> {
        Some(match self {
            Kind::Message | Kind::Untyped | Kind::Foreign => return None,
            Kind::Typed(name) => name,
            Kind::Gap => "gap",
            Kind::Status { .. } => "status",
            Kind::Heartbeat => "heartbeat",
            Kind::Ping => "ping",
            Kind::Backoff => "backoff",
            Kind::Presence => "presence",
            Kind::UserJoined => "userJoined",
            Kind::UserLeft => "userLeft",
        })
    }
}

impl Event {
    /// Creates the event of an entry of a log. Control characters of its type are left out.
    pub fn entry(id: Id, kind: &str, data: String) -> Self {
        let name: Box<str> = kind.chars().filter(|c| !c.is_control()).collect();
        let kind = match &*name {
            "" => Kind::Message,
            UNTYPED => Kind::Untyped,
            _ => Kind::Typed(name),
        };
        Self { kind, data, ms: id.ms }
    }

    /// Returns the type under which the event is stored in a log.
    pub fn stored_type(&self) -> &str {
        match &self.kind {
            Kind::Untyped => UNTYPED,
            kind => kind.name().unwrap_or_default(),
        }
    }

    /// Creates the event of what another program published. Bytes that are not UTF-8 become U+FFFD.
    pub fn foreign(payload: &[u8], now_ms: u64) -> Self {
        Self { kind: Kind::Foreign, data: String::from_utf8_lossy(payload).into_owned(), ms: now_ms }
    }

    /// Creates the event that tells whether the node receives announcements, its name, and its heartbeat interval in
    /// seconds.
    pub fn status(live: bool, node: &str, heartbeat: u64) -> Self {
        #[derive(Serialize)]
        struct Status<'a> {
            live: bool,
            node: &'a str,
            heartbeat: u64,
        }
        Self::own(Kind::Status { live }, &Status { live, node, heartbeat })
    }

    /// Creates the event that tells that messages may be missing after `asked`, and which message follows at once.
    pub fn gap(asked: &str, resumed: Option<Id>, reason: GapReason) -> Self {
        #[derive(Serialize)]
        struct Gap<'a> {
            asked: &'a str,
            resumed: Option<String>,
            reason: GapReason,
        }
        let cut = asked.char_indices().nth(MAX_ASKED_CHARS).map_or(asked, |(end, _)| &asked[..end]);
        Self::own(Kind::Gap, &Gap { asked: cut, resumed: resumed.map(|id| id.to_string()), reason })
    }

    /// Creates the event that ends a stream: why, and the milliseconds after which the client reconnects. A browser does
    /// not reconnect after a status other than 200 (WHATWG HTML § 9.2.3), so this is how to refuse a stream.
    pub fn backoff(reason: BackoffReason, retry_ms: u32) -> Self {
        #[derive(Serialize)]
        struct Backoff {
            reason: BackoffReason,
            retry: u32,
        }
        Self::own(Kind::Backoff, &Backoff { reason, retry: retry_ms })
    }

    /// Creates a heartbeat. Scripts can see it, unlike a comment.
    pub fn heartbeat() -> Self {
        Self { kind: Kind::Heartbeat, data: "OK".to_owned(), ms: 0 }
    }

    /// Creates what takes the place of a heartbeat in the stream of a socket.
    pub fn ping() -> Self {
        Self { kind: Kind::Ping, data: "{}".to_owned(), ms: 0 }
    }

    /// Creates the event of the number of subscribers in the room and, if there are not too many, their names.
    pub fn presence(snapshot: &impl Serialize) -> Self {
        Self::own(Kind::Presence, snapshot)
    }

    /// Creates the event that tells that the first subscriber with this name has joined.
    pub fn user_joined(name: &str) -> Self {
        Self::own(Kind::UserJoined, &User { username: name })
    }

    /// Creates the event that tells that no subscriber has had this name for a while.
    pub fn user_left(name: &str) -> Self {
        Self::own(Kind::UserLeft, &User { username: name })
    }

    fn own(kind: Kind, data: &impl Serialize) -> Self {
        let mut data = serde_json::to_string(data).unwrap_or_default();
        data.shrink_to_fit(); // each room keeps such events
        Self { kind, data, ms: 0 }
    }

    /// Returns about how many bytes the event takes in a stream.
    pub fn encoded_len(&self) -> usize {
        let line_breaks = memchr2_iter(b'\n', b'\r', self.data.as_bytes()).count();
        FIELDS_BYTES + self.data.len() + line_breaks * "data: ".len()
    }
}

impl Block<'_> {
    /// Creates a block of only an event.
    pub fn of(event: &Event) -> Block<'_> {
        Block { retry_ms: None, cursor: None, room: None, event }
    }

    /// Returns the data, with the name of the room as its last member if that has to be named.
    pub(super) fn data(&self, text: Text) -> Cow<'_, str> {
        let data = self.event.data(text);
        match self.room {
            Some(room) => with_room(data, room),
            None => data,
        }
    }
}

impl Event {
    /// Returns the data with its names and texts in this form.
    pub fn data(&self, text: Text) -> Cow<'_, str> {
        match text {
            Text::Escaped => Cow::Borrowed(&self.data),
            Text::Plain => self.plain_data(),
        }
    }

    /// Returns the data with names and texts as they were posted.
    fn plain_data(&self) -> Cow<'_, str> {
        let plain = match self.kind {
            Kind::Message => {
                let message = Message::parse(&self.data).map(|message| message.decoded());
                message.and_then(|message| serde_json::to_string(&message).ok())
            }
            Kind::Typed(ref name) if **name == *EDIT => Edit::parse(&self.data).map(|edit| edit.decoded().to_json()),
            Kind::Presence | Kind::UserJoined | Kind::UserLeft => {
                serde_json::from_str(&self.data).ok().map(|data: Value| decode_strings(data).to_string())
            }
            _ => None,
        };
        plain.map_or(Cow::Borrowed(&self.data), Cow::Owned)
    }
}

fn decode_strings(value: Value) -> Value {
    match value {
        Value::String(text) => unescape(&text).into(),
        Value::Array(values) => values.into_iter().map(decode_strings).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, decode_strings(value))).collect(),
        other => other,
    }
}

/// Appends the member `room` to a JSON object. Of two members with this name, a parser keeps the last one.
fn with_room<'a>(data: Cow<'a, str>, room: &RoomName) -> Cow<'a, str> {
    let is_object = data.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(&data).is_ok();
    let Some((members, end)) = data.rsplit_once('}').filter(|_| is_object) else {
        return data;
    };
    let comma = if members.trim_end().ends_with('{') { "" } else { "," };
    format!("{members}{comma}\"room\":\"{room}\"}}{end}").into()
}

#[derive(Serialize)]
struct User<'a> {
    username: &'a str,
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
    /// The store cannot be reached, so that it is not known whether the client may have the stream.
    Bus,
    /// What gave the client its stream is no longer valid.
    Expired,
}

impl BackoffReason {
    /// Returns the reason as it is written in the stream and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            BackoffReason::Full => "full",
            BackoffReason::Draining => "draining",
            BackoffReason::Slow => "slow",
            BackoffReason::Bus => "bus",
            BackoffReason::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_objects_name_their_room() {
        let room = RoomName::parse("caf\u{e9}").unwrap();
        let named = |data: &str| with_room(data.to_owned().into(), &room).into_owned();
        assert_eq!(named(r#"{"a":{}}"#), r#"{"a":{},"room":"café"}"#);
        assert_eq!(named("{ }"), "{ \"room\":\"café\"}");
        assert_eq!(named("{\n\"a\":1}\n"), "{\n\"a\":1,\"room\":\"café\"}\n");
        for text in ["plain", "[{}]", "{not json}", "{} {}", ""] {
            assert_eq!(named(text), text);
        }
    }

    #[test]
    fn plain_data_is_what_was_posted() {
        let id = Id { ms: 1, n: 1 };
        let plain = |event: Event| Block::of(&event).data(Text::Plain).into_owned();
        let stored = r#"{"sender":"O&#x27;Neil","message":"a &lt; b &amp;amp;","key":"k"}"#;
        assert_eq!(
            plain(Event::entry(id, "", stored.to_owned())),
            r#"{"sender":"O'Neil","message":"a < b &amp;","key":"k"}"#
        );
        let edit = r#"{"id":"1-1","sender":"O&#x27;Neil","message":"a &lt; b"}"#;
        assert_eq!(
            plain(Event::entry(id, "edit", edit.to_owned())),
            r#"{"id":"1-1","sender":"O'Neil","message":"a < b"}"#
        );
        assert_eq!(plain(Event::user_joined("&lt;i&gt;")), r#"{"username":"<i>"}"#);
        for kept in [Event::entry(id, "note", "&lt;".to_owned()), Event::foreign(stored.as_bytes(), 1)] {
            assert_eq!(plain(kept.clone()), kept.data);
        }
    }
}
