//! Streams that merge several rooms: which lists of rooms are valid, and that each message of each room arrives once
//! (contract § 5).

use reqwest::Method;
use serde_json::json;

use super::{fill_rooms, post_until_accepted};
use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Redis, Stream, count_ids, eventually, halves, ids_after, on_every_bus,
    on_every_form, send_raw,
};

on_every_form!(cursors_follow_the_order_of_the_url);
on_every_bus!(
    history_replays_the_last_messages_of_each_merged_room,
    every_cursor_ever_sent_can_be_resumed,
    long_absence_replays_everything_in_every_room,
    streams_of_the_same_rooms_in_any_order_share_frames,
    stalled_merged_stream_delays_no_other_and_loses_nothing,
);

async fn cursors_follow_the_order_of_the_url(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscribers = [MergedStream::live(&node, "a,b").await, MergedStream::live(&node, "b,a").await];
    let (a, b) = (node.post("a", "mason", "one").await, node.post("b", "mason", "two").await);
    for subscriber in &mut subscribers {
        subscriber.next_ids(2).await;
    }
    assert_eq!(subscribers[0].cursors(), format!("{a},{b}"));
    assert_eq!(subscribers[1].cursors(), format!("{b},{a}"));
    for (rooms, cursors) in [("a,b", format!("{a},{b}")), ("b,a", format!("{b},{a}"))] {
        assert_eq!(MergedStream::live(&node, rooms).await.cursors(), cursors, "the cursors of a fresh stream");
    }
}

async fn history_replays_the_last_messages_of_each_merged_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 6).await), ("b".to_owned(), node.fill("b", 2).await)]);
    let mut subscribers = Vec::new();
    for (asked, from_a, from_b) in [(1, 5, 1), (3, 3, 0), (1000, 0, 0)] {
        let mut subscriber = MergedStream::open(&node, "a,b,c", &format!("?history={asked}"), &[]).await;
        let begin = subscriber.cursors();
        let numbers: Vec<u64> = begin.split(',').map(|id| halves(id).1).collect();
        assert_eq!(numbers, [from_a, from_b, 0], "{begin} are not the cursors before what is replayed");
        let expected = ids_after(&all, "a,b,c", &begin);
        assert_eq!(subscriber.next_ids(count_ids(&expected)).await, expected);
        let mut again = MergedStream::resume(&node, "a,b,c", &begin).await;
        assert_eq!(again.next_ids(count_ids(&expected)).await, expected);
        subscribers.extend([subscriber, again]);
    }
    let live = node.post("c", "mason", "live").await;
    for mut subscriber in subscribers {
        assert_eq!(subscriber.next().await, ("c".into(), live.clone()), "then it is live");
    }
    let mut beginning = MergedStream::open(&node, "a,c", "?history=1&lastEventId=0-0,0-0", &[]).await;
    assert_eq!(beginning.cursors(), "0-0,0-0", "a cursor takes precedence over history");
    assert_eq!(beginning.next().await, ("a".into(), all["a"][0].clone()));
}

async fn every_cursor_ever_sent_can_be_resumed(bus: Bus) {
    const MESSAGES: usize = 20;
    let nodes = bus.two_nodes(&[]).await;
    let mut subscriber = MergedStream::live(&nodes[0], "a,b,c,d").await;
    let all = fill_rooms(&nodes, &["a", "b", "c"], MESSAGES).await;
    let mut all_cursors = vec![subscriber.cursors()];
    for _ in 0..MESSAGES {
        subscriber.next().await;
        all_cursors.push(subscriber.cursors());
    }
    assert_eq!(ids_after(&all, "a,b,c,d", &subscriber.cursors()), IdsByRoom::new());
    let mut returned = vec![subscriber];
    for (cut, cursors) in all_cursors.iter().enumerate() {
        let expected = ids_after(&all, "a,b,c,d", cursors);
        assert_eq!(count_ids(&expected), MESSAGES - cut);
        for (number, node) in nodes.iter().enumerate() {
            let mut resumed = match (cut + number) % 3 {
                0 => MergedStream::resume(node, "a,b,c,d", cursors).await,
                1 => MergedStream::open(node, "a,b,c,d", &format!("?lastEventId={cursors}"), &[]).await,
                _ => {
                    MergedStream::open(node, "a,b,c,d", &format!("?last_event_id={}", cursors.replace(',', "%2C")), &[])
                        .await
                }
            };
            assert_eq!(resumed.cursors(), *cursors);
            assert_eq!(resumed.next_ids(MESSAGES - cut).await, expected, "after {cursors}");
            returned.push(resumed);
        }
    }
    let live = nodes[0].post("d", "mason", "live").await;
    for mut resumed in returned {
        assert_eq!(resumed.next().await, ("d".into(), live.clone()));
    }
}

/// More messages than one read of the log returns, and in one room more than its frame buffer holds.
async fn long_absence_replays_everything_in_every_room(bus: Bus) {
    let nodes = bus.two_nodes(&[("HISTORY", "5000")]).await;
    let busy = async |room: &str, each: usize| {
        let node = &nodes[0];
        let (a, b, c) = tokio::join!(node.fill(room, each), node.fill(room, each), node.fill(room, each));
        let mut ids = [a, b, c].concat();
        ids.sort_by_key(|id| halves(id).1);
        (room.to_owned(), ids)
    };
    let (a, b, c) = tokio::join!(busy("a", 500), busy("b", 200), busy("c", 50));
    let all = IdsByRoom::from([a, b, c]);
    for node in &nodes {
        for begin in ["0-0,0-0,0-0".to_owned(), format!("{},0-0,{}", all["a"][900], all["c"][149])] {
            let expected = ids_after(&all, "a,b,c", &begin);
            let mut resumed = MergedStream::resume(node, "a,b,c", &begin).await;
            assert_eq!(resumed.next_ids(count_ids(&expected)).await, expected);
        }
    }
}

/// Rooms are merged once per list of rooms on a node; the metric is the size of all its frame buffers.
async fn streams_of_the_same_rooms_in_any_order_share_frames(bus: Bus) {
    const MESSAGES: usize = 60;
    const SUBSCRIBERS: usize = 30;
    const ORDERS: [&str; 6] = ["a,b,c", "a,c,b", "b,a,c", "b,c,a", "c,a,b", "c,b,a"];
    let node = bus.node(&[]).await;
    let mut subscribers = Vec::new();
    for number in 0..SUBSCRIBERS {
        subscribers.push(MergedStream::live(&node, ORDERS[number % 6]).await);
    }
    let text = "x".repeat(4000);
    for number in 0..MESSAGES {
        node.post(["a", "b", "c"][number % 3], "mason", &text).await;
    }
    let all = subscribers[0].next_ids(MESSAGES).await;
    for subscriber in &mut subscribers[1..] {
        assert_eq!(subscriber.next_ids(MESSAGES).await, all);
    }
    for order in ORDERS {
        let mut resumed = MergedStream::resume(&node, order, "0-0,0-0,0-0").await;
        assert_eq!(resumed.next_ids(MESSAGES).await, all, "{order}");
    }
    // In the rooms, merged, and encoded for the order of which there are no others.
    let once = (MESSAGES * text.len()) as f64;
    let held = eventually("the size of the frames", async || {
        node.metric("tiny_chat_buffered_bytes").await.filter(|bytes| *bytes >= 3.0 * once)
    })
    .await;
    assert!(held < 3.5 * once, "{held} bytes for {SUBSCRIBERS} subscribers of the same {once} bytes");
}

async fn stalled_merged_stream_delays_no_other_and_loses_nothing(bus: Bus) {
    let node = bus.node(&[("HISTORY", "2000")]).await;
    let mut stalled = MergedStream::live(&node, "a,b").await;
    let begin = stalled.cursors();
    let mut quick = MergedStream::live(&node, "a,b").await;
    let text = "x".repeat(4000);
    let mut all = IdsByRoom::new();
    for number in 0..1200 {
        let room = ["a", "b"][number % 2];
        let id = post_until_accepted(&node, room, &text).await;
        assert_eq!(quick.next().await, (room.to_owned(), id.clone()));
        all.entry(room.to_owned()).or_default().push(id);
    }
    let seen = stalled.stream.read_until_cut().await;
    let received: Vec<String> = seen.into_iter().filter_map(|block| block.id).collect();
    assert!(received.len() < 1200, "4.8 MB were kept for a stalled subscriber");
    let cursors = received.last().unwrap_or(&begin);
    let expected = ids_after(&all, "a,b", cursors);
    assert_eq!(count_ids(&expected) + received.len(), 1200, "everything was sent once and in order");
    let mut resumed = MergedStream::resume(&node, "a,b", cursors).await;
    assert_eq!(resumed.next_ids(count_ids(&expected)).await, expected);
}

#[tokio::test]
async fn a_stream_has_1_to_16_different_rooms() {
    let node = Node::start(&[]).await;
    let numbered = |count: usize| (1..=count).map(|n| format!("r{n}")).collect::<Vec<_>>().join(",");
    for rooms in [1, 2, 15, 16] {
        let mut stream = Stream::live(&node, &numbered(rooms)).await;
        node.post(&format!("r{rooms}"), "mason", "hi").await;
        assert_eq!(stream.next().await.id.unwrap().split(',').count(), rooms);
    }
    let mut again = MergedStream::resume(&node, &numbered(16), &["0-0"; 16].join(",")).await;
    assert_eq!(again.next_ids(4).await.len(), 4, "a list of 16 cursors is not too long");
    for twice in ["a,a", "a,b,a", "a%2Ca", "caf%C3%A9,cafe%CC%81", "a,b,%61", &numbered(17)] {
        let detail = node.get(&format!("/subscribe/{twice}")).await.problem(400);
        assert!(detail.contains("16"), "{twice}: {detail} does not name the rule");
    }
    for bad in ["a,", ",a", "a,,b", "a,metrics", "a,-b", "a,b c", "a,%FF", "a;b", "a,Subscribe", ","] {
        node.get(&format!("/subscribe/{}", bad.replace(' ', "%20"))).await.problem(404);
    }
    for one in ["/a,b", "/history/a,b", "/presence/a,b"] {
        node.get(one).await.problem(404);
    }
    node.publish("a,b", json!({ "message": "hi" })).await.problem(404);
}

#[tokio::test]
async fn head_request_for_merged_rooms_ends_immediately() {
    let node = Node::start(&[("MAX_STREAMS", "1")]).await;
    for _ in 0..3 {
        let answer = send_raw(&node, "HEAD /subscribe/a,b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(
            answer.to_ascii_lowercase().contains("\r\ncontent-type: text/event-stream; charset=utf-8\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "a body after the head: {answer}");
    }
    for (path, status) in [("/subscribe/a,a", 400), ("/subscribe/a,-", 404)] {
        assert_eq!(node.send(node.request(Method::HEAD, path)).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn each_merged_room_is_released_with_its_last_subscriber() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[("HEARTBEAT", "1")]).await;
    let first = MergedStream::live(&node, "a,b").await;
    let second = MergedStream::live(&node, "b,c").await;
    let mut third = Stream::live(&node, "c").await;
    let wait_until_released = async |room: &str| {
        let left = async || (redis.subscriber_count(room).await == 0).then_some(());
        eventually(&format!("the end of the subscription to {room}"), left).await;
    };
    let assert_subscribed = async |rooms: &[&str]| {
        for room in rooms {
            assert_eq!(redis.subscriber_count(room).await, 1, "{room}");
        }
    };
    assert_subscribed(&["a", "b", "c"]).await;
    drop(first);
    wait_until_released("a").await;
    assert_subscribed(&["b", "c"]).await;
    let cursors = second.cursors();
    drop(second);
    wait_until_released("b").await;
    assert_subscribed(&["c"]).await;
    let id = node.post("c", "mason", "hi").await;
    assert_eq!(third.next_message().await.id, id);
    let mut resumed = MergedStream::resume(&node, "b,c", &cursors).await;
    assert_eq!(resumed.next().await, ("c".into(), id));
    assert_subscribed(&["b", "c"]).await;
}

#[tokio::test]
async fn message_reaches_merged_streams_on_every_node() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut subscribers = Vec::new();
    for (node, rooms) in [(0, "a,b"), (1, "a,b"), (1, "b,a,c"), (0, "b,c")] {
        subscribers.push((rooms, MergedStream::live(&nodes[node], rooms).await));
    }
    let mut all = IdsByRoom::new();
    for number in 0..30 {
        let room = ["a", "b", "c"][number % 3];
        let id = nodes[number % 2].post(room, "mason", "hi").await;
        all.entry(room.to_owned()).or_default().push(id);
    }
    for (rooms, mut subscriber) in subscribers {
        let expected = ids_after(&all, rooms, &vec!["0-0"; rooms.split(',').count()].join(","));
        assert_eq!(subscriber.next_ids(count_ids(&expected)).await, expected, "{rooms}");
    }
}
