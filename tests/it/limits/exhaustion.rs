//! Attacks from one side that the others must not feel (issue 4, "Security in operation").

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::support::{Node, Redis, Stream, assert_backoff, eventually};

const MANY: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

/// Half a request, of which more comes byte by byte, or a reader that never reads; each until it is hung up on, and
/// then anew.
async fn attack(node: std::net::SocketAddr, kind: usize) {
    let begin = match kind % 4 {
        0 => "GET /everyone HT".to_owned(),
        1 => format!("POST /lobby HTTP/1.1\r\nHost: {node}\r\nContent-Length: 5000\r\n\r\nmessage="),
        2 => format!("GET /subscribe/lobby HTTP/1.1\r\nHost: {node}\r\n\r\n"),
        _ => String::new(),
    };
    loop {
        let Ok(mut socket) = TcpStream::connect(node).await else {
            continue;
        };
        let _ = socket.write_all(begin.as_bytes()).await;
        let slowly = match kind % 4 {
            2 => Duration::from_secs(3600),
            _ => Duration::from_millis(500),
        };
        loop {
            tokio::time::sleep(slowly).await; // its only weapon is time
            if kind % 4 < 2 && socket.write_all(b"x").await.is_err() {
                break;
            }
            if kind % 4 == 3 && matches!(socket.try_read(&mut [0; 1]), Ok(0)) {
                break;
            }
        }
    }
}

/// From the POST to each of the readers, for so many messages: the 99th percentile.
async fn p99(node: &Node, readers: &mut [Stream], messages: usize) -> Duration {
    let mut ways = Vec::new();
    for number in 0..messages {
        let sent = Instant::now();
        let id = node.post("lobby", "mason", &format!("message {number}")).await;
        for reader in readers.iter_mut() {
            assert_eq!(reader.next_message().await.id, id);
            ways.push(sent.elapsed());
        }
    }
    ways.sort();
    ways[ways.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_clients_do_not_delay_subscribers() {
    let node = Node::start(&[MANY]).await;
    let mut readers = join_all((0..20).map(|_| Stream::live(&node, "lobby"))).await;
    let calm = p99(&node, &mut readers, 100).await;
    let mut attackers = JoinSet::new();
    (0..1000).for_each(|kind| drop(attackers.spawn(attack(node.address(), kind))));
    eventually("the attack", async || {
        node.metric("tiny_chat_streams_open").await.is_some_and(|open| open >= 270.0).then_some(())
    })
    .await;
    let attacked = p99(&node, &mut readers, 100).await;
    // What it guards against takes seconds: a worker that waits, an accept queue that is full.
    assert!(attacked < 5 * calm + Duration::from_millis(300), "{calm:?} in calm, {attacked:?} under attack");
    node.get("/everyone").await.expect(200);
}

/// A head that does not come is not waited for longer than 5 s, a body not longer than 10.
#[tokio::test]
async fn incomplete_requests_are_closed() {
    let node = Node::start(&[]).await;
    let post = format!("POST /lobby HTTP/1.1\r\nHost: {}\r\nContent-Length: 5000\r\n\r\nmessage=", node.address());
    let ends = ["GET /everyone HT", &post].map(async |half: &str| {
        let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
        socket.write_all(half.as_bytes()).await.expect("the node reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.map(|_| answer)
    });
    for (answer, seconds) in join_all(ends).await.into_iter().zip([5, 10]) {
        let answer = answer.expect("an end, and no reset");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "after {seconds} s: {answer}");
    }
}

#[tokio::test]
async fn node_out_of_open_files_keeps_its_streams_and_recovers() {
    let redis = Redis::start().await;
    let node = Node::limited("256:256", &[("REDIS_URL", &redis.url()), MANY, ("HEARTBEAT", "1")]).await;
    node.ready().await;
    let (mut seated, mut refused) = (Vec::new(), 0);
    for _ in 0..200 {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        let first = stream.next().await;
        match first.id {
            Some(_) => seated.push(stream),
            None => {
                assert_backoff(&[vec![first], stream.read_to_end().await].concat(), "full", 5000..=30_000);
                refused += 1;
            }
        }
    }
    assert!(seated.len() >= 100 && refused > 0, "{} streams, {refused} refused", seated.len());
    // Beyond that: connections that want nothing, more than there are files for.
    let idle = join_all((0..400).map(|_| TcpStream::connect(node.address()))).await;
    let id = redis_message(&redis).await;
    for stream in &mut seated {
        assert_eq!(stream.next_message().await.id, id, "whoever is here stays and hears");
    }
    drop(idle);
    drop(seated);
    eventually("a stream", async || {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        stream.next().await.id
    })
    .await;
    node.post("lobby", "mason", "hi").await;
}

/// A message by way of another node, since this one takes no connection.
async fn redis_message(redis: &Redis) -> String {
    Node::on(redis, &[]).await.post("lobby", "mason", "to all").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_rooms_do_not_leak_memory() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[MANY]).await;
    let memory = async || node.metric("process_resident_memory_bytes").await.expect("a metric");
    visit(&node, 0..20_000).await;
    forgotten(&node).await;
    let before = memory().await;
    visit(&node, 20_000..120_000).await;
    forgotten(&node).await;
    let after = memory().await;
    assert!(after < before * 1.2 + 10e6, "{before} bytes before, {after} after");
    node.publish("lobby", json!({ "message": "hi" })).await.expect(200);
}

/// Reads every one of these rooms, 16 with each stream, and leaves again.
async fn visit(node: &Node, rooms: std::ops::Range<usize>) {
    let rooms: Vec<usize> = rooms.collect();
    let visits = rooms.chunks(16).map(async |rooms| {
        let names: Vec<String> = rooms.iter().map(|number| format!("room-{number}")).collect();
        Stream::open(node, &format!("/subscribe/{}", names.join(",")), &[]).await.first().await;
    });
    stream::iter(visits).buffer_unordered(8).collect::<Vec<()>>().await;
}

/// Waits until the node holds no room any more.
async fn forgotten(node: &Node) {
    eventually("no room in memory", async || (node.metric("tiny_chat_rooms").await == Some(0.0)).then_some(())).await
}
