//! The splice of replay and live: readers come at any moment while messages flow, and nobody misses or doubles one
//! (guarantees 2 and 3).

use std::sync::Arc;

use tokio::sync::watch;

use crate::support::{Bus, Node, Stream, halves, on_both_buses};

on_both_buses!(
    random_joins_under_load_lose_and_duplicate_nothing,
    random_resumes_under_load_lose_and_duplicate_nothing,
);

const MESSAGES: u64 = 400;
const READERS: u64 = 40;

/// How a reader comes to its first place.
#[derive(Clone, Copy)]
enum Arrival {
    Fresh,
    WithHistory,
    AfterHistory,
    FromTheBeginning,
}

const ARRIVALS: [Arrival; 4] = [Arrival::Fresh, Arrival::WithHistory, Arrival::AfterHistory, Arrival::FromTheBeginning];

impl Arrival {
    /// Joins, and gives the stream with the number of the message before its first.
    async fn join(self, node: &Node) -> (Stream, u64) {
        let query = match self {
            Arrival::Fresh => String::new(),
            Arrival::WithHistory => "?history=10".to_owned(),
            Arrival::AfterHistory => {
                let history = node.history("lobby", "?limit=5").await;
                format!("?lastEventId={}", history["last"].as_str().expect("last"))
            }
            Arrival::FromTheBeginning => "?lastEventId=0-0".to_owned(),
        };
        let mut stream = Stream::open(node, &format!("/subscribe/lobby{query}"), &[]).await;
        let place = stream.first().await.id.expect("a place");
        (stream, halves(&place).1)
    }
}

/// Writes through both nodes at once, and tells how far it has come.
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

/// Waits until so many messages were acknowledged.
async fn reached(written: &mut watch::Receiver<u64>, count: u64) {
    written.wait_for(|written| *written >= count).await.expect("the writer lives");
}

async fn random_joins_under_load_lose_and_duplicate_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let mut readers = Vec::new();
    for number in 0..READERS {
        let node = Arc::clone(&nodes[number as usize % 2]);
        let arrival = ARRIVALS[number as usize / 2 % 4];
        let mut progress = progress.clone();
        let moment = rand::random_range(0..MESSAGES * 9 / 10);
        readers.push(tokio::spawn(async move {
            reached(&mut progress, moment).await;
            let (mut stream, place) = arrival.join(&node).await;
            let missing = usize::try_from(MESSAGES - place).expect("a place in the log");
            (place, stream.next_ids(missing).await)
        }));
    }
    let ids = write(&nodes, &written).await;
    for reader in readers {
        let (place, seen) = reader.await.expect("a reader that got its messages");
        assert_eq!(seen, ids[place as usize..], "after {place}");
    }
}

async fn random_resumes_under_load_lose_and_duplicate_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let mut readers = Vec::new();
    for _ in 0..READERS / 2 {
        let nodes = nodes.clone();
        let mut progress = progress.clone();
        readers.push(tokio::spawn(async move {
            let mut seen: Vec<String> = Vec::new();
            reached(&mut progress, 1).await;
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
    for reader in readers {
        assert_eq!(reader.await.expect("a reader that got its messages"), ids);
    }
}
