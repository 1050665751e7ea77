//! Payloads that another program publishes on a room's channel: forwarded, and nothing more (contract § 5 and § 6).

use crate::support::{Node, Redis, Stream, halves};

/// Starts a node with one live subscriber of the room.
async fn start_subscribed_node(redis: &Redis) -> (Node, Stream) {
    let node = Node::on(redis, &[]).await;
    let stream = Stream::live(&node, "lobby").await;
    (node, stream)
}

#[tokio::test]
async fn foreign_publish_reaches_all_nodes_without_an_id() {
    let redis = Redis::start().await;
    let (_first, mut here) = start_subscribed_node(&redis).await;
    let (_second, mut there) = start_subscribed_node(&redis).await;
    let payload = r#"{"sender":"cron","message":"backup done"}"#;
    assert_eq!(redis.publish("lobby", payload).await, 2, "each node has one subscription");
    for stream in [&mut here, &mut there] {
        assert_eq!(stream.next().await.raw, format!("data: {payload}\n\n"));
    }
}

#[tokio::test]
async fn every_kind_of_line_break_splits_data_lines() {
    let redis = Redis::start().await;
    let (_node, mut stream) = start_subscribed_node(&redis).await;
    redis.publish("lobby", "a\rb\nc\r\nd\n\ne").await;
    assert_eq!(stream.next().await.raw, "data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n");
}

#[tokio::test]
async fn no_payload_can_forge_a_frame() {
    let redis = Redis::start().await;
    let (_node, mut stream) = start_subscribed_node(&redis).await;
    for payload in [
        "id: 9-9\nevent: gap\n\ndata: x",
        "\n\nid: 9-9",
        "x\r\rid: 9-9\r\r",
        "\revent: backoff\rretry: 1",
        ": comment",
        "retry: 1",
    ] {
        redis.publish("lobby", payload).await;
        let block = stream.next().await;
        assert_eq!((&block.id, &block.event, &block.retry), (&None, &None, &None), "{payload:?}");
        assert!(block.raw.lines().all(|line| line.is_empty() || line.starts_with("data: ")), "{block:?}");
    }
}

#[tokio::test]
async fn nul_bom_and_separators_pass_unchanged() {
    let redis = Redis::start().await;
    let (_node, mut stream) = start_subscribed_node(&redis).await;
    for payload in ["a\0b", "\u{feff}a", "\u{2028}a\u{2029}b\u{85}c", "  spaces ", "ünï"] {
        redis.publish("lobby", payload).await;
        assert_eq!(stream.next().await.data.as_deref(), Some(payload));
    }
}

/// An event stream is UTF-8 (WHATWG HTML § 9.2.6); the parser of these tests panics if it is not.
#[tokio::test]
async fn invalid_utf_8_does_not_break_the_stream() {
    let redis = Redis::start().await;
    let (node, mut stream) = start_subscribed_node(&redis).await;
    redis.publish("lobby", b"one\xff\xfe two\xc3").await;
    let block = stream.next().await;
    let data = block.data.as_deref().unwrap_or_default();
    assert!(block.id.is_none() && data.starts_with("one") && data.contains(" two"), "{block:?}");
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!(stream.next().await.message().id, id);
}

/// An announcement begins with 0x1E, but so may any other payload.
#[tokio::test]
async fn malformed_announcements_are_treated_as_foreign() {
    let redis = Redis::start().await;
    let (node, mut stream) = start_subscribed_node(&redis).await;
    for payload in [
        "\x1e",
        "\x1ehello",
        "\x1e1-1",
        "\x1e1-1 deploy",
        "\x1ex-1  {}",
        "\x1e1-9007199254740992  {}",
        "\x1e 1-1  {}",
        " \x1e1-1  {}",
    ] {
        redis.publish("lobby", payload).await;
        let block = stream.next().await;
        assert_eq!((&block.id, &block.event, block.data.as_deref()), (&None, &None, Some(payload)));
    }
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!((stream.next().await.message().id, halves(&id).1), (id, 1));
}

#[tokio::test]
async fn foreign_publish_is_not_stored_replayed_or_numbered() {
    let redis = Redis::start().await;
    let (node, mut stream) = start_subscribed_node(&redis).await;
    let first = node.post("lobby", "mason", "one").await;
    assert_eq!(stream.next().await.message().id, first);
    redis.publish("lobby", "between").await;
    assert_eq!(stream.next().await.data.as_deref(), Some("between"));
    // Not before: what the node takes itself does not wait for announcements that are under way.
    let second = node.post("lobby", "mason", "two").await;
    assert_eq!(stream.next().await.message().id, second);
    assert_eq!((halves(&first).1, halves(&second).1), (1, 2));
    assert_eq!(node.stored("lobby").await.len(), 2);
    let mut resumed = Stream::resume(&node, "lobby", &first).await;
    assert_eq!(resumed.next().await.message().id, second);
}
