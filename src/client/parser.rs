//! An incremental parser of event streams, after WHATWG HTML § 9.2.6: bytes in chunks of any size in, blocks out.

use std::fmt;
use std::mem::take;
use std::time::Duration;

use bytes::{Buf, Bytes};
use memchr::{memchr, memchr2};

/// The most bytes of a block, its line ends included; a CRLF counts as one.
pub const MAX_BLOCK_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A parser at some place in one stream.
///
/// It holds the chunk that it was given last and the beginning of one block. Text that is not UTF-8 becomes U+FFFD.
#[derive(Debug, Default)]
pub struct Parser {
    /// What is left of the last chunk.
    chunk: Bytes,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The length of the current block so far.
    block_bytes: usize,
    /// Whether a line ended with CR, so that LF would be the second half of the same line end.
    is_after_cr: bool,
    /// Whether the first line was read, before which a byte order mark may stand.
    is_started: bool,
    id: Option<String>,
    event: String,
    /// The lines of data, each with LF after it.
    data: String,
}

/// What a parser found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A new delay before the next attempt to connect.
    Retry(Duration),
    /// The end of a block that has an id or an event.
    Block(Block),
}

/// What a block says when it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The id that is the last one from now on; the empty one forgets it.
    pub id: Option<String>,
    /// The name and the data of the event; `None` if the block has no data.
    pub event: Option<(String, String)>,
}

/// The error of a block with more than [`MAX_BLOCK_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockTooLarge;

impl fmt::Display for BlockTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a block has more than {MAX_BLOCK_BYTES} bytes")
    }
}

impl std::error::Error for BlockTooLarge {}

impl Parser {
    /// Returns a parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a chunk of the stream. What [`pull`](Self::pull) has not taken of the chunk before is lost.
    pub fn push(&mut self, chunk: Bytes) {
        self.chunk = chunk;
    }

    /// Returns what comes next in the chunk; `None` if the chunk is used up.
    ///
    /// # Errors
    /// If the block is too large. Nothing that follows can be parsed.
    pub fn pull(&mut self) -> Result<Option<Parsed>, BlockTooLarge> {
        while let Some(line) = self.next_line()? {
            if let Some(parsed) = self.on_line(&line) {
                return Ok(Some(parsed));
            }
        }
        Ok(None)
    }

    /// Takes the next line that is complete out of the chunk. LF, CR and CRLF each end a line.
    fn next_line(&mut self) -> Result<Option<Bytes>, BlockTooLarge> {
        if self.is_after_cr && !self.chunk.is_empty() {
            self.is_after_cr = false;
            if self.chunk[0] == b'\n' {
                self.chunk.advance(1);
            }
        }
        let end = memchr2(b'\r', b'\n', &self.chunk);
        self.block_bytes += end.map_or(self.chunk.len(), |end| end + 1);
        if self.block_bytes > MAX_BLOCK_BYTES {
            return Err(BlockTooLarge);
        }
        let Some(end) = end else {
            self.line.extend_from_slice(&take(&mut self.chunk));
            return Ok(None);
        };
        let rest = self.chunk.split_to(end);
        // At once, without waiting for an LF: the event is complete.
        self.is_after_cr = self.chunk.get_u8() == b'\r';
        if self.line.is_empty() {
            return Ok(Some(rest));
        }
        self.line.extend_from_slice(&rest);
        Ok(Some(take(&mut self.line).into()))
    }

    fn on_line(&mut self, line: &[u8]) -> Option<Parsed> {
        let is_first = !std::mem::replace(&mut self.is_started, true);
        let line = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first).unwrap_or(line);
        if line.is_empty() {
            return self.end_block().map(Parsed::Block);
        }
        let (field, value) = line.split_at(memchr(b':', line).unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = || String::from_utf8_lossy(value);
        match field {
            b"data" => self.data.extend([&*text(), "\n"]),
            b"event" => self.event = text().into_owned(),
            b"id" if !value.contains(&0) => self.id = Some(text().into_owned()),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                return text().parse().ok().map(Duration::from_millis).map(Parsed::Retry);
            }
            _ => {}
        }
        None
    }

    /// Returns what the block says, unless it says nothing.
    fn end_block(&mut self) -> Option<Block> {
        self.block_bytes = 0;
        let (id, mut name, mut data) = (self.id.take(), take(&mut self.event), take(&mut self.data));
        if name.is_empty() {
            name.push_str("message");
        }
        // The last LF is not part of the data. An empty line of data has one, no data has none.
        let event = data.pop().map(|_| (name, data));
        (id.is_some() || event.is_some()).then_some(Block { id, event })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_in_chunks(stream: &[u8], size: usize) -> Result<Vec<Parsed>, BlockTooLarge> {
        let (mut parser, mut parsed) = (Parser::new(), Vec::new());
        for chunk in stream.chunks(size) {
            parser.push(Bytes::copy_from_slice(chunk));
            while let Some(found) = parser.pull()? {
                parsed.push(found);
            }
        }
        Ok(parsed)
    }

    fn block(id: Option<&str>, event: Option<(&str, &str)>) -> Parsed {
        let event = event.map(|(name, data)| (name.to_owned(), data.to_owned()));
        Parsed::Block(Block { id: id.map(str::to_owned), event })
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let message = |data| block(None, Some(("message", data)));
        for (stream, expected) in [
            ("data: hi\n\n", vec![message("hi")]),
            ("data:hi\r\rdata:  hi \r\n\r\n", vec![message("hi"), message(" hi ")]),
            ("\u{feff}data: a\n\n\u{feff}data: b\n\n", vec![message("a")]),
            ("data: a\ndata\ndata:b\n\n", vec![message("a\n\nb")]),
            ("data:\n\ndata\n\n", vec![message(""), message("")]),
            (": comment\nevent: x\n\ndata: y\n\n", vec![message("y")]),
            ("event: x\ndata: y\nevent: z\n\n", vec![block(None, Some(("z", "y")))]),
            ("event: message\ndata: y\nData: no\n\n", vec![message("y")]),
            ("id: 1\n\nid\n\nid: a\0b\n\n", vec![block(Some("1"), None), block(Some(""), None)]),
            ("id: 5\ndata: cut", vec![]),
            ("retry: +5\nretry: 5 \nretry:\nretry: plop\nretry: 45plop\nretry: 99999999999999999999\n", vec![]),
            ("retry: 400\nretry:1000\n", [400, 1000].map(|ms| Parsed::Retry(Duration::from_millis(ms))).to_vec()),
        ] {
            for size in [1, 2, 3, 1000] {
                assert_eq!(parse_in_chunks(stream.as_bytes(), size), Ok(expected.clone()), "{stream:?} by {size}");
            }
        }
    }

    #[test]
    fn cr_ends_a_block_before_the_next_byte_comes() {
        assert_eq!(parse_in_chunks(b"data: hi\r\r", 1), Ok(vec![block(None, Some(("message", "hi")))]));
    }

    #[test]
    fn what_is_not_utf_8_becomes_u_fffd() {
        let stream = b"data: a\xff\xe2\x82\nid: \xc3\xa9\nevent: \xf0\x9f\x98\n\n";
        let expected = block(Some("é"), Some(("\u{fffd}", "a\u{fffd}\u{fffd}")));
        assert_eq!(parse_in_chunks(stream, 1), Ok(vec![expected]));
    }

    #[test]
    fn a_block_has_at_most_1_mib() {
        let line = "data: x\n";
        let largest = line.repeat(MAX_BLOCK_BYTES / line.len() - 1) + "::::::\n\n";
        assert_eq!(largest.len(), MAX_BLOCK_BYTES);
        assert!(parse_in_chunks(largest.repeat(2).as_bytes(), 4096).is_ok());
        assert_eq!(parse_in_chunks((":".to_owned() + &largest).as_bytes(), 4096), Err(BlockTooLarge));
        assert_eq!(parse_in_chunks("x".repeat(MAX_BLOCK_BYTES + 1).as_bytes(), 4096), Err(BlockTooLarge));
    }
}
