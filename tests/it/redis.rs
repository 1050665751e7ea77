//! What a node writes to Redis, what it reads from it, and Redis outages.

mod cluster;
mod databases;
mod diagnosis;
mod entries;
mod first_release;
mod foreign_publishes;
mod healing;
mod load;
mod moving_slots;
mod old_urls;
mod outages;
mod refusals;
mod rights;
mod round_trip;
mod sentinel;
mod settings;
mod soak;
mod subscriptions;
mod tls;
mod unfit_connections;
mod versions;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Node, Proxy, eventually};

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// Starts a node that reaches Redis only through a proxy.
async fn start_behind(proxy: &Proxy) -> Node {
    let url = format!("redis://{}", proxy.address());
    Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await
}

/// Checks that a post is refused with 503 and `Retry-After`, within 2 s.
pub async fn assert_post_unavailable(node: &Node) {
    let started = Instant::now();
    let answer = node.publish("lobby", json!({ "sender": "mason", "message": "into the void" })).await;
    assert!(started.elapsed() < Duration::from_secs(2), "an answer after {:?}", started.elapsed());
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    answer.problem(503);
}

/// Posts a message until it is accepted, as a client does after a 503, and returns its id.
pub async fn post_until_accepted(node: &Node, message: &str) -> String {
    post_until_accepted_in("lobby", node, message).await
}

/// The same in another room.
async fn post_until_accepted_in(room: &str, node: &Node, message: &str) -> String {
    eventually("an accepted message", async || {
        let answer = node.publish(room, json!({ "sender": "mason", "message": message })).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await
}
