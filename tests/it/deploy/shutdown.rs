//! Shutdown: subscribers are disconnected over `DRAIN` seconds, and the process exits on its own
//! (contract § 5).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Block, Bus, Node, Stream, assert_backoff, eventually, on_both_buses};

on_both_buses!(drained_subscribers_lose_no_message);

/// What a busy machine may take on top of what the contract allows.
const SLACK: Duration = Duration::from_secs(3);

async fn subscribe(node: &Node, count: usize) -> Vec<Stream> {
    let mut subscribers = Vec::new();
    for _ in 0..count {
        subscribers.push(Stream::live(node, "lobby").await);
    }
    subscribers
}

/// Reads every stream to its end. Returns when each ended, and its last blocks.
async fn read_all_to_end(streams: Vec<Stream>) -> Vec<(Instant, Vec<Block>)> {
    let mut tasks = Vec::new();
    for mut stream in streams {
        tasks.push(tokio::spawn(async move {
            let blocks = stream.read_to_end().await;
            (Instant::now(), blocks)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await.expect("no task panics"));
    }
    ends
}

#[tokio::test]
async fn sigterm_spreads_disconnects_over_the_drain_and_exits_0() {
    let mut node = Node::start(&[("DRAIN", "3")]).await;
    let subscribers = subscribe(&node, 40).await;
    let signalled = Instant::now();
    node.terminate();
    let ends = read_all_to_end(subscribers).await;
    for (_, blocks) in &ends {
        assert_backoff(blocks, "draining", 1000..=5000);
    }
    let mut moments: Vec<Duration> = ends.iter().map(|(at, _)| *at - signalled).collect();
    moments.sort();
    assert!(moments[39] < Duration::from_secs(3) + SLACK, "the last left after {:?}", moments[39]);
    assert!(moments[39] - moments[0] > Duration::from_secs(1), "all left at once: {moments:?}");
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(3) + SLACK);
}

#[tokio::test]
async fn sigint_drains_in_one_second() {
    let mut node = Node::start(&[("DRAIN", "60")]).await;
    let subscribers = subscribe(&node, 10).await;
    let signalled = Instant::now();
    node.interrupt();
    for (_, blocks) in read_all_to_end(subscribers).await {
        assert_backoff(&blocks, "draining", 1000..=5000);
    }
    assert_eq!(node.exit().await.code(), Some(0));
    assert!(signalled.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", signalled.elapsed());
}

#[tokio::test]
async fn second_signal_exits_immediately() {
    for (first, second) in [(Signal::SIGTERM, Signal::SIGTERM), (Signal::SIGTERM, Signal::SIGINT)] {
        let mut node = Node::start(&[("DRAIN", "60")]).await;
        let _subscribers = subscribe(&node, 10).await;
        node.signal(first);
        wait_until_draining(&node).await;
        let signalled = Instant::now();
        node.signal(second);
        node.exit().await;
        assert!(signalled.elapsed() < SLACK, "{:?} after the second signal", signalled.elapsed());
    }
}

#[tokio::test]
async fn node_without_subscribers_exits_without_draining() {
    let mut node = Node::start(&[("DRAIN", "60")]).await;
    node.post("lobby", "mason", "hi").await;
    node.terminate();
    assert_eq!(node.exit().await.code(), Some(0));
}

/// Waits until `/readyz` is 503, as it is while the node drains.
async fn wait_until_draining(node: &Node) {
    eventually("503 from /readyz", async || (node.get("/readyz").await.status == 503).then_some(())).await
}

#[tokio::test]
async fn draining_node_is_alive_but_not_ready_and_refuses_streams() {
    let node = Node::start(&[("DRAIN", "60")]).await;
    let _subscribers = subscribe(&node, 10).await;
    node.terminate();
    wait_until_draining(&node).await;
    node.get("/healthz").await.expect(200);
    let mut late = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(late.head.status, 200);
    assert_backoff(&late.read_to_end().await, "draining", 1000..=5000);
}

/// Messages acknowledged during the drain are replayed on reconnect; on Redis, by another node.
async fn drained_subscribers_lose_no_message(bus: Bus) {
    let leaving = bus.node(&[("DRAIN", "2")]).await;
    let mut subscribers = subscribe(&leaving, 10).await;
    let staying = bus.second_node(&[]).await;
    let before = leaving.fill("lobby", 3).await;
    leaving.terminate();
    let during = match &staying {
        Some(node) => node.fill("lobby", 20).await,
        None => Vec::new(),
    };
    let all = [before, during].concat();
    for subscriber in &mut subscribers {
        let seen = subscriber.read_to_end().await;
        let got: Vec<&String> = seen.iter().filter_map(|block| block.id.as_ref()).collect();
        assert!(got.len() >= 3 && got.iter().copied().eq(&all[..got.len()]), "{got:?}");
        if let Some(node) = &staying {
            let mut resumed = Stream::resume(node, "lobby", got[got.len() - 1]).await;
            assert_eq!(resumed.next_ids(all.len() - got.len()).await, all[got.len()..]);
        }
    }
}
