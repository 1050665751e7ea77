//! `POST /users` and `GET /users/{id}`: numbers, none of which is given out twice.

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, Bus, Node, Redis, key, on_every_bus, on_every_form, post_until_rate_limited};

on_every_form!(concurrent_users_get_different_ids);
on_every_bus!(known_users_are_found,);

async fn create(node: &Node) -> Answer {
    node.send(node.request(Method::POST, "/users")).await
}

/// Creates a user and returns its id.
async fn new_id(node: &Node) -> u64 {
    let answer = create(node).await.expect(200);
    let id = answer.json()["id"].as_u64().expect("a number");
    assert_eq!(
        (answer.text(), answer.media_type().as_str()),
        (format!("{{\"id\":{id}}}").as_str(), "application/json")
    );
    assert_eq!(answer.header("cache-control"), "no-store");
    id
}

async fn known_users_are_found(bus: Bus) {
    let [node, other] = bus.two_nodes(&[]).await;
    let id = new_id(&node).await;
    assert_eq!(other.get(&format!("/users/{id}")).await.expect(200).json(), json!({ "id": id }));
    let head = other.send(other.request(Method::HEAD, &format!("/users/{id}"))).await.expect(200);
    assert_eq!(head.body, b"");
    let unknown = [id + 1, id - 1, 0, (1 << 53) - 1].map(|id| id.to_string());
    let spellings = [format!("0{id}"), format!("+{id}"), format!("{id}.0"), "-1".into(), "x".into(), "%20".into()];
    for id in unknown.iter().chain(&spellings) {
        other.get(&format!("/users/{id}")).await.problem(404);
    }
    assert_eq!(new_id(&other).await, id + 1);
}

async fn concurrent_users_get_different_ids(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let mut creating = JoinSet::new();
    for number in 0..40 {
        let node = nodes[number % 2].clone();
        creating.spawn(async move { new_id(&node).await });
    }
    let mut ids = creating.join_all().await;
    ids.sort_unstable();
    assert_eq!(ids, (ids[0]..ids[0] + 40).collect::<Vec<_>>());
}

#[tokio::test]
async fn users_of_one_redis_are_counted_from_1() {
    let redis = Redis::start().await;
    let mut node = Node::on(&redis, &[]).await;
    assert_eq!([new_id(&node).await, new_id(&node).await], [1, 2]);
    node.kill();
    node.exit().await;
    let node = Node::on(&redis, &[]).await;
    assert_eq!(new_id(&node).await, 3);
    node.get("/users/1").await.expect(200);
    let other = Node::on(&redis, &[("REDIS_PREFIX", "other")]).await;
    assert_eq!(new_id(&other).await, 1);
    assert_eq!(redis.cmd::<i64>(&["TTL", "chat:users"]).await, -1, "never expires");
}

/// An id that is given out twice would hide messages: the article's page shows none that has its own.
#[tokio::test]
async fn users_of_one_process_are_counted_from_its_start() {
    let now = || u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).expect("a time");
    let before = now();
    let node = Node::start(&[]).await;
    let first = new_id(&node).await;
    assert!((before..=now()).contains(&first), "{first}");
    assert_eq!(new_id(&node).await, first + 1);
    assert!(new_id(&Node::start(&[]).await).await > first + 1);
}

#[tokio::test]
async fn user_is_created_whatever_the_body_is() {
    let node = Node::start(&[]).await;
    for (content_type, body) in [
        ("application/json", "{}"),
        ("application/json", "{\"id\":7"),
        ("image/png", "\u{1}"),
        ("", ""),
        ("x", "x"),
    ] {
        let request = node.request(Method::POST, "/users").header("Content-Type", content_type);
        node.send(request.header("Content-Encoding", "br").body(body)).await.expect(200);
    }
    let large = node.request(Method::POST, "/users").body("x".repeat((64 << 10) + 1));
    node.send(large).await.problem(413);
}

#[tokio::test]
async fn users_are_limited_like_messages() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "3")]).await;
    node.post("lobby", "mason", "hi").await;
    let (accepted, refused) = post_until_rate_limited(async || create(&node).await).await;
    assert!((2..=4).contains(&accepted), "{accepted}");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    refused.problem(429);
    assert!(
        node.metric("tiny_chat_posts_refused_total{reason=\"rate_limit\"}")
            .await
            .is_some_and(|count| count >= 1.0)
    );
}

/// A counter that another program broke is no reason to give an id out twice.
#[tokio::test]
async fn unreadable_counter_is_503() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let _: String = redis.cmd(&["SET", "chat:users", "many"]).await;
    create(&node).await.problem(503);
    let _: i64 = redis.cmd(&["DEL", "chat:users"]).await;
    assert_eq!(new_id(&node).await, 1);
    assert_eq!(redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await, 0);
}
