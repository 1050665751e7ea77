//! HTTP responses of a node, and requests that no well-behaved client can send.

use reqwest::Response;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{DEADLINE, Node, within};

/// A response with its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub async fn read(response: Response) -> Answer {
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = response.bytes().await.expect("the body comes whole").to_vec();
        Answer { status, headers, body }
    }

    /// Reads a response from a bare socket, and not one byte further.
    pub async fn read_from(socket: &mut TcpStream) -> Answer {
        let Head { status, headers } = Head::read(socket).await;
        let body = match join(&headers, "content-length").parse() {
            Ok(length) => read_exactly(socket, length).await,
            Err(_) => read_chunks(socket).await,
        };
        Answer { status, headers, body }
    }

    /// Returns the value of a header, or an empty string. Several of one name are joined by commas (RFC 9110 § 5.3).
    pub fn header(&self, name: &str) -> String {
        join(&self.headers, name)
    }

    /// Returns all headers, their names in lower case.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// Returns the content type without its parameters.
    pub fn media_type(&self) -> String {
        let content_type = self.header("content-type");
        content_type.split(';').next().unwrap_or_default().trim().to_owned()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Returns this response.
    ///
    /// # Panics
    ///
    /// If it has another status; the message shows the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}: {}", self.header("content-type"), String::from_utf8_lossy(&self.body));
        self
    }

    /// Returns the id of an acknowledged message.
    #[track_caller]
    pub fn id(self) -> String {
        let answer = self.expect(200);
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// Returns the id of a message if it was acknowledged.
    pub fn id_if_stored(self) -> Option<String> {
        (self.status == 200).then(|| self.id())
    }

    /// Checks an error for programs (RFC 9457), which must have all four members, and returns its `detail`.
    #[track_caller]
    pub fn problem(self, status: u16) -> String {
        let answer = self.expect(status);
        assert_eq!(answer.media_type(), "application/problem+json");
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail"] {
            assert!(problem[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {problem}");
        }
        problem["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// Checks an error or page for browsers and returns its HTML.
    #[track_caller]
    pub fn html(self, status: u16) -> String {
        let answer = self.expect(status);
        assert_eq!(answer.media_type(), "text/html");
        answer.text().to_owned()
    }
}

async fn read_exactly(socket: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    socket.read_exact(&mut bytes).await.expect("the body comes whole");
    bytes
}

/// Reads a body in chunks (RFC 9112 § 7.1).
async fn read_chunks(socket: &mut TcpStream) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.push(socket.read_u8().await.expect("the body comes whole"));
        }
        let length = std::str::from_utf8(&line).ok().and_then(|line| usize::from_str_radix(line.trim_end(), 16).ok());
        let length = length.expect("the length of a chunk");
        body.extend(read_exactly(socket, length + 2).await.drain(..length));
        if length == 0 {
            return body;
        }
    }
}

/// The head of a response, read from a bare socket.
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads up to the blank line and not one byte further.
    pub async fn read(socket: &mut TcpStream) -> Head {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            let byte = socket.read_u8().await.unwrap_or_else(|error| {
                panic!("{error} in the head {:?}", String::from_utf8_lossy(&bytes));
            });
            bytes.push(byte);
        }
        let text = String::from_utf8(bytes).expect("the head is text");
        let mut lines = text.trim_end().split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or_else(|| panic!("{status_line:?} is no status line"));
        let headers = lines
            .map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line:?} is no header")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        Head { status, headers }
    }

    pub fn header(&self, name: &str) -> String {
        join(&self.headers, name)
    }
}

/// Sends these bytes and returns everything the node answers until it closes the connection.
pub async fn send_raw(node: &Node, request: impl AsRef<[u8]>) -> String {
    let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
    socket.write_all(request.as_ref()).await.expect("the node reads");
    let mut answer = Vec::new();
    within(DEADLINE, "the end of the answer", socket.read_to_end(&mut answer)).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a GET of exactly this path, which no client library normalises first.
pub async fn get_raw(node: &Node, path: impl AsRef<[u8]>) -> String {
    let request = [b"GET ", path.as_ref(), b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"];
    send_raw(node, request.concat()).await
}

/// Posts until the rate limit refuses one. Returns how many were accepted before, and the refusal.
pub async fn post_until_rate_limited(mut post: impl AsyncFnMut() -> Answer) -> (usize, Answer) {
    for accepted in 0..50 {
        let answer = post().await;
        if answer.status == 429 {
            return (accepted, answer);
        }
    }
    panic!("no post was rate limited");
}

fn join(headers: &[(String, String)], name: &str) -> String {
    let values: Vec<&str> =
        headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect();
    values.join(", ")
}
