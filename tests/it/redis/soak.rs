//! Many subscribers and writers while Redis and its connections are killed: every message arrives once and in order
//! (contract § 7). `SOAK=10` runs each test ten times.

use std::ops::Range;

use futures_util::future::join_all;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use crate::support::{Node, Redis, Stream, eventually, halves, key};

const WRITERS: usize = 4;

/// Keeps every message of a test in the log.
const HISTORY: (&str, &str) = ("HISTORY", "1000000");
const NO_STREAM_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

/// At most as many messages as a subscriber may lag, because on a busy machine the test itself reads slowly.
const MESSAGES: usize = 1000;

/// Returns a range with one item for each run of a test.
fn runs() -> Range<usize> {
    0..std::env::var("SOAK").map_or(1, |runs| runs.parse().expect("SOAK is a number"))
}

async fn start_two_nodes(redis: &Redis) -> [Node; 2] {
    let environment = [HISTORY, NO_STREAM_LIMIT];
    [Node::on(redis, &environment).await, Node::on(redis, &environment).await]
}

/// Returns the ids of the log as Redis has them, which is what subscribers must receive.
async fn read_log(redis: &Redis) -> Vec<String> {
    let entries: Vec<(String, redis::Value)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    entries.into_iter().map(|(id, _)| id).collect()
}

/// Publishes a message until it is acknowledged, always with the same key, and returns its id.
async fn publish_until_acknowledged(node: &Node, text: &str) -> String {
    eventually("an acknowledgement", async || {
        let answer = node.publish("lobby", json!({ "sender": "mason", "message": text, "key": text })).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await
}

/// Publishes numbered messages from several writers that alternate between the nodes. `written` counts acknowledged
/// ones. Returns the ids in the order of the log.
async fn write(nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<String> {
    let writers = (0..WRITERS).map(async |writer| {
        let mut ids = Vec::new();
        for number in (writer..MESSAGES).step_by(WRITERS) {
            ids.push(publish_until_acknowledged(&nodes[writer % 2], &format!("message-{number}")).await);
            written.send_modify(|count| *count += 1);
        }
        ids
    });
    let mut ids = join_all(writers).await.concat();
    ids.sort_by_key(|id| halves(id));
    ids
}

async fn wait_for_count(written: &watch::Sender<usize>, count: usize) {
    let mut progress = written.subscribe();
    progress.wait_for(|written| *written >= count).await.expect("the writers do not panic");
}

/// Injects a fault after every `step` acknowledged messages, except after the last.
async fn inject_every(step: usize, written: &watch::Sender<usize>, mut inject: impl AsyncFnMut()) {
    for count in (step..MESSAGES).step_by(step) {
        wait_for_count(written, count).await;
        inject().await;
    }
}

async fn kill_pubsub_connections(redis: &Redis) {
    let _: u64 = redis.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
}

/// Reads all messages from each of these streams.
async fn read_all(streams: Vec<Stream>) -> Vec<Vec<String>> {
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move { stream.next_ids(MESSAGES).await });
    }
    tasks.join_all().await
}

async fn subscribe(nodes: &[Node; 2], count: usize) -> Vec<Stream> {
    join_all((0..count).map(|number| Stream::live(&nodes[number % 2], "lobby"))).await
}

/// Connects at a random moment and reads the log from its beginning, a few messages per stream, each time from a random
/// node. Returns the ids.
async fn read_and_resume(nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<String> {
    wait_for_count(written, rand::random_range(1..MESSAGES / 2)).await;
    let mut seen: Vec<String> = Vec::new();
    while seen.len() < MESSAGES {
        let node = &nodes[rand::random_range(0..2)];
        let last = seen.last().map_or("0-0", String::as_str);
        let mut stream = Stream::open(node, "/subscribe/lobby", &[("Last-Event-ID", last)]).await;
        stream.first().await;
        let left = MESSAGES - seen.len();
        seen.extend(stream.next_ids(rand::random_range(1..=200).min(left)).await);
    }
    seen
}

async fn read_with_resumes(count: usize, nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<Vec<String>> {
    join_all((0..count).map(|_| read_and_resume(nodes, written))).await
}

#[tokio::test]
async fn killed_pubsub_connections_lose_nothing_for_200_subscribers() {
    for _ in runs() {
        let redis = Redis::start().await;
        let nodes = start_two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let streams = subscribe(&nodes, 200).await;
        let (acknowledged, (), seen) = tokio::join!(
            write(&nodes, &written),
            inject_every(100, &written, async || kill_pubsub_connections(&redis).await),
            read_all(streams),
        );
        assert_eq!(acknowledged, read_log(&redis).await);
        for ids in seen {
            assert_eq!(ids, acknowledged);
        }
        let reconnects = nodes[0].metric("tiny_chat_store_reconnects_total").await;
        assert!(reconnects > Some(1.0), "connections were killed, but the node reconnected {reconnects:?} times");
    }
}

#[tokio::test]
async fn killed_pubsub_connections_lose_nothing_on_resume() {
    for _ in runs() {
        let redis = Redis::start().await;
        let nodes = start_two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let (acknowledged, (), seen) = tokio::join!(
            write(&nodes, &written),
            inject_every(50, &written, async || kill_pubsub_connections(&redis).await),
            read_with_resumes(40, &nodes, &written),
        );
        for ids in seen {
            assert_eq!(ids, acknowledged);
        }
    }
}

/// With `appendfsync always`, everything that Redis acknowledged or announced is on disk.
#[tokio::test]
async fn acknowledged_messages_survive_redis_crashes_exactly_once() {
    for _ in runs() {
        let mut redis = Redis::durable().await;
        let nodes = start_two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let streams = subscribe(&nodes, 40).await;
        let (acknowledged, (), seen, seen_by_resuming) = tokio::join!(
            write(&nodes, &written),
            inject_every(MESSAGES / 4, &written, async || redis.restart().await),
            read_all(streams),
            read_with_resumes(20, &nodes, &written),
        );
        assert_eq!(acknowledged, read_log(&redis).await, "acknowledged and stored messages");
        for ids in seen.into_iter().chain(seen_by_resuming) {
            assert_eq!(ids, acknowledged);
        }
    }
}
