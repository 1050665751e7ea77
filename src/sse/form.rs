//! How one stream is written: its syntax, and whether in chunks (RFC 9112 § 7.1).
//!
//! The last chunk is never written: it would mean that the stream has ended for good.

use bytes::{Buf, Bytes};

use super::event::{Block, Event, Kind, Text};
use super::{event_stream, json_lines, text_lines};
use crate::chat::{ArticleChat, EDIT, Id, Message, TimeZone};

/// What stands before the length of a chunk is known: at most eight digits and a line break.
const CHUNK_HEADER: &str = "00000000\r\n";

const CHUNK_END: &str = "\r\n";

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// How a block is written.
    pub syntax: Syntax,
    /// Whether each block is a chunk. HTTP/1.0 has none.
    pub is_chunked: bool,
}

/// How a block is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Syntax {
    /// `text/event-stream`.
    EventStream(Text),
    /// The same, with messages as the chat article has them.
    Chats,
    /// The same, as the page reads it: what apps send has one name, since a browser shows a script only events whose names
    /// it knows.
    Page,
    /// The same, of only heartbeats.
    Heartbeats,
    /// The same, as the clients of sockets read it: with pings instead of heartbeats, and without presence.
    Socket,
    /// `text/plain`, with times of this zone.
    TextLines(TimeZone),
    /// `application/x-ndjson`.
    JsonLines(Text),
}

/// A block in one syntax, as a chunk.
#[derive(Clone, Debug, Default)]
pub struct EncodedBlock {
    chunk: Bytes,
    /// The bytes before those of the block.
    header: usize,
}

impl Form {
    /// Encodes a block.
    pub fn encode(self, block: &Block<'_>) -> Bytes {
        self.syntax.encode(block).in_form(self)
    }

    /// Encodes an event without a cursor.
    pub fn encode_event(self, event: &Event) -> Bytes {
        self.encode(&Block::of(event))
    }

    /// Returns a heartbeat.
    pub fn heartbeat(self) -> Bytes {
        Bytes::from_static(match (self.syntax, self.is_chunked) {
            (Syntax::TextLines(_), true) => b"1\r\n\n\r\n",
            (Syntax::TextLines(_), false) => b"\n",
            (Syntax::JsonLines(_), true) => b"2c\r\n{\"id\":null,\"event\":\"heartbeat\",\"data\":\"OK\"}\n\r\n",
            (Syntax::JsonLines(_), false) => b"{\"id\":null,\"event\":\"heartbeat\",\"data\":\"OK\"}\n",
            (Syntax::Socket, true) => b"16\r\nevent: ping\ndata: {}\n\n\r\n",
            (Syntax::Socket, false) => b"event: ping\ndata: {}\n\n",
            (_, true) => b"1b\r\nevent: heartbeat\ndata: OK\n\n\r\n",
            (_, false) => b"event: heartbeat\ndata: OK\n\n",
        })
    }
}

impl Default for Form {
    fn default() -> Self {
        Self { syntax: Syntax::EventStream(Text::Escaped), is_chunked: true }
    }
}

impl Syntax {
    /// Returns the media type of a stream.
    pub fn content_type(self) -> &'static str {
        match self {
            Syntax::EventStream(_) | Syntax::Chats | Syntax::Page | Syntax::Heartbeats | Syntax::Socket => {
                "text/event-stream; charset=utf-8"
            }
            Syntax::TextLines(_) => "text/plain; charset=utf-8",
            Syntax::JsonLines(_) => "application/x-ndjson",
        }
    }

    /// Encodes a block. A block that this syntax leaves out is of no bytes, not even those of a chunk: an empty chunk
    /// would be the last one.
    pub fn encode(self, block: &Block<'_>) -> EncodedBlock {
        let mut out = String::with_capacity(CHUNK_HEADER.len() + block.event.data.len() + 96);
        out.push_str(CHUNK_HEADER);
        match self {
            Syntax::EventStream(text) => event_stream::push_block(&mut out, block, text),
            Syntax::Chats => push_chat(&mut out, block),
            Syntax::Page => push_for_page(&mut out, block),
            Syntax::Heartbeats => event_stream::push_heartbeat(&mut out, block),
            Syntax::Socket => push_for_socket(&mut out, block),
            Syntax::TextLines(zone) => text_lines::push_lines(&mut out, block, zone),
            Syntax::JsonLines(text) => json_lines::push_line(&mut out, block, text),
        }
        EncodedBlock::new(out)
    }
}

/// Appends a message as the chat article has it, and anything else as in any event stream.
fn push_chat(out: &mut String, block: &Block<'_>) {
    let chat = match block.event.kind {
        Kind::Message => Message::parse(&block.event.data),
        _ => None,
    };
    let Some(message) = chat else {
        return event_stream::push_block(out, block, Text::Escaped);
    };
    let id = Id { ms: block.event.ms, n: 0 };
    let data = serde_json::to_string(&ArticleChat::new(id, &message)).unwrap_or_default();
    event_stream::push_event(out, block, Some("chat"), &data);
}

/// Appends a block as the page reads it: of an app's event with a type only that there is one, so that the cursor moves.
fn push_for_page(out: &mut String, block: &Block<'_>) {
    match &block.event.kind {
        Kind::Typed(name) if !["delete", EDIT].contains(&&**name) => {
            let brief = Event { kind: Kind::Typed("typed".into()), data: "{}".to_owned(), ms: block.event.ms };
            event_stream::push_block(out, &Block { event: &brief, ..*block }, Text::Escaped);
        }
        _ => event_stream::push_block(out, block, Text::Escaped),
    }
}

/// Appends what the client of a socket may see.
fn push_for_socket(out: &mut String, block: &Block<'_>) {
    match block.event.kind {
        Kind::Presence | Kind::UserJoined | Kind::UserLeft => {}
        Kind::Heartbeat => event_stream::push_block(out, &Block { event: &Event::ping(), ..*block }, Text::Escaped),
        _ => event_stream::push_block(out, block, Text::Escaped),
    }
}

impl EncodedBlock {
    /// Completes the header of a chunk, and ends it.
    fn new(mut chunk: String) -> Self {
        let length = chunk.len() - CHUNK_HEADER.len();
        if length == 0 {
            return Self::default();
        }
        chunk.push_str(CHUNK_END);
        let mut chunk = chunk.into_bytes();
        let digits = length.ilog2() as usize / 4 + 1;
        let start = CHUNK_HEADER.len() - CHUNK_END.len() - digits;
        for (index, byte) in chunk[start..start + digits].iter_mut().enumerate() {
            let digit = length >> (4 * (digits - 1 - index)) & 0xf;
            *byte = b"0123456789abcdef"[digit];
        }
        let mut chunk = Bytes::from(chunk);
        chunk.advance(start);
        Self { chunk, header: digits + CHUNK_END.len() }
    }

    /// Returns the block as a stream of this form has it.
    pub fn in_form(&self, form: Form) -> Bytes {
        if form.is_chunked || self.chunk.is_empty() {
            self.chunk.clone()
        } else {
            self.chunk.slice(self.header..self.chunk.len() - CHUNK_END.len())
        }
    }

    /// Returns the bytes that the block takes.
    pub fn size(&self) -> usize {
        self.chunk.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_syntaxes() -> [Syntax; 8] {
        let texts = [Text::Escaped, Text::Plain];
        let [escaped, plain] = texts.map(Syntax::EventStream);
        let [escaped_json, plain_json] = texts.map(Syntax::JsonLines);
        [
            escaped,
            plain,
            escaped_json,
            plain_json,
            Syntax::Chats,
            Syntax::Heartbeats,
            Syntax::Socket,
            Syntax::TextLines(TimeZone::UTC),
        ]
    }

    #[test]
    fn a_chunk_is_its_length_and_the_block() {
        for length in [1, 15, 16, 255, 256, 4095, 4096, 70_000] {
            let body = "x".repeat(length);
            let encoded = EncodedBlock::new(format!("{CHUNK_HEADER}{body}"));
            let form = |is_chunked| encoded.in_form(Form { is_chunked, ..Form::default() });
            assert_eq!(form(true), format!("{length:x}\r\n{body}\r\n"));
            assert_eq!(form(false), body);
        }
    }

    #[test]
    fn a_heartbeat_is_encoded_as_any_other_event() {
        for syntax in all_syntaxes() {
            for is_chunked in [true, false] {
                let form = Form { syntax, is_chunked };
                assert_eq!(form.heartbeat(), form.encode_event(&Event::heartbeat()), "{form:?}");
            }
        }
    }

    #[test]
    fn a_block_that_is_left_out_is_no_chunk() {
        let presence = Event::user_joined("ada");
        for syntax in [Syntax::Heartbeats, Syntax::Socket, Syntax::TextLines(TimeZone::UTC)] {
            for is_chunked in [true, false] {
                assert!(Form { syntax, is_chunked }.encode_event(&presence).is_empty());
            }
        }
    }

    #[test]
    fn a_chat_is_a_message_and_nothing_else() {
        let form = Form { syntax: Syntax::Chats, is_chunked: false };
        let encode = |kind: &str, data: &str| {
            let id = Id { ms: 1_409_072_772_521, n: 7 };
            let event = Event::entry(id, kind, data.to_owned());
            String::from_utf8(form.encode(&Block { cursor: Some(&id.into()), ..Block::of(&event) }).into()).unwrap()
        };
        assert_eq!(
            encode("", r#"{"sender":"1","message":"a &lt; b"}"#),
            "id: 1409072772521-7\nevent: chat\ndata: {\"message\":\"a < b\",\"userId\":1,\"createdAt\":\"2014-08-26T17:06:12.521Z\"}\n\n"
        );
        assert_eq!(encode("note", "x"), "id: 1409072772521-7\nevent: note\ndata: x\n\n");
        assert_eq!(encode("", "not JSON"), "id: 1409072772521-7\ndata: not JSON\n\n");
    }

    #[test]
    fn a_socket_has_entries_by_type_and_pings() {
        let form = Form { syntax: Syntax::Socket, is_chunked: false };
        let encode = |kind: &str, data: &str| {
            let event = Event::entry(Id { ms: 1, n: 7 }, kind, data.to_owned());
            String::from_utf8(form.encode_event(&event).into()).unwrap()
        };
        let message = r#"{"sender":"a","message":"&lt;"}"#;
        assert_eq!(encode("", message), format!("data: {message}\n\n"));
        assert_eq!(encode("message", "<b>\r\nb"), "data: <b>\ndata: b\n\n");
        assert_eq!(encode("post:created", ""), "event: post:created\ndata: \n\n");
        assert_eq!(form.heartbeat(), "event: ping\ndata: {}\n\n");
    }
}
