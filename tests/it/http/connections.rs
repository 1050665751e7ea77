//! What a client may do with connections: deadlines of each request, the number of connections, requests that are sent
//! before the last answer came (contract § 4).

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::support::{Answer, DEADLINE, Head, Node, Stream, eventually, within};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";

async fn connect(node: &Node) -> TcpStream {
    TcpStream::connect(node.address()).await.expect("the node accepts")
}

async fn send(socket: &mut TcpStream, bytes: &str) {
    socket.write_all(bytes.as_bytes()).await.expect("the node reads");
}

/// Returns true if the node keeps the connection open and sends nothing on it.
fn is_open(socket: &TcpStream) -> bool {
    matches!(socket.try_read(&mut [0; 1]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Sends a byte twice a second until the node closes the connection. Returns what it answered.
async fn drip(mut socket: TcpStream, byte: &str) -> String {
    let mut answer = Vec::new();
    let dripping = async {
        loop {
            tokio::select! {
                read = socket.read_buf(&mut answer) => if !matches!(read, Ok(1..)) { return },
                () = sleep(Duration::from_millis(500)) => drop(socket.write_all(byte.as_bytes()).await),
            }
        }
    };
    within(DEADLINE, "the end of a slow request", dripping).await;
    String::from_utf8(answer).expect("text")
}

/// The head of each request of a connection may take 5 s, its body 10 s.
#[tokio::test]
async fn slow_requests_end_at_their_deadlines() {
    let node = Node::start(&[]).await;
    let post = "POST /lobby HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\nmessage=";
    let chunked = "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n";
    let half = "GET /everyone HTTP/1.1\r\nCookie: ";
    let cases = [(half, 5, "408"), (post, 10, "408"), (chunked, 10, "200")];
    let mut idle = connect(&node).await;
    let first_or_second = cases.iter().flat_map(|case| ["", HEALTH].map(|before| (before, case)));
    let all = first_or_second.map(async |(before, (begin, seconds, status))| {
        let mut socket = connect(&node).await;
        let start = Instant::now();
        send(&mut socket, &format!("{before}{begin}")).await;
        if !before.is_empty() {
            assert_eq!(Answer::read_from(&mut socket).await.text(), "ok\n");
        }
        let (answer, took) = (drip(socket, "x").await, start.elapsed());
        assert!(took >= Duration::from_secs(*seconds), "{begin:?} ended after {took:?}");
        assert!(took < Duration::from_secs(seconds + 5), "{begin:?} ended after {took:?}");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begin:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{begin:?}: {answer}");
        assert!(*status == "200" || answer.contains("application/problem+json"), "{answer}");
    });
    join_all(all).await;
    let busy = node.metric("process_cpu_seconds_total").await.expect("a metric");
    assert!(busy < 1.5, "waiting for the rest of a request took {busy} s of CPU time");
    // Idleness is allowed for longer than any of these.
    send(&mut idle, HEALTH).await;
    assert_eq!(Answer::read_from(&mut idle).await.text(), "ok\n");
}

#[tokio::test]
async fn an_address_has_its_streams_and_100_connections() {
    let node = Node::start(&[("MAX_STREAMS_PER_ADDRESS", "5")]).await;
    let mut streams = join_all((0..5).map(|_| Stream::live(&node, "lobby"))).await;
    let mut slow = Vec::new();
    for _ in 0..150 {
        let mut socket = connect(&node).await;
        send(&mut socket, "GET /").await;
        slow.push(socket);
    }
    // One of the 105 is the node's client of these tests.
    eventually("the end of the oldest", async || {
        (slow.iter().filter(|socket| is_open(socket)).count() <= 100).then_some(())
    })
    .await;
    let open: Vec<bool> = slow.iter().map(is_open).collect();
    assert!(open.iter().filter(|open| **open).count() >= 98, "no more end than have to: {open:?}");
    let id = node.post("lobby", "mason", "hi").await;
    for stream in &mut streams {
        assert_eq!(stream.next_message().await.id, id, "streams stay");
    }
    assert!(
        node.metric("tiny_chat_connections_refused_total{reason=\"address\"}")
            .await
            .is_some_and(|n| n >= 50.0)
    );
}

/// Clients that do not read their answers keep no place, either.
#[tokio::test]
async fn unread_answers_make_way() {
    let node = Node::start(&[("MAX_STREAMS_PER_ADDRESS", "1"), ("RATE_LIMIT", "0")]).await;
    let text = "<".repeat(4000); // 16 KB when it is escaped
    for _ in 0..25 {
        node.post("lobby", "mason", &text).await;
    }
    let mut unread = join_all((0..101).map(|_| connect(&node))).await;
    for socket in &mut unread {
        send(socket, "GET /history/lobby?limit=200 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    }
    for socket in &mut unread {
        assert_eq!(Head::read(socket).await.status, 200);
    }
    let mut socket = connect(&node).await;
    send(&mut socket, HEALTH).await;
    assert_eq!(Answer::read_from(&mut socket).await.text(), "ok\n");
}

#[tokio::test]
async fn trusted_proxies_have_any_number_of_connections() {
    for option in [("TRUSTED_PROXIES", "127.0.0.0/8"), ("MAX_STREAMS_PER_ADDRESS", "0")] {
        let node = Node::start(&[("MAX_STREAMS_PER_ADDRESS", "1"), option]).await;
        let mut sockets = join_all((0..150).map(|_| connect(&node))).await;
        for socket in &mut sockets {
            send(socket, HEALTH).await;
            assert_eq!(Answer::read_from(socket).await.text(), "ok\n", "{option:?}");
        }
        assert!(sockets.iter().all(is_open), "{option:?}");
    }
}

/// A subscriber has nothing to send; what it sends all the same must not hide that it leaves.
#[tokio::test]
async fn the_end_of_a_talkative_subscriber_is_noticed() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let mut socket = connect(&node).await;
    send(&mut socket, "GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n").await;
    expect_stream(&mut socket).await;
    send(&mut socket, &"x".repeat(200_000)).await;
    socket.shutdown().await.expect("the node reads");
    node.wait_for_open_streams(0).await;
}

#[tokio::test]
async fn a_connection_costs_one_open_file() {
    let node = Node::start(&[]).await;
    let files = async || node.metric("process_open_fds").await.expect("a metric");
    let before = files().await;
    let streams = join_all((0..50).map(|_| Stream::live(&node, "lobby"))).await;
    let mut idle = join_all((0..50).map(|_| connect(&node))).await;
    for socket in &mut idle {
        send(socket, HEALTH).await;
        Answer::read_from(socket).await.expect(200);
    }
    let cost = files().await - before;
    assert!((100.0..110.0).contains(&cost), "100 connections cost {cost} files");
    drop((streams, idle));
}

/// With more clients that send half a head than the node has files for, and as many that are idle.
#[tokio::test]
async fn health_checks_are_answered_when_files_run_out() {
    let node = Node::limited("256:256", &[("MAX_STREAMS_PER_ADDRESS", "0")]).await;
    let mut hostile = join_all((0..400).map(|_| connect(&node))).await;
    for socket in hostile.iter_mut().step_by(2) {
        let _ = socket.write_all(b"GET /everyone HT").await;
    }
    for _ in 0..20 {
        let mut socket = connect(&node).await;
        send(&mut socket, HEALTH).await;
        let answer = within(DEADLINE, "the answer of a health check", Answer::read_from(&mut socket)).await;
        assert_eq!(answer.text(), "ok\n");
    }
    let refused = node.metric("tiny_chat_connections_refused_total{reason=\"files\"}").await;
    assert!(refused.is_some_and(|refused| refused > 0.0), "{refused:?}");
}

/// Reads the head of a stream and its opening, which comes after all that was owed before.
async fn expect_stream(socket: &mut TcpStream) {
    let head = Head::read(socket).await;
    assert_eq!((head.status, head.header("content-type").as_str()), (200, "text/event-stream; charset=utf-8"));
    let mut opening = [0; 10];
    socket.read_exact(&mut opening).await.expect("an opening");
    assert!(opening.ends_with(b"\r\nretry:"), "{opening:?}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_after_the_other() {
    let node = Node::start(&[("RATE_LIMIT", "0")]).await;
    let text = "x".repeat(4000);
    for _ in 0..50 {
        node.post("lobby", "mason", &text).await;
    }
    let subscribe = "GET /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut socket = connect(&node).await;
    send(&mut socket, &format!("{HEALTH}{HEALTH}{subscribe}")).await;
    for _ in 0..2 {
        assert_eq!(Answer::read_from(&mut socket).await.text(), "ok\n");
    }
    expect_stream(&mut socket).await;

    // 200 KB, more than a send buffer holds.
    let mut socket = connect(&node).await;
    send(&mut socket, &format!("GET /history/lobby HTTP/1.1\r\nHost: x\r\n\r\n{subscribe}")).await;
    let history = Answer::read_from(&mut socket).await.expect(200).json();
    assert_eq!(history["messages"].as_array().map(Vec::len), Some(50));
    expect_stream(&mut socket).await;

    let body = json!({ "message": "hi" }).to_string();
    let head = "POST /lobby HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let (plain, chunked) = (
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
    );
    let mut socket = connect(&node).await;
    send(&mut socket, &format!("{plain}{chunked}{subscribe}{HEALTH}")).await;
    for _ in 0..2 {
        Answer::read_from(&mut socket).await.id();
    }
    expect_stream(&mut socket).await;
}
