//! What the Redis user may not do is said at the start, and nothing is stored that cannot be announced.

use std::time::{Duration, Instant};

use reqwest::Method;

use super::assert_post_unavailable;
use crate::support::{Node, Redis, Stream, key};

/// The user of docs/operations.md.
fn documented_user() -> Vec<&'static str> {
    let operations = include_str!("../../../docs/operations.md");
    let rule = operations.lines().find_map(|line| line.trim().strip_prefix("user tiny-chat "));
    rule.expect("the user").split(' ').collect()
}

/// Creates the documented user with further rules, and returns the URL for it.
async fn url_of_user(redis: &Redis, further: &[&str]) -> String {
    let rule = [&["ACL", "SETUSER", "tiny-chat", "reset"], &documented_user()[..], further].concat();
    let _: String = redis.cmd(&rule).await;
    redis.url().replace("redis://", "redis://tiny-chat:SECRET@")
}

async fn connections_received(redis: &Redis) -> u64 {
    let info: String = redis.cmd(&["INFO", "stats"]).await;
    let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    line.and_then(|count| count.parse().ok()).expect("the number of connections")
}

/// What docs/operations.md gives a node's Redis user is enough, and a wrong password is said.
#[tokio::test]
async fn a_node_needs_no_more_of_redis_than_operations_md_gives_it() {
    let redis = Redis::start().await;
    let url = url_of_user(&redis, &[]).await;
    let node = Node::start(&[("REDIS_URL", &url), ("LOG", "debug")]).await;
    let mut reader = Stream::live(&node, "lobby?name=ada").await;
    let posted = node.publish("lobby", serde_json::json!({ "message": "hi", "key": "k" })).await.id();
    assert_eq!(reader.next_message().await.id, posted);
    assert_eq!(Stream::resume(&node, "lobby", "0-0").await.next_message().await.id, posted);
    assert_eq!(node.get("/presence/lobby").await.json()["names"], serde_json::json!(["ada"]));
    assert_eq!(node.stored("lobby").await.len(), 1);
    node.send(node.request(Method::POST, "/users")).await.expect(200);
    let secret = "0123456789abcdef";
    let own = node.publish("lobby", serde_json::json!({ "message": "hi", "secret": secret })).await.id();
    let path = format!("/history/lobby/{own}");
    for method in [Method::PATCH, Method::DELETE] {
        let body = serde_json::json!({ "message": "ho", "secret": secret });
        node.send(node.request(method, &path).json(&body)).await.expect(200);
    }
    let refused: Vec<Vec<redis::Value>> = redis.cmd(&["ACL", "LOG"]).await;
    assert!(!format!("{refused:?}").replace("\"client\"", "").contains("reason"), "{refused:?}");
    let stranger = Node::launch(&[("REDIS_URL", &url.replace("SECRET", "wrong"))]).await;
    stranger.logged("Redis refuses this node").await;
}

/// The default of Redis 7 grants no channel.
#[tokio::test]
async fn user_without_channels_stores_nothing_and_is_told_once() {
    const WATCHED: Duration = Duration::from_secs(5);
    let redis = Redis::start().await;
    let url = url_of_user(&redis, &["resetchannels"]).await;
    let node = Node::launch(&[("REDIS_URL", &url)]).await;
    let line = node.logged("Redis refuses this node").await;
    assert!(line.contains("lacks the channel pattern &chat:*") && !line.contains("SECRET"), "{line}");
    let (before, started) = (connections_received(&redis).await, Instant::now());
    while started.elapsed() < WATCHED {
        assert_post_unavailable(&node).await;
    }
    // Each connection of the node backs off to one attempt in 0.75 to 1.5 s; each command of the test is one, too.
    let threads = std::thread::available_parallelism().expect("a number of cores").get() as u64;
    let attempts = connections_received(&redis).await - before;
    let most = 2 * (threads + 2) * (WATCHED.as_secs() + 2);
    assert!(attempts < most, "{attempts} connections in {WATCHED:?}, at most {most} expected");
    let log = node.log();
    assert!(log.lines().filter(|line| line.contains("Redis")).count() <= 2, "{log}");
    node.get("/readyz").await.expect(503);
    assert_eq!(redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await, 0, "stored, but not announced");
    url_of_user(&redis, &[]).await;
    node.ready().await;
    node.post("lobby", "mason", "now it may").await;
}

#[tokio::test]
async fn missing_rights_are_named() {
    let redis = Redis::start().await;
    let cases: [(&[&str], &str); 5] = [
        (&["-xadd", "-pexpire"], "the commands PEXPIRE, XADD;"),
        (&["-evalsha"], "the commands EVALSHA;"),
        (&["-subscribe"], "'subscribe'"),
        (&["resetkeys", "~other:*"], "the key pattern ~chat:*;"),
        (&["-publish", "resetkeys", "resetchannels", "&other:*"], "the key pattern ~chat:*;"),
    ];
    for (rule, words) in cases {
        let url = url_of_user(&redis, rule).await;
        let node = Node::launch(&[("REDIS_URL", &url)]).await;
        let line = node.logged("Redis refuses this node").await;
        assert!(line.contains(words), "{rule:?}: {line}");
        node.get("/readyz").await.expect(503);
    }
}

/// A right that is taken away later is noticed with the first call that lacks it; the next ones store nothing.
#[tokio::test]
async fn right_taken_away_later_is_noticed() {
    let redis = Redis::start().await;
    let url = url_of_user(&redis, &[]).await;
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let _: String = redis.cmd(&["ACL", "SETUSER", "tiny-chat", "-publish"]).await;
    assert_post_unavailable(&node).await;
    node.logged("its user has lost a right").await;
    node.logged("a further connection to Redis fails").await;
    let stored: u64 = redis.cmd(&["XLEN", &key("lobby")]).await;
    for _ in 0..3 {
        assert_post_unavailable(&node).await;
    }
    assert_eq!(redis.cmd::<u64>(&["XLEN", &key("lobby")]).await, stored);
    url_of_user(&redis, &[]).await;
    super::post_until_accepted(&node, "it may again").await;
    reader.next_message().await;
}

/// Without the right to delete a node does everything else.
#[tokio::test]
async fn missing_rights_to_delete_are_a_warning_only() {
    let redis = Redis::start().await;
    let url = url_of_user(&redis, &["-xdel", "-xtrim", "-zrangebyscore"]).await;
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    node.logged("lacks the commands ZRANGEBYSCORE, XDEL, XTRIM, so that nothing can be deleted or edited")
        .await;
    let ids = node.fill("lobby", 3).await;
    let mut reader = Stream::resume(&node, "lobby", &ids[0]).await;
    assert_eq!(reader.next_ids(2).await, ids[1..]);
    assert_eq!(node.log().matches("so that nothing can be deleted").count(), 1);
}

#[tokio::test]
async fn missing_client_info_is_a_warning_only() {
    let redis = Redis::start().await;
    let url = url_of_user(&redis, &["-client"]).await;
    let node = Node::start(&[("REDIS_URL", &url)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    node.logged("+client|info").await;
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!(reader.next_message().await.id, id);
}
