//! A node and its Redis: one subscriber connection, a counted subscription per room, and the log as the truth
//! behind what was announced (contract 5 and 6).

use std::time::{Duration, Instant};

use crate::support::{Node, Redis, Stream, eventually, halves};

/// What a closed reader may take to be noticed, with `HEARTBEAT=1`, and its room to be let go of.
const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");
const LINGER: Duration = Duration::from_secs(1 + 5);
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn node_uses_one_pubsub_connection_for_all_rooms() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut readers = Vec::new();
    for room in ["a", "b", "c", "a", "b", "c"] {
        readers.push(Stream::live(&node, room).await);
    }
    let subscribers: String = redis.cmd(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
    assert_eq!(subscribers.lines().count(), 1, "{subscribers}");
    for room in ["a", "b", "c"] {
        assert_eq!(redis.subscriber_count(room).await, 1, "{room}");
    }
}

#[tokio::test]
async fn subscription_ends_with_the_last_subscriber_of_its_room() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let first = Stream::live(&node, "lobby").await;
    let mut last = Stream::live(&node, "lobby").await;
    drop(first);
    let id = node.post("lobby", "mason", "still here").await;
    assert_eq!(last.next_message().await.id, id);
    assert_eq!(redis.subscriber_count("lobby").await, 1);
    drop(last);
    let closed = Instant::now();
    eventually("the end of the subscription", async || (redis.subscriber_count("lobby").await == 0).then_some(()))
        .await;
    assert!(closed.elapsed() < LINGER + SLACK, "{:?}", closed.elapsed());
    let mut next = Stream::resume(&node, "lobby", &id).await;
    let another = node.post("lobby", "mason", "and again").await;
    assert_eq!(next.next_message().await.id, another);
}

/// "A node that sees `n` skip … reads the log from its last id": what was stored but not announced is not lost.
#[tokio::test]
async fn lost_announcement_is_recovered_from_the_log() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let first = node.post("lobby", "mason", "one").await;
    let (ms, n) = halves(&first);
    let silent = format!("{ms}-{}", n + 1);
    redis.store_unannounced("lobby", &silent).await;
    let third = node.post("lobby", "mason", "three").await;
    assert_eq!(reader.next_ids(3).await, [first, silent, third]);
}

/// Who comes is served from the log, and not from what the node happens to have heard of it.
#[tokio::test]
async fn new_streams_start_from_the_log_not_from_announcements() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let _keeps_the_room_in_memory = Stream::live(&node, "lobby").await;
    let (ms, n) = halves(&node.post("lobby", "mason", "one").await);
    let silent = |further: u64| format!("{ms}-{}", n + further);
    redis.store_unannounced("lobby", &silent(1)).await;
    let mut fresh = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(fresh.first().await.id, Some(silent(1)), "the log's last id when fresh");
    redis.store_unannounced("lobby", &silent(2)).await;
    let mut newest = Stream::open(&node, "/subscribe/lobby?history=1", &[]).await;
    newest.first().await;
    assert_eq!(newest.next_message().await.id, silent(2), "the newest message of the log");
    redis.store_unannounced("lobby", &silent(3)).await;
    let mut returning = Stream::resume(&node, "lobby", &silent(3)).await;
    let next = node.post("lobby", "mason", "next").await;
    assert_eq!(returning.next_message().await.id, next, "no gap and no double");
}

/// A stray or repeated announcement of what is known is not a second message.
#[tokio::test]
async fn repeated_announcement_is_delivered_once() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let first = node.post("lobby", "mason", "one").await;
    for _ in 0..3 {
        redis.publish("lobby", format!("\x1e{first}  {{\"sender\":\"mason\",\"message\":\"one\"}}")).await;
    }
    let second = node.post("lobby", "mason", "two").await;
    assert_eq!(reader.next_ids(2).await, [first, second]);
}
