//! Merged rooms in Redis outages, and while subscribers connect and resume at random: every message arrives exactly
//! once (contract § 7).

use std::sync::Arc;

use tokio::sync::watch;

use super::{fill_rooms, post_until_accepted};
use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Proxy, Redis, RoomGap, count_ids, halves, ids_after, on_every_bus,
};

on_every_bus!(random_merged_streams_under_load_lose_nothing);

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// Returns the ids of all messages before the next status, which must be live.
async fn read_until_live(subscriber: &mut MergedStream) -> IdsByRoom {
    let mut ids = IdsByRoom::new();
    loop {
        let block = subscriber.stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            Some("status") => {
                assert_eq!(block.json()["live"], true, "{block:?}");
                return ids;
            }
            _ => {
                let (room, id) = subscriber.accept_message(&block);
                ids.entry(room).or_default().push(id);
            }
        }
    }
}

#[tokio::test]
async fn redis_restart_with_its_logs_loses_nothing() {
    let mut redis = Redis::durable().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut subscribers = [MergedStream::live(&nodes[0], "a,b,c").await, MergedStream::live(&nodes[1], "b,c,a").await];
    for round in 0..2 {
        let (a, b) = (nodes[0].fill("a", 3).await, nodes[1].fill("b", 4).await);
        let all = IdsByRoom::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.next_ids(7).await, all, "round {round}");
        }
        redis.kill();
        for subscriber in &mut subscribers {
            subscriber.stream.expect_status(false).await;
        }
        redis.restart().await;
        for subscriber in &mut subscribers {
            subscriber.stream.expect_status(true).await;
        }
    }
}

#[tokio::test]
async fn redis_restart_without_its_logs_is_a_gap_before_the_status() {
    let mut redis = Redis::start().await;
    let nodes = [Arc::new(Node::on(&redis, &[HEARTBEAT, ("HEAL", "off")]).await)];
    let node = &nodes[0];
    let mut subscriber = MergedStream::live(node, "a,b,c").await;
    let (a, c) = (node.post("a", "mason", "one").await, node.post("c", "mason", "two").await);
    subscriber.next_ids(2).await;
    redis.kill();
    subscriber.stream.expect_status(false).await;
    redis.restart().await;
    let mut gaps = [subscriber.next_gap().await, subscriber.next_gap().await];
    gaps.sort_by(|one, other| one.room.cmp(&other.room));
    assert_eq!(gaps, [RoomGap::new("a", &a, None, "reset"), RoomGap::new("c", &c, None, "reset")]);
    assert_eq!(subscriber.cursors(), "0-0,0-0,0-0");
    subscriber.stream.expect_status(true).await;
    let all = fill_rooms(&nodes, &["a", "b", "c"], 12).await;
    assert_eq!(subscriber.next_ids(12).await, all);
}

/// `"live":true` is sent after everything missed in all rooms. Streams opened meanwhile are served then.
#[tokio::test]
async fn missed_messages_arrive_before_the_live_status() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let url = format!("redis://{}", proxy.address());
    let here = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let there = [Arc::new(Node::on(&redis, &[("HISTORY", "10000")]).await)];
    let mut subscriber = MergedStream::live(&here, "a,b,c").await;
    for missed in [6, 60, 1800] {
        proxy.cut();
        subscriber.stream.expect_status(false).await;
        let cursors = subscriber.cursors();
        let mut returning = MergedStream::open(&here, "c,a", "?lastEventId=0-0,0-0", &[]).await;
        assert_eq!((returning.is_live, returning.cursors().as_str()), (false, "0-0,0-0"));
        let mut fresh = MergedStream::open(&here, "a,d", "", &[]).await;
        assert!(!fresh.is_live && !fresh.has_cursors(), "the last ids are not known yet");
        let all = fill_rooms(&there, &["a", "b", "c"], missed).await;
        proxy.restore();
        assert_eq!(read_until_live(&mut subscriber).await, all);
        assert_eq!(read_until_live(&mut returning).await.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(returning.cursor_of("a"), subscriber.cursor_of("a"));
        assert_eq!(returning.cursor_of("c"), subscriber.cursor_of("c"));
        assert_eq!(fresh.stream.late_cursor().await, format!("{},0-0", subscriber.cursor_of("a")));
        fresh.stream.expect_status(true).await;
        let mut resumed = MergedStream::resume(&there[0], "a,b,c", &cursors).await;
        assert_eq!(resumed.next_ids(missed).await, all);
    }
}

/// More was missed than the frame buffer of a room and any socket buffer hold, which must not count as a slow
/// subscriber.
#[tokio::test]
async fn merged_streams_behind_after_an_outage_are_not_ended() {
    const MISSED: usize = 500;
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let url = format!("redis://{}", proxy.address());
    let here = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let there = Node::on(&redis, &[("HISTORY", "10000")]).await;
    let mut subscribers = [MergedStream::live(&here, "a,b").await, MergedStream::live(&here, "a,b").await];
    proxy.cut();
    for subscriber in &mut subscribers {
        subscriber.stream.expect_status(false).await;
    }
    let text = "'".repeat(4000); // 24 kB when escaped, so a few messages exceed the frame buffer
    let mut all = IdsByRoom::new();
    for number in 0..MISSED {
        let room = ["a", "a", "a", "b"][number % 4];
        all.entry(room.to_owned()).or_default().push(post_until_accepted(&there, room, &text).await);
    }
    proxy.restore();
    for subscriber in &mut subscribers {
        assert_eq!(read_until_live(subscriber).await, all);
    }
    let live = there.post("b", "mason", "live").await;
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next().await, ("b".into(), live.clone()));
    }
}

const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
const MESSAGES_PER_ROOM: u64 = 100;
const SUBSCRIBERS: usize = 40;

/// Returns two to four rooms in random order.
fn random_rooms() -> String {
    let mut rooms = ROOMS;
    rooms.sort_by_key(|_| rand::random::<u32>());
    rooms[..rand::random_range(2..=4)].join(",")
}

/// Publishes to all rooms concurrently, through both nodes. `written` counts acknowledged messages.
async fn write(nodes: &[Arc<Node>; 2], written: &watch::Sender<u64>) -> IdsByRoom {
    let half = async |room: &str, node: &Node| {
        let mut ids = Vec::new();
        for _ in 0..MESSAGES_PER_ROOM / 2 {
            ids.push(post_until_accepted(node, room, "hi").await);
            written.send_modify(|count| *count += 1);
        }
        ids
    };
    let whole = async |room: &str| {
        let (one, other) = tokio::join!(half(room, &nodes[0]), half(room, &nodes[1]));
        let mut ids = [one, other].concat();
        ids.sort_by_key(|id| halves(id).1);
        (room.to_owned(), ids)
    };
    let (a, b, c, d) = tokio::join!(whole(ROOMS[0]), whole(ROOMS[1]), whole(ROOMS[2]), whole(ROOMS[3]));
    IdsByRoom::from([a, b, c, d])
}

/// Returns how many messages follow these cursors.
fn count_missing(cursors: &str) -> usize {
    cursors.split(',').map(|id| (MESSAGES_PER_ROOM - halves(id).1) as usize).sum()
}

/// Subscribes at a random moment with a random cursor, and resumes at random until it has received everything. Returns
/// its rooms, its first cursors and the ids.
async fn subscribe_at_random(
    nodes: [Arc<Node>; 2],
    rooms: String,
    mut progress: watch::Receiver<u64>,
) -> (String, String, IdsByRoom) {
    let moment = rand::random_range(0..MESSAGES_PER_ROOM * 3);
    progress.wait_for(|written| *written >= moment).await.expect("the writer does not panic");
    let zero = vec!["0-0"; rooms.split(',').count()].join(",");
    let query = ["", "?history=10", &format!("?lastEventId={zero}")][rand::random_range(0..3)].to_owned();
    let mut subscriber = MergedStream::open(&nodes[rand::random_range(0..2)], &rooms, &query, &[])
        .await
        .until_cursors()
        .await;
    let (begin, mut seen) = (subscriber.cursors(), IdsByRoom::new());
    while count_missing(&subscriber.cursors()) > 0 {
        for _ in 0..rand::random_range(1..=40).min(count_missing(&subscriber.cursors())) {
            let (room, id) = subscriber.next().await;
            seen.entry(room).or_default().push(id);
        }
        if rand::random_ratio(2, 3) {
            subscriber = MergedStream::resume(&nodes[rand::random_range(0..2)], &rooms, &subscriber.cursors()).await;
        }
    }
    (rooms, begin, seen)
}

async fn random_merged_streams_under_load_lose_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let tasks =
        (0..SUBSCRIBERS).map(|_| tokio::spawn(subscribe_at_random(nodes.clone(), random_rooms(), progress.clone())));
    let tasks: Vec<_> = tasks.collect();
    let all = write(&nodes, &written).await;
    for task in tasks {
        let (rooms, begin, seen) = task.await.expect("the subscriber does not panic");
        assert_eq!(seen, ids_after(&all, &rooms, &begin), "{rooms} after {begin}");
        assert_eq!(count_ids(&seen), count_missing(&begin));
    }
}
