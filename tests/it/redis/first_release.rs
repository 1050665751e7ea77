//! What the first release left in Redis and gave out to clients is read by this version (SUPPORT.md).
//!
//! `first-release.jsonl` has the commands that rebuild what version 1.0.0 had stored, without what expires within minutes;
//! `first-release.sse` is what it sent to a subscriber that continued after the first message. Both were recorded from that
//! version and are never changed; a later version that writes anything else gets files of its own beside them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eshq::app::App,
    support::{Block, Gap, Node, Redis, Stream, key},
};

const STORED: &str = include_str!("first-release.jsonl");
const SENT: &str = include_str!("first-release.sse");

/// Ids of the room: of its first message, of one that was edited, of one that was deleted, and the last two.
const FIRST: &str = "1795768943505-1";
const EDITED: &str = "1795768943532-2";
const DELETED: &str = "1795768943551-3";
const BEFORE_LAST: &str = "1795768943600-6";
const LAST: &str = "1795768943615-7";

/// With which the message of `EDITED` was posted.
const SECRET: &str = "5ec2e700000000000000000000000000";

const APP: App = App { key: "news-app", secret: "0123456789abcdef0123" };

/// Starts a Redis with what the first release had stored.
async fn start_redis() -> Redis {
    let redis = Redis::start().await;
    for line in STORED.lines() {
        let words: Vec<String> = serde_json::from_str(line).expect("a command");
        let _: redis::Value = redis.cmd(&words).await;
    }
    redis
}

async fn start_node(redis: &Redis) -> Node {
    Node::on(redis, &[("APP_KEYS", "news-app:0123456789abcdef0123")]).await
}

/// Checks that a JSON object has all that an older one has; it may have more.
fn assert_has(newer: &Value, older: &Value) {
    for (name, value) in older.as_object().expect("an object") {
        assert_eq!(&newer[name], value, "{name} of {newer}");
    }
}

/// Returns the fields of a block as the first release wrote it: its id, its event and its data.
fn fields(block: &str) -> (Option<&str>, Option<&str>, Value) {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    (field("id: "), field("event: "), serde_json::from_str(field("data: ").expect("data")).expect("JSON"))
}

#[tokio::test]
async fn stream_of_the_first_release_is_sent_again() {
    let redis = start_redis().await;
    let node = start_node(&redis).await;
    let mut stream = Stream::resume(&node, "everyone", FIRST).await;
    let blocks: Vec<&str> = SENT.split_terminator("\n\n").collect();
    assert_eq!(blocks.len(), 5);
    for expected in blocks {
        let (id, event, data) = fields(expected);
        let block: Block = stream.next().await;
        assert_eq!((block.id.as_deref(), block.event.as_deref()), (id, event), "{}", block.raw);
        assert_has(&block.json(), &data);
    }
}

#[tokio::test]
async fn every_cursor_of_the_first_release_continues() {
    let redis = start_redis().await;
    let node = start_node(&redis).await;
    let ids: Vec<&str> = SENT.split_terminator("\n\n").map(|block| fields(block).0.expect("an id")).collect();
    // That of the deleted message is one of them: a reader may have left after it.
    for cursor in [&[FIRST, DELETED], ids.as_slice()].concat() {
        let mut stream = Stream::resume(&node, "everyone", cursor).await;
        let new = node.post("everyone", "mason", "after the upgrade").await;
        let block = loop {
            let block = stream.next().await;
            assert_ne!(block.event.as_deref(), Some("gap"), "after {cursor}: {}", block.raw);
            if block.id.as_deref() == Some(new.as_str()) {
                break block;
            }
        };
        assert_eq!(block.message().message, "after the upgrade");
    }
}

/// What an entry states as its predecessor decides whether something is missing before it.
#[tokio::test]
async fn predecessors_of_the_first_release_are_believed() {
    let redis = start_redis().await;
    let _: u64 = redis.cmd(&["XTRIM", &key("everyone"), "MAXLEN", "1"]).await;
    let node = start_node(&redis).await;
    let mut stream = Stream::resume(&node, "everyone", BEFORE_LAST).await;
    assert_eq!(stream.next_ids(1).await, [LAST]);
    let of_another_log = BEFORE_LAST.replace("600-", "599-");
    let mut stream = Stream::resume(&node, "everyone", &of_another_log).await;
    assert_eq!(Gap::next(&mut stream).await.asked, of_another_log);
}

#[tokio::test]
async fn messages_of_the_first_release_are_read_and_owned() {
    let redis = start_redis().await;
    let node = start_node(&redis).await;
    let expected = [
        json!({ "id": FIRST, "sender": "mason", "message": "Is &lt;b&gt;anybody&lt;&#x2F;b&gt; here &amp; awake?" }),
        json!({ "id": EDITED, "sender": "ada", "message": "first, and better", "key": "7f3c", "edited": true,
                "mark": "766cfa14c7dc547c5fc7cedc099062e8" }),
        json!({ "id": "1795768943569-4", "sender": "grace", "message": "two\nlines, ünd “Unicode” 🎉" }),
        json!({ "id": LAST, "sender": "Anonymous", "message": "no name" }),
    ];
    let stored = node.stored("everyone").await;
    assert_eq!(stored.len(), expected.len());
    for (message, expected) in stored.iter().zip(&expected) {
        assert_has(message, expected);
    }
    let edited = format!("/history/everyone/{EDITED}");
    let change = |method, body: Value| node.send(node.request(method, &edited).json(&body));
    change(Method::PATCH, json!({ "secret": SECRET, "message": "better still" })).await.expect(200);
    assert_eq!(node.get(&edited).await.json()["message"], "better still");
    change(Method::DELETE, json!({ "secret": SECRET })).await.expect(200);
    node.get(&edited).await.expect(404);
}

#[tokio::test]
async fn channels_of_apps_of_the_first_release_are_read() {
    let redis = start_redis().await;
    let node = start_node(&redis).await;
    let socket = APP.socket(&node, "news").await;
    let path = format!("/eventsource?socket={socket}&lastEventId=0-0");
    let mut stream = Stream::open(&node, &path, &[]).await;
    let mut events = Vec::new();
    while events.len() < 2 {
        let block = stream.next().await;
        if block.id.is_some() && block.event.as_deref() != Some("status") {
            events.push((block.event, block.data));
        }
    }
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(events, [(text("score"), text(r#"{"home":1,"away":0}"#)), (None, text("plain"))]);
}
