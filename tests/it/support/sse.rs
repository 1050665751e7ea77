//! An event stream client on a bare socket, with a parser of its own. It is stricter than a browser's (WHATWG HTML
//! § 9.2): it accepts only what the contract lets a node write.

use std::{collections::VecDeque, ops::RangeInclusive, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{DEADLINE, Head, Node, take_chunks, within};

/// An open stream, of which the head has been read.
pub struct Stream {
    pub head: Head,
    socket: TcpStream,
    /// What was received and is not a whole chunk yet.
    received: Vec<u8>,
    unread: Vec<u8>,
    /// Blocks that were read before their turn.
    held: VecDeque<Block>,
    /// Whether presence events are skipped. They can arrive at any time, and most tests are about something else.
    skips_presence: bool,
}

const PRESENCE_EVENTS: [&str; 3] = ["presence", "userJoined", "userLeft"];

/// One block of the stream, up to and including a blank line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Block {
    pub id: Option<String>,
    pub event: Option<String>,
    /// The `data:` lines, joined by LF.
    pub data: Option<String>,
    pub retry: Option<u64>,
    /// The block as it was received, including the blank line.
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
    /// Sends a request and reads the head of the response, whatever its status.
    pub async fn open(node: &Node, path: &str, headers: &[(&str, &str)]) -> Stream {
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n", node.address());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
        socket.write_all(format!("{request}\r\n").as_bytes()).await.expect("the node reads");
        let head = within(DEADLINE, "the head of the stream", Head::read(&mut socket)).await;
        assert_eq!(head.header("transfer-encoding"), if head.status == 200 { "chunked" } else { "" });
        let (received, unread) = (Vec::new(), Vec::new());
        Stream { head, socket, received, unread, held: VecDeque::new(), skips_presence: true }
    }

    /// Subscribes without a cursor and waits until the stream is live.
    pub async fn live(node: &Node, room: &str) -> Stream {
        Stream::open_live(node, room, &[]).await
    }

    /// Subscribes with a cursor and waits until the stream is live.
    pub async fn resume(node: &Node, room: &str, id: &str) -> Stream {
        Stream::open_live(node, room, &[("Last-Event-ID", id)]).await
    }

    async fn open_live(node: &Node, room: &str, headers: &[(&str, &str)]) -> Stream {
        let mut stream = Stream::open(node, &format!("/subscribe/{room}"), headers).await;
        assert_eq!(stream.head.status, 200);
        if !stream.first().await.is_live() {
            stream.hold_until_live().await;
        }
        stream
    }

    /// On a busy machine it can take the node more than a second to read a log. What comes until then is returned after,
    /// but for the status with the cursor that the opening lacked.
    async fn hold_until_live(&mut self) {
        let mut held = VecDeque::<Block>::new();
        loop {
            let block = self.next().await;
            match block.event.as_deref() {
                Some("heartbeat") => {}
                Some("status") if block.is_live() => break,
                Some("status") => {}
                _ => held.push_back(block),
            }
        }
        self.held = held;
    }

    /// Stops skipping presence events.
    pub fn with_presence(mut self) -> Stream {
        self.skips_presence = false;
        self
    }

    /// Returns the next block.
    ///
    /// # Panics
    ///
    /// If none arrives in time or the stream ends.
    pub async fn next(&mut self) -> Block {
        self.next_within(DEADLINE).await
    }

    pub async fn next_within(&mut self, limit: Duration) -> Block {
        let block = within(limit, "the next block", self.next_or_end()).await;
        block.expect("the stream does not end")
    }

    /// Returns the next block, or `None` at the end of the stream.
    ///
    /// # Panics
    ///
    /// If the stream ends within a block.
    pub async fn next_or_end(&mut self) -> Option<Block> {
        if let Some(block) = self.held.pop_front() {
            return Some(block);
        }
        loop {
            if let Some(block) = self.take() {
                return Some(block);
            }
            let count = self.socket.read_buf(&mut self.received).await.expect("the stream is not reset");
            if count == 0 {
                let rest = [&self.received[..], &self.unread].concat();
                assert!(rest.is_empty(), "half a block at the end: {:?}", String::from_utf8_lossy(&rest));
                return None;
            }
            take_chunks(&mut self.received, &mut self.unread, b"\n\n");
        }
    }

    /// Returns the first block: `retry:`, the cursor if the node knows it yet, and the status.
    pub async fn first(&mut self) -> Block {
        let block = self.next().await;
        assert!(block.retry.is_some() && block.event.as_deref() == Some("status"), "not a first block: {block:?}");
        block
    }

    /// Returns the next status with a cursor: that which the first block lacked.
    pub async fn late_cursor(&mut self) -> String {
        loop {
            let block = self.next().await;
            match (block.event.as_deref(), block.id) {
                (Some("heartbeat"), _) | (Some("status"), None) => {}
                (Some("status"), Some(cursor)) => return cursor,
                _ => panic!("{} instead of a status with a cursor", block.raw),
            }
        }
    }

    /// Reads the next status, before which only heartbeats may arrive, and checks its `live`.
    pub async fn expect_status(&mut self, live: bool) {
        loop {
            let block = self.next().await;
            match block.event.as_deref() {
                Some("heartbeat") => {}
                Some("status") => return assert_eq!(block.json()["live"], live, "{block:?}"),
                _ => panic!("{block:?} instead of a status"),
            }
        }
    }

    /// Returns the next block that is neither a heartbeat nor a status, which can arrive at any time.
    pub async fn next_content(&mut self) -> Block {
        let reading = async {
            loop {
                let block = self.next().await;
                if !matches!(block.event.as_deref(), Some("heartbeat" | "status")) {
                    return block;
                }
            }
        };
        within(DEADLINE, "more than heartbeats", reading).await
    }

    /// Returns the next message, skipping heartbeats and status.
    ///
    /// # Panics
    ///
    /// If anything else arrives first.
    pub async fn next_message(&mut self) -> Message {
        self.next_content().await.message()
    }

    /// Returns the next `count` messages.
    pub async fn next_messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::with_capacity(count);
        for _ in 0..count {
            messages.push(self.next_message().await);
        }
        messages
    }

    /// Returns the ids of the next `count` messages.
    pub async fn next_ids(&mut self, count: usize) -> Vec<String> {
        self.next_messages(count).await.into_iter().map(|message| message.id).collect()
    }

    /// Returns every block until the end of the stream.
    pub async fn read_to_end(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let reading = async {
            while let Some(block) = self.next_or_end().await {
                blocks.push(block);
            }
        };
        within(DEADLINE, "the end of the stream", reading).await;
        blocks
    }

    /// Returns every complete block of a stream that may end within a block or be reset, as a stalled one is.
    pub async fn read_until_cut(&mut self) -> Vec<Block> {
        let reading = async { while let Ok(1..) = self.socket.read_buf(&mut self.received).await {} };
        within(DEADLINE, "the end of the stream", reading).await;
        take_chunks(&mut self.received, &mut self.unread, b"\n\n");
        let mut blocks = Vec::new();
        while let Some(block) = self.take() {
            blocks.push(block);
        }
        blocks
    }

    /// Takes the next complete block out of the unread bytes.
    fn take(&mut self) -> Option<Block> {
        loop {
            let end = self.unread.windows(2).position(|pair| pair == b"\n\n")?;
            let block = Block::parse(self.unread.drain(..end + 2).collect());
            if !(self.skips_presence && block.event.as_deref().is_some_and(|event| PRESENCE_EVENTS.contains(&event))) {
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
            let (field, value) = line.split_once(':').unwrap_or_else(|| panic!("no colon in {raw:?}"));
            let value = if field == "retry" { Some(value) } else { value.strip_prefix(' ') };
            let value = value.unwrap_or_else(|| panic!("no space after a colon in {raw:?}")).to_owned();
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
        assert!(block.data.is_some(), "a block without data: {raw:?}");
        Block { raw, ..block }
    }

    /// Returns true if the block is a status that is live.
    #[track_caller]
    pub fn is_live(&self) -> bool {
        self.event.as_deref() == Some("status") && self.json()["live"] == true
    }

    /// Parses the data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_else(|| panic!("no data in {self:?}"));
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Parses the block as a message.
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

/// A gap and the cursor after it.
#[derive(Debug, PartialEq)]
pub struct Gap {
    pub asked: String,
    pub resumed: Option<String>,
    pub reason: String,
    pub cursor: String,
}

impl Gap {
    /// Reads a gap, which must be next, and the block with the cursor after it.
    pub async fn next(stream: &mut Stream) -> Gap {
        let block = stream.next_content().await;
        assert_eq!(block.event.as_deref(), Some("gap"), "{block:?}");
        let gap = block.json();
        let cursor = block.id.expect("a gap has the cursor after it");
        let text = |member: &str| gap[member].as_str().map(str::to_owned);
        Gap {
            asked: text("asked").expect("asked"),
            resumed: text("resumed"),
            reason: text("reason").expect("reason"),
            cursor,
        }
    }
}

/// Checks the last blocks of a stream that the node ends: one `backoff` with this reason, a `retry:` in this range, and
/// no `id:`. Returns the retry in milliseconds.
#[track_caller]
pub fn assert_backoff(blocks: &[Block], reason: &str, retry: RangeInclusive<u64>) -> u64 {
    let events: Vec<&Block> = blocks.iter().filter(|block| block.event.is_some()).collect();
    let [backoff] = events[..] else { panic!("{blocks:?}") };
    assert_eq!(backoff.event.as_deref(), Some("backoff"));
    assert!(blocks.iter().all(|block| block.id.is_none()), "an id would move the cursor: {blocks:?}");
    let drawn = backoff.retry.expect("a retry");
    assert_eq!(backoff.data, Some(format!("{{\"reason\":\"{reason}\",\"retry\":{drawn}}}")));
    assert!(retry.contains(&drawn), "{drawn} is not in {retry:?}");
    drawn
}
