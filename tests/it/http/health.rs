//! The endpoints for operators and robots: `/healthz`, `/readyz`, `/metrics` and `/robots.txt` (contract § 4).

use reqwest::Method;
use serde_json::json;

use crate::support::{Node, Redis, Stream, eventually, post_until_rate_limited};

#[tokio::test]
async fn healthz_is_200_even_without_redis() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.get("/healthz").await.expect(200);
    redis.kill();
    node.get("/healthz").await.expect(200);
}

/// As JSON, `/healthz` tells an operator how the node sees clients behind a proxy.
#[tokio::test]
async fn healthz_as_json_reports_the_client_address() {
    // A block of IPv4, written as one of IPv6.
    let trusting = Node::start(&[("TRUSTED_PROXIES", "::ffff:127.0.0.0/104")]).await;
    let plain = Node::start(&[]).await;
    for (node, forwarded, seen) in [
        (&plain, None, json!({ "status": "ok", "client": "127.0.0.1", "proxied": false, "forwarded": false })),
        (
            &plain,
            Some("192.0.2.1"),
            json!({ "status": "ok", "client": "127.0.0.1", "proxied": false, "forwarded": true }),
        ),
        (
            &trusting,
            None,
            json!({ "status": "ok", "client": "127.0.0.1", "proxied": true, "forwarded": false }),
        ),
        (
            &trusting,
            Some("192.0.2.1"),
            json!({ "status": "ok", "client": "192.0.2.1", "proxied": true, "forwarded": true }),
        ),
    ] {
        let request = node.request(Method::GET, "/healthz").header("Accept", "application/json");
        let answer =
            node.send(forwarded.into_iter().fold(request, |request, value| request.header("X-Forwarded-For", value)));
        let answer = answer.await.expect(200);
        assert_eq!((answer.json(), answer.header("cache-control")), (seen, "no-store".into()));
    }
    let answer = plain.send(plain.request(Method::GET, "/healthz").header("Accept", "*/*")).await;
    assert_eq!(answer.text(), "ok\n");
}

#[tokio::test]
async fn robots_txt_disallows_everything() {
    let node = Node::start(&[]).await;
    let answer = node.get("/robots.txt").await.expect(200);
    assert_eq!(answer.media_type(), "text/plain");
    let rules: Vec<&str> =
        answer.text().lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rules, ["User-agent: *", "Disallow: /"]);
}

/// Prometheus text format 0.0.4: every sample belongs to a `# TYPE`, and every value is a number.
#[tokio::test]
async fn metrics_are_valid_prometheus_text_and_count_events() {
    let node = Node::start(&[]).await;
    let before = node.get("/metrics").await.expect(200);
    assert_eq!(before.media_type(), "text/plain");
    let _reader = Stream::live(&node, "lobby").await;
    node.publish("lobby", json!({ "message": "hi" })).await.expect(200);
    let after = node.get("/metrics").await.expect(200);
    let mut types = Vec::new();
    for line in after.text().lines().filter(|line| !line.is_empty()) {
        if let Some(name) = line.strip_prefix("# TYPE ") {
            types.push(name.split(' ').next().unwrap_or_default().to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
            assert!(types.iter().any(|family| name.starts_with(family.as_str())), "{line:?} has no type");
            assert!(value.parse::<f64>().is_ok(), "{line:?} has no value");
        }
    }
    assert!(types.len() > 3, "{types:?}");
    assert!(grew(before.text(), after.text(), "published"), "no counter of published messages grew");
    assert!(grew(before.text(), after.text(), "stream"), "no number of streams grew");
}

#[tokio::test]
async fn refused_posts_are_counted_by_reason_and_not_timed() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    let post = async || node.publish("lobby", json!({ "message": "hi" })).await;
    let (stored, _) = post_until_rate_limited(post).await;
    assert_eq!(node.metric("tiny_chat_posts_refused_total{reason=\"rate_limit\"}").await, Some(1.0));
    assert_eq!(node.metric("tiny_chat_posts_refused_total{reason=\"store_unavailable\"}").await, Some(0.0));
    redis.kill();
    eventually("a post that Redis did not take", async || {
        (node.publish("lobby", json!({ "message": "hi" })).await.status == 503).then_some(())
    })
    .await;
    assert_eq!(node.metric("tiny_chat_posts_refused_total{reason=\"store_unavailable\"}").await, Some(1.0));
    assert_eq!(node.metric("tiny_chat_publish_seconds_count").await, Some(stored as f64));
}

/// A stream whose log cannot be read is open, but not live.
#[tokio::test]
async fn streams_are_counted_as_live_once_they_have_caught_up() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("HEARTBEAT", "1")]).await;
    let id = node.post("lobby", "mason", "hi").await;
    redis.pause();
    let mut stream = Stream::open(&node, "/subscribe/lobby", &[("Last-Event-ID", &id)]).await;
    assert!(!stream.first().await.is_live());
    assert_eq!((node.open_streams().await, node.live_streams().await), (1.0, 0.0));
    redis.unpause();
    node.wait_for_live_streams(1).await;
    drop(stream);
    node.wait_for_live_streams(0).await;
}

#[tokio::test]
async fn metrics_report_the_version_and_process_usage() {
    let node = Node::start(&[]).await;
    let version = format!("tiny_chat_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(node.metric(&version).await, Some(1.0));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"] {
        assert!(node.metric(name).await.is_some_and(|value| value >= 0.0), "{name}");
    }
}

/// Returns true if a sample whose name contains `word` has grown by 1.
fn grew(before: &str, after: &str, word: &str) -> bool {
    let samples = |text: &str| -> Vec<(String, f64)> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && line.contains(word));
        lines
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    };
    let before = samples(before);
    samples(after).iter().any(|(name, value)| {
        let earlier = before.iter().find(|(other, _)| other == name).map_or(0.0, |(_, value)| *value);
        *value == earlier + 1.0
    })
}
