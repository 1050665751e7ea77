//! What a node writes to Redis: one entry and one announcement per message, both named by one key (contract § 6).

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{DEADLINE, Node, Redis, key, within};

/// An entry has the fields `data` and `node`, and `type` only if it is not a message.
#[tokio::test]
async fn log_entry_holds_the_data_and_the_node() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("NODE", "chat-9")]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let entries: Vec<(String, BTreeMap<String, String>)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    assert_eq!(entries.len(), 1);
    let (entry, fields) = &entries[0];
    assert_eq!(*entry, id);
    assert_eq!(fields["data"], r#"{"sender":"mason","message":"hi"}"#);
    assert_eq!(fields["node"], "chat-9");
    assert_eq!(fields.get("type").map_or("", String::as_str), "");
}

/// The payload is the byte 0x1E, the id, a space, the type (empty for a message), a space, and the data.
#[tokio::test]
async fn announcement_of_a_message_has_id_empty_type_and_data() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut pubsub = redis.subscribe("lobby").await;
    let mut announced = pubsub.on_message();
    let first = node.post("lobby", "mason", "hi").await;
    let second = node.publish("lobby", json!({ "message": "ho", "key": "k" })).await.id();
    node.publish("lobby", json!({ "message": "ho", "key": "k" })).await.expect(200);
    let third = node.post("lobby", "mason", "after the duplicate").await;
    for (id, data) in [
        (first, r#"{"sender":"mason","message":"hi"}"#),
        (second, r#"{"sender":"Anonymous","message":"ho","key":"k"}"#),
        (third, r#"{"sender":"mason","message":"after the duplicate"}"#),
    ] {
        let message = within(DEADLINE, "an announcement", announced.next()).await.expect("a subscription");
        assert_eq!(String::from_utf8_lossy(message.get_payload_bytes()), format!("\u{1e}{id}  {data}"));
    }
}

#[tokio::test]
async fn log_expires_history_ttl_after_its_last_message() {
    let redis = Redis::start().await;
    for (environment, seconds) in [(vec![], 604_800), (vec![("HISTORY_TTL", "90")], 90)] {
        let node = Node::on(&redis, &environment).await;
        node.post("lobby", "mason", "hi").await;
        let left: i64 = redis.cmd(&["PTTL", &key("lobby")]).await;
        assert!((seconds * 1000 - 5000..=seconds * 1000).contains(&left), "{left} ms of {seconds} s");
    }
}
