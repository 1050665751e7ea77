//! How a node follows Redis: one Pub/Sub connection, one subscription per room, and the log where an announcement is
//! missing (contract § 5 and § 6).

use std::time::{Duration, Instant};

use crate::support::{Node, Redis, Stream, eventually, halves};

/// A heartbeat of 1 s, within which a closed stream is noticed.
const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");
const MAX_UNSUBSCRIBE_DELAY: Duration = Duration::from_secs(1 + 5);
const SLACK: Duration = Duration::from_secs(2);

#[tokio::test]
async fn node_uses_one_pubsub_connection_for_all_rooms() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscribers = Vec::new();
    for room in ["a", "b", "c", "a", "b", "c"] {
        subscribers.push(Stream::live(&node, room).await);
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
    assert!(closed.elapsed() < MAX_UNSUBSCRIBE_DELAY + SLACK, "{:?}", closed.elapsed());
    let mut next = Stream::resume(&node, "lobby", &id).await;
    let another = node.post("lobby", "mason", "and again").await;
    assert_eq!(next.next_message().await.id, another);
}

/// A node that sees a sequence number skipped reads the log from its last id.
#[tokio::test]
async fn lost_announcement_is_recovered_from_the_log() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let first = node.post("lobby", "mason", "one").await;
    let (ms, n) = halves(&first);
    let unannounced = format!("{ms}-{}", n + 1);
    redis.store_unannounced("lobby", &unannounced).await;
    let third = node.post("lobby", "mason", "three").await;
    assert_eq!(subscriber.next_ids(3).await, [first, unannounced, third]);
}

/// A new stream starts from the log, not from what the node has received of it.
#[tokio::test]
async fn new_streams_start_from_the_log_not_from_announcements() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let _keeps_the_room = Stream::live(&node, "lobby").await;
    let (ms, n) = halves(&node.post("lobby", "mason", "one").await);
    let unannounced = |further: u64| format!("{ms}-{}", n + further);
    redis.store_unannounced("lobby", &unannounced(1)).await;
    let mut fresh = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(fresh.first().await.id, Some(unannounced(1)), "the log's last id when fresh");
    redis.store_unannounced("lobby", &unannounced(2)).await;
    let mut newest = Stream::open(&node, "/subscribe/lobby?history=1", &[]).await;
    newest.first().await;
    assert_eq!(newest.next_message().await.id, unannounced(2), "the newest message of the log");
    redis.store_unannounced("lobby", &unannounced(3)).await;
    let mut returning = Stream::resume(&node, "lobby", &unannounced(3)).await;
    let next = node.post("lobby", "mason", "next").await;
    assert_eq!(returning.next_message().await.id, next, "no gap and no duplicate");
}

#[tokio::test]
async fn repeated_announcement_is_delivered_once() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let first = node.post("lobby", "mason", "one").await;
    for _ in 0..3 {
        redis.publish("lobby", format!("\x1e{first}  {{\"sender\":\"mason\",\"message\":\"one\"}}")).await;
    }
    let second = node.post("lobby", "mason", "two").await;
    assert_eq!(subscriber.next_ids(2).await, [first, second]);
}
