//! A Redis that answers and refuses calls: it is full, or cannot save (contract § 4 and § 8).

use serde_json::json;

use super::{HEARTBEAT, assert_post_unavailable, post_until_accepted};
use crate::support::{Node, Redis, Stream, eventually, key};

#[tokio::test]
async fn posts_are_refused_only_while_redis_is_full() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let limit = async |bytes: &str| redis.cmd::<String>(&["CONFIG", "SET", "maxmemory", bytes]).await;
    limit("1").await;
    assert_post_unavailable(&node).await;
    limit("0").await;
    let id = node.post("lobby", "mason", "room again").await;
    assert_eq!(subscriber.next_message().await.id, id);
}

/// A refusal of the server is one line for all calls and rooms, and one of a room's key a line for that room.
#[tokio::test]
async fn refused_calls_are_logged_once_and_not_each_time() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let refused = async |room: &str| node.publish(room, json!({ "message": "hi" })).await.problem(503);
    let lines = |part: &str| node.log().lines().filter(|line| line.contains(part)).count();
    let limit = async |bytes: &str| redis.cmd::<String>(&["CONFIG", "SET", "maxmemory", bytes]).await;
    limit("1").await;
    let _present = Stream::live(&node, "lobby?name=ada").await;
    node.logged("OOM").await; // of presence
    for number in 0..60 {
        refused(&format!("room-{}", number % 30)).await;
    }
    assert_eq!(lines("OOM"), 1, "{}", node.log());
    limit("0").await;
    let _: String = redis.cmd(&["CONFIG", "SET", "min-replicas-to-write", "1"]).await;
    for number in 0..10 {
        refused(&format!("room-{number}")).await;
    }
    assert_eq!(lines("NOREPLICAS"), 1, "{}", node.log());
    let _: String = redis.cmd(&["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
    for number in 0..15 {
        let _: String = redis.cmd(&["SET", &key(&format!("taken-{number}")), "1"]).await;
        for _ in 0..2 {
            refused(&format!("taken-{number}")).await;
        }
    }
    assert_eq!(lines("WRONGTYPE"), 10, "{}", node.log());
    // Once posts have been taken for a while, the first refusal counts as over: no later than presence, which was refused
    // as well, is announced again.
    eventually("the end of the refusal", async || {
        node.post("lobby", "mason", "there is room").await;
        (lines("Redis accepts calls again") > 0).then_some(())
    })
    .await;
}

/// Redis then refuses PING as well, but not reading.
#[tokio::test]
async fn redis_that_cannot_save_refuses_posts_and_nothing_else() {
    let redis = Redis::with(&["--save", "3600 1"]).await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let before = node.post("lobby", "mason", "before").await;
    assert_eq!(subscriber.next_message().await.id, before);
    let (_, directory): (String, String) = redis.cmd(&["CONFIG", "GET", "dir"]).await;
    std::fs::remove_dir_all(directory).expect("the directory of redis");
    let _: String = redis.cmd(&["BGSAVE"]).await;
    eventually("a failed snapshot", async || {
        let info: String = redis.cmd(&["INFO", "persistence"]).await;
        info.contains("rdb_last_bgsave_status:err").then_some(())
    })
    .await;
    assert_post_unavailable(&node).await;
    node.logged("MISCONF").await;
    for _ in 0..3 {
        assert_eq!(subscriber.next().await.event.as_deref(), Some("heartbeat"), "the stream stays live");
    }
    assert_eq!(node.stored("lobby").await.len(), 1);
    redis.publish("lobby", "{}").await;
    assert_eq!(subscriber.next_content().await.data.as_deref(), Some("{}"));
    let started_now = Node::on(&redis, &[]).await;
    assert_eq!(started_now.stored("lobby").await.len(), 1, "a new node is ready, too");
    let _: String = redis.cmd(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).await;
    post_until_accepted(&node, "after").await;
}
