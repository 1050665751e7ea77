//! The frames of a stream, byte for byte: headers, opening, messages and heartbeats (contract § 5).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Bus, Node, Redis, Stream, halves, key, on_every_bus};

on_every_bus!(
    fresh_stream_starts_at_the_last_id_and_gets_new_messages,
    message_frame_is_an_id_line_and_one_data_line,
    history_parameter_replays_the_last_messages_first,
    subscribers_receive_only_their_own_room,
);

#[tokio::test]
async fn stream_headers_forbid_caching_and_transformation() {
    let node = Node::start(&[]).await;
    let stream = Stream::open(&node, "/subscribe/lobby", &[("Accept-Encoding", "gzip, deflate, br, zstd")]).await;
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(stream.head.header("cache-control"), "no-cache, no-transform");
    assert_eq!(stream.head.header("x-accel-buffering"), "no");
    assert_eq!(stream.head.header("content-encoding"), "");
    assert_eq!(stream.head.header("content-length"), "");
}

#[tokio::test]
async fn accept_header_does_not_affect_streams() {
    let node = Node::start(&[]).await;
    for accept in ["text/html", "*/*", "application/json"] {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Accept", accept)]).await;
        assert_eq!(stream.head.header("content-type"), "text/event-stream; charset=utf-8");
        stream.first().await;
    }
}

#[tokio::test]
async fn first_block_has_a_random_retry_the_cursor_and_the_status() {
    let node = Node::start(&[("NODE", "chat-2"), ("HEARTBEAT", "7")]).await;
    let mut drawn = BTreeSet::new();
    for _ in 0..12 {
        let first = Stream::open(&node, "/subscribe/lobby", &[]).await.next().await;
        let retry = first.retry.expect("a retry");
        let status = "event: status\ndata: {\"live\":true,\"node\":\"chat-2\",\"heartbeat\":7}\n\n";
        assert_eq!(first.raw, format!("retry:{retry}\nid: 0-0\n{status}"));
        assert!((1000..=3000).contains(&retry), "{retry}");
        drawn.insert(retry);
    }
    assert!(drawn.len() > 1, "every subscriber would reconnect at the same moment: {drawn:?}");
}

#[tokio::test]
async fn heartbeats_are_sent_during_silence() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    for _ in 0..3 {
        let silent_since = Instant::now();
        assert_eq!(stream.next().await.raw, "event: heartbeat\ndata: OK\n\n");
        let silence = silent_since.elapsed();
        assert!(silence < Duration::from_millis(2500), "silent for {silence:?}");
    }
}

async fn fresh_stream_starts_at_the_last_id_and_gets_new_messages(bus: Bus) {
    let node = bus.node(&[]).await;
    let old = node.fill("lobby", 3).await;
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(stream.first().await.id.as_deref(), Some(old[2].as_str()));
    let new = node.fill("lobby", 2).await;
    assert_eq!(stream.next_ids(2).await, new);
}

async fn message_frame_is_an_id_line_and_one_data_line(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "hi").await;
    let frame = format!("id: {id}\ndata: {{\"sender\":\"mason\",\"message\":\"hi\"}}\n\n");
    assert_eq!(stream.next().await.raw, frame);
    let answer = node.publish("lobby", json!({ "sender": "mason", "message": "ho", "key": "k-1" })).await.expect(200);
    let keyed = stream.next().await;
    assert_eq!(keyed.id.as_deref(), answer.json()["id"].as_str());
    assert_eq!(keyed.json(), json!({ "sender": "mason", "message": "ho", "key": "k-1" }));
    let mut again = Stream::open(&node, "/subscribe/lobby?history=2", &[]).await;
    again.first().await;
    assert_eq!(again.next().await.raw, frame, "replayed as it was sent live");
    assert_eq!(again.next().await.raw, keyed.raw);
}

/// The first block has the cursor before the replayed messages, so a stream that ends early resumes with all of them.
async fn history_parameter_replays_the_last_messages_first(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = node.fill("lobby", 5).await;
    for (asked, replayed) in [("1", &all[4..]), ("3", &all[2..]), ("1000", &all[..])] {
        let mut stream = Stream::open(&node, &format!("/subscribe/lobby?history={asked}"), &[]).await;
        let cursor = stream.first().await.id.expect("a cursor");
        assert_eq!(stream.next_ids(replayed.len()).await, replayed);
        assert_eq!(halves(&cursor).1, halves(&replayed[0]).1 - 1, "{cursor} is not before {}", replayed[0]);
        let mut again = Stream::resume(&node, "lobby", &cursor).await;
        assert_eq!(again.next_ids(replayed.len()).await, replayed);
    }
    let mut stream = Stream::open(&node, "/subscribe/lobby?history=2", &[]).await;
    stream.first().await;
    let live = node.post("lobby", "mason", "live").await;
    assert_eq!(stream.next_ids(3).await, [&all[3..], &[live]].concat(), "then it is live");
    let mut empty = Stream::open(&node, "/subscribe/attic?history=5", &[]).await;
    assert_eq!(empty.first().await.id.as_deref(), Some("0-0"));
}

async fn subscribers_receive_only_their_own_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut lobby = Stream::live(&node, "lobby").await;
    let mut garden = Stream::live(&node, "garden").await;
    node.post("Lobby", "mason", "another room").await;
    let in_garden = node.post("garden", "mason", "hi").await;
    let in_lobby = node.post("lobby", "mason", "hi").await;
    assert_eq!(lobby.next_message().await.id, in_lobby);
    assert_eq!(garden.next_message().await.id, in_garden);
}

#[tokio::test]
async fn invalid_history_parameter_is_400() {
    let node = Node::start(&[]).await;
    for bad in ["0", "1001", "-1", "x", "", "1.5", "99999999999999999999"] {
        node.get(&format!("/subscribe/lobby?history={bad}")).await.problem(400);
    }
}

#[tokio::test]
async fn message_reaches_the_subscribers_of_every_node() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut subscribers = Vec::new();
    for node in &nodes {
        subscribers.push(Stream::live(node, "lobby").await);
    }
    let mut ids = Vec::new();
    for node in &nodes {
        ids.push(node.post("lobby", "mason", "hi").await);
    }
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next_ids(3).await, ids);
    }
}

/// Appends an entry of another type, as a later version may, and announces it.
async fn append_and_announce(redis: &Redis, id: &str, kind: &str, data: &str) {
    let entry = ["XADD", &key("lobby"), id, "type", kind, "data", data, "node", "other", "extra", "passed over"];
    let _: String = redis.cmd(&entry).await;
    redis.publish("lobby", format!("\x1e{id} {kind} {data}")).await;
}

/// `event: message` is never written, since it is the default type (WHATWG HTML § 9.2.6).
#[tokio::test]
async fn entry_of_another_type_has_an_event_line() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut live = Stream::live(&node, "lobby").await;
    append_and_announce(&redis, "1700000000000-1", "deploy", r#"{"version":2}"#).await;
    let frame = "id: 1700000000000-1\nevent: deploy\ndata: {\"version\":2}\n\n";
    let same_lines = |raw: &str| raw.lines().collect::<BTreeSet<_>>() == frame.lines().collect::<BTreeSet<_>>();
    let seen = live.next().await;
    assert!(same_lines(&seen.raw), "{seen:?}");
    append_and_announce(&redis, "1700000000000-2", "message", r#"{"sender":"a","message":"b"}"#).await;
    assert_eq!(live.next().await.message().id, "1700000000000-2");
    let mut replayed = Stream::resume(&node, "lobby", "0-0").await;
    assert_eq!(replayed.next().await.raw, seen.raw);
    assert_eq!(replayed.next().await.message().id, "1700000000000-2");
}
