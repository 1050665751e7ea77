//! A client of the streams that are no event streams: lines of text, or of JSON, on a bare socket.

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{DEADLINE, Head, Node, take_chunks, within};

/// An open stream of lines, of which the head has been read.
pub struct LineStream {
    pub head: Head,
    socket: TcpStream,
    is_chunked: bool,
    received: Vec<u8>,
    lines: Vec<u8>,
}

impl LineStream {
    /// Asks for a stream in this type and reads the head of the response.
    pub async fn open(node: &Node, path: &str, accept: &str, headers: &[(&str, &str)]) -> LineStream {
        LineStream::request(node, "HTTP/1.1", path, accept, headers).await
    }

    /// The same with HTTP/1.0, which has no chunks.
    pub async fn open_http_1_0(node: &Node, path: &str, accept: &str) -> LineStream {
        LineStream::request(node, "HTTP/1.0", path, accept, &[]).await
    }

    async fn request(node: &Node, version: &str, path: &str, accept: &str, headers: &[(&str, &str)]) -> LineStream {
        let mut request = format!("GET {path} {version}\r\nHost: {}\r\nAccept: {accept}\r\n", node.address());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
        socket.write_all(format!("{request}\r\n").as_bytes()).await.expect("the node reads");
        let head = within(DEADLINE, "the head of the stream", Head::read(&mut socket)).await;
        let is_chunked = version == "HTTP/1.1";
        assert_eq!(head.status, 200);
        assert_eq!(head.header("transfer-encoding"), if is_chunked { "chunked" } else { "" });
        LineStream { head, socket, is_chunked, received: Vec::new(), lines: Vec::new() }
    }

    /// Returns the next line without its LF.
    ///
    /// # Panics
    ///
    /// If none arrives in time or the stream ends.
    pub async fn next(&mut self) -> String {
        within(DEADLINE, "the next line", self.next_or_end()).await.expect("the stream does not end")
    }

    /// Returns the next line, or `None` at the end of the stream, which is not within a line.
    pub async fn next_or_end(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.lines.iter().position(|byte| *byte == b'\n') {
                let line = self.lines.drain(..=end).take(end).collect();
                return Some(String::from_utf8(line).expect("a line is UTF-8"));
            }
            let count = self.socket.read_buf(&mut self.received).await.expect("the stream is not reset");
            if count == 0 {
                assert!(self.received.is_empty() && self.lines.is_empty(), "half a line at the end");
                return None;
            }
            if self.is_chunked {
                take_chunks(&mut self.received, &mut self.lines, b"\n");
            } else {
                self.lines.append(&mut self.received);
            }
        }
    }

    /// Returns the next line that is neither empty nor a comment, as a message is.
    pub async fn next_text(&mut self) -> String {
        self.next_that(|line| !line.is_empty() && !line.starts_with('#')).await
    }

    /// Returns the next line that is a comment.
    pub async fn next_comment(&mut self) -> String {
        self.next_that(|line| line.starts_with('#')).await
    }

    /// Returns the next object with this event.
    pub async fn next_event(&mut self, event: &str) -> Value {
        let line = self.next_that(|line| json(line)["event"] == event).await;
        json(&line)
    }

    /// Returns every line until the end of the stream.
    pub async fn read_to_end(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let reading = async {
            while let Some(line) = self.next_or_end().await {
                lines.push(line);
            }
        };
        within(DEADLINE, "the end of the stream", reading).await;
        lines
    }

    async fn next_that(&mut self, is_wanted: impl Fn(&str) -> bool) -> String {
        let reading = async {
            loop {
                let line = self.next().await;
                if is_wanted(&line) {
                    return line;
                }
            }
        };
        within(DEADLINE, "a line that is wanted", reading).await
    }
}

/// Parses a line of a stream of JSON.
#[track_caller]
pub fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}
