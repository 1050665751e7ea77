//! Requests that a parser refuses, or should not: each is answered once, and by the rules of errors (contract § 4).

use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Answer, Node, Stream, get_raw, send_raw};

/// Sends a request on a connection of its own and reads the answer.
async fn answer_to(node: &Node, request: impl AsRef<[u8]>) -> Answer {
    let mut socket = TcpStream::connect(node.address()).await.expect("the node accepts");
    socket.write_all(request.as_ref()).await.expect("the node reads");
    Answer::read_from(&mut socket).await
}

#[tokio::test]
async fn malformed_requests_get_one_problem() {
    let node = Node::start(&[]).await;
    let (long, cookies) = ("x".repeat(70_000), "Cookie: x\r\n".repeat(9000));
    let post =
        "POST /lobby HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("no request\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(), 400),
        (format!("{post}1\r\n{{no chunk\r\n"), 400),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "é".repeat(20_000)), 414),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{cookies}\r\n"), 431),
    ] {
        answer_to(&node, &request).await.problem(status);
        assert_eq!(send_raw(&node, &request).await.matches("HTTP/1.1 ").count(), 1, "{:.60}", request);
    }
}

#[tokio::test]
async fn utf8_in_an_address_needs_no_escapes() {
    let node = Node::start(&[]).await;
    assert!(get_raw(&node, "/café").await.starts_with("HTTP/1.1 200 "));
    let mut stream = Stream::live(&node, "caf%C3%A9").await;
    let request = "POST /café HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n";
    let id = answer_to(&node, format!("{request}{{\"message\":\"hi\"}}")).await.id();
    assert_eq!(stream.next_message().await.id, id);
    let history = answer_to(&node, "GET /history/café?x=ü HTTP/1.1\r\nHost: x\r\n\r\n").await.expect(200).json();
    assert_eq!(history["last"], id);
    answer_to(&node, b"GET /caf\xff HTTP/1.1\r\nHost: x\r\n\r\n").await.problem(404);
}

/// As servers may do (RFC 9110 § 7.8).
#[tokio::test]
async fn wishes_to_upgrade_are_ignored() {
    let node = Node::start(&[]).await;
    for upgrade in ["websocket", "h2c"] {
        let head = format!("Host: x\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n");
        let post =
            format!("POST /lobby HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: 16\r\n\r\n");
        answer_to(&node, format!("{post}{{\"message\":\"hi\"}}")).await.id();
        let health = answer_to(&node, format!("GET /healthz HTTP/1.1\r\n{head}\r\n")).await.expect(200);
        assert_eq!((health.text(), health.header("connection")), ("ok\n", String::new()));
    }
}

#[tokio::test]
async fn a_byte_order_mark_is_skipped() {
    let node = Node::start(&[]).await;
    let message = json!({ "message": "hi" }).to_string();
    for (format, body) in [("application/json", message.as_str()), ("application/x-www-form-urlencoded", "message=hi")]
    {
        let request = node.request(reqwest::Method::POST, "/lobby").header("Content-Type", format);
        node.send(request.body(format!("\u{feff}{body}"))).await.id();
    }
}

#[tokio::test]
async fn the_head_of_a_stream_has_no_length() {
    let node = Node::start(&[]).await;
    let answer = send_raw(&node, "HEAD /subscribe/lobby HTTP/1.1\r\nHost: x\r\n\r\n").await.to_lowercase();
    assert!(
        answer.starts_with("http/1.1 200 ok\r\n")
            && answer.contains("content-type: text/event-stream; charset=utf-8\r\n")
    );
    assert!(!answer.contains("content-length") && !answer.contains("transfer-encoding"), "{answer}");
}
