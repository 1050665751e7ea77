//! Events of apps are entries of the log: ids, order, replay, gaps, idempotency, merged rooms.

use serde_json::json;

use super::{KEYS, OPEN, SHOP, next_event, open, post_to, resume};
use crate::support::{Bus, Gap, MergedStream, Node, Stream, halves, on_every_bus, on_every_form};

on_every_form!(events_reach_all_readers);
on_every_bus!(events_are_replayed, key_header_is_idempotent, open_events_are_in_merged_rooms,);

/// The fields of events, and what they are in the stream.
const SENT: &[(&[(&str, &str)], &str)] = &[
    (&[("type", "my-event"), ("data", "Raw <b>&\"data")], "event: my-event\ndata: Raw <b>&\"data\n"),
    (&[("name", "post:created"), ("data", "")], "event: post:created\ndata: \n"),
    (
        &[("type", "新着"), ("name", "b"), ("data", "a\nb\r\nc\rd")],
        "event: 新着\ndata: a\ndata: b\ndata: c\ndata: d\n",
    ),
    (&[("type", ""), ("name", "note"), ("data", "{\"a\":1}")], "event: note\ndata: {\"a\":1}\n"),
    (&[("data", "untyped")], "data: untyped\n"),
    (&[("type", "message"), ("data", "{\"message\":\"<img>\"}")], "data: {\"message\":\"<img>\"}\n"),
];

async fn events_reach_all_readers(bus: Bus) {
    let [node, other] = bus.two_nodes(&[KEYS]).await;
    let socket = SHOP.socket(&node, "user:17").await;
    // One socket, read at two nodes at once.
    let mut streams = [open(&node, &socket).await, open(&other, &socket).await];
    for (fields, _) in SENT {
        let fields = [fields, &[("channel", "user:17"), ("id", "constant")][..]].concat();
        SHOP.call(&node, "/event", &fields).await.expect(200);
    }
    // To the socket itself: its own stream gets it, too.
    post_to(&other, &socket, &[("data", "from a page"), ("type", "note")]).await.expect(200);
    for stream in &mut streams {
        let mut last = (0, 0);
        let blocks = SENT.iter().map(|(_, block)| *block);
        for expected in blocks.chain(["event: note\ndata: from a page\n"]) {
            let block = next_event(stream).await;
            let id = block.id.expect("an id");
            assert_eq!(block.raw, format!("id: {id}\n{expected}\n"));
            assert!(last < halves(&id), "{id} after {last:?}");
            last = halves(&id);
        }
    }
}

async fn events_are_replayed(bus: Bus) {
    let node = bus.node(&[KEYS, ("HISTORY", "1")]).await;
    let socket = SHOP.socket(&node, "news").await;
    let mut stream = open(&node, &socket).await;
    let mut ids = Vec::new();
    for number in 0..210 {
        SHOP.send(&node, "news", if number % 2 == 0 { "note" } else { "" }, &number.to_string()).await;
        ids.push(next_event(&mut stream).await.id.expect("an id"));
    }
    // Another socket, another reader: an id is of the channel.
    let socket = SHOP.socket(&node, "news").await;
    let mut stream = resume(&node, &socket, &ids[208]).await;
    assert_eq!(next_event(&mut stream).await.raw, format!("id: {}\ndata: 209\n\n", ids[209]));
    let mut stream = resume(&node, &socket, &ids[0]).await;
    let gap = Gap::next(&mut stream).await;
    assert_eq!((&*gap.asked, &*gap.reason), (&*ids[0], "trimmed"));
    let first = ids.iter().position(|id| Some(id) == gap.resumed.as_ref()).expect("the id of an event");
    for id in &ids[first..] {
        assert_eq!(next_event(&mut stream).await.id.as_ref(), Some(id));
    }
}

async fn key_header_is_idempotent(bus: Bus) {
    let node = bus.node(&[KEYS]).await;
    let socket = SHOP.socket(&node, "news").await;
    let mut stream = open(&node, &socket).await;
    let send = async |kind: &str, data: &str, headers: &[(&str, &str)]| {
        // The field `key` is the app's key, and `id` is nothing.
        let fields = [("channel", "news"), ("type", kind), ("data", data), ("id", "1")];
        SHOP.call_with(&node, "/event", &fields, headers).await
    };
    let key = [("Idempotency-Key", "once")];
    for _ in 0..2 {
        send("note", "a", &key).await.expect(200);
        send("note", "b", &[]).await.expect(200);
    }
    send("note", "other data", &key).await.problem(422);
    send("other", "a", &key).await.problem(422);
    send("note", "a", &[("Idempotency-Key", "a b")]).await.problem(422);
    send("note", "end", &[]).await.expect(200);
    for data in ["a", "b", "b", "end"] {
        assert_eq!(next_event(&mut stream).await.data.as_deref(), Some(data));
    }
    assert_eq!(node.metric("tiny_chat_app_events_total{key=\"shop\"}").await, Some(4.0), "duplicates are none");
}

/// The channels of an app with an empty prefix are rooms like any other, and its events no messages.
async fn open_events_are_in_merged_rooms(bus: Bus) {
    let node = bus.node(&[KEYS]).await;
    let mut merged = MergedStream::live(&node, "lobby,garden").await.stream;
    let socket = OPEN.socket(&node, "lobby").await;
    let mut reader = open(&node, &socket).await;
    OPEN.send(&node, "lobby", "note", "{\"a\":1}").await;
    let block = merged.next_content().await;
    assert_eq!((block.event.as_deref(), block.json()), (Some("note"), json!({ "a": 1, "room": "lobby" })));
    OPEN.send(&node, "lobby", "", "text").await;
    let block = merged.next_content().await;
    assert_eq!((block.event.as_deref(), block.data.as_deref()), (None, Some("text")));
    assert!(block.id.expect("ids").contains(','));
    let id = node.post("lobby", "mason", "<hi>").await;
    assert_eq!(merged.next_content().await.json()["room"], "lobby");
    for data in ["{\"a\":1}", "text", "{\"sender\":\"mason\",\"message\":\"&lt;hi&gt;\"}"] {
        assert_eq!(next_event(&mut reader).await.data.as_deref(), Some(data));
    }
    let listed: Vec<_> = node.stored("lobby").await.iter().map(|message| message["id"].clone()).collect();
    assert_eq!(listed, [json!(id)], "events are no messages");
    newest_three_begin_with(&node, "note").await;
}

/// `history` counts entries of every type.
async fn newest_three_begin_with(node: &Node, kind: &str) {
    let mut newest = Stream::open(node, "/subscribe/lobby?history=3", &[]).await;
    newest.first().await;
    assert_eq!(newest.next_content().await.event.as_deref(), Some(kind));
}
