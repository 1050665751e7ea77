//! The life of a socket: over nodes, after a killed node and a flushed Redis, until its key or its day is over.

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{KEYS, OPEN, SHOP, assert_text, next_event, open, path, post_to};
use crate::support::{DEADLINE, Node, Redis, Stream, assert_backoff, eventually, in_time, within};

/// Returns the key of a socket in Redis.
fn key(socket: &str) -> String {
    format!("chat:socket:{{{socket}}}")
}

/// Returns the milliseconds that a socket still lives in Redis, negative if it is not there.
async fn ttl(redis: &Redis, socket: &str) -> i64 {
    redis.cmd(&["PTTL", &key(socket)]).await
}

/// A node that is killed loses no socket, even the one that made it; an emptied Redis neither.
#[tokio::test]
async fn sockets_outlive_a_killed_node_and_a_flushed_redis() {
    let redis = Redis::start().await;
    let (mut first, second) = (Node::on(&redis, &[KEYS]).await, Node::on(&redis, &[KEYS]).await);
    let socket = SHOP.socket(&first, "news").await;
    let unread = SHOP.socket(&first, "news").await;
    let mut stream = open(&first, &socket).await;
    first.kill();
    let _ = in_time(DEADLINE, async { while stream.next_or_end().await.is_some() {} }).await;
    let mut stream = open(&second, &socket).await;
    open(&second, &unread).await;
    let third = Node::on(&redis, &[KEYS]).await;
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    // At once on the node that streams it, and on any other as soon as that has noticed.
    open(&second, &socket).await;
    eventually("the socket in Redis", async || (ttl(&redis, &socket).await > 80_000).then_some(())).await;
    open(&third, &socket).await;
    SHOP.send(&third, "news", "", "after").await;
    let mut found = next_event(&mut stream).await;
    while found.event.as_deref() == Some("gap") {
        found = next_event(&mut stream).await;
    }
    assert_eq!(found.data.as_deref(), Some("after"));
}

#[tokio::test]
async fn a_socket_is_renewed_when_it_is_read_or_refused() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[KEYS, ("MAX_STREAMS", "1")]).await;
    let (socket, refused) = (SHOP.socket(&node, "news").await, SHOP.socket(&node, "news").await);
    assert!((80_000..=90_000).contains(&ttl(&redis, &socket).await));
    for socket in [&socket, &refused] {
        let _: u64 = redis.cmd(&["PEXPIRE", &key(socket), "40000"]).await;
    }
    let stream = open(&node, &socket).await;
    let mut backoff = Stream::open(&node, &path(&refused), &[]).await;
    assert_backoff(&backoff.read_to_end().await, "full", 5_000..=30_000);
    for socket in [&socket, &refused] {
        eventually("a renewal", async || (ttl(&redis, socket).await > 80_000).then_some(())).await;
    }
    let value: String = redis.cmd(&["GET", &key(&socket)]).await;
    let value: Value = serde_json::from_str(&value).expect("JSON");
    let made = value["made"].as_u64().expect("a time");
    assert_eq!(value, json!({ "key": "shop", "channel": "news", "presence_id": null, "made": made }));
    assert_eq!(node.metric("tiny_chat_app_streams_open{key=\"shop\"}").await, Some(1.0));
    assert_eq!(node.metric("tiny_chat_app_refusals_total{key=\"shop\"}").await, Some(1.0));
    drop(stream);
}

/// After a day a socket ends in mid-stream, and its node writes it no more.
#[tokio::test]
async fn a_socket_ends_a_day_after_it_was_made() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[KEYS]).await;
    let socket = SHOP.socket(&node, "news").await;
    let now = super::app::now() as u64 * 1000;
    let made = now - 24 * 60 * 60 * 1000 + 6_000;
    let value = json!({ "key": "shop", "channel": "news", "presence_id": null, "made": made }).to_string();
    let _: String = redis.cmd(&["SET", &key(&socket), &value, "PX", "90000"]).await;
    let mut stream = open(&node, &socket).await;
    assert_expired(&mut stream).await;
    assert_text(node.get(&path(&socket)).await, 404, "Socket Not Found");
    assert_text(post_to(&node, &socket, &[("data", "x")]).await, 404, "Socket Not Found");
}

/// Reads the stream to its end, which must be `backoff` with the reason `expired`.
async fn assert_expired(stream: &mut Stream) {
    let mut blocks = within(Duration::from_secs(25), "the end of the stream", stream.read_to_end()).await;
    blocks.retain(|block| block.event.as_deref() != Some("ping"));
    assert_backoff(&blocks, "expired", 0..=30_000);
}

/// Each node that has read the list without a key ends its sockets, and writes them no more.
#[tokio::test]
async fn sockets_of_a_removed_key_end() {
    let (redis, directory) = (Redis::start().await, tempfile::tempdir().expect("a directory"));
    let file = directory.path().join("keys");
    let both = "shop:0123456789abcdef\nopen:fedcba9876543210:\n";
    fs::write(&file, both).expect("a file");
    let environment = [("APP_KEYS_FILE", file.to_str().expect("a path"))];
    let nodes = [Node::on(&redis, &environment).await, Node::on(&redis, &environment).await];
    let (gone, stays) = (SHOP.socket(&nodes[0], "news").await, OPEN.socket(&nodes[0], "news").await);
    let mut streams = [open(&nodes[0], &gone).await, open(&nodes[1], &gone).await];
    let mut other = open(&nodes[0], &stays).await;
    fs::write(&file, "open:fedcba9876543210:\n").expect("a file");
    for node in &nodes {
        node.signal(Signal::SIGHUP);
    }
    for (node, stream) in nodes.iter().zip(&mut streams) {
        assert_expired(stream).await;
        assert_text(node.get(&path(&gone)).await, 404, "Socket Not Found");
        assert_text(post_to(node, &gone, &[("data", "x")]).await, 404, "Socket Not Found");
        assert_text(SHOP.call(node, "/socket", &[("channel", "news")]).await, 404, "User not found");
    }
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    eventually("the other socket", async || (ttl(&redis, &stays).await > 0).then_some(())).await;
    assert!(ttl(&redis, &gone).await < 0, "it is not written anew");
    OPEN.send(&nodes[1], "news", "", "still").await;
    let mut block = next_event(&mut other).await;
    while block.event.as_deref() == Some("gap") {
        block = next_event(&mut other).await;
    }
    assert_eq!(block.data.as_deref(), Some("still"));
}
