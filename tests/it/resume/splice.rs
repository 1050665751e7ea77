//! The splice of replay and live: subscribers connect at random moments while messages flow, and receive each exactly
//! once (contract § 7).

use std::sync::Arc;

use tokio::sync::watch;

use crate::support::{Bus, Node, Stream, halves, on_every_bus};

on_every_bus!(
    random_joins_under_load_lose_and_duplicate_nothing,
    random_resumes_under_load_lose_and_duplicate_nothing,
);

const MESSAGES: u64 = 400;
const SUBSCRIBERS: u64 = 40;

/// How a subscriber chooses its first cursor.
#[derive(Clone, Copy)]
enum StartCursor {
    Fresh,
    WithHistory,
    AfterHistory,
    FromTheBeginning,
}

const START_CURSORS: [StartCursor; 4] = [
    StartCursor::Fresh,
    StartCursor::WithHistory,
    StartCursor::AfterHistory,
    StartCursor::FromTheBeginning,
];

impl StartCursor {
    /// Subscribes, and returns the stream and the sequence number of its cursor.
    async fn subscribe(self, node: &Node) -> (Stream, u64) {
        let query = match self {
            StartCursor::Fresh => String::new(),
            StartCursor::WithHistory => "?history=10".to_owned(),
            StartCursor::AfterHistory => {
                let history = node.history("lobby", "?limit=5").await;
                format!("?lastEventId={}", history["last"].as_str().expect("last"))
            }
            StartCursor::FromTheBeginning => "?lastEventId=0-0".to_owned(),
        };
        let mut stream = Stream::open(node, &format!("/subscribe/lobby{query}"), &[]).await;
        let cursor = stream.first().await.id.expect("a cursor");
        (stream, halves(&cursor).1)
    }
}

/// Publishes through both nodes concurrently. `written` counts acknowledged messages.
async fn write(nodes: &[Arc<Node>; 2], written: &watch::Sender<u64>) -> Vec<String> {
    let half = async |node: &Node| {
        let mut ids = Vec::new();
        for _ in 0..MESSAGES / 2 {
            ids.push(node.post("lobby", "mason", "hi").await);
            written.send_modify(|count| *count += 1);
        }
        ids
    };
    let (a, b) = tokio::join!(half(&nodes[0]), half(&nodes[1]));
    let mut ids = [a, b].concat();
    ids.sort_by_key(|id| halves(id).1);
    ids
}

/// Waits until this many messages were acknowledged.
async fn wait_for_count(written: &mut watch::Receiver<u64>, count: u64) {
    written.wait_for(|written| *written >= count).await.expect("the writer lives");
}

async fn random_joins_under_load_lose_and_duplicate_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let mut subscribers = Vec::new();
    for number in 0..SUBSCRIBERS {
        let node = Arc::clone(&nodes[number as usize % 2]);
        let start = START_CURSORS[number as usize / 2 % 4];
        let mut progress = progress.clone();
        let moment = rand::random_range(0..MESSAGES * 9 / 10);
        subscribers.push(tokio::spawn(async move {
            wait_for_count(&mut progress, moment).await;
            let (mut stream, cursor) = start.subscribe(&node).await;
            let missing = usize::try_from(MESSAGES - cursor).expect("a cursor in the log");
            (cursor, stream.next_ids(missing).await)
        }));
    }
    let ids = write(&nodes, &written).await;
    for subscriber in subscribers {
        let (cursor, seen) = subscriber.await.expect("the subscriber does not panic");
        assert_eq!(seen, ids[cursor as usize..], "after {cursor}");
    }
}

async fn random_resumes_under_load_lose_and_duplicate_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS / 2 {
        let nodes = nodes.clone();
        let mut progress = progress.clone();
        subscribers.push(tokio::spawn(async move {
            let mut seen: Vec<String> = Vec::new();
            wait_for_count(&mut progress, 1).await;
            for visit in 0.. {
                let last = seen.last().map_or("0-0", String::as_str);
                let mut stream = Stream::resume(&nodes[visit % 2], "lobby", last).await;
                let left = MESSAGES as usize - seen.len();
                seen.extend(stream.next_ids(rand::random_range(1..=60).min(left)).await);
                if seen.len() == MESSAGES as usize {
                    break;
                }
            }
            seen
        }));
    }
    let ids = write(&nodes, &written).await;
    for subscriber in subscribers {
        assert_eq!(subscriber.await.expect("the subscriber does not panic"), ids);
    }
}
