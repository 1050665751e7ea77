//! Refused streams: a browser's `EventSource` gives up after a status other than 200, so a node at its limit answers
//! 200, `retry:` and `backoff` (contract § 5 and § 8).

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::TRUST_LOOPBACK;
use crate::support::{Node, Redis, Stream, assert_backoff};

const ONE_STREAM_PER_ADDRESS: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "1");

/// Opens a stream for the client that a proxy forwards for.
async fn forwarded(node: &Node, address: &str) -> Stream {
    let stream = Stream::open(node, "/subscribe/lobby", &[("X-Forwarded-For", address)]).await;
    assert_eq!(stream.head.status, 200);
    stream
}

/// Returns true if the stream was refused because of a limit.
async fn is_refused(stream: &mut Stream) -> bool {
    refusal_retry(stream).await.is_some()
}

/// Returns the `retry:` in milliseconds if the stream was refused because of a limit.
async fn refusal_retry(stream: &mut Stream) -> Option<u64> {
    let mut blocks = vec![stream.next().await];
    if blocks[0].event.as_deref() == Some("status") {
        return None;
    }
    blocks.extend(stream.read_to_end().await);
    Some(assert_backoff(&blocks, "full", 5000..=30_000))
}

#[tokio::test]
async fn full_node_answers_200_with_backoff_and_ends_the_stream() {
    let node = Node::start(&[("MAX_STREAMS", "2")]).await;
    let _first = Stream::live(&node, "lobby").await;
    let _second = Stream::live(&node, "garden").await;
    let mut drawn = BTreeSet::new();
    for _ in 0..8 {
        let mut stream = Stream::open(&node, "/subscribe/lobby", &[]).await;
        assert_eq!(
            (stream.head.status, stream.head.header("content-type").as_str()),
            (200, "text/event-stream; charset=utf-8")
        );
        drawn.insert(refusal_retry(&mut stream).await.expect("a third stream is refused"));
    }
    assert!(drawn.len() > 1, "all would reconnect at the same moment: {drawn:?}");
}

/// Some clients take a stream without an id for one that makes them forget theirs.
#[tokio::test]
async fn refused_subscriber_keeps_its_cursor() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    let ids = node.fill("lobby", 2).await;
    let _only = Stream::live(&node, "lobby").await;
    for (rooms, asked, repeated) in [
        ("lobby", ids[0].clone(), true),
        ("lobby,attic", format!("{},0-0", ids[0]), true),
        ("lobby", "none".to_owned(), false),
        ("lobby,attic", ids[0].clone(), false),
    ] {
        let path = format!("/subscribe/{rooms}");
        let blocks = Stream::open(&node, &path, &[("Last-Event-ID", &asked)]).await.read_to_end().await;
        let [backoff] = &blocks[..] else { panic!("{blocks:?}") };
        assert_eq!((backoff.event.as_deref(), &backoff.id), (Some("backoff"), &repeated.then_some(asked)));
    }
}

/// A closed stream is noticed within one heartbeat.
#[tokio::test]
async fn closed_stream_frees_its_permit() {
    let node = Node::start(&[("MAX_STREAMS", "1"), ("HEARTBEAT", "1")]).await;
    drop(Stream::live(&node, "lobby").await);
    let closed = Instant::now();
    node.wait_for_open_streams(0).await;
    assert!(closed.elapsed() < Duration::from_secs(3), "noticed after {:?}", closed.elapsed());
    assert!(!is_refused(&mut Stream::open(&node, "/subscribe/lobby", &[]).await).await);
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
    let node = Node::start(&[TRUST_LOOPBACK, ONE_STREAM_PER_ADDRESS]).await;
    let mut first = forwarded(&node, "192.0.2.1").await;
    assert!(!is_refused(&mut first).await);
    assert!(is_refused(&mut forwarded(&node, "192.0.2.1").await).await);
    assert!(!is_refused(&mut forwarded(&node, "192.0.2.2").await).await);
}

#[tokio::test]
async fn forwarded_for_is_ignored_without_a_trusted_proxy() {
    let node = Node::start(&[ONE_STREAM_PER_ADDRESS]).await;
    let mut first = forwarded(&node, "192.0.2.1").await;
    assert!(!is_refused(&mut first).await);
    assert!(is_refused(&mut forwarded(&node, "192.0.2.2").await).await);
    assert!(is_refused(&mut Stream::open(&node, "/subscribe/lobby", &[]).await).await);
}

/// A client can put anything in front of the hop that the proxy appends.
#[tokio::test]
async fn client_is_the_right_most_untrusted_hop() {
    let node = Node::start(&[("TRUSTED_PROXIES", "127.0.0.1/32,198.51.100.0/24"), ONE_STREAM_PER_ADDRESS]).await;
    let mut first = forwarded(&node, "203.0.113.9, 192.0.2.1").await;
    assert!(!is_refused(&mut first).await);
    for spoofed in [
        "192.0.2.1",
        "203.0.113.10, 192.0.2.1",
        "nonsense, 192.0.2.1",
        "203.0.113.11,192.0.2.1, 198.51.100.7",
    ] {
        assert!(is_refused(&mut forwarded(&node, spoofed).await).await, "{spoofed}");
    }
    let two_headers = [("X-Forwarded-For", "203.0.113.12"), ("X-Forwarded-For", "192.0.2.1")];
    assert!(is_refused(&mut Stream::open(&node, "/subscribe/lobby", &two_headers).await).await);
    let mut other = forwarded(&node, "192.0.2.1, 203.0.113.9").await;
    assert!(!is_refused(&mut other).await);
}

#[tokio::test]
async fn ipv6_clients_are_counted_per_64() {
    let node = Node::start(&[TRUST_LOOPBACK, ONE_STREAM_PER_ADDRESS]).await;
    let mut first = forwarded(&node, "2001:db8:1:2::1").await;
    assert!(!is_refused(&mut first).await);
    assert!(is_refused(&mut forwarded(&node, "2001:db8:1:2:ffff:ffff:ffff:ffff").await).await);
    assert!(!is_refused(&mut forwarded(&node, "2001:db8:1:3::1").await).await);
}

/// The warning is for operators who forgot the option: a private peer sent `X-Forwarded-For`.
#[tokio::test]
async fn unset_trusted_proxies_is_warned_about_once() {
    let node = Node::start(&[]).await;
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        forwarded(&node, address).await.first().await;
    }
    node.logged("TRUSTED_PROXIES").await;
    assert_eq!(node.log().matches("TRUSTED_PROXIES").count(), 1, "{}", node.log());
}

/// A stream that the drain ends before it has begun, since its log cannot be read, is nothing but a `backoff`, too.
#[tokio::test]
async fn stream_that_ends_before_its_opening_keeps_its_cursor() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("DRAIN", "1"), ("DRAIN_GRACE", "0")]).await;
    let id = node.post("lobby", "mason", "hi").await;
    redis.pause();
    let headers = [("Last-Event-ID", id.as_str())];
    let drain = async {
        node.wait_for_open_streams(1).await;
        node.terminate();
    };
    let (mut stream, ()) = tokio::join!(Stream::open(&node, "/subscribe/lobby", &headers), drain);
    let blocks = stream.read_to_end().await;
    assert_eq!(blocks.last().and_then(|block| block.event.as_deref()), Some("backoff"), "{blocks:?}");
    // On a busy machine the opening, which waits for a second, can come before the drain.
    assert_eq!(blocks[0].id.as_ref(), Some(&id), "{blocks:?}");
}
