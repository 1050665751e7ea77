//! The head of a request, as far as a connection has to know it: where it ends, and which body follows.
//!
//! What actix's parser would misread is changed on the way: bytes in the target that are not ASCII are percent-encoded,
//! as clients should have done, and a wish to upgrade the connection is blanked, since nothing here can be upgraded
//! to.

use std::ops::Range;

use memchr::memchr;

use super::framing::Body;

/// The longest request line, in bytes; also the longest target that the crate `http` accepts.
const MAX_REQUEST_LINE_BYTES: usize = 65_534;

/// The longest head, in bytes.
const MAX_HEAD_BYTES: usize = 80 << 10;

/// The part of a head that has been looked at.
#[derive(Debug, Default)]
pub struct Head {
    /// Bytes that are known to hold no further end of a line.
    searched: usize,
    /// Where the current line begins.
    line_start: usize,
    /// The request line, without its end, once it is complete.
    request_line: Option<Range<usize>>,
    content_length: u64,
    is_chunked: bool,
}

/// What is known of a head.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is not complete yet.
    Incomplete,
    /// It is complete after so many bytes, and followed by this body.
    Complete(usize, Body),
    /// Its request line is too long.
    LineTooLong,
    /// It is too long.
    TooLong,
    /// Its target has to be [percent-encoded](encode_target); then the head has to be looked at anew.
    NotAscii(Range<usize>),
}

impl Head {
    /// Returns true if no byte of the head has arrived.
    pub fn is_empty(&self) -> bool {
        self.searched == 0
    }

    /// Returns how many bytes were looked at.
    pub fn searched(&self) -> usize {
        self.searched
    }

    /// Looks at what has arrived of a head, from its first byte on, and blanks wishes to upgrade.
    ///
    /// Lines end as in httparse, which is actix's parser: with LF, or CRLF. Empty lines before the first are skipped.
    pub fn advance(&mut self, bytes: &mut [u8]) -> Outcome {
        while let Some(length) = memchr(b'\n', &bytes[self.searched..]) {
            let line_end = self.searched + length;
            let line = self.line_start..line_end - usize::from(bytes[self.line_start..line_end].ends_with(b"\r"));
            self.searched = line_end + 1;
            self.line_start = self.searched;
            match (line.is_empty(), &self.request_line) {
                (true, None) => {}
                (true, Some(_)) => return self.complete(),
                (false, None) if line.len() > MAX_REQUEST_LINE_BYTES => return Outcome::LineTooLong,
                (false, None) if !bytes[line.clone()].is_ascii() => return Outcome::NotAscii(line),
                (false, None) => self.request_line = Some(line),
                (false, Some(_)) => self.read_header(&mut bytes[line]),
            }
        }
        self.searched = bytes.len();
        if self.request_line.is_none() && bytes.len() - self.line_start > MAX_REQUEST_LINE_BYTES {
            return Outcome::LineTooLong;
        }
        if bytes.len() > MAX_HEAD_BYTES {
            Outcome::TooLong
        } else {
            Outcome::Incomplete
        }
    }

    fn complete(&self) -> Outcome {
        if self.searched > MAX_HEAD_BYTES {
            return Outcome::TooLong;
        }
        let body = if self.is_chunked {
            Body::chunked()
        } else {
            Body::of_length(self.content_length)
        };
        Outcome::Complete(self.searched, body)
    }

    /// Reads a header that matters here. If it is malformed or repeated, actix refuses the request.
    fn read_header(&mut self, line: &mut [u8]) {
        if !matches!(line[0].to_ascii_lowercase(), b'c' | b't' | b'u') {
            return;
        }
        let Some(colon) = memchr(b':', line) else { return };
        let (name, value) = line.split_at_mut(colon);
        let value = &mut value[1..];
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
            self.content_length = length.unwrap_or_default();
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.is_chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            // actix would take everything that follows for the body, and wait for its end.
            value.fill(b' ');
        } else if name.eq_ignore_ascii_case(b"connection") {
            blank_upgrade(value);
        }
    }
}

/// Blanks the option `upgrade` of a `Connection` header.
fn blank_upgrade(value: &mut [u8]) {
    for option in value.split_mut(|byte| *byte == b',') {
        if option.trim_ascii().eq_ignore_ascii_case(b"upgrade") {
            option.fill(b' ');
        }
    }
}

/// Returns the bytes with those in `line` that are not ASCII percent-encoded.
pub fn encode_target(bytes: &[u8], line: Range<usize>) -> Vec<u8> {
    let mut encoded = bytes[..line.start].to_vec();
    for byte in &bytes[line.clone()] {
        match byte {
            0x80.. => encoded.extend_from_slice(percent_encoding::percent_encode_byte(*byte).as_bytes()),
            ascii => encoded.push(*ascii),
        }
    }
    encoded.extend_from_slice(&bytes[line.end..]);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(head: &str) -> Outcome {
        Head::default().advance(&mut head.as_bytes().to_vec())
    }

    #[test]
    fn a_head_ends_with_an_empty_line_and_names_its_body() {
        let complete = |head: &str, body| assert_eq!(outcome(head), Outcome::Complete(head.len(), body), "{head:?}");
        complete("GET / HTTP/1.1\r\nHost: x\r\n\r\n", Body::of_length(0));
        complete("\r\n\nGET / HTTP/1.1\nHost: x\n\n", Body::of_length(0));
        complete("POST / HTTP/1.1\r\ncontent-LENGTH:\t7 \r\n\r\n", Body::of_length(7));
        complete("POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", Body::chunked());
        complete("POST / HTTP/1.1\r\nX-Content-Length: 7\r\nTe: chunked\r\n\r\n", Body::of_length(0));
        assert_eq!(outcome("GET / HTTP/1.1\r\nHost: x\r\n"), Outcome::Incomplete);
        assert_eq!(outcome("\r\n\r\n"), Outcome::Incomplete);
    }

    #[test]
    fn a_head_that_arrives_byte_by_byte_is_the_same() {
        let whole = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n";
        let (mut head, mut bytes) = (Head::default(), Vec::new());
        for (index, byte) in whole.iter().enumerate() {
            bytes.push(*byte);
            let expected = if index + 1 == whole.len() {
                Outcome::Complete(whole.len(), Body::of_length(12))
            } else {
                Outcome::Incomplete
            };
            assert_eq!(head.advance(&mut bytes), expected);
        }
    }

    #[test]
    fn a_wish_to_upgrade_is_blanked() {
        let mut bytes = b"GET / HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\r\n".to_vec();
        let length = bytes.len();
        assert_eq!(Head::default().advance(&mut bytes), Outcome::Complete(length, Body::of_length(0)));
        let expected = "GET / HTTP/1.1\r\nConnection: keep-alive,        \r\nupgrade:          \r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    #[test]
    fn bytes_that_are_not_ascii_are_encoded_in_the_target_only() {
        let mut bytes = "GET /café?name=ü HTTP/1.1\r\nX: é\r\n\r\n".as_bytes().to_vec();
        let Outcome::NotAscii(line) = Head::default().advance(&mut bytes) else {
            panic!()
        };
        let mut encoded = encode_target(&bytes, line);
        let expected = "GET /caf%C3%A9?name=%C3%BC HTTP/1.1\r\nX: é\r\n\r\n";
        assert_eq!(std::str::from_utf8(&encoded).unwrap(), expected);
        assert!(matches!(Head::default().advance(&mut encoded), Outcome::Complete(..)));
    }

    #[test]
    fn long_heads_are_refused() {
        let long = "x".repeat(MAX_REQUEST_LINE_BYTES);
        assert_eq!(outcome(&format!("GET /{long}")), Outcome::LineTooLong);
        assert_eq!(outcome(&format!("GET /{long} HTTP/1.1\r\n")), Outcome::LineTooLong);
        let headers = "Cookie: x\r\n".repeat(MAX_HEAD_BYTES / 11 + 1);
        assert_eq!(outcome(&format!("GET / HTTP/1.1\r\n{headers}")), Outcome::TooLong);
    }
}
