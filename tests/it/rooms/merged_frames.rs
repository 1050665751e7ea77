//! The frames of merged rooms, byte for byte: data ends with the room, and an id is the cursors of all rooms
//! (contract § 5).

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use crate::support::{
    Bus, MergedStream, Node, Redis, Stream, assert_backoff, eventually, halves, key, on_every_bus, room_of,
};

on_every_bus!(
    message_ends_with_its_room_and_its_id_has_all_cursors,
    single_room_frames_are_unaffected_by_merged_streams,
);

async fn message_ends_with_its_room_and_its_id_has_all_cursors(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut stream = Stream::open(&node, "/subscribe/a,b,c", &[]).await;
    let first = stream.first().await;
    let retry = first.retry.expect("a retry");
    let opening = format!("retry:{retry}\nid: 0-0,0-0,0-0\nevent: status\ndata: {{\"live\":true,");
    assert!(first.raw.starts_with(&opening) && !first.raw.contains("room"), "{first:?}");
    let b = node.post("b", "mason", "hi").await;
    let frame_b = format!("id: 0-0,{b},0-0\ndata: {{\"sender\":\"mason\",\"message\":\"hi\",\"room\":\"b\"}}\n\n");
    assert_eq!(stream.next().await.raw, frame_b);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    eventually("a later time", async || (now() > halves(&b).0.into()).then_some(())).await;
    let a = node.publish("a", json!({ "sender": "}", "message": "{}", "key": "k-1" })).await.id();
    let frame_a =
        format!("id: {a},{b},0-0\ndata: {{\"sender\":\"}}\",\"message\":\"{{}}\",\"key\":\"k-1\",\"room\":\"a\"}}\n\n");
    assert_eq!(stream.next().await.raw, frame_a);
    let mut returning = Stream::open(&node, "/subscribe/a,b,c?lastEventId=0-0,0-0,0-0", &[]).await;
    returning.first().await;
    let replayed = [returning.next().await.raw, returning.next().await.raw];
    assert_eq!(replayed, [frame_b, frame_a], "replayed as they were sent live");
}

async fn single_room_frames_are_unaffected_by_merged_streams(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut merged = MergedStream::live(&node, "a,b").await;
    let mut one = Stream::live(&node, "a").await.with_presence();
    let presence = one.next().await;
    assert_eq!(presence.raw, "event: presence\ndata: {\"count\":2,\"names\":[]}\n\n");
    let id = node.post("a", "mason", "hi").await;
    merged.next().await;
    let frame = format!("id: {id}\ndata: {{\"sender\":\"mason\",\"message\":\"hi\"}}\n\n");
    assert_eq!(one.next().await.raw, frame);
    let mut resumed = Stream::resume(&node, "a", "0-0").await;
    assert_eq!(resumed.next().await.raw, frame);
    let mut gapped = Stream::open(&node, "/subscribe/a?lastEventId=x", &[]).await;
    gapped.first().await;
    let gap = "event: gap\ndata: {\"asked\":\"x\",\"resumed\":null,\"reason\":\"invalid\"}\n\n";
    assert_eq!(gapped.next_content().await.raw, format!("id: {id}\n{gap}"));
}

/// Escaped commas and other spellings of a name in the URL are the same rooms.
#[tokio::test]
async fn room_member_is_the_normalised_name_not_the_url_spelling() {
    let node = Node::start(&[]).await;
    let mut composed = Stream::live(&node, "caf%C3%A9,b").await;
    let mut decomposed = Stream::live(&node, "cafe%CC%81%2Cb").await;
    node.post("caf%C3%A9", "mason", "hi").await;
    for stream in [&mut composed, &mut decomposed] {
        assert_eq!(room_of(&stream.next().await), "café");
    }
}

#[tokio::test]
async fn status_heartbeat_and_backoff_have_no_room() {
    let node = Node::start(&[("HEARTBEAT", "1"), ("NODE", "chat-9"), ("DRAIN", "1"), ("MAX_STREAMS", "1")]).await;
    let mut stream = Stream::open(&node, "/subscribe/a,b", &[]).await;
    let status = stream.first().await;
    assert_eq!(status.data.as_deref(), Some("{\"live\":true,\"node\":\"chat-9\",\"heartbeat\":1}"));
    assert_eq!(stream.next().await.raw, "event: heartbeat\ndata: OK\n\n");
    let mut full = Stream::open(&node, "/subscribe/a,b", &[]).await;
    assert_backoff(&full.read_to_end().await, "full", 5000..=30_000);
    node.terminate();
    let mut last_blocks = stream.read_to_end().await;
    last_blocks.retain(|block| block.event.as_deref() != Some("heartbeat"));
    assert!(last_blocks.iter().all(|block| block.id.is_none() && !block.raw.contains("room")), "{last_blocks:?}");
    assert_backoff(&last_blocks, "draining", 100..=500);
}

#[tokio::test]
async fn entry_of_another_type_gets_its_room_if_it_is_an_object() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut live = MergedStream::live(&node, "a,b").await;
    let mut frames = Vec::new();
    for (n, data, lines) in [
        (1, "{\"version\":2}", "data: {\"version\":2,\"room\":\"b\"}\n"),
        (2, "{}", "data: {\"room\":\"b\"}\n"),
        (3, "[1]", "data: [1]\n"),
        (4, "{no json}", "data: {no json}\n"),
        (5, "{\n\"room\":\"x\" } ", "data: {\ndata: \"room\":\"x\" ,\"room\":\"b\"} \n"),
        (6, "", "data: \n"),
    ] {
        let id = format!("1700000000000-{n}");
        let _: String = redis.cmd(&["XADD", &key("b"), &id, "type", "deploy", "data", data]).await;
        redis.publish("b", format!("\x1e{id} deploy {data}")).await;
        frames.push(format!("id: 0-0,{id}\nevent: deploy\n{lines}\n"));
        assert_eq!(live.stream.next().await.raw, frames[n - 1]);
    }
    let mut resumed = MergedStream::resume(&node, "a,b", "0-0,0-0").await;
    for frame in frames {
        assert_eq!(resumed.stream.next().await.raw, frame, "replayed as it was sent live");
    }
}

#[tokio::test]
async fn foreign_publish_gets_its_room_only_if_it_is_an_object() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut stream = MergedStream::live(&node, "a,b").await.stream;
    for (payload, frame) in [
        (
            r#"{"sender":"cron","message":"done"}"#,
            "data: {\"sender\":\"cron\",\"message\":\"done\",\"room\":\"b\"}\n\n",
        ),
        ("plain text", "data: plain text\n\n"),
        ("[{}]", "data: [{}]\n\n"),
        ("\"{}\"", "data: \"{}\"\n\n"),
        ("{} {}", "data: {} {}\n\n"),
        ("{\"a\":1", "data: {\"a\":1\n\n"),
        ("{\r\n\"a\": \"}\"\r\n}\r\n", "data: {\ndata: \"a\": \"}\"\ndata: ,\"room\":\"b\"}\ndata: \n\n"),
        ("id: 9-9\n\nevent: gap", "data: id: 9-9\ndata: \ndata: event: gap\n\n"),
    ] {
        redis.publish("b", payload).await;
        assert_eq!(stream.next().await.raw, frame, "{payload:?}");
    }
    redis.publish("b", r#"{"room":"a","message":"not from there"}"#).await;
    let overruled = stream.next().await;
    assert_eq!((overruled.id.as_ref(), room_of(&overruled).as_str()), (None, "b"), "{overruled:?}");
    let a = node.post("a", "mason", "hi").await;
    assert_eq!(stream.next().await.id, Some(format!("{a},0-0")), "a foreign publish moves no cursor");
    let b = node.post("b", "mason", "hi").await;
    let mut resumed = MergedStream::resume(&node, "b,a", "0-0,0-0").await;
    let (rooms, _) = (resumed.next_ids(2).await, node.post("b", "mason", "next").await);
    assert_eq!(rooms, BTreeMap::from([("a".to_owned(), vec![a]), ("b".to_owned(), vec![b])]), "and is not replayed");
    resumed.next().await;
}
