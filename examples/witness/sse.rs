//! The wire format of an event stream, read as a browser reads it (contract 5).

use std::fmt;

use serde::Deserialize;

/// A message's place in its room: time, then number.
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

/// What stands between two blank lines.
#[derive(Debug, Default)]
pub struct Block {
    pub id: Option<Id>,
    pub event: String,
    pub data: String,
    pub retry: Option<u64>,
}

/// The data of a `status`.
#[derive(Deserialize)]
pub struct Status {
    pub live: bool,
    pub node: String,
    pub heartbeat: u64,
}

/// Of the data of a message, what tells whose it is.
#[derive(Deserialize)]
pub struct Keyed {
    pub key: Option<String>,
}

/// Makes blocks out of bytes, however they are cut. What no blank line has ended is never given out.
#[derive(Default)]
pub struct Parser {
    unread: Vec<u8>,
    block: Block,
}

impl Parser {
    /// Takes the next bytes; gives the blocks that are whole now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Block> {
        self.unread.extend_from_slice(bytes);
        let mut blocks = Vec::new();
        while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            match String::from_utf8_lossy(&line[..end]).trim_end_matches('\r') {
                "" => blocks.push(std::mem::take(&mut self.block)),
                line => self.block.read(line),
            }
        }
        blocks
    }
}

impl Block {
    fn read(&mut self, line: &str) {
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
