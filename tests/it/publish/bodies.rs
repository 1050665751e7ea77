//! The body of a post: content types, size and syntax (contract § 4).

use reqwest::{Body, Method, multipart};
use serde_json::json;

use crate::support::{Answer, Node, send_raw};

const FORM: &str = "application/x-www-form-urlencoded";
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Posts a body with a content type to a room.
async fn send(node: &Node, content_type: &str, body: impl Into<Body>) -> Answer {
    node.send(node.request(Method::POST, "/lobby").header("Content-Type", content_type).body(body))
        .await
}

/// Returns a JSON body of exactly this many bytes, padded with an unknown field.
fn body_of(bytes: usize) -> String {
    let frame = r#"{"message":"hi","filling":""}"#.len();
    format!(r#"{{"message":"hi","filling":"{}"}}"#, "x".repeat(bytes - frame))
}

#[tokio::test]
async fn form_json_and_multipart_bodies_are_accepted() {
    let node = Node::start(&[]).await;
    let form = "sender=J%C3%B6rg+M&message=caf%C3%A9+%26+more&unknown=x";
    let json = r#"{"sender":"Jörg M","message":"café & more","unknown":{"x":[1]}}"#;
    for (content_type, body) in [
        (FORM, form),
        ("application/x-www-form-urlencoded; charset=UTF-8", form),
        ("Application/X-WWW-Form-URLEncoded", form),
        ("application/json", json),
        ("application/json; charset=utf-8", json),
        ("APPLICATION/JSON", json),
    ] {
        let id = send(&node, content_type, body).await.id();
        let expected = json!({ "id": id, "sender": "Jörg M", "message": "café &amp; more" });
        assert_eq!(node.newest("lobby").await, expected, "{content_type}");
    }
    let parts = multipart::Form::new()
        .text("sender", "Jörg M")
        .text("message", "café & more")
        .part("unknown", multipart::Part::bytes(vec![0xFF]).file_name("cat.png"));
    let id = node.send(node.request(Method::POST, "/lobby").multipart(parts)).await.id();
    assert_eq!(node.newest("lobby").await, json!({ "id": id, "sender": "Jörg M", "message": "café &amp; more" }));
}

#[tokio::test]
async fn other_or_missing_content_types_are_415() {
    let node = Node::start(&[]).await;
    for content_type in [
        "text/plain",
        "application/xml",
        "application/jsonp",
        "text/json",
        "multipart/mixed; boundary=x",
        "nonsense",
    ] {
        send(&node, content_type, r#"{"message":"hi"}"#).await.problem(415);
    }
    let untyped = node.request(Method::POST, "/lobby").body(r#"{"message":"hi"}"#);
    node.send(untyped).await.problem(415);
}

#[tokio::test]
async fn body_of_64_kib_is_accepted_and_one_byte_more_is_413() {
    let node = Node::start(&[]).await;
    send(&node, "application/json", body_of(MAX_BODY_BYTES)).await.expect(200);
    send(&node, "application/json", body_of(MAX_BODY_BYTES + 1)).await.problem(413);
    let form = |bytes: usize| format!("message=hi&filling={}", "x".repeat(bytes - "message=hi&filling=".len()));
    send(&node, FORM, form(MAX_BODY_BYTES)).await.expect(200);
    send(&node, FORM, form(MAX_BODY_BYTES + 1)).await.problem(413);
    let multipart = |bytes: usize| {
        let empty = "--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nhi\r\n--x\r\nContent-Disposition: form-data; name=\"filling\"\r\n\r\n\r\n--x--\r\n";
        empty.replace("\r\n\r\n\r\n", &format!("\r\n\r\n{}\r\n", "x".repeat(bytes - empty.len())))
    };
    send(&node, "multipart/form-data; boundary=x", multipart(MAX_BODY_BYTES)).await.expect(200);
    send(&node, "multipart/form-data; boundary=x", multipart(MAX_BODY_BYTES + 1)).await.problem(413);
}

/// Nothing is ever decompressed, so a `Content-Encoding` is enough to be refused.
#[tokio::test]
async fn a_compressed_body_is_415() {
    let node = Node::start(&[]).await;
    let json = || node.request(Method::POST, "/lobby").header("Content-Type", "application/json");
    let send = async |coding| node.send(json().header("Content-Encoding", coding).body(r#"{"message":"hi"}"#)).await;
    for coding in ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"] {
        send(coding).await.problem(415);
    }
    send("identity").await.id();
}

/// A chunked body has no `Content-Length` to check in advance.
#[tokio::test]
async fn chunked_body_is_limited_while_it_arrives() {
    let node = Node::start(&[]).await;
    let chunked = |body: &str| {
        let head = "POST /lobby HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
        format!("{head}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    };
    assert!(send_raw(&node, chunked(&body_of(MAX_BODY_BYTES))).await.starts_with("HTTP/1.1 200 "));
    assert!(send_raw(&node, chunked(&body_of(MAX_BODY_BYTES + 1))).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_malformed_body_is_400() {
    let node = Node::start(&[]).await;
    let truncated = "--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nhi";
    let bad_utf8 = b"--x\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n\xFF\r\n--x--\r\n";
    for (content_type, body) in [
        ("application/json", b"".as_slice()),
        ("application/json", b"{\"message\":\"hi\""),
        ("application/json", b"{\"message\":\"hi\"} and more"),
        ("application/json", b"{\"message\":\"\xFF\"}"),
        ("application/json", br#"{"message":"\ud800"}"#),
        (FORM, b"message=%FF"),
        (FORM, b"message=\xFF"),
        (FORM, b"message=hi&sender=%C3%28"),
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=x", truncated.as_bytes()),
        ("multipart/form-data; boundary=x", bad_utf8),
    ] {
        let answer = send(&node, content_type, body).await;
        assert_eq!(answer.status, 400, "{content_type}: {:?}", String::from_utf8_lossy(body));
        answer.problem(400);
    }
}
