//! The end of a node: readers are sent away over `DRAIN`, and the process ends by itself (contract 5 and 8).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Block, Bus, Node, Stream, assert_backoff, eventually, on_both_buses};

on_both_buses!(drained_subscribers_lose_no_message);

/// What a machine may need on top of what the contract allows.
const SLACK: Duration = Duration::from_secs(3);

async fn readers(node: &Node, count: usize) -> Vec<Stream> {
    let mut readers = Vec::new();
    for _ in 0..count {
        readers.push(Stream::live(node, "lobby").await);
    }
    readers
}

/// The end of every reader: when, and in which words.
async fn ends(readers: Vec<Stream>) -> Vec<(Instant, Vec<Block>)> {
    let mut tasks = Vec::new();
    for mut reader in readers {
        tasks.push(tokio::spawn(async move {
            let blocks = reader.read_to_end().await;
            (Instant::now(), blocks)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.expect("a clean end"));
    }
    ends
}

#[tokio::test]
async fn sigterm_spreads_disconnects_over_the_drain_and_exits_0() {
    let mut node = Node::start(&[("DRAIN", "3")]).await;
    let readers = readers(&node, 40).await;
    let asked = Instant::now();
    node.terminate();
    let ends = ends(readers).await;
    for (_, blocks) in &ends {
        assert_backoff(blocks, "draining", 1000..=5000);
    }
    let mut moments: Vec<Duration> = ends.iter().map(|(at, _)| *at - asked).collect();
    moments.sort();
    assert!(moments[39] < Duration::from_secs(3) + SLACK, "the last left after {:?}", moments[39]);
    assert!(moments[39] - moments[0] > Duration::from_secs(1), "all left at once: {moments:?}");
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3) + SLACK);
}

#[tokio::test]
async fn sigint_drains_in_one_second() {
    let mut node = Node::start(&[("DRAIN", "60")]).await;
    let readers = readers(&node, 10).await;
    let asked = Instant::now();
    node.interrupt();
    for (_, blocks) in ends(readers).await {
        assert_backoff(&blocks, "draining", 1000..=5000);
    }
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn second_signal_exits_immediately() {
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGTERM, Signal::SIGINT)] {
        let mut node = Node::start(&[("DRAIN", "60")]).await;
        let _readers = readers(&node, 10).await;
        node.signal(first);
        draining(&node).await;
        let asked = Instant::now();
        node.signal(second);
        node.exit().await;
        assert!(asked.elapsed() < SLACK, "{:?} after the second signal", asked.elapsed());
    }
}

#[tokio::test]
async fn node_without_subscribers_exits_without_draining() {
    let mut node = Node::start(&[("DRAIN", "60")]).await;
    node.post("lobby", "mason", "hi").await;
    node.terminate();
    assert_eq!(node.exit().await.code(), Some(0));
}

/// `/readyz`: "200 when … the node is not draining, else 503".
async fn draining(node: &Node) {
    eventually("503 from /readyz", async || (node.get("/readyz").await.status == 503).then_some(())).await
}

#[tokio::test]
async fn draining_node_is_alive_but_not_ready_and_refuses_streams() {
    let node = Node::start(&[("DRAIN", "60")]).await;
    let _readers = readers(&node, 10).await;
    node.terminate();
    draining(&node).await;
    node.get("/healthz").await.expect(200);
    let mut late = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(late.head.status, 200);
    assert_backoff(&late.read_to_end().await, "draining", 1000..=5000);
}

/// What was acknowledged while the reader was being sent away is there when it comes back; on Redis to another node.
async fn drained_subscribers_lose_no_message(bus: Bus) {
    let leaving = bus.node(&[("DRAIN", "2")]).await;
    let mut readers = readers(&leaving, 10).await;
    let staying = bus.second_node(&[]).await;
    let before = leaving.fill("lobby", 3).await;
    leaving.terminate();
    let during = match &staying {
        Some(node) => node.fill("lobby", 20).await,
        None => Vec::new(),
    };
    let all = [before, during].concat();
    for reader in &mut readers {
        let seen = reader.read_to_end().await;
        let got: Vec<&String> = seen.iter().filter_map(|block| block.id.as_ref()).collect();
        assert!(got.len() >= 3 && got.iter().copied().eq(&all[..got.len()]), "{got:?}");
        if let Some(node) = &staying {
            let mut resumed = Stream::resume(node, "lobby", got[got.len() - 1]).await;
            assert_eq!(resumed.next_ids(all.len() - got.len()).await, all[got.len()..]);
        }
    }
}
