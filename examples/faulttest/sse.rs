//! A parser of event streams, after WHATWG HTML § 9.2, and the data of the events that the fault test uses.

use std::fmt;

use serde::Deserialize;

/// The id of a message: milliseconds, then a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub ms: u64,
    pub n: u64,
}

impl Id {
    /// The cursor before any message.
    pub const START: Self = Self { ms: 0, n: 0 };

    pub fn parse(text: &str) -> Option<Self> {
        let (ms, n) = text.split_once('-')?;
        Some(Self { ms: ms.parse().ok()?, n: n.parse().ok()? })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.n)
    }
}

/// A block of a stream: the fields between two blank lines.
#[derive(Debug, Default)]
pub struct Block {
    /// A cursor: an id, or a list of them in a stream of several rooms.
    pub id: Option<String>,
    pub event: String,
    pub data: String,
    pub retry: Option<u64>,
}

/// The data of a `status` event.
#[derive(Deserialize)]
pub struct StatusData {
    pub live: bool,
    pub node: String,
    pub heartbeat: u64,
}

/// The data of a `gap` event.
#[derive(Deserialize)]
pub struct GapData {
    pub asked: String,
    pub resumed: Option<String>,
    pub reason: String,
    pub room: Option<String>,
}

/// The part of a message's data that tells which post it came from.
#[derive(Deserialize)]
pub struct MessageData {
    pub key: Option<String>,
}

/// Parses a stream that arrives in chunks of any size. A block that no blank line ends is discarded.
#[derive(Default)]
pub struct Parser {
    buffer: Vec<u8>,
    block: Block,
}

impl Parser {
    /// Parses the next bytes, and returns the blocks that are complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Block> {
        self.buffer.extend_from_slice(bytes);
        let (mut blocks, mut begin) = (Vec::new(), 0);
        while let Some(length) = self.buffer[begin..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&self.buffer[begin..begin + length]);
            match line.trim_end_matches('\r') {
                "" => blocks.push(std::mem::take(&mut self.block)),
                line => self.block.parse_line(line),
            }
            begin += length + 1;
        }
        self.buffer.drain(..begin);
        blocks
    }
}

impl Block {
    fn parse_line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "retry" => self.retry = value.parse().ok(),
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => self.data = format!("{}\n{value}", self.data),
            _ => {}
        }
    }
}
