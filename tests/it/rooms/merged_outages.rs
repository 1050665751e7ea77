//! Several rooms in one stream while things go wrong, and while readers come and go: nothing is lost or doubled in any
//! of them (guarantees 2 and 3).

use std::{net::SocketAddr, sync::Arc};

use tokio::sync::watch;

use crate::{
    redis::outages::told,
    resume::splice,
    rooms::merged::{Ids, after, chatter, count, post},
    support::{Bus, Node, Proxy, Redis, RoomGap, Several, halves, on_both_buses},
};

on_both_buses!(random_merged_streams_under_load_lose_nothing);

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// What comes before the status that says all is well, which may not come before it.
async fn caught_up(reader: &mut Several) -> Ids {
    let mut ids = Ids::new();
    loop {
        let block = reader.stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            Some("status") => {
                assert_eq!(block.json()["live"], true, "{block:?}");
                return ids;
            }
            _ => {
                let (room, id) = reader.message(&block);
                ids.entry(room).or_default().push(id);
            }
        }
    }
}

#[tokio::test]
async fn redis_restart_with_its_logs_loses_nothing() {
    let mut redis = Redis::durable().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut readers = [Several::live(&nodes[0], "a,b,c").await, Several::live(&nodes[1], "b,c,a").await];
    for round in 0..2 {
        let (a, b) = (nodes[0].fill("a", 3).await, nodes[1].fill("b", 4).await);
        let all = Ids::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        for reader in &mut readers {
            assert_eq!(reader.ids(7).await, all, "round {round}");
        }
        redis.kill();
        for reader in &mut readers {
            told(&mut reader.stream, false).await;
        }
        redis.restart().await;
        for reader in &mut readers {
            told(&mut reader.stream, true).await;
        }
    }
}

#[tokio::test]
async fn redis_restart_without_its_logs_is_a_gap_before_the_status() {
    let mut redis = Redis::start().await;
    let nodes = [Arc::new(Node::on(&redis, &[HEARTBEAT]).await)];
    let node = &nodes[0];
    let mut reader = Several::live(node, "a,b,c").await;
    let (a, c) = (node.post("a", "mason", "one").await, node.post("c", "mason", "two").await);
    reader.ids(2).await;
    redis.kill();
    told(&mut reader.stream, false).await;
    redis.restart().await;
    let mut gaps = [reader.gap().await, reader.gap().await];
    gaps.sort_by(|one, other| one.room.cmp(&other.room));
    assert_eq!(gaps, [RoomGap::new("a", &a, None, "reset"), RoomGap::new("c", &c, None, "reset")]);
    assert_eq!(reader.vector(), "0-0,0-0,0-0");
    told(&mut reader.stream, true).await;
    let all = chatter(&nodes, &["a", "b", "c"], 12).await;
    assert_eq!(reader.ids(12).await, all);
}

/// "`true` comes after everything missed was sent", in all rooms; who comes meanwhile is kept and served then.
#[tokio::test]
async fn missed_messages_arrive_before_the_live_status() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(SocketAddr::from(([127, 0, 0, 1], redis.port()))).await;
    let url = format!("redis://{}", proxy.address());
    let here = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let there = [Arc::new(Node::on(&redis, &[("HISTORY", "10000")]).await)];
    let mut reader = Several::live(&here, "a,b,c").await;
    for missed in [6, 60, 1800] {
        proxy.cut();
        told(&mut reader.stream, false).await;
        let place = reader.vector();
        let mut returning = Several::open(&here, "c,a", "?lastEventId=0-0,0-0", &[]).await;
        assert_eq!(returning.vector(), "0-0,0-0");
        told(&mut returning.stream, false).await;
        let mut fresh = Several::open(&here, "a,d", "", &[]).await;
        assert!(!fresh.is_placed(), "nobody knows yet what is the last in both");
        told(&mut fresh.stream, false).await;
        let all = chatter(&there, &["a", "b", "c"], missed).await;
        proxy.restore();
        assert_eq!(caught_up(&mut reader).await, all);
        assert_eq!(caught_up(&mut returning).await.keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(returning.place_in("a"), reader.place_in("a"));
        assert_eq!(returning.place_in("c"), reader.place_in("c"));
        let place_of_the_fresh = fresh.stream.said().await;
        assert_eq!(place_of_the_fresh.raw, format!("id: {},0-0\n\n", reader.place_in("a")));
        told(&mut fresh.stream, true).await;
        let mut back = Several::resume(&there[0], "a,b,c", &place).await;
        assert_eq!(back.ids(missed).await, all);
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
    let mut readers = [Several::live(&here, "a,b").await, Several::live(&here, "a,b").await];
    proxy.cut();
    for reader in &mut readers {
        told(&mut reader.stream, false).await;
    }
    let text = "'".repeat(4000); // escaped, 24 kB: what a node keeps of a room is missed at once
    let mut all = Ids::new();
    for number in 0..MISSED {
        let room = ["a", "a", "a", "b"][number % 4];
        all.entry(room.to_owned()).or_default().push(post(&there, room, &text).await);
    }
    proxy.restore();
    for reader in &mut readers {
        assert_eq!(caught_up(reader).await, all);
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
async fn write(nodes: &[Arc<Node>; 2], written: &watch::Sender<u64>) -> Ids {
    let half = async |room: &str, node: &Node| {
        let mut ids = Vec::new();
        for _ in 0..EACH / 2 {
            ids.push(post(node, room, "hi").await);
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
    Ids::from([a, b, c, d])
}

/// How many messages of its rooms a reader at this place has still to get.
fn left(vector: &str) -> usize {
    vector.split(',').map(|id| (EACH - halves(id).1) as usize).sum()
}

/// Comes at some moment in some way, and leaves and comes back until it has everything: where it began, and what it saw.
async fn visit(nodes: [Arc<Node>; 2], rooms: String, mut progress: watch::Receiver<u64>) -> (String, String, Ids) {
    let moment = rand::random_range(0..EACH * 3);
    progress.wait_for(|written| *written >= moment).await.expect("the writer lives");
    let zero = vec!["0-0"; rooms.split(',').count()].join(",");
    let query = ["", "?history=10", &format!("?lastEventId={zero}")][rand::random_range(0..3)].to_owned();
    let mut reader = Several::open(&nodes[rand::random_range(0..2)], &rooms, &query, &[]).await.placed().await;
    let (begin, mut seen) = (reader.vector(), Ids::new());
    while left(&reader.vector()) > 0 {
        for _ in 0..rand::random_range(1..=40).min(left(&reader.vector())) {
            let (room, id) = reader.next().await;
            seen.entry(room).or_default().push(id);
        }
        if rand::random_ratio(2, 3) {
            reader = Several::resume(&nodes[rand::random_range(0..2)], &rooms, &reader.vector()).await;
        }
    }
    (rooms, begin, seen)
}

async fn random_merged_streams_under_load_lose_nothing(bus: Bus) {
    let nodes = splice::nodes(&bus, &[]).await;
    let (written, progress) = watch::channel(0);
    let visits = (0..READERS).map(|_| tokio::spawn(visit(nodes.clone(), set(), progress.clone())));
    let visits: Vec<_> = visits.collect();
    let all = write(&nodes, &written).await;
    for visit in visits {
        let (rooms, begin, seen) = visit.await.expect("a reader that got its messages");
        assert_eq!(seen, after(&all, &rooms, &begin), "{rooms} after {begin}");
        assert_eq!(count(&seen), left(&begin));
    }
}
