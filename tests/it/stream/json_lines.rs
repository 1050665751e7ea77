//! Streams for scripts, one object a line: `Accept: application/x-ndjson` (contract § 5, "Other forms").

use serde_json::{Value, json};

use crate::support::{Bus, LineStream, Node, Redis, json as parse, on_every_bus};

const NDJSON: &str = "application/x-ndjson";

on_every_bus!(
    message_is_an_object_with_id_event_and_data,
    json_lines_resume_after_a_cursor,
    gap_in_json_lines_has_the_cursor,
    json_lines_of_several_rooms_name_their_room,
);

/// Returns the data of an object, which is a text.
fn data(object: &Value) -> Value {
    parse(object["data"].as_str().expect("a text"))
}

async fn message_is_an_object_with_id_event_and_data(bus: Bus) {
    let node = bus.node(&[("NODE", "chat-2")]).await;
    let old = node.post("lobby", "O'Neil", "a\n\u{9b}b").await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby?history=1", NDJSON, &[]).await;
    let opening = parse(&stream.next().await);
    assert_eq!((&opening["id"], &opening["event"]), (&json!("0-0"), &json!("status")));
    assert_eq!(data(&opening), json!({ "live": true, "node": "chat-2", "heartbeat": 15 }));
    assert!((1000..=3000).contains(&opening["retry"].as_u64().expect("a delay")), "{opening}");
    let mut plain = LineStream::open(&node, "/subscribe/lobby?history=1&text=plain", NDJSON, &[]).await;
    let expected = json!({
        "id": old, "event": "message", "data": "{\"sender\":\"O&#x27;Neil\",\"message\":\"a\\n\u{9b}b\"}"
    });
    assert_eq!(stream.next_event("message").await, expected);
    assert_eq!(data(&plain.next_event("message").await), json!({ "sender": "O'Neil", "message": "a\n\u{9b}b" }));
    let live = node.post("lobby", "mason", "</b>").await;
    let object = stream.next_event("message").await;
    assert_eq!((&object["id"], data(&object)["message"].as_str()), (&json!(live), Some("&lt;&#x2F;b&gt;")));
    assert_eq!(data(&plain.next_event("message").await)["message"], "</b>");
}

async fn json_lines_resume_after_a_cursor(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut ids = node.fill("lobby", 5).await;
    let path = format!("/subscribe/lobby?lastEventId={}", ids[2]);
    let mut streams = [
        LineStream::open(&node, "/subscribe/lobby", NDJSON, &[("Last-Event-ID", &ids[2])]).await,
        LineStream::open(&node, &path, NDJSON, &[]).await,
        LineStream::open_http_1_0(&node, &path, NDJSON).await,
    ];
    ids.push(node.post("lobby", "mason", "live").await);
    for stream in &mut streams {
        assert_eq!(parse(&stream.next().await)["id"], ids[2]);
        for id in &ids[3..] {
            assert_eq!(stream.next_event("message").await["id"], *id);
        }
    }
}

async fn gap_in_json_lines_has_the_cursor(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 2).await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby", NDJSON, &[("Last-Event-ID", "x")]).await;
    assert_eq!(parse(&stream.next().await)["id"], Value::Null, "the cursor is not known before the gap");
    let gap = stream.next_event("gap").await;
    assert_eq!(gap["id"], ids[1]);
    assert_eq!(data(&gap), json!({ "asked": "x", "resumed": null, "reason": "invalid" }));
}

async fn json_lines_of_several_rooms_name_their_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let first = node.post("a", "O'Neil", "one").await;
    let mut streams = Vec::new();
    for text in ["", "&text=plain"] {
        let path = format!("/subscribe/a,b?lastEventId=0-0,0-0{text}");
        streams.push(LineStream::open(&node, &path, NDJSON, &[]).await);
    }
    let second = node.post("b", "O'Neil", "two").await;
    for (stream, sender) in streams.iter_mut().zip(["O&#x27;Neil", "O'Neil"]) {
        for (id, message, room) in [(format!("{first},0-0"), "one", "a"), (format!("{first},{second}"), "two", "b")] {
            let object = stream.next_event("message").await;
            assert_eq!(object["id"], id);
            assert_eq!(data(&object), json!({ "sender": sender, "message": message, "room": room }));
        }
    }
}

#[tokio::test]
async fn events_of_the_node_are_objects_without_an_id() {
    let mut node = Node::start(&[("HEARTBEAT", "1"), ("DRAIN_GRACE", "0"), ("DRAIN", "1")]).await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby?name=O'Neil", NDJSON, &[]).await;
    let presence = stream.next_event("presence").await;
    assert_eq!((&presence["id"], data(&presence)), (&Value::Null, json!({ "count": 1, "names": ["O&#x27;Neil"] })));
    assert_eq!(stream.next_event("heartbeat").await, json!({ "id": null, "event": "heartbeat", "data": "OK" }));
    node.terminate();
    let lines = stream.read_to_end().await;
    let end = parse(lines.last().expect("a line"));
    assert_eq!((&end["id"], &end["event"]), (&Value::Null, &json!("backoff")));
    assert_eq!(data(&end), json!({ "reason": "draining", "retry": end["retry"] }));
    node.exit().await;
}

#[tokio::test]
async fn refused_stream_of_json_lines_keeps_its_cursor() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let _open = LineStream::open(&node, "/subscribe/lobby", NDJSON, &[]).await;
    let mut refused = LineStream::open(&node, "/subscribe/lobby", NDJSON, &[("Last-Event-ID", &id)]).await;
    let lines = refused.read_to_end().await;
    let [end] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&parse(end)["id"], &parse(end)["event"]), (&json!(id), &json!("backoff")));
}

#[tokio::test]
async fn lost_redis_in_json_lines_is_a_status() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[]).await;
    let id = node.post("lobby", "mason", "before").await;
    let mut stream = LineStream::open(&node, "/subscribe/lobby", NDJSON, &[]).await;
    assert_eq!(data(&stream.next_event("status").await)["live"], true);
    redis.kill();
    assert_eq!(data(&stream.next_event("status").await)["live"], false);
    let mut late = LineStream::open(&node, "/subscribe/lobby?history=1", NDJSON, &[]).await;
    assert_eq!(data(&late.next_event("status").await)["live"], false);
    redis.restart().await;
    assert_eq!(data(&stream.next_event("status").await)["live"], true);
    assert_eq!(late.next_event("message").await["id"], id);
}
