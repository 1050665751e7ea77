//! The rate limit of posts per client address (contract § 4 and § 8, `RATE_LIMIT`, `RATE_BURST`).

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::TRUST_LOOPBACK;
use crate::support::{Bus, Node, Stream, on_every_form, post_until_rate_limited};

on_every_form!(greatest_values_of_the_options_work);

#[tokio::test]
async fn rate_limited_posts_are_429_until_retry_after_has_passed() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "3")]).await;
    let (accepted, refused) =
        post_until_rate_limited(async || node.publish("lobby", json!({ "message": "hi" })).await).await;
    assert!(accepted >= 3, "the burst is 3, only {accepted} were accepted");
    let seconds: u64 = refused.header("retry-after").parse().expect("Retry-After in seconds");
    assert!((1..=60).contains(&seconds), "{seconds} s");
    refused.problem(429);
    assert_eq!(node.stored("lobby").await.len(), accepted);
    tokio::time::sleep(Duration::from_secs(seconds)).await; // as the header asks of the client
    node.publish("lobby", json!({ "message": "hi" })).await.expect(200);
}

#[tokio::test]
async fn each_address_has_its_own_rate_limit() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "1"), TRUST_LOOPBACK]).await;
    let post = async |address: &str| {
        let request = node.request(Method::POST, "/lobby").header("X-Forwarded-For", address);
        node.send(request.json(&json!({ "message": "hi" }))).await
    };
    post_until_rate_limited(async || post("192.0.2.1").await).await;
    post("192.0.2.2").await.expect(200);
    post_until_rate_limited(async || post("2001:db8:1:1::1").await).await;
    post("2001:db8:1:1:ffff::2").await.problem(429); // IPv6 clients are counted per /64
    post("2001:db8:1:2::1").await.expect(200);
}

/// The greatest values that the options of limits and of retention accept (contract § 8).
async fn greatest_values_of_the_options_work(bus: Bus) {
    const GREATEST: &str = "4294967295";
    let options = [
        "RATE_LIMIT",
        "RATE_BURST",
        "MAX_STREAMS",
        "MAX_STREAMS_PER_ADDRESS",
        "MAX_AGE",
        "HISTORY",
        "HISTORY_TTL",
    ];
    let together = options.map(|option| (option, GREATEST));
    for environment in [
        &together[..],
        &[("RATE_LIMIT", GREATEST), ("RATE_BURST", "1")],
        &[("RATE_LIMIT", "1"), ("RATE_BURST", GREATEST)],
    ] {
        let node = bus.node(environment).await;
        let mut stream = Stream::live(&node, "lobby").await;
        let ids = node.fill("lobby", 3).await;
        assert_eq!(stream.next_ids(3).await, ids, "{environment:?}");
        let log = node.log();
        assert!(!log.contains("refused") && !log.contains("panicked"), "{environment:?}: {log}");
    }
}

#[tokio::test]
async fn rate_limit_of_0_means_unlimited() {
    let node = Node::start(&[("RATE_LIMIT", "0"), ("RATE_BURST", "1")]).await;
    node.fill("lobby", 60).await;
}
