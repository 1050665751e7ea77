//! `HEAD` works wherever `GET` does; other methods are 405 with `Allow` (contract § 4).

use reqwest::Method;

use crate::support::{Node, send_raw};

const GET_ONLY: [&str; 7] =
    ["/", "/subscribe/lobby", "/history/lobby", "/healthz", "/readyz", "/metrics", "/robots.txt"];

#[tokio::test]
async fn other_methods_are_405_with_allow() {
    let node = Node::start(&[]).await;
    for path in GET_ONLY {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            assert_refused(&node, method, path, &["GET", "HEAD"]).await;
        }
    }
    for method in [Method::POST, Method::PUT] {
        assert_refused(&node, method, "/history/lobby/1-1", &["GET", "HEAD", "PATCH", "DELETE"]).await;
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        assert_refused(&node, method, "/lobby", &["GET", "HEAD", "POST"]).await;
    }
}

async fn assert_refused(node: &Node, method: Method, path: &str, allowed: &[&str]) {
    let answer = node.send(node.request(method.clone(), path)).await;
    assert_eq!(answer.status, 405, "{method} {path}");
    let allow = answer.header("allow");
    for method in allowed {
        assert!(
            allow.split(',').any(|name| name.trim() == *method),
            "{path}: {method} is missing in Allow: {allow:?}"
        );
    }
    assert!(!allow.contains(method.as_str()), "{path}: Allow: {allow} but {method} was refused");
    answer.problem(405);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let one = format!("/history/lobby/{id}");
    for path in [
        "/",
        "/lobby",
        "/history/lobby",
        &one,
        "/healthz",
        "/readyz",
        "/metrics",
        "/robots.txt",
        "/-no-room",
        "/lobby/",
    ] {
        let get = node.get(path).await;
        let head = node.send(node.request(Method::HEAD, path)).await;
        assert_eq!((head.status, head.header("content-type")), (get.status, get.header("content-type")), "{path}");
        assert_eq!(head.body, b"", "{path}");
    }
}

/// The response has the headers of the stream, and takes no permit.
#[tokio::test]
async fn head_request_for_a_stream_ends_immediately() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    for _ in 0..3 {
        let answer = send_raw(&node, "HEAD /subscribe/lobby HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.to_ascii_lowercase().contains("\r\ncontent-type: text/event-stream; charset=utf-8\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "a body after the head: {answer}");
    }
    let head = node.send(node.request(Method::HEAD, "/subscribe/lobby?history=x")).await;
    assert_eq!(head.status, 400);
}
