//! Reconnect storms: many subscribers resume together, and the log is read only a few times (contract § 5).

use std::time::Instant;

use futures_util::{StreamExt, future::join_all, stream};

use crate::support::{Gap, Node, Redis, Stream, key};

const SUBSCRIBERS: usize = 400;

async fn room_reads(node: &Node) -> f64 {
    node.metric("tiny_chat_log_reads_total{purpose=\"room\"}").await.expect("a metric")
}

#[tokio::test]
async fn reconnect_storm_reads_the_log_a_few_times() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let _warm = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 51).await;
    let (before, started) = (room_reads(&node).await, Instant::now());
    let resume = async |_| Stream::resume(&node, "lobby", &ids[0]).await.next_ids(50).await;
    // A few at a time, because subscribers that resume in the same moment share a read anyway.
    let mut resumed = stream::iter(0..SUBSCRIBERS).map(resume).buffer_unordered(4);
    while let Some(seen) = resumed.next().await {
        assert_eq!(seen, ids[1..]);
    }
    let reads = room_reads(&node).await - before;
    // Up to 16 subscribers a second are not a storm, as on a very busy machine.
    let most = 20.0 + 16.0 * started.elapsed().as_secs_f64();
    assert!(reads <= most, "{reads} reads for {SUBSCRIBERS} subscribers, more than {most}");
    assert_eq!(node.metric("tiny_chat_log_reads_total{purpose=\"subscriber\"}").await, Some(0.0));
}

/// Subscribers that resumed from the frame buffer get the gap as soon as the log is read again.
#[tokio::test]
async fn reconnect_storm_after_a_lost_log_sends_a_gap_to_all() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("MAX_STREAMS_PER_ADDRESS", "0")]).await;
    let _warm = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 3).await;
    let first = join_all((0..SUBSCRIBERS).map(|_| Stream::resume(&node, "lobby", &ids[2]))).await;
    let _: u64 = redis.cmd(&["DEL", &key("lobby")]).await;
    let then = join_all((0..SUBSCRIBERS).map(|_| Stream::resume(&node, "lobby", &ids[2]))).await;
    for mut stream in first.into_iter().chain(then) {
        let gap = Gap::next(&mut stream).await;
        assert_eq!((gap.asked.as_str(), gap.reason.as_str()), (ids[2].as_str(), "reset"));
    }
}

/// A cursor that the frame buffer does not hold is looked up in the log.
#[tokio::test]
async fn reconnect_storm_still_looks_up_newer_cursors() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("MAX_STREAMS_PER_ADDRESS", "0")]).await;
    let _warm = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 2).await;
    let _others = join_all((0..SUBSCRIBERS).map(|_| Stream::resume(&node, "lobby", &ids[0]))).await;
    let newer = "99999999999999-7";
    redis.store_unannounced("lobby", newer).await;
    let mut streams = join_all((0..SUBSCRIBERS).map(|_| Stream::resume(&node, "lobby", newer))).await;
    let after = node.post("lobby", "mason", "after").await;
    for stream in &mut streams {
        assert_eq!(stream.next_content().await.id.as_ref(), Some(&after), "no gap, and what follows");
    }
}
