//! Shutdown: the node says that it leaves, closes its listening socket, disconnects subscribers over `DRAIN` seconds, and
//! exits on its own (contract § 5 and § 8).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Block, Bus, DEADLINE, Head, Node, Stream, assert_backoff, eventually, on_every_bus, within};

on_every_bus!(drained_subscribers_lose_no_message);

/// What a busy machine may take on top of what the contract allows.
const SLACK: Duration = Duration::from_secs(3);

async fn subscribe(node: &Node, count: usize) -> Vec<Stream> {
    let mut subscribers = Vec::new();
    for _ in 0..count {
        subscribers.push(Stream::live(node, "lobby").await);
    }
    subscribers
}

/// Reads every stream to its end. Returns when each ended, and its last blocks.
async fn read_all_to_end(streams: Vec<Stream>) -> Vec<(Instant, Vec<Block>)> {
    let mut tasks = Vec::new();
    for mut stream in streams {
        tasks.push(tokio::spawn(async move {
            let blocks = stream.read_to_end().await;
            (Instant::now(), blocks)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.expect("no task panics"));
    }
    ends
}

#[tokio::test]
async fn sigterm_spreads_disconnects_over_the_drain_and_exits_0() {
    let mut node = Node::start(&[("DRAIN", "3"), ("DRAIN_GRACE", "0")]).await;
    let subscribers = subscribe(&node, 40).await;
    let signalled = Instant::now();
    node.terminate();
    let ends = read_all_to_end(subscribers).await;
    for (_, blocks) in &ends {
        assert_backoff(blocks, "draining", 100..=500);
    }
    let mut moments: Vec<Duration> = ends.iter().map(|(at, _)| *at - signalled).collect();
    moments.sort();
    assert!(moments[39] < Duration::from_secs(3) + SLACK, "the last left after {:?}", moments[39]);
    assert!(moments[39] - moments[0] > Duration::from_secs(1), "all left at once: {moments:?}");
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(3) + SLACK);
}

#[tokio::test]
async fn sigint_drains_in_one_second() {
    let mut node = Node::start(&[("DRAIN", "60")]).await;
    let subscribers = subscribe(&node, 10).await;
    let signalled = Instant::now();
    node.interrupt();
    for (_, blocks) in read_all_to_end(subscribers).await {
        assert_backoff(&blocks, "draining", 100..=500);
    }
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn second_signal_exits_immediately() {
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGTERM, Signal::SIGINT)] {
        let mut node = Node::start(&[("DRAIN", "60"), ("DRAIN_GRACE", "60")]).await;
        let _subscribers = subscribe(&node, 10).await;
        node.signal(first);
        wait_until_draining(&node).await;
        let signalled = Instant::now();
        node.signal(second);
        node.exit().await;
        assert!(signalled.elapsed() < SLACK, "{:?} after the second signal", signalled.elapsed());
    }
}

#[tokio::test]
async fn node_without_subscribers_exits_without_draining() {
    let mut node = Node::start(&[("DRAIN", "60"), ("DRAIN_GRACE", "0")]).await;
    node.post("lobby", "mason", "hi").await;
    node.terminate();
    assert_eq!(node.exit().await.code(), Some(0));
}

/// Waits until `/readyz` is 503, as it is while the node drains.
async fn wait_until_draining(node: &Node) {
    eventually("503 from /readyz", async || (node.get("/readyz").await.status == 503).then_some(())).await
}

/// Waits until the node refuses connections, and returns when it accepted one for the last time.
async fn wait_until_refused(node: &Node) -> Instant {
    let mut accepted = Instant::now();
    eventually("a refused connection", async || match TcpStream::connect(node.address()).await {
        Ok(_) => {
            accepted = Instant::now();
            None
        }
        Err(_) => Some(()),
    })
    .await;
    accepted
}

#[tokio::test]
async fn leaving_node_serves_until_its_socket_closes_then_drains() {
    let mut node = Node::start(&[("DRAIN", "3"), ("DRAIN_GRACE", "2")]).await;
    let mut subscribers = subscribe(&node, 10).await;
    let signalled = Instant::now();
    node.terminate();
    wait_until_draining(&node).await;
    node.get("/healthz").await.expect(200);
    node.page("/lobby").await.html(200);
    let post = node.publish("lobby", serde_json::json!({ "message": "during the grace" })).await;
    assert_eq!(post.header("connection"), "close");
    let id = post.id();
    subscribers.push(Stream::resume(&node, "lobby", "0-0").await);
    let accepted = wait_until_refused(&node).await;
    assert!(accepted - signalled > Duration::from_secs(1), "closed {:?} after the signal", accepted - signalled);
    for (ended, blocks) in read_all_to_end(subscribers).await {
        assert!(ended > accepted, "a stream ended while the node still accepted connections");
        let (message, end) = blocks.split_first().expect("a message");
        assert_eq!(message.id.as_ref(), Some(&id));
        assert_backoff(end, "draining", 100..=500);
    }
    assert_eq!(node.exit().await.code(), Some(0));
}

/// A connection on which one request was answered, and which is kept alive.
async fn keep_alive(node: &Node) -> TcpStream {
    let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
    socket.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("the node reads");
    let head = Head::read(&mut socket).await;
    assert_eq!((head.status, head.header("connection").as_str()), (200, ""));
    socket.read_exact(&mut [0; 3]).await.expect("a body of three bytes");
    socket
}

/// Sends the rest of a request and returns everything that follows until the node closes the connection.
async fn read_to_close(socket: &mut TcpStream, rest: &str) -> String {
    socket.write_all(rest.as_bytes()).await.expect("the node reads");
    let mut answer = String::new();
    within(DEADLINE, "the end of the connection", socket.read_to_string(&mut answer))
        .await
        .expect("no reset");
    answer
}

#[tokio::test]
async fn draining_node_answers_on_kept_connections_and_closes_them() {
    let node = Node::start(&[("DRAIN", "60"), ("DRAIN_GRACE", "0")]).await;
    let _subscribers = subscribe(&node, 10).await;
    let mut kept = keep_alive(&node).await;
    let mut under_way = keep_alive(&node).await;
    let mut stream = keep_alive(&node).await;
    let post = "POST /lobby HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    let begun = format!("{post}Content-Length: 10\r\n\r\nmess");
    under_way.write_all(begun.as_bytes()).await.expect("the node reads");
    node.terminate();
    wait_until_refused(&node).await;
    for (socket, rest) in [(&mut kept, begun.as_str()), (&mut under_way, "")] {
        let answer = read_to_close(socket, &format!("{rest}age=hi")).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nconnection: close\r\n"),
            "{answer}"
        );
        assert!(answer.contains("{\"id\":\""), "{answer}");
    }
    // A proxy sends the request to another node, as does a browser: without an answer it knows that nothing was done.
    assert_eq!(read_to_close(&mut stream, "GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
}

/// Connections in the backlog at that moment would be reset, with the post on them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_is_reset_when_the_socket_closes() {
    let mut node = Node::start(&[("DRAIN", "60"), ("DRAIN_GRACE", "1")]).await;
    let address = node.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async move {
                let mut answered = 0;
                while let Ok(mut socket) = TcpStream::connect(address).await {
                    let request = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
                    let answer = read_to_close(&mut socket, request).await;
                    assert!(answer.ends_with("ok\n"), "{answer:?} after {answered} answers");
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    node.terminate();
    for client in clients {
        assert!(within(DEADLINE, "a refused connection", client).await.expect("every connection is served") > 0);
    }
    assert_eq!(node.exit().await.code(), Some(0));
}

/// Messages acknowledged during the drain are replayed on reconnect; on Redis, by another node.
async fn drained_subscribers_lose_no_message(bus: Bus) {
    let leaving = bus.node(&[("DRAIN", "2"), ("DRAIN_GRACE", "0")]).await;
    let mut subscribers = subscribe(&leaving, 10).await;
    let staying = bus.second_node(&[]).await;
    let before = leaving.fill("lobby", 3).await;
    leaving.terminate();
    let during = match &staying {
        Some(node) => node.fill("lobby", 20).await,
        None => Vec::new(),
    };
    let all = [before, during].concat();
    for subscriber in &mut subscribers {
        let seen = subscriber.read_to_end().await;
        let got: Vec<&String> = seen.iter().filter_map(|block| block.id.as_ref()).collect();
        assert!(got.len() >= 3 && got.iter().copied().eq(&all[..got.len()]), "{got:?}");
        if let Some(node) = &staying {
            let mut resumed = Stream::resume(node, "lobby", got[got.len() - 1]).await;
            assert_eq!(resumed.next_ids(all.len() - got.len()).await, all[got.len()..]);
        }
    }
}
