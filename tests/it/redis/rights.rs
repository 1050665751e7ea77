//! What the Redis user may not do is said at the start, and nothing is stored that cannot be announced.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::assert_post_unavailable;
use crate::{
    eshq::{KEYS, OPEN, open},
    support::{Cluster, Node, Program, Redis, Sentinels, Stream, eventually, key, slot_of},
};

/// Returns the rules of docs/operations.md: one server's, that of servers with Sentinels, these Sentinels' and a cluster's.
fn documented_users() -> [Vec<&'static str>; 4] {
    let operations = include_str!("../../../docs/operations.md");
    let rules = operations.lines().filter_map(|line| line.trim().strip_prefix("user tiny-chat "));
    let rules: Vec<Vec<&str>> = rules.map(|rule| rule.split(' ').collect()).collect();
    rules.try_into().expect("four users")
}

/// The user for one server.
pub fn documented_user() -> Vec<&'static str> {
    let [one, ..] = documented_users();
    one
}

async fn create_user(redis: &Redis, rule: &[&str]) {
    let rule = [&["ACL", "SETUSER", "tiny-chat", "reset"], rule].concat();
    let _: String = redis.cmd(&rule).await;
}

/// Checks that a server has refused nothing to the user.
async fn assert_nothing_refused(redis: &Redis) {
    let refused: Vec<Vec<redis::Value>> = redis.cmd(&["ACL", "LOG"]).await;
    assert!(!format!("{refused:?}").replace("\"client\"", "").contains("reason"), "{refused:?}");
}

/// Uses all that a node has Redis do.
async fn use_node(node: &Node, room: &str) {
    let mut reader = Stream::live(node, &format!("{room}?name=ada")).await;
    let posted = node.publish(room, json!({ "message": "hi", "key": "k" })).await.id();
    assert_eq!(reader.next_message().await.id, posted);
    assert_eq!(Stream::resume(node, room, "0-0").await.next_message().await.id, posted);
    let present =
        async || (node.get(&format!("/presence/{room}")).await.json()["names"] == json!(["ada"])).then_some(());
    eventually("the reader's name", present).await;
    assert_eq!(node.stored(room).await.len(), 1);
    node.send(node.request(Method::POST, "/users")).await.expect(200);
    OPEN.call(node, "/event", &[("channel", room), ("type", "note"), ("data", "x")]).await.expect(200);
    drop(open(node, &OPEN.socket(node, room).await).await);
    let secret = "0123456789abcdef";
    let own = node.publish(room, json!({ "message": "hi", "secret": secret })).await.id();
    let path = format!("/history/{room}/{own}");
    for method in [Method::PATCH, Method::DELETE] {
        let body = json!({ "message": "ho", "secret": secret });
        node.send(node.request(method, &path).json(&body)).await.expect(200);
    }
}

/// Creates the documented user with further rules, and returns the URL for it.
async fn url_of_user(redis: &Redis, further: &[&str]) -> String {
    create_user(redis, &[&documented_user()[..], further].concat()).await;
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
    for program in [Program::Redis, Program::Redis6, Program::Redis8, Program::Valkey] {
        let redis = Redis::of(program, &[]).await;
        let url = url_of_user(&redis, &[]).await;
        let node = Node::start(&[("REDIS_URL", &url), KEYS]).await;
        use_node(&node, "lobby").await;
        assert_nothing_refused(&redis).await;
        let stranger = Node::launch(&[("REDIS_URL", &url.replace("SECRET", "wrong"))]).await;
        stranger.logged("Redis refuses this node").await;
    }
}

#[tokio::test]
async fn a_node_needs_no_more_of_sentinels_than_operations_md_says() {
    let sentinels = Sentinels::start(3, 1).await;
    let [_, server, sentinel, _] = documented_users();
    for redis in sentinels.servers() {
        create_user(redis, &server).await;
    }
    for redis in sentinels.sentinels() {
        create_user(redis, &sentinel).await;
    }
    let url = sentinels.url().replace("://", "://tiny-chat:SECRET@");
    let login = [("REDIS_SENTINEL_USER", "tiny-chat"), ("REDIS_SENTINEL_PASSWORD", "SECRET")];
    let node = Node::start(&[("REDIS_URL", &url), KEYS, login[0], login[1]]).await;
    use_node(&node, "lobby").await;
    sentinels.failover().await;
    super::post_until_accepted(&node, "after a failover").await;
    for redis in sentinels.servers().iter().chain(sentinels.sentinels()) {
        assert_nothing_refused(redis).await;
    }
}

#[tokio::test]
async fn a_node_needs_no_more_of_a_cluster_than_operations_md_says() {
    for program in [Program::Redis, Program::Redis8, Program::Valkey] {
        let cluster = Cluster::of(program, 2, 0, &[]).await;
        let [.., rule] = documented_users();
        for redis in cluster.servers() {
            create_user(redis, &rule).await;
        }
        let url = cluster.url().replace("://", "://tiny-chat:SECRET@");
        let node = Node::start(&[("REDIS_URL", &url), KEYS]).await;
        let (room, other) = (cluster.room_at(0, 0).await, cluster.room_at(1, 0).await);
        use_node(&node, &other).await;
        use_node(&node, &room).await;
        let mut reader = Stream::live(&node, &room).await;
        let slot = slot_of(&key(&room));
        cluster.begin_move(slot, 1).await;
        node.post(&room, "mason", "in a moving slot").await;
        cluster.move_keys(slot, 1).await;
        node.post(&room, "mason", "at the target").await;
        cluster.end_move(slot, 1).await;
        node.post(&room, "mason", "in its new place").await;
        reader.next_messages(3).await;
        for redis in cluster.servers() {
            assert_nothing_refused(redis).await;
        }
    }
}

#[tokio::test]
async fn missing_rights_on_a_cluster_are_named() {
    let cluster = Cluster::start(1).await;
    let redis = &cluster.servers()[0];
    let [.., rule] = documented_users();
    let url = cluster.url().replace("://", "://tiny-chat:SECRET@");
    for (taken, word) in [
        ("-spublish", "SPUBLISH"),
        ("-asking", "ASKING"),
        ("-ssubscribe", "ssubscribe"),
        ("-cluster", "CLUSTER|NODES, CLUSTER|SLOTS"),
    ] {
        create_user(redis, &[&rule[..], &[taken]].concat()).await;
        let node = Node::launch(&[("REDIS_URL", &url)]).await;
        let line = node.logged("Redis refuses this node").await;
        assert!(line.contains(word), "{taken}: {line}");
        node.get("/readyz").await.expect(503);
    }
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
    let attempts = connections_received(&redis).await - before;
    let took = started.elapsed(); // on a busy machine the last post takes a while
    let most = 2.0 * (node.workers() + 2) as f64 * (took.as_secs_f64() + 2.0);
    assert!((attempts as f64) < most, "{attempts} connections in {took:?}, at most {most} expected");
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
