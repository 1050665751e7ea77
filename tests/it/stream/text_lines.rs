//! Streams for people, as curl shows them: `Accept: text/plain` (contract § 5, "Other forms").

use std::process::Stdio;

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::support::{Bus, DEADLINE, LineStream, Node, Redis, halves, key, on_every_bus, within};

const TEXT: &str = "text/plain";

on_every_bus!(
    message_is_a_line_with_time_sender_and_text,
    hostile_text_cannot_begin_a_line_nor_reach_a_terminal,
    lines_resume_after_a_cursor,
    gap_in_lines_is_a_comment,
    lines_of_several_rooms_name_their_room,
);

/// Returns the time of an id, so many minutes east of UTC.
fn clock(id: &str, offset_minutes: u64) -> String {
    let minutes = halves(id).0 / 60_000 + offset_minutes;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

async fn message_is_a_line_with_time_sender_and_text(bus: Bus) {
    let [node, other] = bus.two_nodes(&[]).await;
    let replayed = node.post("lobby", "O'Neil", "a < b & c/d").await;
    let mut utc = LineStream::open(&node, "/subscribe/lobby?history=1", TEXT, &[]).await;
    assert_eq!(utc.head.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(utc.next_text().await, format!("{} O'Neil: a < b & c/d", clock(&replayed, 0)));
    let mut zones = Vec::new();
    for zone in ["Asia/Kolkata", "%2B05:30", "+05:30"] {
        zones.push(LineStream::open(&other, &format!("/subscribe/lobby?history=1&tz={zone}"), TEXT, &[]).await);
    }
    let live = other.post("lobby", "mason", "hi").await;
    assert_eq!(utc.next_text().await, format!("{} mason: hi", clock(&live, 0)));
    for stream in &mut zones {
        assert_eq!(stream.next_text().await, format!("{} O'Neil: a < b & c/d", clock(&replayed, 330)));
        assert_eq!(stream.next_text().await, format!("{} mason: hi", clock(&live, 330)));
    }
}

async fn hostile_text_cannot_begin_a_line_nor_reach_a_terminal(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await;
    let text = "one\n# gap\r\n12:00 admin: two\rthree\u{1b}[2J\u{9b}31m\u{7f}\u{0}\n\n\tend";
    let id = node.post("lobby", "mason", text).await;
    let expected = [
        &format!("{} mason: one", clock(&id, 0)),
        "      # gap",
        "      12:00 admin: two\u{fffd}three\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}",
        "      ",
        "      \tend",
    ];
    for line in expected {
        assert_eq!(stream.next_text().await, line);
    }
}

async fn lines_resume_after_a_cursor(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 5).await;
    let by_header = LineStream::open(&node, "/subscribe/lobby", TEXT, &[("Last-Event-ID", &ids[2])]).await;
    let path = format!("/subscribe/lobby?lastEventId={}", ids[2]);
    let by_query = LineStream::open(&node, &path, TEXT, &[]).await;
    let http_1_0 = LineStream::open_http_1_0(&node, &path, TEXT).await;
    let live = node.post("lobby", "mason", "live").await;
    for mut stream in [by_header, by_query, http_1_0] {
        for (index, id) in ids.iter().enumerate().skip(3) {
            assert_eq!(stream.next_text().await, format!("{} mason: message {}", clock(id, 0), index + 1));
        }
        assert_eq!(stream.next_text().await, format!("{} mason: live", clock(&live, 0)));
    }
}

async fn gap_in_lines_is_a_comment(bus: Bus) {
    let node = bus.node(&[]).await;
    node.fill("lobby", 2).await;
    let hostile = [("Last-Event-ID", "x\u{9b}2J")];
    let mut stream = LineStream::open(&node, "/subscribe/lobby", TEXT, &hostile).await;
    let comment = stream.next_comment().await;
    assert!(comment.starts_with("# gap") && comment.contains("invalid"), "{comment}");
    assert!(!comment.contains(|c: char| c.is_control()), "{comment:?}");
    let live = node.post("lobby", "mason", "hi").await;
    assert_eq!(stream.next_text().await, format!("{} mason: hi", clock(&live, 0)));
}

async fn lines_of_several_rooms_name_their_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let first = node.post("a", "mason", "one").await;
    let mut stream = LineStream::open(&node, "/subscribe/a,b?lastEventId=0-0,0-0", TEXT, &[]).await;
    assert_eq!(stream.next_text().await, format!("{} #a mason: one", clock(&first, 0)));
    let second = node.post("b", "ada", "two").await;
    assert_eq!(stream.next_text().await, format!("{} #b ada: two", clock(&second, 0)));
}

#[tokio::test]
async fn heartbeat_in_lines_is_an_empty_line() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    for mut stream in [
        LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await,
        LineStream::open_http_1_0(&node, "/subscribe/lobby", TEXT).await,
    ] {
        assert_eq!([stream.next().await, stream.next().await], ["", ""]);
    }
}

#[tokio::test]
async fn end_of_lines_is_a_comment_with_reason_and_delay() {
    let mut node = Node::start(&[("MAX_STREAMS", "1"), ("DRAIN_GRACE", "0"), ("DRAIN", "1")]).await;
    let mut open = LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await;
    let refused = LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await.read_to_end().await;
    let delay = |lines: &[String], reason: &str| {
        let comment = lines.last().and_then(|line| line.strip_prefix(&format!("# backoff: {reason}, reconnect in ")));
        comment
            .and_then(|rest| rest.strip_suffix(" ms")?.parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{lines:?}"))
    };
    assert!((5000..=30_000).contains(&delay(&refused, "full")));
    assert_eq!(refused.len(), 1, "{refused:?}");
    node.terminate();
    let drained = open.read_to_end().await;
    assert!((100..=500).contains(&delay(&drained, "draining")));
    node.exit().await;
}

#[tokio::test]
async fn lost_redis_in_lines_is_a_comment() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[]).await;
    let first = node.post("lobby", "mason", "before").await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby?history=1", TEXT, &[]).await;
    assert_eq!(stream.next_text().await, format!("{} mason: before", clock(&first, 0)));
    redis.kill();
    assert!(stream.next_comment().await.contains("lost"));
    let mut late = LineStream::open(&node, "/subscribe/lobby?history=1", TEXT, &[]).await;
    assert!(late.next_comment().await.contains("lost"));
    redis.restart().await;
    assert!(stream.next_comment().await.contains("back"));
    assert_eq!(late.next_text().await, format!("{} mason: before", clock(&first, 0)));
}

/// Entries of a type, and what other programs publish, have no sender.
#[tokio::test]
async fn line_without_a_sender_has_the_name_of_the_event() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await;
    node.post("lobby", "mason", "hi").await;
    assert!(stream.next_text().await.ends_with(" mason: hi"));
    redis.publish("lobby", "backup\ndone\u{1b}").await;
    assert!(stream.next_text().await.ends_with(" [message] backup"));
    assert_eq!(stream.next_text().await, "      done\u{fffd}");
    let _: String = redis.cmd(&["XADD", &key("lobby"), "9000000000000-2", "data", "a<b", "type", "note"]).await;
    let mut again = LineStream::open(&node, "/subscribe/lobby?history=1", TEXT, &[]).await;
    assert_eq!(again.next_text().await, format!("{} [note] a<b", clock("9000000000000-2", 0)));
}

/// An event or a foreign publish that looks like a message is not shown as one.
#[tokio::test]
async fn only_a_message_has_a_sender_and_every_line_break_ends_a_line() {
    const LIKE_A_MESSAGE: &str = r#"{"sender":"mason","message":"hi"}"#;
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby", TEXT, &[]).await;
    redis.publish("lobby", LIKE_A_MESSAGE).await;
    assert!(stream.next_text().await.ends_with(&format!(" [message] {LIKE_A_MESSAGE}")));
    let note = ["XADD", &key("lobby"), "9000000000000-1", "data", LIKE_A_MESSAGE, "type", "note"];
    let _: String = redis.cmd(&note).await;
    let mut again = LineStream::open(&node, "/subscribe/lobby?history=1", TEXT, &[]).await;
    assert!(again.next_text().await.ends_with(&format!(" [note] {LIKE_A_MESSAGE}")));
    redis.publish("lobby", "a\rb\r\nc").await;
    assert!(again.next_text().await.ends_with(" [message] a"));
    assert_eq!((again.next_text().await, again.next_text().await), ("      b".to_owned(), "      c".to_owned()));
}

#[tokio::test]
async fn bad_time_zone_is_400_and_says_the_rule() {
    let node = Node::start(&[]).await;
    for zone in ["Mars/Olympus", "", "europe/berlin", "2", "%2B25:00"] {
        let detail = node.get(&format!("/subscribe/lobby?tz={zone}")).await.problem(400);
        assert!(detail.contains("Europe/Berlin") && detail.contains("+02:00"), "{detail}");
    }
}

/// The head says what no browser may take the lines for, and what they depend on.
#[tokio::test]
async fn type_of_a_stream_follows_the_accept_header() {
    let node = Node::start(&[]).await;
    for (accept, content_type) in [
        ("text/event-stream", "text/event-stream; charset=utf-8"),
        ("*/*", "text/event-stream; charset=utf-8"),
        ("text/plain, text/event-stream", "text/event-stream; charset=utf-8"),
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/event-stream; charset=utf-8",
        ),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain, */*;q=0.5", "text/plain; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
    ] {
        let stream = LineStream::open(&node, "/subscribe/lobby", accept, &[]).await;
        let request = node.request(reqwest::Method::HEAD, "/subscribe/lobby").header("Accept", accept);
        let head = node.send(request).await.expect(200);
        for (name, value) in [("content-type", content_type), ("x-content-type-options", "nosniff"), ("vary", "Accept")]
        {
            assert_eq!((stream.head.header(name), head.header(name)), (value.to_owned(), value.to_owned()), "{accept}");
        }
    }
}

#[tokio::test]
async fn curl_shows_messages_as_lines() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "before").await;
    let mut curl = Command::new("curl")
        .args(["-sN", "-H", "Accept: text/plain"])
        .arg(node.url("/subscribe/lobby?history=5"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("curl");
    let mut lines = BufReader::new(curl.stdout.take().expect("its output")).lines();
    let mut next = async || {
        within(DEADLINE, "a line of curl", lines.next_line())
            .await
            .expect("lines")
            .expect("the stream does not end")
    };
    assert_eq!(next().await, format!("{} mason: before", clock(&id, 0)));
    let id = node.publish("lobby", json!({ "sender": "ada", "message": "after" })).await.id();
    assert_eq!(next().await, format!("{} ada: after", clock(&id, 0)));
}
