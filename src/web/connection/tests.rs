//! Compares where a request ends for a connection and for actix's parser, which gets it.

use actix_http::h1::{Codec, Message};
use bytes::BytesMut;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use proptest::{collection, prop_assert_eq};
use tokio_util::codec::Decoder;

use super::framing::Body;
use super::head::{Head, Outcome, encode_target};

/// What requests begin with.
const BEGINNINGS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: x\r\n",
    "\r\nPOST /a HTTP/1.1\nHost: x\n",
    "GET /é HTTP/1.0\r\n",
    "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n",
];

/// What their other lines and their bodies are put together from.
const PARTS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "Content-Length: 3\r\n",
    "content-length:0\r\n",
    "Content-Length : 3\r\n",
    "Content-Length: +3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "transfer-encoding:\tChunked \n",
    "Connection: close, Upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "X: é\r\n",
    " folded\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "0\r\nX: y\r\n\r\n",
    "1;x\r\n",
    "a",
    "\0",
];

/// Returns where the first request ends, if it is complete, and the request as it is passed on.
fn our_end(bytes: &[u8]) -> (Option<usize>, Vec<u8>) {
    let mut bytes = bytes.to_vec();
    let (end, mut body): (_, Body) = loop {
        match Head::default().advance(&mut bytes) {
            Outcome::Complete(end, body) => break (end, body),
            Outcome::NotAscii(line) => bytes = encode_target(&bytes, line),
            _ => return (None, bytes),
        }
    };
    let length = body.advance(&bytes[end..]).ok().filter(|_| body.is_complete());
    (length.map(|length| end + length), bytes)
}

/// Returns where actix sees the end of the first request, or `None` if it waits for more. An error means that it refuses
/// the request.
fn actix_end(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let (mut codec, mut rest) = (Codec::default(), BytesMut::from(bytes));
    let Some(Message::Item(_)) = codec.decode(&mut rest).map_err(drop)? else {
        return Ok(None);
    };
    if matches!(codec.message_type(), actix_http::h1::MessageType::Payload) {
        loop {
            match codec.decode(&mut rest).map_err(drop)? {
                Some(Message::Chunk(None)) => break,
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }
    Ok(Some(bytes.len() - rest.len()))
}

#[test]
fn requests_end_where_actix_sees_their_end() {
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let parts = |longest| collection::vec(select(PARTS), 0..=longest);
    let requests = (select(BEGINNINGS), parts(4), parts(4));
    let same_end = |(beginning, lines, body): (&str, Vec<&str>, Vec<&str>)| {
        let request = [beginning, &lines.concat(), "\r\n", &body.concat()].concat();
        let (ours, passed_on) = our_end(request.as_bytes());
        if let Ok(end) = actix_end(&passed_on) {
            prop_assert_eq!(ours, end);
        }
        Ok(())
    };
    let run = async { TestRunner::new(config).run(&requests, same_end) };
    actix_rt::System::new().block_on(run).unwrap(); // actix's parser needs its runtime
}
