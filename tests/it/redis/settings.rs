//! Settings of Redis with which it may lose what it has acknowledged: a node warns of them at the start (contract § 8).

use crate::support::{Node, Redis};

#[tokio::test]
async fn a_redis_that_keeps_nothing_is_warned_of() {
    let forgetting = Redis::start().await;
    Node::on(&forgetting, &[]).await.logged("set appendonly yes").await;
    let (durable, saving) = (Redis::durable().await, Redis::with(&["--save", "60 1"]).await);
    for redis in [durable, saving] {
        let node = Node::on(&redis, &[]).await;
        node.logged("sharing rooms with all nodes").await;
        node.post("lobby", "mason", "hi").await;
        assert!(!node.log().contains("appendonly"), "{}", node.log());
    }
}

#[tokio::test]
async fn a_redis_that_may_evict_logs_is_warned_of() {
    let evicting = Redis::with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    Node::on(&evicting, &[]).await.logged("maxmemory-policy").await;
    let keeping = Redis::with(&["--maxmemory", "100mb", "--maxmemory-policy", "noeviction"]).await;
    let node = Node::on(&keeping, &[]).await;
    node.post("lobby", "mason", "hi").await;
    assert!(!node.log().contains("maxmemory-policy"), "{}", node.log());
}
