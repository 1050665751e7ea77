//! Resource exhaustion: slow clients, open files, and memory (docs/security.md).

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all, stream};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::support::{Node, Redis, Stream, assert_backoff, eventually};

const NO_STREAM_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

/// Holds a connection of one of four kinds: a request line or a body that arrives byte by byte, a stream that is never
/// read, or no request at all. Reconnects whenever the node closes it.
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
            tokio::time::sleep(slowly).await; // the attack consists of waiting
            if kind % 4 < 2 && socket.write_all(b"x").await.is_err() {
                break;
            }
            if kind % 4 == 3 && matches!(socket.try_read(&mut [0; 1]), Ok(0)) {
                break;
            }
        }
    }
}

/// Publishes messages and returns the 99th percentile of the time from a post to its arrival at each subscriber.
async fn p99_latency(node: &Node, subscribers: &mut [Stream], messages: usize) -> Duration {
    let mut latencies = Vec::new();
    for number in 0..messages {
        let sent = Instant::now();
        let id = node.post("lobby", "mason", &format!("message {number}")).await;
        for subscriber in subscribers.iter_mut() {
            assert_eq!(subscriber.next_message().await.id, id);
            latencies.push(sent.elapsed());
        }
    }
    latencies.sort();
    latencies[latencies.len() * 99 / 100]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_clients_do_not_delay_subscribers() {
    let node = Node::start(&[NO_STREAM_LIMIT]).await;
    let mut subscribers = join_all((0..20).map(|_| Stream::live(&node, "lobby"))).await;
    let calm = p99_latency(&node, &mut subscribers, 100).await;
    let mut attackers = JoinSet::new();
    (0..1000).for_each(|kind| drop(attackers.spawn(attack(node.address(), kind))));
    eventually("the attack", async || {
        node.metric("tiny_chat_streams_open").await.is_some_and(|open| open >= 270.0).then_some(())
    })
    .await;
    let attacked = p99_latency(&node, &mut subscribers, 100).await;
    // The failures this guards against take seconds: a blocked worker, or a full accept queue.
    assert!(
        attacked < 5 * calm + Duration::from_millis(300),
        "{calm:?} without the attack, {attacked:?} with it"
    );
    node.get("/everyone").await.expect(200);
}

#[tokio::test]
async fn node_out_of_open_files_keeps_its_streams_and_recovers() {
    let redis = Redis::start().await;
    let node = Node::limited("256:256", &[("REDIS_URL", &redis.url()), NO_STREAM_LIMIT, ("HEARTBEAT", "1")]).await;
    node.ready().await;
    let (mut open, mut refused) = (Vec::new(), 0);
    // Fewer refusals than those after which the next ones wait.
    while refused < 5 {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        let first = stream.next().await;
        match first.id {
            Some(_) => open.push(stream),
            None => {
                assert_backoff(&[vec![first], stream.read_to_end().await].concat(), "full", 5000..=30_000);
                refused += 1;
            }
        }
    }
    assert!((100..200).contains(&open.len()), "{} streams", open.len());
    // More idle connections than the node has files for.
    let idle = join_all((0..400).map(|_| TcpStream::connect(node.address()))).await;
    let id = post_through_another_node(&redis).await;
    for stream in &mut open {
        assert_eq!(stream.next_message().await.id, id, "open streams still get messages");
    }
    drop(idle);
    drop(open);
    eventually("a stream", async || {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        stream.next().await.id
    })
    .await;
    node.post("lobby", "mason", "hi").await;
}

/// Publishes through another node, since this one accepts no connection.
async fn post_through_another_node(redis: &Redis) -> String {
    Node::on(redis, &[]).await.post("lobby", "mason", "to all").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_are_no_longer_used_leave_no_memory() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[NO_STREAM_LIMIT]).await;
    let memory = async || node.metric("process_resident_memory_bytes").await.expect("a metric");
    subscribe_briefly(&node, 0..10_000).await;
    wait_until_no_rooms(&node).await;
    let before = memory().await;
    subscribe_briefly(&node, 10_000..50_000).await;
    wait_until_no_rooms(&node).await;
    let after = memory().await;
    assert!(after < before * 1.2 + 10e6, "{before} bytes before, {after} after");
    node.publish("lobby", json!({ "message": "hi" })).await.expect(200);
}

/// Subscribes to each of these rooms, 16 per stream, and disconnects.
async fn subscribe_briefly(node: &Node, rooms: std::ops::Range<usize>) {
    let rooms: Vec<usize> = rooms.collect();
    let subscriptions = rooms.chunks(16).map(async |rooms| {
        let names: Vec<String> = rooms.iter().map(|number| format!("room-{number}")).collect();
        Stream::open(node, &format!("/subscribe/{}", names.join(",")), &[]).await.first().await;
    });
    stream::iter(subscriptions).buffer_unordered(8).collect::<Vec<()>>().await;
}

/// Waits until the node holds no room.
async fn wait_until_no_rooms(node: &Node) {
    eventually("no room in memory", async || (node.metric("tiny_chat_rooms").await == Some(0.0)).then_some(())).await
}
