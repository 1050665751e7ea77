//! Idempotency keys: a message repeated with the same key appears once (contract § 4 and § 7).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Bus, Node, Redis, Stream, key, on_every_bus, on_every_form};

on_every_form!(repeated_key_returns_the_first_id_and_publishes_nothing);
on_every_bus!(
    key_is_a_field_or_a_header_quoted_or_not,
    key_is_bound_to_its_sender_message_and_room,
    concurrent_posts_with_one_key_publish_once,
);

/// Publishes with a key in the body.
async fn publish_with_key(node: &Node, sender: &str, message: &str, key: &str) -> Answer {
    node.publish("lobby", json!({ "sender": sender, "message": message, "key": key })).await
}

/// Publishes a fixed message with the key in the `Idempotency-Key` header.
async fn publish_with_header(node: &Node, value: &str) -> Answer {
    let request = node.request(Method::POST, "/lobby").header("Idempotency-Key", value);
    node.send(request.json(&json!({ "sender": "mason", "message": "hi" }))).await
}

fn duplicate_of(id: &str) -> Value {
    json!({ "id": id, "duplicate": true })
}

async fn repeated_key_returns_the_first_id_and_publishes_nothing(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let first = publish_with_key(&node, "mason", "hi", "k-1").await.expect(200).json();
    let id = first["id"].as_str().unwrap();
    assert_eq!(first, json!({ "id": id }));
    for _ in 0..3 {
        assert_eq!(publish_with_key(&node, "mason", "hi", "k-1").await.expect(200).json(), duplicate_of(id));
    }
    let next = node.post("lobby", "mason", "next").await;
    let seen = subscriber.next_messages(2).await;
    assert_eq!((seen[0].id.as_str(), seen[0].key.as_deref()), (id, Some("k-1")));
    assert_eq!((seen[1].id.as_str(), seen[1].key.as_deref()), (next.as_str(), None));
    assert_eq!(node.stored("lobby").await.len(), 2);
}

async fn key_is_a_field_or_a_header_quoted_or_not(bus: Bus) {
    let node = bus.node(&[]).await;
    let id = publish_with_header(&node, "A.b_c~d-9").await.id();
    assert_eq!(publish_with_header(&node, "\"A.b_c~d-9\"").await.expect(200).json(), duplicate_of(&id));
    assert_eq!(publish_with_key(&node, "mason", "hi", "A.b_c~d-9").await.expect(200).json(), duplicate_of(&id));
    let form =
        node.request(Method::POST, "/lobby")
            .form(&[("sender", "mason"), ("message", "hi"), ("key", "A.b_c~d-9")]);
    assert_eq!(node.send(form).await.expect(200).json(), duplicate_of(&id));
}

async fn key_is_bound_to_its_sender_message_and_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let id = publish_with_key(&node, "mason", "hi", "k").await.id();
    publish_with_key(&node, "mason", "ho", "k").await.problem(422);
    publish_with_key(&node, "nora", "hi", "k").await.problem(422);
    publish_with_key(&node, "maso", "nhi", "k").await.problem(422);
    assert_eq!(publish_with_key(&node, "mason", "hi", "k").await.expect(200).json(), duplicate_of(&id));
    assert_ne!(publish_with_key(&node, "mason", "hi", "K").await.id(), id, "keys are case-sensitive");
    let elsewhere = node.publish("garden", json!({ "sender": "mason", "message": "hi", "key": "k" })).await.expect(200);
    assert_eq!(elsewhere.json()["duplicate"], Value::Null);
    assert_eq!(node.stored("lobby").await.len(), 2);
}

async fn concurrent_posts_with_one_key_publish_once(bus: Bus) {
    let node = bus.node(&[]).await;
    let send = || publish_with_key(&node, "mason", "hi", "k");
    let answers = tokio::join!(send(), send(), send(), send(), send());
    let ids = [answers.0.id(), answers.1.id(), answers.2.id(), answers.3.id(), answers.4.id()];
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(node.stored("lobby").await.len(), 1);
}

#[tokio::test]
async fn a_key_is_known_on_every_node() {
    let redis = Redis::start().await;
    let (here, there) = (Node::on(&redis, &[]).await, Node::on(&redis, &[]).await);
    let mut subscriber = Stream::live(&there, "lobby").await;
    let id = publish_with_key(&here, "mason", "hi", "k").await.id();
    assert_eq!(publish_with_key(&there, "mason", "hi", "k").await.expect(200).json(), duplicate_of(&id));
    publish_with_key(&there, "mason", "ho", "k").await.problem(422);
    let next = there.post("lobby", "mason", "next").await;
    assert_eq!(subscriber.next_ids(2).await, [id, next]);
}

/// The key of Redis begins with that of the room's log, so a cluster keeps both in one slot (contract § 6).
#[tokio::test]
async fn a_key_expires_after_10_minutes_under_its_rooms_prefix() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    publish_with_key(&node, "mason", "hi", "k").await.expect(200);
    let keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
    let remembered: Vec<&String> = keys.iter().filter(|name| **name != key("lobby")).collect();
    assert!(!remembered.is_empty(), "no key of Redis remembers it: {keys:?}");
    for name in remembered {
        assert!(name.starts_with(&key("lobby")), "{name}");
        let left: i64 = redis.cmd(&["PTTL", name]).await;
        assert!((590_000..=600_000).contains(&left), "{name} expires in {left} ms");
    }
}

#[tokio::test]
async fn invalid_or_too_long_key_is_422() {
    let node = Node::start(&[]).await;
    publish_with_key(&node, "mason", "hi", &"k".repeat(64)).await.expect(200);
    for bad in [&"k".repeat(65), "a b", "a/b", "a:b", "é", "a\nb", "{a}", "a\"b"] {
        publish_with_key(&node, "mason", "hi", bad).await.problem(422);
    }
    for bad in [&"k".repeat(65), "a b", "\"a b\"", "a/b", "\"a", "a\""] {
        publish_with_header(&node, bad).await.problem(422);
    }
}
