//! Hostile input: text stays text in frames, pages and JSON, and malformed requests harm nothing else.

use html_escape::decode_html_entities;
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Bus, Node, Redis, Stream, key, on_every_bus, send_raw};

on_every_bus!(no_message_can_forge_a_frame, no_requested_cursor_can_forge_a_frame);

/// Texts that would end a line, a frame, a string or a tag if they were not escaped.
const FORGED: &[&str] = &[
    "x\n\nid: 9-9\n\n",
    "x\r\rid: 9-9\r\r",
    "x\r\n\r\nevent: gap\r\ndata: {}\r\n\r\n",
    "\u{feff}id: 9-9",
    "\0",
    "a\0b",
    "\u{2028}\u{2029}\u{85}\u{b}\u{c}x",
    "\"},{\"sender\":\"x",
    "\\\"\\u0022\\",
    "data: x",
    "</script><script>alert(1)</script>",
    "\u{1e}9-9  {}",
    "😀\u{fffd}\u{ffff}\u{10ffff}",
];

async fn no_message_can_forge_a_frame(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    for text in FORGED {
        let id = node.post("lobby", "mason", text).await;
        let frame = subscriber.next().await;
        let lines: Vec<&str> = frame.raw.split('\n').collect();
        assert_eq!(lines.len(), 4, "one id line, one data line, a blank line: {frame:?}");
        assert!(
            lines[0] == format!("id: {id}") && lines[1].starts_with("data: {\"sender\":\"mason\",\"message\":\""),
            "{frame:?}"
        );
        assert_eq!(decode_html_entities(&frame.message().message), *text);
        assert!(!frame.raw.contains(['\0', '<', '>']), "{frame:?}");
    }
    let replayed = node.history("lobby", "").await;
    let texts: Vec<&str> = replayed["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|message| message["message"].as_str())
        .collect();
    assert!(texts.iter().map(|text| decode_html_entities(text)).eq(FORGED.iter().copied()));
}

/// A sender with control characters is refused; any other stays within its JSON string.
#[tokio::test]
async fn no_sender_can_forge_a_frame() {
    let node = Node::start(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    for text in FORGED {
        let answer = node.publish("lobby", json!({ "sender": text, "message": "hi" })).await;
        if text.chars().any(|c| c.is_control() || c == '\u{feff}') {
            answer.problem(422);
        } else {
            answer.expect(200);
            let frame = subscriber.next().await;
            assert_eq!(frame.raw.lines().count(), 3, "{frame:?}");
            assert_eq!(decode_html_entities(&frame.message().sender), *text);
        }
    }
}

#[tokio::test]
async fn no_key_can_forge_a_frame() {
    let node = Node::start(&[]).await;
    for text in FORGED {
        node.publish("lobby", json!({ "message": "hi", "key": text })).await.problem(422);
    }
}

/// A gap repeats the requested cursor, which is the only client input that a stream sends back.
async fn no_requested_cursor_can_forge_a_frame(bus: Bus) {
    let node = bus.node(&[]).await;
    for text in FORGED {
        let requested = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
        let mut stream = Stream::open(&node, &format!("/subscribe/lobby?lastEventId={requested}"), &[]).await;
        let first = stream.first().await;
        assert!(first.id.is_none_or(|id| id == "0-0"), "an invalid id became a cursor");
        let gap = stream.next_content().await;
        assert_eq!(gap.event.as_deref(), Some("gap"));
        let expected: String = text.chars().take(64).collect();
        assert_eq!(gap.json(), json!({ "asked": expected, "resumed": null, "reason": "invalid" }));
        assert_eq!((gap.raw.lines().count(), gap.id.as_deref()), (4, Some("0-0")), "{gap:?}");
    }
}

/// Covers JSON, escaping, the bus, the frame and the parser.
#[test]
fn any_text_arrives_unchanged() {
    let runtime = Runtime::new().expect("a runtime");
    let node = runtime.block_on(Node::start(&[]));
    let subscriber = std::cell::RefCell::new(runtime.block_on(Stream::live(&node, "lobby")));
    let text = proptest::collection::vec(any::<char>(), 1..200).prop_map(String::from_iter);
    let texts = text.prop_filter("white space only is refused", |text| !text.trim().is_empty());
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let holds = |text: String| {
        runtime.block_on(node.post("lobby", "mason", &text));
        let message = runtime.block_on(subscriber.borrow_mut().next_message()).message;
        let plain = |message: &str| !message.contains(['<', '>', '"', '\'', '/']);
        prop_assert!(plain(&message), "not escaped: {message}");
        prop_assert_eq!(decode_html_entities(&message), text);
        Ok::<(), TestCaseError>(())
    };
    TestRunner::new(config).run(&texts, holds).unwrap();
}

/// Any program with access to Redis may write any entry; the stream must stay well-formed and continue.
#[tokio::test]
async fn no_entry_in_redis_can_break_a_stream() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut id = 0;
    for (kind, data) in [
        ("", "x\n\nid: 9-9"),
        ("", "not json"),
        ("a\nid: 9-9", "{}"),
        ("deploy", "a\rb\r\n\r\nc"),
        ("a\0b", "{}"),
        ("", "\u{feff}"),
    ] {
        id += 1;
        let entry = ["XADD", &key("lobby"), &format!("1700000000000-{id}"), "type", kind, "data", data];
        let _: String = redis.cmd(&entry).await;
    }
    let _: String = redis.cmd(&["XADD", &key("lobby"), "1700000000000-7", "nothing", "known"]).await;
    let last = node.post("lobby", "mason", "hi").await;
    let mut subscriber = Stream::resume(&node, "lobby", "0-0").await;
    loop {
        let block = subscriber.next_content().await;
        let known = |id: &str| id == last || id.starts_with("1700000000000-");
        assert!(block.id.as_deref().is_none_or(known), "a forged id: {block:?}");
        if block.id.as_ref() == Some(&last) {
            break;
        }
    }
    node.get("/history/lobby").await.expect(200);
    node.page("/lobby").await.html(200);
}

#[tokio::test]
async fn deeply_nested_json_does_not_crash_the_node() {
    let node = Node::start(&[]).await;
    let deep = format!("{{\"message\":\"hi\",\"x\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    let request = node.request(reqwest::Method::POST, "/lobby").header("Content-Type", "application/json");
    let answer = node.send(request.body(deep)).await;
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    node.get("/healthz").await.expect(200);
}

/// The answer must not reveal internals either.
#[tokio::test]
async fn malformed_http_closes_only_its_own_connection() {
    let node = Node::start(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    for request in [
        "\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET /lobby HTTP/1.1\r\nHost\r\n\r\n",
        "GET \0 HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        let answer = send_raw(&node, format!("{request}GET / HTTP/1.0\r\n\r\n")).await;
        assert!(!answer.contains("panicked") && !answer.contains("src/"), "{answer}");
    }
    let id = node.post("lobby", "mason", "hi").await;
    assert_eq!(subscriber.next_message().await.id, id);
}

/// A JSON value of another type is refused and not converted.
#[tokio::test]
async fn a_field_of_another_type_is_refused() {
    let node = Node::start(&[]).await;
    for value in [json!(5), json!(["hi"]), json!({ "a": "b" }), json!(true)] {
        for field in ["message", "sender", "key"] {
            let mut fields = json!({ "message": "hi" });
            fields[field] = Value::clone(&value);
            let answer = node.publish("lobby", fields).await;
            assert!(matches!(answer.status, 400 | 422), "{field}={value}: {answer:?}");
        }
    }
}
