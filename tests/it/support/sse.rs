//! A reader of event streams over a bare socket. Its parser is its own, and stricter than a browser's:
//! it accepts only what contract 5 lets a node write.

use std::time::Duration;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{DEADLINE, Head, Node, within};

/// An open stream: the head is read, the rest comes block by block.
pub struct Stream {
    pub head: Head,
    socket: TcpStream,
    unread: Vec<u8>,
    /// Whether it passes over who is here: most tests are about something else, and it comes at any time.
    blind: bool,
}

/// Events about who is in the room.
const PRESENCE: [&str; 3] = ["presence", "userJoined", "userLeft"];

/// One frame: what stands between two blank lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    pub id: Option<String>,
    pub event: Option<String>,
    /// The `data:` lines, joined by LF as a browser does.
    pub data: Option<String>,
    pub retry: Option<u64>,
    /// The bytes as they came, the blank line included.
    pub raw: String,
}

/// A block without `event:` that has an id.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: String,
    pub sender: String,
    pub message: String,
    pub key: Option<String>,
}

impl Stream {
    /// Sends the request and reads the head of the answer, whatever its status.
    pub async fn open(node: &Node, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n", node.address());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
        socket.write_all(format!("{request}\r\n").as_bytes()).await.expect("the node reads");
        let head = within(DEADLINE, "the head of the stream", Head::read(&mut socket)).await;
        Stream { head, socket, unread: Vec::new(), blind: true }
    }

    /// A fresh reader that is live: what is published from now on, it gets.
    pub async fn live(node: &Node, room: &str) -> Stream {
        Stream::placed(node, room, &[]).await
    }

    /// A reader that comes back with an id; its first block and status are behind it.
    pub async fn resume(node: &Node, room: &str, id: &str) -> Stream {
        Stream::placed(node, room, &[("Last-Event-ID", id)]).await
    }

    async fn placed(node: &Node, room: &str, headers: &[(&str, &str)]) -> Stream {
        let mut stream = Stream::open(node, &format!("/subscribe/{room}"), headers).await;
        assert_eq!(stream.head.status, 200);
        stream.first().await;
        let status = stream.event("status").await;
        assert_eq!(status["live"], true);
        stream
    }

    /// The same stream, which from now on says who is here, too.
    pub fn seeing(mut self) -> Stream {
        self.blind = false;
        self
    }

    /// The next block; a panic when none comes in time or the stream ends.
    pub async fn next(&mut self) -> Block {
        self.next_within(DEADLINE).await
    }

    pub async fn next_within(&mut self, limit: Duration) -> Block {
        let block = within(limit, "the next block", self.next_or_end()).await;
        block.expect("the stream goes on")
    }

    /// The next block, or `None` at the end of the stream, which may not cut a frame in two.
    pub async fn next_or_end(&mut self) -> Option<Block> {
        loop {
            if let Some(block) = self.take() {
                return Some(block);
            }
            let count = self.socket.read_buf(&mut self.unread).await.expect("the stream is not reset");
            if count == 0 {
                assert!(self.unread.is_empty(), "half a frame at the end: {:?}", String::from_utf8_lossy(&self.unread));
                return None;
            }
        }
    }

    /// The first block, which holds `retry:` and the reader's place, if that is known.
    pub async fn first(&mut self) -> Block {
        let block = self.next().await;
        assert!(
            block.retry.is_some() && block.event.is_none() && block.data.is_none(),
            "not a first block: {block:?}"
        );
        block
    }

    /// The JSON data of the next block, which must be of this event.
    pub async fn event(&mut self, name: &str) -> Value {
        let block = self.next().await;
        assert_eq!(block.event.as_deref(), Some(name), "{block:?}");
        block.json()
    }

    /// The next block that is neither a heartbeat nor a status: those may come at any time.
    pub async fn said(&mut self) -> Block {
        let said = async {
            loop {
                let block = self.next().await;
                if !matches!(block.event.as_deref(), Some("heartbeat" | "status")) {
                    return block;
                }
            }
        };
        within(DEADLINE, "more than heartbeats", said).await
    }

    /// The next message; heartbeats and status are passed over, anything else is a panic.
    pub async fn next_message(&mut self) -> Message {
        self.said().await.message()
    }

    /// The next `count` messages.
    pub async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            messages.push(self.next_message().await);
        }
        messages
    }

    /// The ids of the next `count` messages.
    pub async fn ids(&mut self, count: usize) -> Vec<String> {
        self.messages(count).await.into_iter().map(|message| message.id).collect()
    }

    /// Every block until the end of the stream.
    pub async fn rest(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let reading = async {
            while let Some(block) = self.next_or_end().await {
                blocks.push(block);
            }
        };
        within(DEADLINE, "the end of the stream", reading).await;
        blocks
    }

    /// Every whole block of a stream that may be cut anywhere, as it is for a reader that did not read.
    pub async fn until_cut(&mut self) -> Vec<Block> {
        let reading = async { while let Ok(1..) = self.socket.read_buf(&mut self.unread).await {} };
        within(DEADLINE, "the end of the stream", reading).await;
        let mut blocks = Vec::new();
        while let Some(block) = self.take() {
            blocks.push(block);
        }
        blocks
    }

    /// The next block that has come whole.
    fn take(&mut self) -> Option<Block> {
        loop {
            let end = self.unread.windows(2).position(|pair| pair == b"\n\n")?;
            let block = Block::parse(self.unread.drain(..end + 2).collect());
            if !(self.blind && block.event.as_deref().is_some_and(|event| PRESENCE.contains(&event))) {
                return Some(block);
            }
        }
    }
}

impl Block {
    fn parse(bytes: Vec<u8>) -> Block {
        let raw = String::from_utf8(bytes).expect("a stream is UTF-8");
        assert!(!raw.contains('\r'), "lines end with LF only: {raw:?}");
        let mut block = Block::default();
        for line in raw.trim_end_matches('\n').split('\n') {
            let (field, value) = line.split_once(": ").unwrap_or_else(|| panic!("no space after a colon in {raw:?}"));
            let value = value.to_owned();
            match field {
                "id" => set(&mut block.id, value, &raw),
                "event" => set(&mut block.event, value, &raw),
                "retry" => set(&mut block.retry, value.parse().expect("retry is a number"), &raw),
                "data" => match &mut block.data {
                    Some(data) => *data = format!("{data}\n{value}"),
                    data => *data = Some(value),
                },
                _ => panic!("an unknown field in {raw:?}"),
            }
        }
        assert_ne!(block.event.as_deref(), Some("message"), "`event: message` is never written");
        Block { raw, ..block }
    }

    /// The data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_else(|| panic!("no data in {self:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The block as a message.
    #[track_caller]
    pub fn message(&self) -> Message {
        assert_eq!(self.event, None, "not a message: {self:?}");
        let data = self.json();
        let text = |member: &str| data[member].as_str().map(str::to_owned);
        Message {
            id: self.id.clone().unwrap_or_else(|| panic!("no id in {self:?}")),
            sender: text("sender").unwrap_or_else(|| panic!("no sender in {self:?}")),
            message: text("message").unwrap_or_else(|| panic!("no message in {self:?}")),
            key: text("key"),
        }
    }
}

fn set<T>(field: &mut Option<T>, value: T, raw: &str) {
    assert!(field.replace(value).is_none(), "a field twice in {raw:?}");
}

/// A gap and the place after it.
#[derive(Debug, PartialEq)]
pub struct Gap {
    pub asked: String,
    pub resumed: Option<String>,
    pub reason: String,
    pub place: String,
}

impl Gap {
    /// The gap that must be the next thing the stream says.
    pub async fn next(stream: &mut Stream) -> Gap {
        let block = stream.said().await;
        assert_eq!((block.event.as_deref(), &block.id), (Some("gap"), &None), "{block:?}");
        let gap = block.json();
        let place = stream.said().await;
        let id = place.id.unwrap_or_default();
        assert_eq!(place.raw, format!("id: {id}\n\n"), "a block with only an id follows the gap");
        let text = |member: &str| gap[member].as_str().map(str::to_owned);
        Gap {
            asked: text("asked").expect("asked"),
            resumed: text("resumed"),
            reason: text("reason").expect("reason"),
            place: id,
        }
    }
}
