//! What a client says to each kind of server, as bytes: a request for a stream, a post, and what answers either.

use std::fmt::Write;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::hubs::{kind::Kind, mercure, position::Position};

/// A message to post.
#[derive(Clone, Copy, Default)]
pub struct Post<'a> {
    pub room: &'a str,
    /// Text without characters that JSON escapes.
    pub text: &'a str,
    /// The number of the post, of which the floor makes an id: it has none of its own.
    pub number: u64,
    /// Makes a repeated post count once, where a server can do that.
    pub key: Option<&'a str>,
    /// The number of the client that a trusted proxy would name.
    pub client: Option<u32>,
}

/// Bytes of the first frame of Socket.IO, of its pings, and the frame that answers one: connections without answers end.
const ENGINE_GREETING: &[u8] = br#""pingInterval":"#;
const ENGINE_PONG: &[u8] = &[0x81, 0x81, 0, 0, 0, 0, b'3'];
const ENGINE_PING: &[u8] = &[0x81, 0x01, b'2'];

/// Returns the path of a room's stream.
pub fn stream_path(kind: Kind, room: &str, position: &Position) -> String {
    match kind {
        Kind::Floor | Kind::Node => format!("/{room}"),
        Kind::Ours => format!("/subscribe/{room}"),
        Kind::Nchan => format!("/sub/{room}"),
        Kind::Centrifugo => {
            let mut subscription = serde_json::json!({});
            if let (Some(offset), Some(epoch)) = (&position.id, &position.epoch) {
                let offset = offset.parse::<u64>().unwrap_or_default();
                subscription = serde_json::json!({ "recover": true, "offset": offset, "epoch": epoch });
            }
            let connect = serde_json::json!({ "subs": { room: subscription } }).to_string();
            format!("/connection/uni_sse?cf_connect={}", utf8_percent_encode(&connect, NON_ALPHANUMERIC))
        }
        Kind::SocketIo => format!("/socket.io/?EIO=4&transport=websocket&room={room}"),
        Kind::DurableStreams => {
            let offset = position.id.as_deref().unwrap_or("now");
            format!("/{room}?live=sse&offset={offset}")
        }
        Kind::AnyCable => format!("/events?stream={room}"),
        Kind::Mercure => format!("/.well-known/mercure?match={room}"),
    }
}

/// Returns the request for the stream of a room, from a position on.
pub fn subscription(kind: Kind, room: &str, position: &Position) -> Vec<u8> {
    let path = stream_path(kind, room, position);
    let begin = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n");
    if kind == Kind::SocketIo {
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        return format!("{begin}{upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n").into_bytes();
    }
    let id = position
        .id
        .as_ref()
        .filter(|_| !matches!(kind, Kind::Centrifugo | Kind::DurableStreams))
        .map(|id| format!("Last-Event-ID: {id}\r\n"))
        .unwrap_or_default();
    format!("{begin}Accept: text/event-stream\r\n{id}\r\n").into_bytes()
}

/// Returns what a reader sends when the server has greeted it, which only Socket.IO wants: it connects, and names the
/// session to recover.
pub fn hello(kind: Kind, position: &Position) -> Vec<u8> {
    if kind != Kind::SocketIo {
        return Vec::new();
    }
    let recovery = match (&position.session, &position.id) {
        (Some(session), Some(offset)) => serde_json::json!({ "pid": session, "offset": offset }).to_string(),
        _ => String::new(),
    };
    text_frame(&format!("40{recovery}"))
}

/// Returns a short text as a frame of a client, masked with zeros.
fn text_frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX).min(125);
    [&[0x81, 0x80 | length, 0, 0, 0, 0], &text.as_bytes()[..length.into()]].concat()
}

/// Returns bytes that a stream contains as soon as it is live.
pub fn opening(kind: Kind) -> &'static [u8] {
    match kind {
        Kind::Ours => br#""live":true"#,
        Kind::Centrifugo => br#"{"connect":"#,
        Kind::SocketIo => br#"40{"sid":"#,
        Kind::AnyCable => b"confirm_subscription",
        _ => b"\r\n\r\n",
    }
}

/// Returns true if the server says with an event that a stream is live. Others are live with the head of the response.
pub fn says_live(kind: Kind) -> bool {
    matches!(kind, Kind::Ours | Kind::Centrifugo | Kind::SocketIo | Kind::DurableStreams)
}

/// Returns what a reader has to send after it has received these bytes, if anything: its `hello` after the greeting,
/// and then the answer to each ping.
pub fn reply<'a>(kind: Kind, hello: &'a [u8], bytes: &[u8], is_live: bool) -> Option<&'a [u8]> {
    if kind != Kind::SocketIo {
        return None;
    }
    if !is_live && memchr::memmem::find(bytes, ENGINE_GREETING).is_some() {
        return Some(hello);
    }
    bytes.ends_with(ENGINE_PING).then_some(ENGINE_PONG)
}

/// Returns the request that creates a room, if it does not come into being by itself.
pub fn creation(kind: Kind, room: &str) -> Option<Vec<u8>> {
    let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 0\r\nConnection: close";
    (kind == Kind::DurableStreams).then(|| format!("PUT /{room} HTTP/1.1\r\n{head}\r\n\r\n").into_bytes())
}

/// Returns true if a post with a key counts once, however often it is repeated.
pub fn has_keys(kind: Kind) -> bool {
    matches!(kind, Kind::Ours | Kind::Centrifugo | Kind::DurableStreams)
}

/// Adds the request of a post to `outbox`.
pub fn encode_post(kind: Kind, outbox: &mut Vec<u8>, post: Post) {
    let (path, body) = (post_path(kind, post.room), post_body(kind, post));
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
    let form = if kind == Kind::Mercure {
        "application/x-www-form-urlencoded"
    } else {
        "application/json"
    };
    let _ = write!(head, "Content-Type: {form}\r\nContent-Length: {}\r\n", body.len());
    if kind == Kind::Mercure {
        let _ = write!(head, "Authorization: Bearer {}\r\n", mercure::token());
    }
    if let (Kind::DurableStreams, Some(key)) = (kind, post.key) {
        // A producer counts its posts, from 0. This one has one post.
        let _ = write!(head, "Producer-Id: {key}\r\nProducer-Epoch: 0\r\nProducer-Seq: 0\r\n");
    }
    if let Some(client) = post.client {
        let [_, b, c, d] = client.to_be_bytes();
        let _ = write!(head, "X-Forwarded-For: 10.{b}.{c}.{d}\r\n");
    }
    outbox.extend_from_slice(head.as_bytes());
    outbox.extend_from_slice(b"\r\n");
    outbox.extend_from_slice(body.as_bytes());
}

fn post_path(kind: Kind, room: &str) -> String {
    match kind {
        Kind::Nchan => format!("/pub/{room}"),
        Kind::Centrifugo => "/api/publish".to_owned(),
        Kind::AnyCable => "/_broadcast".to_owned(),
        Kind::Mercure => "/.well-known/mercure".to_owned(),
        _ => format!("/{room}"),
    }
}

/// Returns the body of a post. The floor encodes nothing: it gets the chunk with the frame that other servers would
/// make of the body.
fn post_body(kind: Kind, Post { room, text, number, key, .. }: Post) -> String {
    let json = format!(r#"{{"sender":"bench","message":"{text}"}}"#);
    match (kind, key) {
        (Kind::Floor, _) => {
            let frame = format!("id: 1700000000000-{number}\ndata: {json}\n\n");
            format!("{:x}\r\n{frame}\r\n", frame.len())
        }
        (Kind::Ours, Some(key)) => format!(r#"{{"sender":"bench","message":"{text}","key":"{key}"}}"#),
        (Kind::Centrifugo, None) => format!(r#"{{"channel":"{room}","data":{json}}}"#),
        (Kind::Centrifugo, Some(key)) => {
            format!(r#"{{"channel":"{room}","data":{json},"idempotency_key":"{key}"}}"#)
        }
        (Kind::AnyCable, _) => serde_json::json!({ "stream": room, "data": json }).to_string(),
        (Kind::Mercure, _) => {
            let pairs = [("topic", room), ("data", &json)];
            form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        }
        _ => json,
    }
}

/// Returns true if this response says that the message was taken. Centrifugo answers 200 with an `error` otherwise.
pub fn is_acknowledged(kind: Kind, status: u16, body: &[u8]) -> bool {
    let is_error = kind == Kind::Centrifugo && body.starts_with(br#"{"error""#);
    (200..300).contains(&status) && !is_error
}
