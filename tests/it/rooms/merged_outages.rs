//! Several rooms in one stream while things go wrong, and while readers come and go: nothing is lost or doubled in any
//! of them (guarantees 2 and 3).

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use super::{fill_rooms, post_until_accepted};
use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Proxy, Redis, RoomGap, count_ids, halves, ids_after, on_both_buses,
};

on_both_buses!(random_merged_streams_under_load_lose_nothing);

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// What comes before the status that says all is well, which may not come before it.
async fn read_until_live(reader: &mut MergedStream) -> IdsByRoom {
    let mut ids = IdsByRoom::new();
    loop {
        let block = reader.stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            Some("status") => {
                assert_eq!(block.json()["live"], true, "{block:?}");
                return ids;
            }
            _ => {
                let (room, id) = reader.accept_message(&block);
                ids.entry(room).or_default().push(id);
            }
        }
    }
}

#[tokio::test]
async fn redis_restart_with_its_logs_loses_nothing() {
    let mut redis = Redis::durable().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut readers = [MergedStream::live(&nodes[0], "a,b,c").await, MergedStream::live(&nodes[1], "b,c,a").await];
    for round in 0..2 {
        let (a, b) = (nodes[0].fill("a", 3).await, nodes[1].fill("b", 4).await);
        let all = IdsByRoom::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        for reader in &mut readers {
            assert_eq!(reader.next_ids(7).await, all, "round {round}");
        }
        redis.kill();
        for reader in &mut readers {
            reader.stream.expect_status(false).await;
        }
        redis.restart().await;
        for reader in &mut readers {
            reader.stream.expect_status(true).await;
        }
    }
}

#[tokio::test]
async fn redis_restart_without_its_logs_is_a_gap_before_the_status() {
    let mut redis = Redis::start().await;
    let nodes = [Arc::new(Node::on(&redis, &[HEARTBEAT]).await)];
    let node = &nodes[0];
    let mut reader = MergedStream::live(node, "a,b,c").await;
    let (a, c) = (node.post("a", "mason", "one").await, node.post("c", "mason", "two").await);
    reader.next_ids(2).await;
    redis.kill();
    reader.stream.expect_status(false).await;
    redis.restart().await;
    let mut gaps = [reader.next_gap().await, reader.next_gap().await];
    gaps.sort_by(|one, other| one.room.cmp(&other.room));
    assert_eq!(gaps, [RoomGap::new("a", &a, None, "reset"), RoomGap::new("c", &c, None, "reset")]);
    assert_eq!(reader.cursors(), "0-0,0-0,0-0");
    reader.stream.expect_status(true).await;
    let all = fill_rooms(&nodes, &["a", "b", "c"], 12).await;
    assert_eq!(reader.next_ids(12).await, all);
}

/// "`true` comes after everything missed was sent", in all rooms; who comes meanwhile is kept and served then.
#[tokio::test]
async fn missed_messages_arrive_before_the_live_status() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await;
    let url = format!("redis://{}", proxy.address());
    let here = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let there = [Arc::new(Node::on(&redis, &[("HISTORY", "10000")]).await)];
    let mut reader = MergedStream::live(&here, "a,b,c").await;
    for missed in [6, 60, 1800] {
        proxy.cut();
        reader.stream.expect_status(false).await;
        let place = reader.cursors();
        let mut returning = MergedStream::open(&here, "c,a", "?lastEventId=0-0,0-0", &[]).await;
        assert_eq!(returning.cursors(), "0-0,0-0");
        returning.stream.expect_status(false).await;
        let mut fresh = MergedStream::open(&here, "a,d", "", &[]).await;
        assert!(!fresh.has_cursors(), "nobody knows yet what is the last in both");
        fresh.stream.expect_status(false).await;
        let all = fill_rooms(&there, &["a", "b", "c"], missed).await;
        proxy.restore();
        assert_eq!(read_until_live(&mut reader).await, all);
        assert_eq!(read_until_live(&mut returning).await.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(returning.cursor_of("a"), reader.cursor_of("a"));
        assert_eq!(returning.cursor_of("c"), reader.cursor_of("c"));
        let place_of_the_fresh = fresh.stream.next_content().await;
        assert_eq!(place_of_the_fresh.raw, format!("id: {},0-0\n\n", reader.cursor_of("a")));
        fresh.stream.expect_status(true).await;
        let mut back = MergedStream::resume(&there[0], "a,b,c", &place).await;
        assert_eq!(back.next_ids(missed).await, all);
    }
}

/// What was missed is more than a node keeps of a room, and more at once than any socket takes: nobody is "slow" for it.
#[tokio::test]
async fn merged_streams_behind_after_an_outage_are_not_ended() {
    const MISSED: usize = 500;
    let redis = Redis::start().await;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await;
    let url = format!("redis://{}", proxy.address());
    let here = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let there = Node::on(&redis, &[("HISTORY", "10000")]).await;
    let mut readers = [MergedStream::live(&here, "a,b").await, MergedStream::live(&here, "a,b").await];
    proxy.cut();
    for reader in &mut readers {
        reader.stream.expect_status(false).await;
    }
    let text = "'".repeat(4000); // escaped, 24 kB: what a node keeps of a room is missed at once
    let mut all = IdsByRoom::new();
    for number in 0..MISSED {
        let room = ["a", "a", "a", "b"][number % 4];
        all.entry(room.to_owned()).or_default().push(post_until_accepted(&there, room, &text).await);
    }
    proxy.restore();
    for reader in &mut readers {
        assert_eq!(read_until_live(reader).await, all);
    }
    let live = there.post("b", "mason", "live").await;
    for reader in &mut readers {
        assert_eq!(reader.next().await, ("b".into(), live.clone()));
    }
}

const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
const EACH: u64 = 100;
const READERS: usize = 40;

/// Two to four rooms in any order.
fn set() -> String {
    let mut rooms = ROOMS;
    rooms.sort_by_key(|_| rand::random::<u32>());
    rooms[..rand::random_range(2..=4)].join(",")
}

/// Writes to all rooms at once, through all nodes, and tells how far it has come.
async fn write(nodes: &[Arc<Node>; 2], written: &watch::Sender<u64>) -> IdsByRoom {
    let half = async |room: &str, node: &Node| {
        let mut ids = Vec::new();
        for _ in 0..EACH / 2 {
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

/// How many messages of its rooms a reader at this place has still to get.
fn left(vector: &str) -> usize {
    vector.split(',').map(|id| (EACH - halves(id).1) as usize).sum()
}

/// Comes at some moment in some way, and leaves and comes back until it has everything: where it began, and what it saw.
async fn visit(
    nodes: [Arc<Node>; 2],
    rooms: String,
    mut progress: watch::Receiver<u64>,
) -> (String, String, IdsByRoom) {
    let moment = rand::random_range(0..EACH * 3);
    progress.wait_for(|written| *written >= moment).await.expect("the writer lives");
    let zero = vec!["0-0"; rooms.split(',').count()].join(",");
    let query = ["", "?history=10", &format!("?lastEventId={zero}")][rand::random_range(0..3)].to_owned();
    let mut reader = MergedStream::open(&nodes[rand::random_range(0..2)], &rooms, &query, &[])
        .await
        .until_cursors()
        .await;
    let (begin, mut seen) = (reader.cursors(), IdsByRoom::new());
    while left(&reader.cursors()) > 0 {
        for _ in 0..rand::random_range(1..=40).min(left(&reader.cursors())) {
            let (room, id) = reader.next().await;
            seen.entry(room).or_default().push(id);
        }
        if rand::random_ratio(2, 3) {
            reader = MergedStream::resume(&nodes[rand::random_range(0..2)], &rooms, &reader.cursors()).await;
        }
    }
    (rooms, begin, seen)
}

async fn random_merged_streams_under_load_lose_nothing(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let (written, progress) = watch::channel(0);
    let visits = (0..READERS).map(|_| tokio::spawn(visit(nodes.clone(), set(), progress.clone())));
    let visits: Vec<_> = visits.collect();
    let all = write(&nodes, &written).await;
    for visit in visits {
        let (rooms, begin, seen) = visit.await.expect("a reader that got its messages");
        assert_eq!(seen, ids_after(&all, &rooms, &begin), "{rooms} after {begin}");
        assert_eq!(count_ids(&seen), left(&begin));
    }
}
