//! Being sent away: never a status a browser gives up on, always a time to come back
//! (contract 5, "Being sent away"; contract 8, `MAX_STREAMS`, `MAX_STREAMS_PER_ADDRESS`, `TRUSTED_PROXIES`).

use std::{
    collections::BTreeSet,
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use crate::support::{Block, Node, Stream, eventually};

const TRUSTED: (&str, &str) = ("TRUSTED_PROXIES", "127.0.0.0/8");
const ONE_EACH: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "1");

/// A stream for the client a proxy speaks for.
async fn forwarded(node: &Node, address: &str) -> Stream {
    let stream = Stream::open(node, "/subscribe/lobby", &[("X-Forwarded-For", address)]).await;
    assert_eq!(stream.head.status, 200);
    stream
}

/// Whether the stream is one to stay on; if not, it ends as contract 5 has it, and this gives its retry.
async fn sent_away(stream: &mut Stream, reason: &str, retry: RangeInclusive<u64>) -> Option<u64> {
    let mut blocks = vec![stream.next().await];
    if blocks[0].event.is_none() && blocks[0].id.is_some() {
        return None;
    }
    blocks.extend(stream.rest().await);
    Some(backoff(&blocks, reason, retry))
}

/// Checks the last blocks of a reader that is sent away: one backoff, a retry in its range, no id.
pub fn backoff(blocks: &[Block], reason: &str, retry: RangeInclusive<u64>) -> u64 {
    let said: Vec<&Block> = blocks.iter().filter(|block| block.event.is_some()).collect();
    assert_eq!(said.len(), 1, "{blocks:?}");
    assert_eq!(said[0].event.as_deref(), Some("backoff"));
    assert_eq!(said[0].data, Some(format!("{{\"reason\":\"{reason}\"}}")));
    assert!(blocks.iter().all(|block| block.id.is_none()), "an id moves the reader's place: {blocks:?}");
    let drawn = blocks.iter().filter_map(|block| block.retry).next_back().expect("a retry");
    assert!(retry.contains(&drawn), "{drawn} is not in {retry:?}");
    drawn
}

async fn full(stream: &mut Stream) -> bool {
    sent_away(stream, "full", 5000..=30_000).await.is_some()
}

#[tokio::test]
async fn full_node_answers_200_with_backoff_and_ends_the_stream() {
    let node = Node::start(&[("MAX_STREAMS", "2")]).await;
    let _first = Stream::live(&node, "lobby").await;
    let _second = Stream::live(&node, "garden").await;
    let mut drawn = BTreeSet::new();
    for _ in 0..8 {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        assert_eq!((stream.head.status, stream.head.header("content-type").as_str()), (200, "text/event-stream"));
        drawn.insert(sent_away(&mut stream, "full", 5000..=30_000).await.expect("two streams are all there may be"));
    }
    assert!(drawn.len() > 1, "all would come back at the same moment: {drawn:?}");
}

/// The answer is the same to one who brings an id: its place is kept.
#[tokio::test]
async fn refused_subscriber_keeps_its_cursor() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    let ids = node.fill("lobby", 2).await;
    let _only = Stream::live(&node, "lobby").await;
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Last-Event-ID", &ids[0])]).await;
    assert!(full(&mut stream).await);
}

/// "A reader that closed is noticed within one heartbeat": then its stream is free for another.
#[tokio::test]
async fn closed_stream_frees_its_permit() {
    let node = Node::start(&[("MAX_STREAMS", "1"), ("HEARTBEAT", "1")]).await;
    drop(Stream::live(&node, "lobby").await);
    let closed = Instant::now();
    eventually("a free stream", async || {
        (!full(&mut Stream::open(&node, "/subscribe/lobby", &[]).await).await).then_some(())
    })
    .await;
    assert!(closed.elapsed() < Duration::from_secs(3), "noticed after {:?}", closed.elapsed());
}

#[tokio::test]
async fn stream_limits_of_0_mean_unlimited() {
    let node = Node::start(&[("MAX_STREAMS", "0"), ("MAX_STREAMS_PER_ADDRESS", "0")]).await;
    let mut open = Vec::new();
    for _ in 0..20 {
        open.push(Stream::live(&node, "lobby").await);
    }
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_separate_limits() {
    let node = Node::start(&[TRUSTED, ONE_EACH]).await;
    let mut first = forwarded(&node, "192.0.2.1").await;
    assert!(!full(&mut first).await);
    assert!(full(&mut forwarded(&node, "192.0.2.1").await).await);
    assert!(!full(&mut forwarded(&node, "192.0.2.2").await).await);
}

#[tokio::test]
async fn forwarded_for_is_ignored_without_a_trusted_proxy() {
    let node = Node::start(&[ONE_EACH]).await;
    let mut first = forwarded(&node, "192.0.2.1").await;
    assert!(!full(&mut first).await);
    assert!(full(&mut forwarded(&node, "192.0.2.2").await).await);
    assert!(full(&mut Stream::open(&node, "/subscribe/lobby", &[]).await).await);
}

/// "right-most untrusted hop": what a client writes in front of it is its own invention.
#[tokio::test]
async fn client_is_the_right_most_untrusted_hop() {
    let node = Node::start(&[("TRUSTED_PROXIES", "127.0.0.1/32,198.51.100.0/24"), ONE_EACH]).await;
    let mut first = forwarded(&node, "203.0.113.9, 192.0.2.1").await;
    assert!(!full(&mut first).await);
    for spoofed in [
        "192.0.2.1",
        "203.0.113.10, 192.0.2.1",
        "nonsense, 192.0.2.1",
        "203.0.113.11,192.0.2.1, 198.51.100.7",
    ] {
        assert!(full(&mut forwarded(&node, spoofed).await).await, "{spoofed}");
    }
    let two_headers = [("X-Forwarded-For", "203.0.113.12"), ("X-Forwarded-For", "192.0.2.1")];
    assert!(full(&mut Stream::open(&node, "/subscribe/lobby", &two_headers).await).await);
    let mut other = forwarded(&node, "192.0.2.1, 203.0.113.9").await;
    assert!(!full(&mut other).await);
}

#[tokio::test]
async fn ipv6_clients_are_counted_per_64() {
    let node = Node::start(&[TRUSTED, ONE_EACH]).await;
    let mut first = forwarded(&node, "2001:db8:1:2::1").await;
    assert!(!full(&mut first).await);
    assert!(full(&mut forwarded(&node, "2001:db8:1:2:ffff:ffff:ffff:ffff").await).await);
    assert!(!full(&mut forwarded(&node, "2001:db8:1:3::1").await).await);
}

/// "the header from an untrusted private peer is warned of once".
#[tokio::test]
async fn unset_trusted_proxies_is_warned_about_once() {
    let node = Node::start(&[]).await;
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        forwarded(&node, address).await.first().await;
    }
    node.logged("TRUSTED_PROXIES").await;
    assert_eq!(node.log().matches("TRUSTED_PROXIES").count(), 1, "{}", node.log());
}
