//! The client's parser and the one in `stream.rs` read every stream alike, wherever it is cut into chunks. The first byte
//! of the input is the size of a chunk, 0 for one of the whole stream.

use bytes::Bytes;
use tiny_chat::client::{Parsed, Parser};

use super::stream::{Event, parse};

/// Panics if the parsers differ in an event, the last id or the retry delay.
pub fn check(bytes: &[u8]) {
    let (size, stream) = bytes.split_first().unwrap_or((&0, b""));
    let expected = parse(stream);
    for size in [usize::from(*size), 1] {
        let (mut events, mut last_id, mut retry) = (Vec::new(), String::new(), None);
        let mut parser = Parser::new();
        for chunk in stream.chunks(if size == 0 { stream.len().max(1) } else { size }) {
            parser.push(Bytes::copy_from_slice(chunk));
            while let Some(parsed) = parser.pull().unwrap_or_else(|why| panic!("{why}")) {
                match parsed {
                    Parsed::Retry(delay) => retry = Some(delay.as_millis()),
                    Parsed::Block(block) => {
                        last_id = block.id.unwrap_or(last_id);
                        let event = block.event.map(|(kind, data)| Event { kind, data, last_id: last_id.clone() });
                        events.extend(event);
                    }
                }
            }
        }
        assert_eq!(events, expected.events, "in chunks of {size}");
        assert_eq!((last_id, retry), (expected.last_id.clone(), expected.retry.map(u128::from)), "in chunks of {size}");
    }
}
