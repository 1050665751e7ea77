//! Without keys there is no API.

use super::KEYS;
use crate::support::{Node, send_raw};

/// Every address of the API, each with one that means nothing and has as many segments.
const ADDRESSES: [(&str, &str); 14] = [
    ("POST /socket", "/sw.js"),
    ("GET /socket", "/sw.js"),
    ("OPTIONS /event", "/sw.js"),
    ("POST //event", "//sw.js"),
    ("POST /event", "/sw.js"),
    ("GET /eventsource?socket=x", "/sw.js?socket=x"),
    ("OPTIONS /eventsource", "/sw.js"),
    ("POST /socket/x", "/sw.js/x"),
    ("OPTIONS /socket/x", "/sw.js/x"),
    ("GET /channel/news/users", "/sw.js/news/users"),
    ("GET /channel//users", "/sw.js//users"),
    ("HEAD /status", "/sw.js"),
    ("GET //broker", "//sw.js"),
    ("GET /broker", "/sw.js"),
];

/// Returns the answer to a request: its lines in an order of their own, without the date.
async fn answer(node: &Node, method: &str, target: &str) -> String {
    let headers = "Host: x\r\nOrigin: http://y\r\nContent-Length: 0\r\nConnection: close";
    let answer = send_raw(node, format!("{method} {target} HTTP/1.1\r\n{headers}\r\n\r\n")).await;
    let mut lines: Vec<_> = answer.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[tokio::test]
async fn addresses_without_keys_are_as_before() {
    let node = Node::start(&[]).await;
    let with_keys = Node::start(&[KEYS]).await;
    for (address, like) in ADDRESSES {
        let (method, target) = address.split_once(' ').expect("a method");
        let absent = answer(&node, method, target).await;
        assert_eq!(absent, answer(&node, method, like).await, "{address}");
        assert_ne!(absent, answer(&with_keys, method, target).await, "{address} with keys");
    }
    // The original had no other method there.
    for method in ["GET", "POST", "OPTIONS"] {
        assert_eq!(answer(&with_keys, method, "/status").await, answer(&node, method, "/status").await, "{method}");
    }
}
