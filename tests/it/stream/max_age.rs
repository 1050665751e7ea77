//! `MAX_AGE`: streams end at a random age, so that subscribers spread to new nodes (contract § 8).

use std::time::{Duration, Instant};

use crate::support::{Node, Redis, Stream, assert_backoff};

/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(2);

/// Reads a new stream until the node ends it. Returns its age and the last id received.
async fn read_until_ended(node: &Node) -> (Duration, Option<String>) {
    let started = Instant::now();
    let mut stream = Stream::live(node, "lobby").await;
    let blocks = stream.read_to_end().await;
    let age = started.elapsed();
    let (seen, last_blocks) = blocks.split_at(blocks.iter().rposition(|block| block.retry.is_some()).expect("a retry"));
    assert_backoff(last_blocks, "draining", 100..=500);
    (age, seen.iter().filter_map(|block| block.id.clone()).next_back())
}

async fn read_many_until_ended(node: &Node, count: usize) -> Vec<Duration> {
    let mut ages: Vec<_> = futures_util::future::join_all((0..count).map(|_| read_until_ended(node))).await;
    ages.sort();
    ages.into_iter().map(|(age, _)| age).collect()
}

#[tokio::test]
async fn streams_end_at_80_to_100_percent_of_max_age() {
    let node = Node::start(&[("MAX_AGE", "5"), ("HEARTBEAT", "1")]).await;
    let ages = read_many_until_ended(&node, 40).await;
    assert!(ages[0] >= Duration::from_millis(3900), "the youngest was {:?}", ages[0]);
    assert!(ages[39] < Duration::from_secs(5) + SLACK, "the oldest was {:?}", ages[39]);
    assert!(ages[39] - ages[0] > Duration::from_millis(500), "all ended at once: {ages:?}");
    assert_eq!(node.metric("tiny_chat_streams_ended_total{reason=\"max_age\"}").await, Some(40.0));
}

/// The age is not checked at heartbeats only.
#[tokio::test]
async fn long_heartbeat_does_not_extend_max_age() {
    let node = Node::start(&[("MAX_AGE", "2"), ("HEARTBEAT", "60")]).await;
    let ages = read_many_until_ended(&node, 10).await;
    assert!(ages[0] >= Duration::from_millis(1500) && ages[9] < Duration::from_secs(2) + SLACK, "{ages:?}");
}

#[tokio::test]
async fn stream_ended_by_max_age_resumes_on_another_node() {
    let redis = Redis::start().await;
    let (old, new) = (Node::on(&redis, &[("MAX_AGE", "1")]).await, Node::on(&redis, &[]).await);
    let posts = async {
        let mut ids = Vec::new();
        while ids.len() < 40 {
            ids.push(new.post("lobby", "mason", "hi").await);
            tokio::time::sleep(Duration::from_millis(40)).await; // between two messages
        }
        ids
    };
    let (ids, (_, last)) = tokio::join!(posts, read_until_ended(&old));
    let last = last.expect("messages arrived before the end");
    let at = ids.iter().position(|id| *id == last).expect("a known id") + 1;
    assert!(at < ids.len(), "it ended before the last message");
    assert_eq!(Stream::resume(&new, "lobby", &last).await.next_ids(ids.len() - at).await, ids[at..]);
}

#[tokio::test]
async fn streams_have_no_max_age_by_default() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    for _ in 0..3 {
        assert_eq!(stream.next().await.event.as_deref(), Some("heartbeat"));
    }
}
