//! What every form of a stream keeps: all messages in order, whatever the socket takes at once, and an end that is told
//! and never looks complete (contract § 5).

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{Bus, DEADLINE, Head, Node, on_every_bus, take_chunks, within};

on_every_bus!(
    every_form_has_all_messages_whatever_the_socket_takes,
    every_form_tells_its_end_and_is_never_complete,
    every_form_resumes_after_a_cursor_and_tells_a_gap,
);

/// A way to read a room.
#[derive(Clone, Copy, Debug)]
struct Form {
    /// The path for a room, without the query.
    path: fn(&str) -> String,
    accept: &'static str,
    version: &'static str,
    /// How a gap is told, and how a refusal.
    gap: &'static str,
    backoff: &'static str,
}

const EVENT_STREAM: Form = Form {
    path: |room| format!("/subscribe/{room}"),
    accept: "text/event-stream",
    version: "1.1",
    gap: "event: gap\n",
    backoff: "event: backoff\n",
};

const FORMS: [Form; 7] = [
    EVENT_STREAM,
    Form { version: "1.0", ..EVENT_STREAM },
    Form { path: |room| format!("/subscribe/{room},attic"), ..EVENT_STREAM },
    Form { path: |room| format!("/rooms/{room}/events"), ..EVENT_STREAM },
    Form { accept: "text/plain", gap: "# gap", backoff: "# backoff", ..EVENT_STREAM },
    Form { accept: "text/plain", version: "1.0", gap: "# gap", backoff: "# backoff", ..EVENT_STREAM },
    Form {
        accept: "application/x-ndjson",
        gap: "\"event\":\"gap\"",
        backoff: "\"event\":\"backoff\"",
        ..EVENT_STREAM
    },
];

/// A stream of one form, without what its framing adds.
struct Reading {
    socket: TcpStream,
    is_chunked: bool,
    received: Vec<u8>,
    text: String,
}

impl Form {
    /// Opens a stream over a connection with a small receive buffer, so that batches are written in part.
    async fn open(self, node: &Node, room: &str, query: &str) -> Reading {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(64 << 10).expect("a small buffer");
        let mut socket = socket.connect(node.address()).await.expect("the node accepts");
        let Form { accept, version, .. } = self;
        let path = (self.path)(room);
        let request = format!("GET {path}{query} HTTP/{version}\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.expect("the node reads");
        let head = within(DEADLINE, "a head", Head::read(&mut socket)).await;
        assert_eq!(head.status, 200, "{self:?}");
        assert!(head.header("content-type").starts_with(accept), "{self:?}");
        let is_chunked = version == "1.1";
        assert_eq!(head.header("transfer-encoding"), if is_chunked { "chunked" } else { "" }, "{self:?}");
        Reading { socket, is_chunked, received: Vec::new(), text: String::new() }
    }
}

impl Reading {
    /// Reads some bytes more. Returns false at the end of the connection.
    async fn read(&mut self) -> bool {
        let count = within(DEADLINE, "more of a stream", self.socket.read_buf(&mut self.received)).await;
        if !count.is_ok_and(|count| count > 0) {
            assert!(self.received.is_empty(), "half a chunk at the end: {:?}", String::from_utf8_lossy(&self.received));
            return false;
        }
        let mut body = Vec::new();
        if self.is_chunked {
            take_chunks(&mut self.received, &mut body, b"\n");
        } else {
            body.append(&mut self.received);
        }
        self.text.push_str(std::str::from_utf8(&body).expect("ASCII"));
        true
    }

    async fn read_until(&mut self, text: &str) {
        let mut searched = 0;
        while !self.text[searched..].contains(text) {
            searched = self.text.len().saturating_sub(text.len());
            let is_open = self.read().await;
            let end = &self.text[self.text.len().saturating_sub(200)..];
            assert!(is_open, "the stream ended without {text:?}: {end}");
        }
    }

    /// Returns the numbers of the messages so far.
    fn numbers(&self) -> Vec<usize> {
        self.text
            .split("<number ")
            .skip(1)
            .chain(self.text.split("&lt;number ").skip(1))
            .map(number)
            .collect()
    }
}

fn number(text: &str) -> usize {
    text[..4].parse().expect("a number")
}

/// Posts a message of about 4 KB that its number identifies in every form.
async fn post(node: &Node, number: usize) -> String {
    node.post("lobby", "mason", &format!("<number {number:04}> {}", "x".repeat(3900))).await
}

async fn every_form_has_all_messages_whatever_the_socket_takes(bus: Bus) {
    let node = bus.node(&[("RATE_LIMIT", "0")]).await;
    let mut readings = Vec::new();
    for form in FORMS {
        // Half of them join a fan-out that exists by then.
        for _ in 0..2 {
            readings.push((form, form.open(&node, "lobby", "").await));
        }
    }
    for number in 0..100 {
        post(&node, number).await;
    }
    // At the same time: none may take no byte for long.
    join_all(readings.iter_mut().map(|(form, reading)| async move {
        reading.read_until("number 0099").await;
        assert_eq!(reading.numbers(), (0..100).collect::<Vec<_>>(), "{form:?}");
    }))
    .await;
}

async fn every_form_tells_its_end_and_is_never_complete(bus: Bus) {
    let node = bus.node(&[("RATE_LIMIT", "0"), ("DRAIN", "2"), ("DRAIN_GRACE", "0"), ("MAX_STREAMS", "7")]).await;
    let mut readings = Vec::new();
    for form in FORMS {
        readings.push((form, form.open(&node, "lobby", "").await));
    }
    for form in FORMS {
        let mut refused = form.open(&node, "lobby", "").await;
        while refused.read().await {}
        assert!(refused.text.contains(form.backoff) && refused.text.contains("full"), "{form:?}: {}", refused.text);
    }
    post(&node, 1).await;
    node.terminate();
    for (form, reading) in &mut readings {
        while reading.read().await {}
        assert_eq!(reading.numbers(), [1], "{form:?}");
        assert!(
            reading.text.contains(form.backoff) && reading.text.contains("draining"),
            "{form:?}: {}",
            reading.text
        );
    }
}

async fn every_form_resumes_after_a_cursor_and_tells_a_gap(bus: Bus) {
    let node = bus.node(&[("RATE_LIMIT", "0")]).await;
    let mut ids = Vec::new();
    for number in 0..60 {
        ids.push(post(&node, number).await);
    }
    for form in FORMS {
        let of_all = |id: &str| {
            if (form.path)("lobby").contains("attic") {
                format!("{id},0-0")
            } else {
                id.to_owned()
            }
        };
        let mut resumed = form.open(&node, "lobby", &format!("?lastEventId={}", of_all(&ids[9]))).await;
        resumed.read_until("number 0059").await;
        assert_eq!(resumed.numbers(), (10..60).collect::<Vec<_>>(), "{form:?}");
        let mut gapped = form.open(&node, "lobby", &format!("?lastEventId={}", of_all("1-9"))).await;
        gapped.read_until("number 0059").await;
        let gap = gapped.text.find(form.gap).unwrap_or_else(|| panic!("no gap in {form:?}: {}", gapped.text));
        assert!(gap < gapped.text.find("number 0000").expect("the first message"), "{form:?}");
    }
}
