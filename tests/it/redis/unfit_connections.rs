//! Connections to Redis that answer and are of no use: to a demoted master, without announcements, or one way only.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::{assert_post_unavailable, post_until_accepted, start_behind};
use crate::support::{Node, Proxy, Redis, Stream, eventually, within};

/// The time within which a node finds a new master that can be reached.
const MAX_FAILOVER: Duration = Duration::from_secs(5);

/// The time within which a connection is found to be of no use, and what it missed is read.
const MAX_DEAF: Duration = Duration::from_secs(10);
const SLACK: Duration = Duration::from_secs(3);

/// How often a connection for commands is checked if no reply is late.
const VERIFY_INTERVAL: Duration = Duration::from_secs(5);

/// Starts a replica that has caught up with its master.
async fn start_replica(master: &Redis) -> Redis {
    let replica = Redis::with(&["--replicaof", "127.0.0.1", &master.port().to_string()]).await;
    eventually("a replica that is in sync", async || {
        let info: String = replica.cmd(&["INFO", "replication"]).await;
        info.contains("master_link_status:up").then_some(())
    })
    .await;
    replica
}

/// A planned failover demotes the master and keeps its connections.
#[tokio::test]
async fn demoted_master_is_left_for_the_new_one() {
    let old = Redis::start().await;
    let new = start_replica(&old).await;
    let proxy = Proxy::to(old.address()).await;
    let node = start_behind(&proxy).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let before = node.fill("lobby", 3).await;
    assert_eq!(reader.next_ids(3).await, before);
    let _: String = old.cmd(&["FAILOVER"]).await;
    reader.expect_status(false).await;
    node.get("/history/lobby").await.problem(503);
    node.logged("replica").await;
    let changed = Instant::now();
    proxy.lead_to(new.address());
    let after = post_until_accepted(&node, "to the new master").await;
    assert!(changed.elapsed() < MAX_FAILOVER + SLACK, "a post was taken after {:?}", changed.elapsed());
    assert_eq!(reader.next_message().await.id, after, "neither a gap nor a loss");
    node.history("lobby", "").await;
    let mut returning = Stream::resume(&node, "lobby", &before[2]).await;
    assert_eq!(returning.next_message().await.id, after);
}

#[tokio::test]
async fn connection_without_announcements_is_renewed() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[]).await);
    let mut reader = Stream::live(&here, "lobby").await;
    proxy.lose_announcements();
    let mut ids = there.fill("lobby", 3).await;
    ids.push(here.post("lobby", "mason", "answered on the other connection").await);
    assert_eq!(within(MAX_DEAF + SLACK, "what was missed", reader.next_ids(4)).await, ids);
    here.logged("sends no announcements").await;
    let next = there.post("lobby", "mason", "and live again").await;
    assert_eq!(reader.next_message().await.id, next);
}

#[tokio::test]
async fn connection_that_swallows_responses_is_renewed() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[]).await);
    let mut reader = Stream::live(&here, "lobby").await;
    proxy.lose_responses();
    let mut ids = there.fill("lobby", 3).await;
    assert_eq!(within(MAX_DEAF + SLACK, "what was missed", reader.next_ids(3)).await, ids);
    ids.push(post_until_accepted(&here, "commands, too").await);
    assert_eq!(reader.next_message().await.id, ids[3]);
}

#[tokio::test]
async fn command_connection_is_checked_when_a_reply_is_missing() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let node = start_behind(&proxy).await;
    let _reader = Stream::live(&node, "lobby").await;
    let silent = Instant::now();
    proxy.lose_replies_to_commands();
    assert_post_unavailable(&node).await;
    post_until_accepted(&node, "on a new connection").await;
    assert!(silent.elapsed() < VERIFY_INTERVAL, "a post was taken after {:?}", silent.elapsed());
}

#[tokio::test]
async fn all_connections_are_renewed_after_a_loss() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let node = start_behind(&proxy).await;
    let _reader = Stream::live(&node, "lobby").await;
    let silent = Instant::now();
    proxy.lose_responses();
    let known = client_ids(&redis).await;
    eventually("new connections alone", async || {
        let ids = client_ids(&redis).await;
        ids.is_disjoint(&known).then_some(())
    })
    .await;
    assert!(silent.elapsed() < VERIFY_INTERVAL, "all connections were renewed after {:?}", silent.elapsed());
}

/// Returns the ids that a server has given its connections.
async fn client_ids(redis: &Redis) -> HashSet<String> {
    let clients: String = redis.cmd(&["CLIENT", "LIST"]).await;
    clients.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}
