//! `GET /rooms/{id}/chats`: the newest messages in the article's form.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::format_description;

use super::{chat, chats, texts};
use crate::support::{Bus, Node, Redis, halves, key, on_every_bus, within};

on_every_bus!(newest_20_messages_come_newest_first, chats_have_the_form_of_the_article, long_chats_come_whole);

async fn newest_20_messages_come_newest_first(bus: Bus) {
    let node = bus.node(&[]).await;
    let empty = node.get("/rooms/lobby/chats").await.expect(200);
    assert_eq!((empty.text(), empty.media_type().as_str()), ("[]", "application/json"));
    assert_eq!(empty.header("cache-control"), "no-store");
    let few = [1, 2, 3].map(|number| format!("message {number}"));
    node.fill("lobby", 3).await;
    assert_eq!(texts(&node).await, few.iter().rev().cloned().collect::<Vec<_>>());
    node.fill("lobby", 25).await;
    let newest = (6..=25).rev().map(|number| format!("message {number}")).collect::<Vec<_>>();
    assert_eq!(texts(&node).await, newest);
    assert_eq!(node.get("/rooms/garden/chats").await.expect(200).text(), "[]");
}

/// Returns the time of an id as the article writes it.
fn created_at(id: &str) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(halves(id).0) * 1_000_000).expect("a time");
    time.format(form).expect("a text")
}

async fn chats_have_the_form_of_the_article(bus: Bus) {
    let node = bus.node(&[]).await;
    chat(&node, 12, "<hi>").await;
    let id = node.newest("lobby").await["id"].as_str().expect("an id").to_owned();
    let at = created_at(&id);
    let body = node.get("/rooms/lobby/chats").await.expect(200);
    assert_eq!(body.text(), format!(r#"[{{"message":"<hi>","userId":12,"createdAt":"{at}"}}]"#));
    assert_eq!(body.header("x-content-type-options"), "nosniff");
    for (sender, user_id) in [
        ("9007199254740991", "9007199254740991"),
        ("9007199254740992", "\"9007199254740992\""),
        ("01", "\"01\""),
    ] {
        node.post("lobby", sender, "hi").await;
        assert_eq!(chats(&node).await[0]["userId"].to_string(), user_id);
    }
}

/// They do not fit into one page of the log.
async fn long_chats_come_whole(bus: Bus) {
    let node = bus.node(&[]).await;
    let long = |number: usize| "\u{1}".repeat(3990) + &number.to_string();
    for number in 0..22 {
        chat(&node, 1, &long(number)).await;
    }
    assert_eq!(texts(&node).await, (2..22).rev().map(long).collect::<Vec<_>>());
}

#[tokio::test]
async fn entries_of_other_types_are_no_chats() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.fill("lobby", 2).await;
    let (ms, n) = halves(node.newest("lobby").await["id"].as_str().expect("an id"));
    let add = async |n: u64, fields: &[&str]| {
        let (key, id) = (key("lobby"), format!("{ms}-{n}"));
        let _: String = redis.cmd(&[&["XADD", key.as_str(), id.as_str()], fields].concat()).await;
    };
    for more in 1..=100 {
        add(n + more, &["type", "note", "data", r#"{"sender":"x","message":"typed"}"#]).await;
    }
    add(n + 101, &["data", "no message"]).await;
    add(n + 102, &["x", "no data"]).await;
    assert_eq!(texts(&node).await, ["message 2", "message 1"]);
    node.post("lobby", "mason", "after").await;
    assert_eq!(texts(&node).await, ["after", "message 2", "message 1"]);
}

/// However many entries of other types follow the last message, one request reads a part of them.
#[tokio::test]
async fn a_request_reads_a_bounded_part_of_the_log() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let fill = "for n = 1, 60000 do redis.call('XADD', KEYS[1], '1-' .. n, 'type', 'note', 'data', 'x') end";
    let _: Option<String> = redis.cmd(&["EVAL", fill, "1", &key("lobby")]).await;
    let read = async || node.metric("tiny_chat_log_reads_total{purpose=\"history\"}").await.unwrap_or_default();
    let before = read().await;
    assert_eq!(texts(&node).await, [""; 0]);
    let pages = read().await - before;
    assert!((1.0..=8.0).contains(&pages), "{pages} pages");
}

/// Checks that every route that needs the message store is 503 with `Retry-After`, within 2 s.
async fn assert_unavailable(node: &Node) {
    let body = serde_json::json!({ "message": "lost", "userId": 1 });
    let ask = async |method, path| {
        let answer = node.send(node.request(method, path).json(&body));
        let answer = within(Duration::from_secs(2), path, answer).await;
        assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{path}: {answer:?}");
        answer.problem(503);
    };
    tokio::join!(
        ask(Method::GET, "/rooms/lobby/chats"),
        ask(Method::POST, "/rooms/lobby/chats"),
        ask(Method::POST, "/users"),
        ask(Method::GET, "/users/1"),
    );
}

#[tokio::test]
async fn rooms_api_is_503_in_time_while_redis_is_away() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    chat(&node, 1, "before").await;
    redis.pause();
    assert_unavailable(&node).await;
    redis.unpause();
    redis.kill();
    assert_unavailable(&node).await;
}

#[tokio::test]
async fn head_of_the_chats_has_no_body() {
    let node = Node::start(&[]).await;
    chat(&node, 1, "hi").await;
    let head = node.send(node.request(Method::HEAD, "/rooms/lobby/chats")).await.expect(200);
    assert_eq!((head.media_type().as_str(), head.body.len()), ("application/json", 0));
    assert!(chats(&node).await.first().is_some_and(Value::is_object));
}
