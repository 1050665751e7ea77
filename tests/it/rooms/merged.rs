//! Several rooms in one stream: which they may be, and that a reader gets each message of each of them once (issue 3,
//! "Several rooms, one stream"; contract 5).

use reqwest::Method;
use serde_json::json;

use super::{fill_rooms, post_until_accepted};
use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Redis, Stream, count_ids, eventually, halves, ids_after, on_both_buses,
    send_raw,
};

on_both_buses!(
    cursors_follow_the_order_of_the_url,
    history_replays_the_last_messages_of_each_merged_room,
    every_cursor_ever_sent_can_be_resumed,
    long_absence_replays_everything_in_every_room,
    streams_of_the_same_rooms_share_frames,
    stalled_merged_stream_delays_no_other_and_loses_nothing,
);

async fn cursors_follow_the_order_of_the_url(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut readers = [MergedStream::live(&node, "a,b").await, MergedStream::live(&node, "b,a").await];
    let (a, b) = (node.post("a", "mason", "one").await, node.post("b", "mason", "two").await);
    for reader in &mut readers {
        reader.next_ids(2).await;
    }
    assert_eq!(readers[0].cursors(), format!("{a},{b}"));
    assert_eq!(readers[1].cursors(), format!("{b},{a}"));
    for (rooms, vector) in [("a,b", format!("{a},{b}")), ("b,a", format!("{b},{a}"))] {
        assert_eq!(MergedStream::live(&node, rooms).await.cursors(), vector, "the place of a fresh reader");
    }
}

async fn history_replays_the_last_messages_of_each_merged_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 6).await), ("b".to_owned(), node.fill("b", 2).await)]);
    let mut readers = Vec::new();
    for (asked, from_a, from_b) in [(1, 5, 1), (3, 3, 0), (1000, 0, 0)] {
        let mut reader = MergedStream::open(&node, "a,b,c", &format!("?history={asked}"), &[]).await;
        let begin = reader.cursors();
        let numbers: Vec<u64> = begin.split(',').map(|id| halves(id).1).collect();
        assert_eq!(numbers, [from_a, from_b, 0], "{begin} is not the place before what is replayed");
        let expected = ids_after(&all, "a,b,c", &begin);
        assert_eq!(reader.next_ids(count_ids(&expected)).await, expected);
        let mut again = MergedStream::resume(&node, "a,b,c", &begin).await;
        assert_eq!(again.next_ids(count_ids(&expected)).await, expected);
        readers.extend([reader, again]);
    }
    let live = node.post("c", "mason", "live").await;
    for mut reader in readers {
        assert_eq!(reader.next().await, ("c".into(), live.clone()), "then it is live");
    }
    let mut beginning = MergedStream::open(&node, "a,c", "?history=1&lastEventId=0-0,0-0", &[]).await;
    assert_eq!(beginning.cursors(), "0-0,0-0", "an id beats history");
    assert_eq!(beginning.next().await, ("a".into(), all["a"][0].clone()));
}

async fn every_cursor_ever_sent_can_be_resumed(bus: Bus) {
    const MESSAGES: usize = 20;
    let nodes = bus.two_nodes(&[]).await;
    let mut reader = MergedStream::live(&nodes[0], "a,b,c,d").await;
    let all = fill_rooms(&nodes, &["a", "b", "c"], MESSAGES).await;
    let mut places = vec![reader.cursors()];
    for _ in 0..MESSAGES {
        reader.next().await;
        places.push(reader.cursors());
    }
    assert_eq!(ids_after(&all, "a,b,c,d", &reader.cursors()), IdsByRoom::new());
    let mut returned = vec![reader];
    for (cut, place) in places.iter().enumerate() {
        let expected = ids_after(&all, "a,b,c,d", place);
        assert_eq!(count_ids(&expected), MESSAGES - cut);
        for (number, node) in nodes.iter().enumerate() {
            let mut back = match (cut + number) % 3 {
                0 => MergedStream::resume(node, "a,b,c,d", place).await,
                1 => MergedStream::open(node, "a,b,c,d", &format!("?lastEventId={place}"), &[]).await,
                _ => {
                    MergedStream::open(node, "a,b,c,d", &format!("?last_event_id={}", place.replace(',', "%2C")), &[])
                        .await
                }
            };
            assert_eq!(back.cursors(), *place);
            assert_eq!(back.next_ids(MESSAGES - cut).await, expected, "after {place}");
            returned.push(back);
        }
    }
    let live = nodes[0].post("d", "mason", "live").await;
    for mut back in returned {
        assert_eq!(back.next().await, ("d".into(), live.clone()));
    }
}

/// More than a page of any reading, and in one room more than a node keeps of a log it has not seen.
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
            let mut back = MergedStream::resume(node, "a,b,c", &begin).await;
            assert_eq!(back.next_ids(count_ids(&expected)).await, expected);
        }
    }
}

/// "merged once, its frames shared by all live readers of the set": the metric is what all frames on a node take.
async fn streams_of_the_same_rooms_share_frames(bus: Bus) {
    const MESSAGES: usize = 60;
    const READERS: usize = 30;
    let node = bus.node(&[]).await;
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(MergedStream::live(&node, "a,b").await);
    }
    let text = "x".repeat(4000);
    for number in 0..MESSAGES {
        node.post(["a", "b"][number % 2], "mason", &text).await;
    }
    for reader in &mut readers {
        reader.next_ids(MESSAGES).await;
    }
    let once = (MESSAGES * text.len()) as f64;
    let held = eventually("the size of the frames", async || {
        node.metric("tiny_chat_buffered_bytes").await.filter(|bytes| *bytes >= 2.0 * once)
    })
    .await;
    assert!(held < 2.5 * once, "{held} bytes for {READERS} readers of the same {once} bytes");
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
    let places: Vec<String> = seen.into_iter().filter_map(|block| block.id).collect();
    assert!(places.len() < 1200, "4.8 MB were kept for a reader that did not read");
    let place = places.last().unwrap_or(&begin);
    let expected = ids_after(&all, "a,b", place);
    assert_eq!(count_ids(&expected) + places.len(), 1200, "what was sent was sent in order, and once");
    let mut back = MergedStream::resume(&node, "a,b", place).await;
    assert_eq!(back.next_ids(count_ids(&expected)).await, expected);
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
    assert_eq!(again.next_ids(4).await.len(), 4, "a place in 16 rooms is not too long");
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
        assert!(answer.to_ascii_lowercase().contains("\r\ncontent-type: text/event-stream\r\n"), "{answer}");
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
    let gone = async |room: &str| {
        let left = async || (redis.subscriber_count(room).await == 0).then_some(());
        eventually(&format!("the end of the subscription to {room}"), left).await;
    };
    let there = async |rooms: &[&str]| {
        for room in rooms {
            assert_eq!(redis.subscriber_count(room).await, 1, "{room}");
        }
    };
    there(&["a", "b", "c"]).await;
    drop(first);
    gone("a").await;
    there(&["b", "c"]).await;
    let place = second.cursors();
    drop(second);
    gone("b").await;
    there(&["c"]).await;
    let id = node.post("c", "mason", "hi").await;
    assert_eq!(third.next_message().await.id, id);
    let mut back = MergedStream::resume(&node, "b,c", &place).await;
    assert_eq!(back.next().await, ("c".into(), id));
    there(&["b", "c"]).await;
}

#[tokio::test]
async fn message_reaches_merged_streams_on_every_node() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut readers = Vec::new();
    for (node, rooms) in [(0, "a,b"), (1, "a,b"), (1, "b,a,c"), (0, "b,c")] {
        readers.push((rooms, MergedStream::live(&nodes[node], rooms).await));
    }
    let mut all = IdsByRoom::new();
    for number in 0..30 {
        let room = ["a", "b", "c"][number % 3];
        let id = nodes[number % 2].post(room, "mason", "hi").await;
        all.entry(room.to_owned()).or_default().push(id);
    }
    for (rooms, mut reader) in readers {
        let expected = ids_after(&all, rooms, &vec!["0-0"; rooms.split(',').count()].join(","));
        assert_eq!(reader.next_ids(count_ids(&expected)).await, expected, "{rooms}");
    }
}
