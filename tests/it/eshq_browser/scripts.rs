//! The library and the frame, as they are served.

use reqwest::Method;

use super::app::KNOWS_APP;
use crate::support::{Answer, Node};

/// The most bytes that the library may have, compressed.
const MAX_LIBRARY_BYTES: usize = 3_000;

async fn get(node: &Node, path: &str, header: (&str, &str)) -> Answer {
    node.send(node.request(Method::GET, path).header(header.0, header.1)).await
}

#[tokio::test]
async fn library_is_small_and_served_to_every_origin() {
    let allowed = ("ALLOWED_ORIGINS", "https://app.example");
    let node = Node::start(&[&KNOWS_APP[..], &[allowed]].concat()).await;
    for path in ["/es.js", "//es.js"] {
        for origin in ["https://app.example", "https://other.example"] {
            let answer = get(&node, path, ("Origin", origin)).await.expect(200);
            assert_eq!(answer.header("content-type"), "text/javascript; charset=utf-8");
            assert_eq!(answer.header("cache-control"), "no-cache");
            assert_eq!(answer.header("cross-origin-resource-policy"), "cross-origin");
            assert_eq!(answer.header("access-control-allow-origin"), "*", "once, and nothing else");
            assert!(answer.text().contains("page.ESHQ=ESHQ;"), "without comments and indentation: {}", answer.text());
        }
    }
    for coding in ["gzip", "br"] {
        let answer = get(&node, "/es.js", ("Accept-Encoding", coding)).await.expect(200);
        assert_eq!(answer.header("content-encoding"), coding);
        assert!(answer.body.len() <= MAX_LIBRARY_BYTES, "{} bytes in {coding}", answer.body.len());
    }
}

#[tokio::test]
async fn scripts_are_not_sent_again_while_they_are_the_same() {
    let node = Node::start(&KNOWS_APP).await;
    for path in ["/es.js", "/iframe.js"] {
        let tag = node.get(path).await.expect(200).header("etag");
        for known in [tag.as_str(), "\"other\", W/\"more\", *", &format!("\"other\", {tag}")] {
            let answer = get(&node, path, ("If-None-Match", known)).await;
            let is_known = known.contains(&tag);
            assert_eq!(answer.status, if is_known { 304 } else { 200 }, "{path} {known}");
            assert_eq!(answer.header("etag"), tag);
            assert_eq!(answer.body.is_empty(), is_known);
        }
        assert_eq!(node.send(node.request(Method::POST, path)).await.expect(405).header("allow"), "GET, HEAD");
    }
}

#[tokio::test]
async fn only_the_frame_may_be_framed() {
    let node = Node::start(&KNOWS_APP).await;
    for path in ["/iframe?channel=chat&socket=none&t=1", "//iframe"] {
        let frame = node.get(path).await.expect(200);
        assert_eq!(
            frame.header("content-security-policy"),
            "default-src 'none'; script-src 'self'; connect-src 'self'; frame-ancestors *"
        );
        assert!(frame.text().contains("<script src=\"/iframe.js\"></script>") && !frame.text().contains("none"));
    }
    for path in ["/", "/lobby", "/no/such/page"] {
        let policy = node.page(path).await.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn without_keys_there_are_no_scripts() {
    let node = Node::start(&[]).await;
    for path in ["/es.js", "/iframe", "/iframe.js"] {
        for method in [Method::GET, Method::POST] {
            node.send(node.request(method, path)).await.expect(404);
        }
    }
}
