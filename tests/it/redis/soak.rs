//! Many readers and writers while Redis's connections are killed, and Redis itself: nothing lost, nothing doubled,
//! nothing reordered (guarantees 1, 2 and 3). `SOAK=10` does it all ten times.

use std::ops::Range;

use futures_util::future::join_all;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};

use crate::support::{Node, Redis, Stream, eventually, halves, key};

const WRITERS: usize = 4;

/// Keeps all that a soak writes.
const HISTORY: (&str, &str) = ("HISTORY", "1000000");
const NO_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

/// No more than a reader may fall behind: on a busy machine it is the test that is slow to read.
const MESSAGES: usize = 1000;

/// How often each test is done.
fn rounds() -> Range<usize> {
    0..std::env::var("SOAK").map_or(1, |rounds| rounds.parse().expect("SOAK is a number"))
}

async fn two_nodes(redis: &Redis) -> [Node; 2] {
    let environment = [HISTORY, NO_LIMIT];
    [Node::on(redis, &environment).await, Node::on(redis, &environment).await]
}

/// The ids of the log, as Redis has them: the truth that readers are measured by.
async fn log(redis: &Redis) -> Vec<String> {
    let entries: Vec<(String, redis::Value)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    entries.into_iter().map(|(id, _)| id).collect()
}

/// Sends a message until it is acknowledged, always with the same key; gives its id.
async fn insist(node: &Node, text: &str) -> String {
    eventually("an acknowledgement", async || {
        let answer = node.publish("lobby", json!({ "sender": "mason", "message": text, "key": text })).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await
}

/// Writes numbered messages, a share of them by each of several writers and on each node in turn; `written` counts
/// what was acknowledged. Gives the ids in the order of the log.
async fn write(nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<String> {
    let writers = (0..WRITERS).map(async |writer| {
        let mut ids = Vec::new();
        for number in (writer..MESSAGES).step_by(WRITERS) {
            ids.push(insist(&nodes[writer % 2], &format!("message-{number}")).await);
            written.send_modify(|count| *count += 1);
        }
        ids
    });
    let mut ids = join_all(writers).await.concat();
    ids.sort_by_key(|id| halves(id));
    ids
}

async fn reached(written: &watch::Sender<usize>, count: usize) {
    let mut progress = written.subscribe();
    progress.wait_for(|written| *written >= count).await.expect("the writers go on");
}

/// Does harm whenever so many more messages have been written, until the last.
async fn every(step: usize, written: &watch::Sender<usize>, mut harm: impl AsyncFnMut()) {
    for count in (step..MESSAGES).step_by(step) {
        reached(written, count).await;
        harm().await;
    }
}

async fn kill_subscribers(redis: &Redis) {
    let _: u64 = redis.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
}

/// Readers that stay from the beginning to the end.
async fn stay(streams: Vec<Stream>) -> Vec<Vec<String>> {
    let mut readers = JoinSet::new();
    for mut stream in streams {
        readers.spawn(async move { stream.next_ids(MESSAGES).await });
    }
    readers.join_all().await
}

async fn live(nodes: &[Node; 2], count: usize) -> Vec<Stream> {
    join_all((0..count).map(|number| Stream::live(&nodes[number % 2], "lobby"))).await
}

/// A reader that comes at a random moment and reads the room from its beginning, a few messages at a time, now on
/// one node and now on the other.
async fn come_and_go(nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<String> {
    reached(written, rand::random_range(1..MESSAGES / 2)).await;
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

async fn guests(count: usize, nodes: &[Node; 2], written: &watch::Sender<usize>) -> Vec<Vec<String>> {
    join_all((0..count).map(|_| come_and_go(nodes, written))).await
}

#[tokio::test]
async fn killed_pubsub_connections_lose_nothing_for_200_subscribers() {
    for _ in rounds() {
        let redis = Redis::start().await;
        let nodes = two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let readers = live(&nodes, 200).await;
        let (acknowledged, (), seen) = tokio::join!(
            write(&nodes, &written),
            every(100, &written, async || kill_subscribers(&redis).await),
            stay(readers),
        );
        assert_eq!(acknowledged, log(&redis).await);
        for ids in seen {
            assert_eq!(ids, acknowledged);
        }
        let reconnects = nodes[0].metric("tiny_chat_store_reconnects_total").await;
        assert!(reconnects > Some(1.0), "subscribers were to be killed, and reconnected {reconnects:?} times");
    }
}

#[tokio::test]
async fn killed_pubsub_connections_lose_nothing_on_resume() {
    for _ in rounds() {
        let redis = Redis::start().await;
        let nodes = two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let (acknowledged, (), seen) = tokio::join!(
            write(&nodes, &written),
            every(50, &written, async || kill_subscribers(&redis).await),
            guests(40, &nodes, &written),
        );
        for ids in seen {
            assert_eq!(ids, acknowledged);
        }
    }
}

/// `appendfsync always`: what Redis has acknowledged or announced is on its disk.
#[tokio::test]
async fn acknowledged_messages_survive_redis_crashes_exactly_once() {
    for _ in rounds() {
        let mut redis = Redis::durable().await;
        let nodes = two_nodes(&redis).await;
        let written = watch::Sender::new(0);
        let readers = live(&nodes, 40).await;
        let (acknowledged, (), seen, seen_by_guests) = tokio::join!(
            write(&nodes, &written),
            every(MESSAGES / 4, &written, async || redis.restart().await),
            stay(readers),
            guests(20, &nodes, &written),
        );
        assert_eq!(acknowledged, log(&redis).await, "what was acknowledged and what is stored");
        for ids in seen.into_iter().chain(seen_by_guests) {
            assert_eq!(ids, acknowledged);
        }
    }
}
