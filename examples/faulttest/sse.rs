//! A parser of event streams, after WHATWG HTML § 9.2, and the data of the events that the fault test uses.

use std::fmt;

use serde::Deserialize;

/// The id of a message: milliseconds, then a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    ms: u64,
    n: u64,
}

impl Id {
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
    pub id: Option<Id>,
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
        let mut blocks = Vec::new();
        while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            match String::from_utf8_lossy(&line[..end]).trim_end_matches('\r') {
                "" => blocks.push(std::mem::take(&mut self.block)),
                line => self.block.parse_line(line),
            }
        }
        blocks
    }
}

impl Block {
    fn parse_line(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Id::parse(value),
            "event" => value.clone_into(&mut self.event),
            "retry" => self.retry = value.parse().ok(),
            "data" if self.data.is_empty() => value.clone_into(&mut self.data),
            "data" => self.data = format!("{}\n{value}", self.data),
            _ => {}
        }
    }
}
