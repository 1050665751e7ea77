//! Slow and disconnected subscribers: a stalled one is ended without loss and delays no other, and a disconnected one
//! leaves nothing behind (contract § 5).

use std::{
    fs,
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::{MIB, NO_STREAM_LIMIT, PROMPT};
use crate::support::{Bus, Node, Redis, Stream, eventually, key, on_every_bus, stalled, stalled_many, within};

const ENDED_AS_SLOW: &str = "tiny_chat_streams_ended_total{reason=\"slow\"}";

/// Publishes texts of 4 kB, each of which the subscriber must receive promptly.
async fn flood(node: &Node, subscriber: &mut Stream, count: usize) {
    let text = "x".repeat(4000);
    for _ in 0..count {
        let id = node.post("lobby", "mason", &text).await;
        let seen = within(PROMPT, "a message while others are stalled", subscriber.next_message()).await;
        assert_eq!(seen.id, id);
    }
}

fn open_files(node: &Node) -> usize {
    fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("the node lives").count()
}

on_every_bus!(stalled_subscriber_is_ended_and_resumes_without_loss);

async fn stalled_subscriber_is_ended_and_resumes_without_loss(bus: Bus) {
    let node = bus.node(&[("HISTORY", "2000")]).await;
    let mut stalled = Stream::live(&node, "lobby").await;
    let mut quick = Stream::live(&node, "lobby").await;
    let text = "x".repeat(4000);
    let mut ids = Vec::new();
    for _ in 0..1200 {
        ids.push(node.post("lobby", "mason", &text).await);
        assert_eq!(quick.next_message().await.id, *ids.last().unwrap());
    }
    let seen = stalled.read_until_cut().await;
    let got: Vec<String> = seen.iter().filter(|block| block.id.is_some()).map(|block| block.message().id).collect();
    assert!(got.len() < ids.len(), "4.8 MB were kept for a stalled subscriber");
    assert_eq!(got, ids[..got.len()]);
    let rest = &ids[got.len()..];
    let mut resumed = Stream::resume(&node, "lobby", &ids[got.len() - 1]).await;
    assert_eq!(resumed.next_ids(rest.len()).await, rest);
}

/// 20 MB are sent to 50 stalled subscribers: the node keeps neither the messages nor a copy per subscriber.
#[tokio::test]
async fn memory_stays_flat_with_stalled_subscribers() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut quick = Stream::live(&node, "lobby").await;
    flood(&node, &mut quick, 1500).await;
    let before = node.peak_memory();
    let _stalled = stalled_many(&node, "/subscribe/lobby", 50).await;
    node.wait_for_live_streams(51).await;
    flood(&node, &mut quick, 5000).await;
    let growth = node.peak_memory() - before;
    assert!(growth < 12 * MIB, "{growth} bytes more for 50 stalled subscribers");
    eventually("the end of all stalled streams", async || {
        (node.metric(ENDED_AS_SLOW).await == Some(50.0)).then_some(())
    })
    .await;
    node.wait_for_open_streams(1).await;
}

/// It is ended although it lags by less than a subscriber may.
#[tokio::test]
async fn subscriber_taking_no_byte_for_30_seconds_is_ended() {
    let node = Node::start(&[]).await;
    let mut quick = Stream::live(&node, "lobby").await;
    let _stalled = stalled(&node, "/subscribe/lobby").await;
    node.wait_for_live_streams(2).await;
    let stalled = Instant::now();
    flood(&node, &mut quick, 200).await;
    let mut quick = quick.with_presence();
    let ended = async {
        while node.metric("tiny_chat_streams_open").await != Some(1.0) {
            quick.next().await;
        }
    };
    within(Duration::from_secs(50), "the end of the stalled stream", ended).await;
    assert!(stalled.elapsed() > Duration::from_secs(25), "ended after {:?}", stalled.elapsed());
}

/// A closed stream is noticed within one heartbeat, and the subscription of a room ends with its last subscriber.
#[tokio::test]
async fn disconnected_subscribers_leave_no_resources_behind() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("HEARTBEAT", "3"), NO_STREAM_LIMIT]).await;
    connect_and_disconnect(&node, &redis).await;
    let files = open_files(&node);
    connect_and_disconnect(&node, &redis).await;
    // The node opens its connections to Redis as it needs them: up to 8 for reading, so perhaps more the second time.
    eventually("as few open files as before", async || (open_files(&node) <= files + 16).then_some(())).await;
}

async fn connect_and_disconnect(node: &Node, redis: &Redis) {
    let rooms: Vec<String> = (0..10).map(|number| format!("room-{number}")).collect();
    let subscribers = join_all((0..500).map(|number| Stream::live(node, &rooms[number % 10]))).await;
    node.wait_for_open_streams(500).await;
    assert_eq!(node.metric("tiny_chat_rooms").await, Some(10.0));
    assert!(open_files(node) > 500);
    drop(subscribers);
    let left = Instant::now();
    node.wait_for_open_streams(0).await;
    assert!(left.elapsed() < Duration::from_secs(3) + PROMPT, "noticed after {:?}", left.elapsed());
    eventually("the end of all rooms", async || (node.metric("tiny_chat_rooms").await == Some(0.0)).then_some(()))
        .await;
    eventually("the end of all subscriptions", async || {
        let channels: Vec<String> = redis.cmd(&["PUBSUB", "CHANNELS", &key("*")]).await;
        channels.is_empty().then_some(())
    })
    .await;
}
