//! Limits per client address hold for all nodes together. While Redis is away, each node keeps them on its own
//! (contract § 8, `RATE_LIMIT`, `RATE_BURST`, `MAX_STREAMS_PER_ADDRESS`).

use std::{
    borrow::Borrow,
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::TRUST_LOOPBACK;
use crate::support::{Answer, Bus, Node, Redis, Stream, assert_backoff, eventually, on_every_bus, on_every_form};

on_every_form!(rate_limit_is_shared_by_three_nodes, stream_limit_is_shared_and_the_newest_stream_is_refused);
on_every_bus!(concurrent_streams_on_three_nodes_stop_at_the_limit);

/// Starts three nodes on a bus, or one in process that stands for all.
async fn start_three_on(bus: &Bus, environment: &[(&str, &str)]) -> [Arc<Node>; 3] {
    bus.nodes(&[&[TRUST_LOOPBACK], environment].concat()).await
}

async fn start_three(redis: &Redis, environment: &[(&str, &str)]) -> [Node; 3] {
    let environment = [&[TRUST_LOOPBACK], environment].concat();
    [
        Node::on(redis, &environment).await,
        Node::on(redis, &environment).await,
        Node::on(redis, &environment).await,
    ]
}

async fn post_from(node: &Node, address: &str) -> Answer {
    let request = node.request(Method::POST, "/lobby").header("X-Forwarded-For", address);
    node.send(request.json(&json!({ "message": "hi" }))).await
}

/// Sends 30 posts to the nodes in turn and returns how many were accepted.
async fn count_accepted(nodes: &[impl Borrow<Node>], address: impl Fn(usize) -> String) -> usize {
    let mut accepted = 0;
    for (number, node) in nodes.iter().cycle().take(30).enumerate() {
        let answer = post_from(node.borrow(), &address(number)).await;
        match answer.status {
            200 => accepted += 1,
            _ => drop(answer.problem(429)),
        }
    }
    accepted
}

/// Opens a stream. Returns `None` if it was refused because of a limit.
async fn open_stream(node: &Node, address: &str) -> Option<Stream> {
    let mut stream = Stream::open(node, "/subscribe/lobby", &[("X-Forwarded-For", address)]).await;
    assert_eq!(stream.head.status, 200);
    let mut blocks = vec![stream.next().await];
    if blocks[0].event.is_none() {
        blocks.push(stream.next().await);
    }
    if blocks.iter().any(|block| block.event.as_deref() == Some("status")) {
        return Some(stream);
    }
    blocks.extend(stream.read_to_end().await);
    assert_backoff(&blocks, "full", 5000..=30_000);
    None
}

async fn rate_limit_is_shared_by_three_nodes(bus: Bus) {
    let nodes = start_three_on(&bus, &[("RATE_LIMIT", "1"), ("RATE_BURST", "6")]).await;
    let started = Instant::now();
    let accepted = count_accepted(&nodes, |_| "192.0.2.1".to_owned()).await;
    let most = 6 + started.elapsed().as_secs() as usize;
    assert!((6..=most).contains(&accepted), "{accepted} of {most} were accepted in {:?}", started.elapsed());
    post_from(&nodes[0], "192.0.2.2").await.expect(200);
}

#[tokio::test]
async fn shared_rate_limit_recovers_after_retry_after() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    post_from(&nodes[0], "192.0.2.1").await.expect(200);
    let refused = post_from(&nodes[1], "192.0.2.1").await;
    let seconds: u64 = refused.header("retry-after").parse().expect("Retry-After in seconds");
    refused.problem(429);
    assert_eq!(seconds, 1);
    tokio::time::sleep(Duration::from_secs(seconds)).await; // as the header asks of the client
    post_from(&nodes[2], "192.0.2.1").await.expect(200);
}

#[tokio::test]
async fn rotating_ipv6_or_forged_hops_gains_nothing_on_any_node() {
    let redis = Redis::start().await;
    let nodes =
        start_three(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "4"), ("MAX_STREAMS_PER_ADDRESS", "2")]).await;
    let rotations: [fn(usize) -> String; 2] = [
        |number| format!("2001:db8:1:2::{number:x}"),
        |number| format!("203.0.113.{number}, 192.0.2.1"), // the proxy appends the last hop
    ];
    for rotation in rotations {
        let started = Instant::now();
        let accepted = count_accepted(&nodes, rotation).await;
        assert!(
            accepted <= 4 + started.elapsed().as_secs() as usize,
            "{accepted} were accepted in {:?}",
            started.elapsed()
        );
        let _streams = [
            open_stream(&nodes[0], &rotation(1)).await.unwrap(),
            open_stream(&nodes[1], &rotation(2)).await.unwrap(),
        ];
        assert!(open_stream(&nodes[2], &rotation(3)).await.is_none());
    }
}

async fn stream_limit_is_shared_and_the_newest_stream_is_refused(bus: Bus) {
    let nodes = start_three_on(&bus, &[("MAX_STREAMS_PER_ADDRESS", "4"), ("HEARTBEAT", "1")]).await;
    let mut streams = Vec::new();
    for node in nodes.iter().cycle().take(4) {
        streams.push(open_stream(node, "192.0.2.1").await.expect("one of four"));
    }
    for node in &nodes {
        assert!(open_stream(node, "192.0.2.1").await.is_none(), "a fifth");
    }
    open_stream(&nodes[2], "192.0.2.2").await.expect("another address");
    for stream in &mut streams {
        assert_eq!(stream.next().await.event.as_deref(), Some("heartbeat")); // no open stream was ended for a new one
    }
    drop(streams.pop());
    eventually("a free permit on another node", async || open_stream(&nodes[2], "192.0.2.1").await).await;
}

/// The streams are opened concurrently, so the reservations race.
async fn concurrent_streams_on_three_nodes_stop_at_the_limit(bus: Bus) {
    let nodes = start_three_on(&bus, &[("MAX_STREAMS_PER_ADDRESS", "25")]).await;
    let all = join_all(nodes.iter().cycle().take(90).map(|node| open_stream(node, "192.0.2.1"))).await;
    assert_eq!(all.iter().flatten().count(), 25);
}

#[tokio::test]
async fn permits_of_a_killed_node_are_freed_within_seconds() {
    let redis = Redis::start().await;
    let mut nodes = start_three(&redis, &[("MAX_STREAMS_PER_ADDRESS", "2")]).await;
    let _streams = [open_stream(&nodes[0], "192.0.2.1").await, open_stream(&nodes[0], "192.0.2.1").await];
    let _other = open_stream(&nodes[1], "192.0.2.2").await;
    assert!(open_stream(&nodes[1], "192.0.2.1").await.is_none());
    nodes[0].kill();
    let killed = Instant::now();
    while open_stream(&nodes[1], "192.0.2.1").await.is_none() {
        assert!(killed.elapsed() < Duration::from_secs(15), "never free");
        tokio::time::sleep(Duration::from_millis(200)).await; // between two attempts of a client
    }
    // The permits of a live node without changes are kept.
    let _second = open_stream(&nodes[2], "192.0.2.2").await.expect("the second of two");
    assert!(open_stream(&nodes[2], "192.0.2.2").await.is_none());
}

#[tokio::test]
async fn node_that_was_paused_counts_its_streams_again() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("MAX_STREAMS_PER_ADDRESS", "1")]).await;
    let _stream = open_stream(&nodes[0], "192.0.2.1").await.expect("the first");
    nodes[0].signal(Signal::SIGSTOP);
    let guest = eventually("its permit", async || open_stream(&nodes[1], "192.0.2.1").await).await;
    nodes[0].signal(Signal::SIGCONT);
    drop(guest);
    eventually("a permit that is counted again", async || {
        open_stream(&nodes[1], "192.0.2.1").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn limits_are_per_node_in_an_outage_and_shared_again_after_it() {
    let mut redis = Redis::start().await;
    let nodes =
        start_three(&redis, &[("MAX_STREAMS_PER_ADDRESS", "3"), ("RATE_LIMIT", "1"), ("RATE_BURST", "2")]).await;
    let _before = open_stream(&nodes[0], "192.0.2.1").await.expect("the first");
    redis.kill();
    let mut during = Vec::new();
    for node in [&nodes[0], &nodes[0], &nodes[1]] {
        let started = Instant::now();
        during.push(open_stream(node, "192.0.2.1").await.expect("a permit that the node grants on its own"));
        assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    }
    assert!(open_stream(&nodes[0], "192.0.2.1").await.is_none(), "three are open already");
    let started = Instant::now();
    post_from(&nodes[0], "192.0.2.1").await.problem(503);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    redis.restart().await;
    eventually("a third node that counts the others' streams", async || {
        open_stream(&nodes[2], "192.0.2.1").await.is_none().then_some(())
    })
    .await;
    drop(during);
}

/// Calls that Redis did not answer in time are executed when it continues, and must not add up with those after them.
#[tokio::test]
async fn streams_are_counted_once_after_a_pause_of_redis() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("MAX_STREAMS_PER_ADDRESS", "4")]).await;
    let _before = [open_stream(&nodes[0], "192.0.2.1").await, open_stream(&nodes[0], "192.0.2.1").await];
    redis.pause();
    let _during = open_stream(&nodes[0], "192.0.2.1").await.expect("a permit that the node grants on its own");
    redis.unpause();
    let before = redis.count_calls(&["evalsha"]).await;
    // The one that waited in the pause, and the next ones of the node, which has no other reason to call.
    eventually("further reports", async || (redis.count_calls(&["evalsha"]).await >= before + 3).then_some(())).await;
    let open: HashMap<String, usize> = redis.cmd(&["HGETALL", "chat:streams:{limits}:192.0.2.1"]).await;
    assert_eq!(open.values().sum::<usize>(), 3, "{open:?}");
    let _fourth = open_stream(&nodes[1], "192.0.2.1").await.expect("the fourth of four");
    assert!(open_stream(&nodes[2], "192.0.2.1").await.is_none());
}

/// A node that cannot report to Redis holds permits no longer than a dead node would.
#[tokio::test]
async fn permits_freed_in_an_outage_are_released_after_it() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("MAX_STREAMS_PER_ADDRESS", "2"), ("HEARTBEAT", "1")]).await;
    let ended = [
        open_stream(&nodes[0], "192.0.2.1").await.unwrap(),
        open_stream(&nodes[0], "192.0.2.1").await.unwrap(),
    ];
    let _other = open_stream(&nodes[0], "192.0.2.2").await.expect("keeps the node reporting");
    redis.pause();
    let _during = open_stream(&nodes[0], "192.0.2.3").await.expect("a permit that the node grants on its own");
    drop(ended);
    nodes[0].wait_for_open_streams(2).await;
    redis.unpause();
    eventually("a free permit on another node", async || open_stream(&nodes[1], "192.0.2.1").await).await;
}

#[tokio::test]
async fn clock_moving_back_refuses_no_longer_than_one_burst() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    post_from(&nodes[0], "192.0.2.1").await.expect(200);
    let hour_ahead =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() + 3_600_000_000;
    let _: String = redis.cmd(&["SET", "chat:rate:{192.0.2.1}", &hour_ahead.to_string()]).await;
    let refused = post_from(&nodes[1], "192.0.2.1").await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.problem(429);
}

/// One script takes the token and stores the message.
#[tokio::test]
async fn limited_posts_cost_one_redis_call_each() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[TRUST_LOOPBACK, ("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    post_from(&node, "192.0.2.255").await.expect(200);
    let before = redis.count_calls(&["evalsha"]).await;
    for number in 0..50 {
        post_from(&node, &format!("198.51.100.{number}")).await.expect(200);
    }
    let calls = redis.count_calls(&["evalsha"]).await - before;
    assert!(calls < 75, "{calls} calls for 50 posts");
    let buckets: Vec<String> = redis.cmd(&["KEYS", "chat:rate:*"]).await;
    assert!(!buckets.is_empty(), "no post was counted");
}

/// As when Redis does not answer: each node counts alone.
#[tokio::test]
async fn posts_are_stored_where_redis_cannot_count_them() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "2")]).await;
    let _: u64 = redis.cmd(&["RPUSH", "chat:rate:{192.0.2.1}", "no number"]).await;
    for node in [&nodes[0], &nodes[1], &nodes[0], &nodes[1]] {
        post_from(node, "192.0.2.1").await.expect(200);
    }
    post_from(&nodes[0], "192.0.2.1").await.problem(429);
}

#[tokio::test]
async fn simultaneous_streams_are_counted_in_few_redis_calls() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[TRUST_LOOPBACK]).await;
    let _warm = open_stream(&node, "192.0.2.255").await;
    let before = redis.count_calls(&["evalsha"]).await;
    let addresses: Vec<String> =
        (0..400).map(|number| format!("198.51.{}.{}", 100 + number / 200, number % 200)).collect();
    let streams = join_all(addresses.iter().map(|address| open_stream(&node, address))).await;
    assert!(streams.iter().all(Option::is_some));
    let calls = redis.count_calls(&["evalsha"]).await - before;
    assert!(calls < 200, "{calls} calls for 400 streams of 400 addresses");
}

#[tokio::test]
async fn redis_forgets_idle_addresses() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[TRUST_LOOPBACK, ("RATE_LIMIT", "5"), ("RATE_BURST", "5")]).await;
    let addresses: Vec<String> = (0..200).map(|number| format!("198.51.100.{number}")).collect();
    join_all(addresses.iter().map(|address| post_from(&node, address))).await;
    drop(join_all(addresses.iter().map(|address| open_stream(&node, address))).await);
    eventually("the expiry of all addresses", async || {
        let keys: Vec<String> = redis.cmd(&["KEYS", "chat:[rsp]*"]).await;
        keys.is_empty().then_some(())
    })
    .await;
}

/// Other nodes read this form (contract § 6).
#[tokio::test]
async fn streams_of_an_address_are_one_expiring_hash() {
    let redis = Redis::start().await;
    let nodes = start_three(&redis, &[]).await;
    let _streams = [open_stream(&nodes[0], "192.0.2.1").await, open_stream(&nodes[1], "192.0.2.1").await];
    let open: HashMap<String, String> = redis.cmd(&["HGETALL", "chat:streams:{limits}:192.0.2.1"]).await;
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open.values().all(|value| value == "1"), "{open:?}");
    for (key, longest) in [("chat:streams:{limits}:192.0.2.1", 120_000), ("chat:processes:{limits}", 4000)] {
        let milliseconds: i64 = redis.cmd(&["PTTL", key]).await;
        assert!((1..=longest).contains(&milliseconds), "{key}: {milliseconds}");
    }
}
