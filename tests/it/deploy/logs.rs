//! No log line contains a message's text, a query string or the password of Redis (contract § 8).

use reqwest::Method;
use serde_json::json;

use crate::support::{Bus, Node, Redis, Stream, on_every_bus, post_until_rate_limited};

on_every_bus!(no_log_line_contains_a_message_or_a_query_string);

/// Words that occur only in what these tests send.
const TEXT: &str = "Xylophon-Kirschkern";
const QUERY: &str = "quastenflosser";

async fn no_log_line_contains_a_message_or_a_query_string(bus: Bus) {
    let mut node = bus.node(&[("LOG", "trace"), ("RATE_LIMIT", "1"), ("RATE_BURST", "3"), ("DRAIN", "1")]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    node.post("lobby", "mason", TEXT).await;
    subscriber.next_message().await;
    send_refused_requests(&node).await;
    for path in [
        "/history/lobby?before=",
        "/history/lobby?limit=",
        "/subscribe/lobby?history=",
        "/lobby?x=",
        "/-no-room?x=",
        "/healthz?x=",
    ] {
        node.get(&format!("{path}{QUERY}")).await;
    }
    Stream::open(&node, &format!("/subscribe/lobby?lastEventId={QUERY}"), &[]).await.first().await;
    node.get("/history/lobby").await.expect(200);
    node.page("/lobby").await.html(200);
    node.terminate();
    node.exit().await;
    let log = node.log();
    assert!(log.lines().count() > 10, "the log is not verbose: {log}");
    for line in log.lines() {
        assert!(!line.contains(TEXT), "a message in the log: {line}");
        assert!(!line.contains(QUERY), "a query in the log: {line}");
    }
}

/// Sends the text in every kind of request that is refused.
async fn send_refused_requests(node: &Node) {
    node.publish("lobby", json!({ "message": TEXT.repeat(300) })).await.problem(422);
    node.publish("lobby", json!({ "message": "hi", "sender": TEXT.repeat(5) })).await.problem(422);
    node.publish("lobby", json!({ "message": TEXT, "key": "a b" })).await.problem(422);
    node.publish("lobby", json!(TEXT)).await;
    let broken = format!("{{\"message\":\"{TEXT}\",}}");
    let request = || node.request(Method::POST, "/lobby");
    node.send(request().header("Content-Type", "application/json").body(broken)).await.problem(400);
    node.send(request().header("Content-Type", "text/plain").body(TEXT)).await.problem(415);
    node.send(request().header("Sec-Fetch-Site", "cross-site").form(&[("message", TEXT)]))
        .await
        .problem(403);
    post_until_rate_limited(async || node.publish("lobby", json!({ "message": TEXT })).await).await;
}

/// Covers a URL that cannot be parsed and a Redis that refuses the password.
#[tokio::test]
async fn no_log_line_contains_the_redis_password() {
    let refusal = Node::run_to_exit(&[("REDIS_URL", &format!("redis://mason:{TEXT}@127.0.0.1:x"))], &[]).await;
    assert!(!refusal.status.success() && !refusal.output.contains(TEXT), "{}", refusal.output);
    let redis = Redis::start().await;
    let url = format!("redis://mason:{TEXT}@127.0.0.1:{}", redis.port());
    let node = Node::launch(&[("LOG", "trace"), ("REDIS_URL", &url)]).await;
    node.logged("Redis refuses this node").await;
    node.publish("lobby", json!({ "message": "hi" })).await.problem(503);
    assert!(!node.log().contains(TEXT), "{}", node.log());
}
