//! Which origins may publish and subscribe: Fetch Metadata, `Origin`, and CORS for `ALLOWED_ORIGINS` (contract § 4).

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Answer, Node, Stream};

const FRIEND: (&str, &str) = ("ALLOWED_ORIGINS", "https://friend.example,http://localhost:3000");

/// Builds a post to a room with these headers.
fn message(node: &Node, headers: &[(&str, &str)]) -> RequestBuilder {
    let request = node.request(Method::POST, "/lobby").json(&json!({ "message": "hi" }));
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn status(node: &Node, headers: &[(&str, &str)]) -> u16 {
    node.send(message(node, headers)).await.status
}

#[tokio::test]
async fn cross_site_posts_are_refused() {
    let node = Node::start(&[]).await;
    for site in ["cross-site", "same-site", "something-new"] {
        node.send(message(&node, &[("Sec-Fetch-Site", site)])).await.problem(403);
    }
    for site in ["same-origin", "none"] {
        assert_eq!(status(&node, &[("Sec-Fetch-Site", site)]).await, 200, "{site}");
    }
    assert_eq!(node.stored("lobby").await.len(), 2);
}

/// If `Sec-Fetch-Site` is present, it alone decides.
#[tokio::test]
async fn fetch_metadata_takes_precedence_over_origin() {
    let node = Node::start(&[]).await;
    assert_eq!(status(&node, &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://evil.example")]).await, 200);
    let own = node.url("");
    assert_eq!(status(&node, &[("Sec-Fetch-Site", "cross-site"), ("Origin", &own)]).await, 403);
}

#[tokio::test]
async fn origin_must_match_the_host_without_fetch_metadata() {
    let node = Node::start(&[]).await;
    let chat = ("Host", "chat.example:8443");
    assert_eq!(status(&node, &[chat]).await, 200, "no origin at all: not a browser");
    assert_eq!(status(&node, &[chat, ("Origin", "https://chat.example:8443")]).await, 200);
    assert_eq!(
        status(&node, &[chat, ("Origin", "http://chat.example:8443")]).await,
        200,
        "TLS may end before the node"
    );
    for foreign in [
        "https://evil.example:8443",
        "https://chat.example",
        "https://chat.example:8444",
        "https://chat.example:8443.evil.example",
        "https://evil.chat.example:8443",
        "null",
        "nonsense",
    ] {
        assert_eq!(status(&node, &[chat, ("Origin", foreign)]).await, 403, "{foreign:?}");
    }
    assert_eq!(status(&node, &[("Host", "chat.example"), ("Origin", "https://chat.example")]).await, 200);
}

#[tokio::test]
async fn forwarded_host_is_used_only_from_a_trusted_proxy() {
    let headers = [("X-Forwarded-Host", "chat.example"), ("Origin", "https://chat.example")];
    let behind = Node::start(&[("TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    assert_eq!(status(&behind, &headers).await, 200);
    assert_eq!(status(&behind, &[headers[0], ("Origin", "https://evil.example")]).await, 403);
    let bare = Node::start(&[("TRUSTED_PROXIES", "10.0.0.0/8")]).await;
    assert_eq!(status(&bare, &headers).await, 403);
}

#[tokio::test]
async fn allowed_origin_may_publish_and_read_the_answer() {
    let node = Node::start(&[FRIEND]).await;
    for origin in ["https://friend.example", "http://localhost:3000"] {
        let headers = [("Sec-Fetch-Site", "cross-site"), ("Origin", origin)];
        let answer = node.send(message(&node, &headers)).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert_eq!(status(&node, &headers[1..]).await, 200, "without fetch metadata too");
        let refused = node.send(message(&node, &headers).json(&json!({ "message": "" }))).await.expect(422);
        assert_eq!(refused.header("access-control-allow-origin"), origin, "it may read why it was refused");
    }
    for origin in [
        "https://evil.example",
        "http://friend.example",
        "https://friend.example:444",
        "https://sub.friend.example",
        "null",
    ] {
        let answer =
            node.send(message(&node, &[("Sec-Fetch-Site", "cross-site"), ("Origin", origin)])).await.expect(403);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn only_allowed_origins_may_read_a_stream() {
    let node = Node::start(&[FRIEND]).await;
    let stream = Stream::open(&node, "/subscribe/lobby", &[("Origin", "https://friend.example")]).await;
    assert_eq!(stream.head.status, 200);
    assert_eq!(stream.head.header("access-control-allow-origin"), "https://friend.example");
    let stream = Stream::open(&node, "/subscribe/lobby", &[("Origin", "https://evil.example")]).await;
    assert_eq!(stream.head.header("access-control-allow-origin"), "");
    let closed = Node::start(&[]).await;
    let stream = Stream::open(&closed, "/subscribe/lobby", &[("Origin", "https://friend.example")]).await;
    assert_eq!(stream.head.header("access-control-allow-origin"), "");
}

/// Sends the preflight that a browser sends before a request that is not simple (Fetch § 4.8).
async fn preflight(node: &Node, path: &str, origin: &str, method: &str) -> Answer {
    let request = node
        .request(Method::OPTIONS, path)
        .header("Origin", origin)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "content-type,idempotency-key,last-event-id,authorization");
    node.send(request).await
}

#[tokio::test]
async fn preflight_grants_allowed_origins_methods_and_headers() {
    let node = Node::start(&[FRIEND]).await;
    for (path, method) in [("/lobby", "POST"), ("/subscribe/lobby", "GET")] {
        let answer = preflight(&node, path, "https://friend.example", method).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "https://friend.example");
        let methods = answer.header("access-control-allow-methods").to_ascii_uppercase();
        assert!(methods.contains(method), "{path}: {methods:?}");
        let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
        for name in ["content-type", "idempotency-key", "last-event-id", "authorization"] {
            assert!(allowed.split(',').any(|header| header.trim() == name), "{path}: {name} is not in {allowed:?}");
        }
    }
}

#[tokio::test]
async fn preflight_grants_other_origins_nothing() {
    let node = Node::start(&[FRIEND]).await;
    for path in ["/lobby", "/subscribe/lobby"] {
        let answer = preflight(&node, path, "https://evil.example", "POST").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
}

/// A page that is refused sees no reason, so the operator has to: in one line for each origin.
#[tokio::test]
async fn first_refused_request_of_each_origin_is_logged() {
    let node = Node::start(&[FRIEND]).await;
    let lines = |origin: &str| node.log().lines().filter(|line| line.contains(origin)).count();
    let own = node.url("");
    for headers in [
        vec![("Origin", own.as_str())],
        vec![("Origin", "https://proxied.example"), ("Sec-Fetch-Site", "same-origin")],
        vec![("Origin", "https://friend.example"), ("Sec-Fetch-Site", "cross-site")],
    ] {
        node.send(message(&node, &headers)).await.expect(200);
    }
    for _ in 0..2 {
        Stream::open(&node, "/subscribe/lobby", &[("Origin", "https://stream.example")]).await;
        preflight(&node, "/lobby", "https://preflight.example", "POST").await;
        let forged = "https://post.example\u{9b}2J\tx";
        node.send(message(&node, &[("Sec-Fetch-Site", "cross-site"), ("Origin", forged)]))
            .await
            .problem(403);
        let request = node.request(Method::GET, "/history/lobby").header("Origin", "null");
        node.send(request.header("Sec-Fetch-Site", "cross-site")).await.expect(200);
    }
    // Lines are written in order: when this one is there, so are those before it.
    preflight(&node, "/lobby", "https://last.example", "POST").await;
    node.logged("https://last.example").await;
    for origin in ["https://stream.example", "https://preflight.example", "https://post.example\u{fffd}2J\u{fffd}x"] {
        assert_eq!(lines(origin), 1, "{origin}");
        assert!(node.logged(origin).await.contains("ALLOWED_ORIGINS"));
    }
    assert_eq!(lines("without a web address"), 1);
    for known in [own.as_str(), "proxied.example", "friend.example"] {
        assert!(!node.log().lines().any(|line| line.contains("refused") && line.contains(known)), "{known}");
    }
}
