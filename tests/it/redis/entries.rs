//! What a node writes to Redis: one entry and one announcement per message, both named by one key (contract § 6).

use std::collections::BTreeMap;

use futures_util::StreamExt;
use serde_json::json;

use crate::support::{DEADLINE, Node, Redis, Stream, halves, key, within};

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

/// The predecessor is the last generated id, even if its message was deleted.
#[tokio::test]
async fn log_entry_states_its_predecessor() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 2).await;
    let _: u64 = redis.cmd(&["XDEL", &key("lobby"), &ids[1]]).await;
    let third = node.post("lobby", "mason", "hi").await;
    let entries: Vec<(String, BTreeMap<String, String>)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    let stated: Vec<_> = entries.iter().map(|(id, fields)| (id.as_str(), fields["prev"].as_str())).collect();
    assert_eq!(stated, [(ids[0].as_str(), "0-0"), (&third, &ids[1])]);
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

/// Entries that another program wrote into the log, without data, do not end a reading: neither of a stream, whatever
/// its cursor, nor of the history.
#[tokio::test]
async fn entries_without_data_are_passed_over() {
    let redis = Redis::start().await;
    let foreign = Foreign { redis: &redis };
    foreign.store_messages(1..=2).await;
    foreign.store_without_data(3..=3).await;
    foreign.store_messages(4..=300).await;
    // More than any page has.
    foreign.store_without_data(301..=1400).await;
    foreign.store_messages(1401..=1403).await;
    let expected: Vec<String> = (1..=2).chain(4..=300).chain(1401..=1403).map(id).collect();
    let node = Node::on(&redis, &[]).await;
    for cursor in [1, 3, 200, 300, 700, 1400, 1402] {
        let mut stream = Stream::resume(&node, "lobby", &id(cursor)).await;
        let following: Vec<String> = expected.iter().filter(|id| halves(id).1 > cursor).cloned().collect();
        assert_eq!(stream.next_ids(following.len()).await, following, "after {cursor}");
    }
    let mut walked = Vec::new();
    let mut cursor = id(1);
    while cursor != id(1403) {
        let history = node.history("lobby", &format!("?limit=200&after={cursor}")).await;
        let messages = history["messages"].as_array().expect("messages").iter();
        walked.extend(messages.map(|message| message["id"].as_str().expect("an id").to_owned()));
        assert_ne!(history["last"], cursor, "no progress");
        cursor = history["last"].as_str().expect("a cursor").to_owned();
    }
    assert_eq!(walked, expected[1..]);
    let before = node.history("lobby", &format!("?limit=5&before={}", id(1402))).await;
    let ids: Vec<&str> =
        before["messages"].as_array().expect("messages").iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["1-297", "1-298", "1-299", "1-300", "1-1401"]);
}

/// Writes to the log as another program would.
struct Foreign<'a> {
    redis: &'a Redis,
}

impl Foreign<'_> {
    async fn store_messages(&self, numbers: std::ops::RangeInclusive<u64>) {
        self.store(numbers, r#"'data', '{"sender":"mason","message":"hi"}'"#).await;
    }

    async fn store_without_data(&self, numbers: std::ops::RangeInclusive<u64>) {
        self.store(numbers, "'note', 'x'").await;
    }

    async fn store(&self, numbers: std::ops::RangeInclusive<u64>, fields: &str) {
        let (from, to) = numbers.into_inner();
        let script = format!("for n = {from}, {to} do redis.call('XADD', KEYS[1], '1-' .. n, {fields}) end");
        let _: redis::Value = self.redis.cmd(&["EVAL", &script, "1", &key("lobby")]).await;
    }
}

fn id(number: u64) -> String {
    format!("1-{number}")
}
