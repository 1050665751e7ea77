//! `GET /rooms/{id}/events` and the tutorial's streams: the streams of every room in other forms.

use std::time::Instant;

use serde_json::json;

use super::{JSON, chat, chats, send};
use crate::deploy::nginx_config;
use crate::support::{
    Bus, DEADLINE, Gap, Node, Redis, Stream, WebServer, assert_backoff, halves, key, on_every_bus, within,
};

on_every_bus!(messages_are_streamed_as_chats, chats_are_resumed_like_messages, my_events_is_the_first_room);

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

const EVENTS: &str = "/rooms/lobby/events";

/// Opens a stream and waits until it is live.
async fn live(node: &Node, path: &str, headers: &[(&str, &str)]) -> Stream {
    let mut stream = Stream::open(node, path, headers).await;
    assert_eq!(stream.head.status, 200);
    if !stream.first().await.is_live() {
        stream.expect_status(true).await;
    }
    stream
}

/// Returns the next block of a chat, which must be complete, and its message.
async fn next_chat(stream: &mut Stream) -> (String, String) {
    let block = stream.next_content().await;
    assert_eq!(block.event.as_deref(), Some("chat"), "{block:?}");
    (block.id.clone().expect("an id"), block.json()["message"].as_str().expect("a message").to_owned())
}

async fn messages_are_streamed_as_chats(bus: Bus) {
    let [node, other] = bus.two_nodes(&[]).await;
    let (mut events, mut messages) = (live(&other, EVENTS, &[]).await, Stream::live(&other, "lobby").await);
    assert_eq!(events.head.header("content-type"), messages.head.header("content-type"));
    assert_eq!(events.head.header("x-content-type-options"), "nosniff");
    chat(&node, 12, "<b> & \"hi\"").await;
    let block = events.next_content().await;
    let same = messages.next_message().await;
    assert_eq!((same.sender.as_str(), same.message.as_str()), ("12", "&lt;b&gt; &amp; &quot;hi&quot;"));
    let listed = chats(&node).await.remove(0);
    let created_at = listed["createdAt"].as_str().expect("a time");
    let data = format!(r#"{{"message":"<b> & \"hi\"","userId":12,"createdAt":"{created_at}"}}"#);
    assert_eq!(block.raw, format!("id: {}\nevent: chat\ndata: {data}\n\n", same.id));
    assert_eq!(block.json(), listed);
    let id = node.post("lobby", "O'Neil", "from the page").await;
    let block = events.next_content().await;
    assert_eq!((block.id.as_deref(), block.event.as_deref()), (Some(id.as_str()), Some("chat")));
    assert_eq!((&block.json()["userId"], &block.json()["message"]), (&json!("O'Neil"), &json!("from the page")));
    assert_eq!(messages.next_message().await.id, id);
}

async fn chats_are_resumed_like_messages(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 4).await;
    let expected =
        |from: usize| (from..4).map(|index| (ids[index].clone(), format!("message {}", index + 1))).collect::<Vec<_>>();
    let by_query = format!("{EVENTS}?lastEventId={}", ids[0]);
    let newest = format!("{EVENTS}?history=2");
    let cursor = [("Last-Event-ID", ids[1].as_str())];
    for (path, headers, from) in [(EVENTS, &cursor[..], 2), (&by_query, &[], 1), (&newest, &[], 2)] {
        let mut stream = live(&node, path, headers).await;
        for chat in expected(from) {
            assert_eq!(next_chat(&mut stream).await, chat, "{path}");
        }
    }
    let mut stream = Stream::open(&node, &format!("{EVENTS}?lastEventId=x"), &[]).await;
    stream.first().await;
    let gap = Gap::next(&mut stream).await;
    assert_eq!((gap.asked.as_str(), gap.reason.as_str(), gap.cursor.as_str()), ("x", "invalid", ids[3].as_str()));
    for path in ["?history=0", "?in=garden", "?name=%00"] {
        assert!((400..=422).contains(&node.get(&format!("{EVENTS}{path}")).await.status), "{path}");
    }
}

#[tokio::test]
async fn typed_entries_and_foreign_publishes_are_as_everywhere() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let first = node.post("lobby", "mason", "before").await;
    let (ms, n) = halves(&first);
    let typed = format!("{ms}-{}", n + 1);
    let _: String = redis.cmd(&["XADD", &key("lobby"), &typed, "type", "note", "data", "&lt;"]).await;
    let mut stream = live(&node, EVENTS, &[("Last-Event-ID", "0-0")]).await.with_presence();
    assert_eq!(next_chat(&mut stream).await, (first, "before".to_owned()));
    assert_eq!(stream.next_content().await.raw, format!("id: {typed}\nevent: note\ndata: &lt;\n\n"));
    // One that has nothing to catch up with: a payload that is in no log is not for those that still read it.
    let mut stream = live(&node, EVENTS, &[]).await.with_presence();
    redis.publish("lobby", r#"{"sender":"cron","message":"done"}"#).await;
    let foreign = loop {
        let block = stream.next_content().await;
        if block.event.as_deref() != Some("presence") {
            break block;
        }
    };
    assert_eq!(foreign.raw, "data: {\"sender\":\"cron\",\"message\":\"done\"}\n\n");
}

#[tokio::test]
async fn readers_of_chats_and_of_messages_are_present_together() {
    let node = Node::start(&[]).await;
    let mut events = live(&node, &format!("{EVENTS}?name=ada"), &[]).await.with_presence();
    let _messages = Stream::live(&node, "lobby?name=bob").await;
    loop {
        let block = events.next_content().await;
        if block.event.as_deref() == Some("presence") && block.json()["count"] == 2 {
            break assert_eq!(block.json()["names"], json!(["ada", "bob"]));
        }
    }
}

/// The same bytes, whatever the parameters.
async fn my_events_is_the_first_room(bus: Bus) {
    let node = bus.node(&[("ROOMS", "lobby,garden")]).await;
    let ids = [node.fill("lobby", 2).await, vec![node.post("lobby", "mason", "O'Neil").await]].concat();
    for query in [format!("?lastEventId={}", ids[0]), "?history=2".to_owned(), "?history=2&text=plain".to_owned()] {
        let mut mine = live(&node, &format!("/api/my-events{query}"), &[]).await;
        let mut subscribed = live(&node, &format!("/subscribe/lobby{query}"), &[]).await;
        for _ in 0..2 {
            assert_eq!(mine.next_content().await.raw, subscribed.next_content().await.raw);
        }
    }
    let mut mine = live(&node, "/api/my-events", &[("Last-Event-ID", &ids[2])]).await;
    let id = node.post("lobby", "mason", "<b>").await;
    let message = mine.next_message().await;
    assert_eq!((message.id, message.message.as_str()), (id, "&lt;b&gt;"));
    node.get("/api/my-events?history=x").await.problem(400);
    node.get("/api/my-events?in=garden").await.problem(400);
}

#[tokio::test]
async fn heartbeats_come_at_once_and_regularly_and_nothing_else() {
    let node = Node::start(&[HEARTBEAT]).await;
    let started = Instant::now();
    let mut stream = Stream::open(&node, "/api/heartbeat", &[("Last-Event-ID", "1-1")]).await;
    let first = stream.next().await;
    let retry = first.retry.expect("a retry");
    assert!((1000..=3000).contains(&retry), "{retry}");
    assert_eq!(first.raw, format!("retry:{retry}\nevent: heartbeat\ndata: OK\n\n"));
    node.post("everyone", "mason", "hi").await;
    for _ in 0..3 {
        assert_eq!(stream.next().await.raw, "event: heartbeat\ndata: OK\n\n");
    }
    let elapsed = started.elapsed().as_secs_f64();
    assert!(elapsed > 2.0, "3 heartbeats of a second after {elapsed} s");
    assert_eq!(node.open_streams().await, 1.0);
    assert_eq!(node.get("/presence/everyone").await.json()["count"], 0);
}

#[tokio::test]
async fn limits_of_streams_hold_for_the_rooms_api() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    for path in [EVENTS, "/api/my-events", "/api/heartbeat"] {
        let open = Stream::open(&node, path, &[]).await;
        node.wait_for_open_streams(1).await;
        let blocks = Stream::open(&node, path, &[]).await.read_to_end().await;
        assert_backoff(&blocks, "full", 5_000..=30_000);
        drop(open);
        node.wait_for_open_streams(0).await;
    }
}

#[tokio::test]
async fn streams_of_the_rooms_api_are_drained() {
    let mut node = Node::start(&[("DRAIN_GRACE", "0"), ("DRAIN", "1")]).await;
    let mut streams = Vec::new();
    for path in [EVENTS, "/api/my-events", "/api/heartbeat"] {
        streams.push(Stream::open(&node, path, &[]).await);
        streams.last_mut().expect("a stream").next().await;
    }
    node.terminate();
    for mut stream in streams {
        let blocks = stream.read_to_end().await;
        assert_backoff(&blocks[blocks.len().saturating_sub(1)..], "draining", 100..=500);
    }
    assert!(node.exit().await.success());
}

/// Its timeout for everything but streams is shorter than the time between heartbeats may be.
#[tokio::test]
async fn nginx_example_keeps_the_streams_open_when_they_are_idle() {
    let redis = Redis::start().await;
    let environment = [("HEARTBEAT", "2"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let nodes = [Node::on(&redis, &environment).await, Node::on(&redis, &environment).await];
    let impatient = |config: String| config.replace("proxy_read_timeout 15s", "proxy_read_timeout 1s");
    let nginx = WebServer::start_nginx(|port| impatient(nginx_config([&nodes[0], &nodes[1]], port))).await;
    let read_heartbeats = async |path: &str, accept: &str, count: usize| {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(nginx.url(path)).header("Accept", accept);
        let mut response = request.send().await.expect("an answer");
        let mut text = String::new();
        while text.matches("event: heartbeat").count() < count {
            let chunk = within(DEADLINE, path, response.chunk()).await.expect("the stream is not broken");
            text.push_str(std::str::from_utf8(&chunk.expect("the stream does not end")).expect("whole frames"));
        }
    };
    tokio::join!(
        read_heartbeats(EVENTS, "*/*", 1),
        read_heartbeats("/api/my-events", "*/*", 1),
        read_heartbeats("/api/heartbeat", "*/*", 2),
        read_heartbeats("/lobby", "text/event-stream", 1),
    );
}

#[tokio::test]
async fn chats_posted_while_a_node_is_gone_are_not_missed() {
    let redis = Redis::start().await;
    let (mut node, other) = (Node::on(&redis, &[]).await, Node::on(&redis, &[]).await);
    let mut stream = live(&node, EVENTS, &[]).await;
    chat(&other, 1, "one").await;
    let (last, message) = next_chat(&mut stream).await;
    assert_eq!(message, "one");
    node.kill();
    for text in ["two", "three"] {
        let body = json!({ "message": text, "userId": 1 }).to_string();
        send(&other, JSON, &body).await.expect(200);
    }
    let mut stream = live(&other, EVENTS, &[("Last-Event-ID", &last)]).await;
    assert_eq!([next_chat(&mut stream).await.1, next_chat(&mut stream).await.1], ["two", "three"]);
}
