//! Gaps in merged rooms: each is about one room, and the block after it has the cursors of all rooms (contract § 5).

use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Redis, RoomGap, Stream, count_ids, halves, ids_after, key, on_every_bus,
};

on_every_bus!(
    wrong_number_of_cursors_is_invalid_for_every_room,
    malformed_cursor_is_a_gap_only_in_its_room,
    cursor_never_assigned_is_a_reset_gap_only_in_its_room,
    expiring_log_is_a_gap_only_in_its_room,
);

/// Reads this many gaps and messages, in any order of rooms; in each room the gap must come first. Returns the gaps
/// sorted by room.
async fn read_gaps(subscriber: &mut MergedStream, gaps: usize, messages: usize) -> (Vec<RoomGap>, IdsByRoom) {
    let (mut found, mut ids) = (Vec::new(), IdsByRoom::new());
    while found.len() < gaps || count_ids(&ids) < messages {
        match subscriber.next_or_gap().await {
            Ok((room, id)) => ids.entry(room).or_default().push(id),
            Err(gap) => {
                assert!(!ids.contains_key(&gap.room), "{gap:?} comes after messages of the room");
                found.push(gap);
            }
        }
    }
    found.sort_by(|one, other| one.room.cmp(&other.room));
    (found, ids)
}

/// Checks that these streams get one more message of each room and nothing else, and so do streams that resume after
/// their last cursors.
async fn assert_all_live(node: &Node, rooms: &str, mut subscribers: Vec<MergedStream>) {
    let cursors: Vec<String> = subscribers.iter().map(MergedStream::cursors).collect();
    for cursors in &cursors {
        subscribers.push(MergedStream::resume(node, rooms, cursors).await);
    }
    for room in rooms.split(',') {
        let live = node.post(room, "mason", "live").await;
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.next().await, (room.to_owned(), live.clone()));
        }
    }
}

/// Returns an id that is later than any of the room.
fn ahead(id: &str) -> String {
    let (ms, n) = halves(id);
    format!("{}-{}", ms + 3_600_000, n + 5)
}

async fn wrong_number_of_cursors_is_invalid_for_every_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let (a, b) = (node.fill("a", 3).await, node.fill("b", 2).await);
    let mut subscribers = Vec::new();
    let three = format!("{},{},0-0", a[0], b[0]);
    for asked in ["garbage", &a[0], &three, "0-0,0-0,", ",,", &["0-0"; 30].join(",")] {
        let mut subscriber = MergedStream::open(&node, "a,b", &format!("?lastEventId={asked}"), &[]).await;
        let cut: String = asked.chars().take(64).collect();
        let (gaps, ids) = read_gaps(&mut subscriber, 2, 0).await;
        assert_eq!(gaps, [RoomGap::new("a", &cut, None, "invalid"), RoomGap::new("b", &cut, None, "invalid")]);
        assert_eq!(ids, IdsByRoom::new());
        assert_eq!(subscriber.cursors(), format!("{},{}", a[2], b[1]));
        subscribers.push(subscriber);
    }
    let mut one = Stream::open(&node, &format!("/subscribe/a?lastEventId={},{}", a[0], b[0]), &[]).await;
    one.first().await;
    assert_eq!(one.next_content().await.json()["reason"], "invalid", "one room has one cursor");
    assert_all_live(&node, "a,b", subscribers).await;
}

/// No cursors are sent before the gap: a client cut off in between must ask for the gap again.
async fn malformed_cursor_is_a_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 3).await), ("b".to_owned(), node.fill("b", 4).await)]);
    let (last_a, b) = (&all["a"][2], &all["b"]);
    let mut subscribers = Vec::new();
    for bad in ["garbage", "", "1-2-3", "-1", "9007199254740992-1", "1-9007199254740992"] {
        let asked = format!("{bad},{}", b[1]);
        let mut subscriber = MergedStream::open(&node, "a,b", "", &[("Last-Event-ID", &asked)]).await;
        assert!(!subscriber.has_cursors(), "cursors before the gap");
        assert_eq!(subscriber.next_gap().await, RoomGap::new("a", bad, None, "invalid"));
        assert_eq!(subscriber.cursors(), format!("{last_a},{}", b[1]), "the cursors of all rooms");
        assert_eq!(subscriber.next_ids(2).await, IdsByRoom::from([("b".to_owned(), b[2..].to_vec())]));
        subscribers.push(subscriber);
    }
    assert_all_live(&node, "a,b", subscribers).await;
}

async fn cursor_never_assigned_is_a_reset_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 3).await), ("b".to_owned(), node.fill("b", 4).await)]);
    let asked = format!("{},{},1361572294000-42", all["a"][0], ahead(&all["b"][3]));
    let mut subscriber = MergedStream::resume(&node, "a,b,c", &asked).await;
    let (gaps, ids) = read_gaps(&mut subscriber, 2, 2).await;
    let b = RoomGap::new("b", &ahead(&all["b"][3]), None, "reset");
    assert_eq!(gaps, [b, RoomGap::new("c", "1361572294000-42", None, "reset")]);
    assert_eq!(ids, IdsByRoom::from([("a".to_owned(), all["a"][1..].to_vec())]));
    assert_eq!(subscriber.cursors(), format!("{},{},0-0", all["a"][2], all["b"][3]));
    assert_all_live(&node, "a,b,c", vec![subscriber]).await;
}

/// A gap in mid-stream has the id that was sent last as `asked`.
async fn expiring_log_is_a_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let mut subscribers = [MergedStream::live(&node, "a,b").await, MergedStream::live(&node, "b,a").await];
    let lost = node.fill("a", 3).await;
    for subscriber in &mut subscribers {
        subscriber.next_ids(3).await;
    }
    node.wait_until_expired("a").await;
    let b = node.post("b", "mason", "not lost").await;
    let a = node.post("a", "mason", "after the loss").await;
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next().await, ("b".into(), b.clone()));
        assert_eq!(subscriber.next_gap().await, RoomGap::new("a", &lost[2], Some(&a), "reset"));
        assert_eq!((halves(&subscriber.cursor_of("a")).1, subscriber.cursor_of("b")), (0, b.clone()));
        assert_eq!(subscriber.next().await, ("a".into(), a.clone()));
    }
}

/// Every reason at the same time, on a node with all rooms in memory and on one with none.
#[tokio::test]
async fn each_merged_room_has_its_own_gap_reason() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut all = IdsByRoom::new();
    for room in ["a", "b", "c", "d"] {
        all.insert(room.to_owned(), nodes[0].fill(room, 6).await);
    }
    let _: u64 = redis.cmd(&["XTRIM", &key("a"), "MAXLEN", "2"]).await;
    let _keeps_the_rooms = MergedStream::live(&nodes[0], "d,c,b,a").await;
    let asked = format!("{},{},x,{}", all["a"][1], ahead(&all["b"][5]), all["d"][3]);
    for node in &nodes {
        let mut subscriber = MergedStream::open(node, "a,b,c,d", "", &[("Last-Event-ID", &asked)]).await;
        let (gaps, ids) = read_gaps(&mut subscriber, 3, 4).await;
        let trimmed = RoomGap::new("a", &all["a"][1], Some(&all["a"][4]), "trimmed");
        let reset = RoomGap::new("b", &ahead(&all["b"][5]), None, "reset");
        assert_eq!(gaps, [trimmed, reset, RoomGap::new("c", "x", None, "invalid")]);
        let kept = [("a".to_owned(), all["a"][4..].to_vec()), ("d".to_owned(), all["d"][4..].to_vec())];
        assert_eq!(ids, IdsByRoom::from(kept));
        let last: Vec<&str> = all.values().map(|ids| ids[5].as_str()).collect();
        assert_eq!(subscriber.cursors(), last.join(","));
    }
    let mut subscriber = MergedStream::resume(&nodes[1], "a,d", &format!("{},{}", all["a"][3], all["d"][5])).await;
    assert_eq!(
        subscriber.next_ids(2).await,
        ids_after(&all, "a", &all["a"][3]),
        "directly before the first retained message"
    );
}

/// Checks the frames byte for byte, and that the cursors of the gap can be resumed.
#[tokio::test]
async fn gap_names_its_room_and_has_all_cursors() {
    let node = Node::start(&[]).await;
    let (a, b) = (node.post("a", "mason", "hi").await, node.post("b", "mason", "hi").await);
    let mut stream = Stream::open(&node, &format!("/subscribe/a,b?lastEventId={a},1-50"), &[]).await;
    assert_eq!(stream.first().await.id, Some(format!("{a},1-50")));
    let gap = stream.next_content().await;
    let cursors = gap.id.expect("cursors");
    let data = format!("{{\"asked\":\"1-50\",\"resumed\":\"{b}\",\"reason\":\"reset\",\"room\":\"b\"}}");
    assert_eq!(gap.raw, format!("id: {cursors}\nevent: gap\ndata: {data}\n\n"));
    let (in_a, in_b) = cursors.split_once(',').expect("two cursors");
    assert_eq!((in_a, halves(in_b).1), (a.as_str(), 0));
    assert_eq!(MergedStream::resume(&node, "a,b", &cursors).await.next().await, ("b".into(), b.clone()));
    assert_eq!(stream.next_content().await.id, Some(format!("{a},{b}")));
}

#[tokio::test]
async fn flushing_redis_is_a_gap_in_every_merged_room() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut connected = [MergedStream::live(&nodes[0], "a,b,c").await, MergedStream::live(&nodes[1], "c,b,a").await];
    let (a, b) = (nodes[0].fill("a", 3).await, nodes[1].fill("b", 4).await);
    for subscriber in &mut connected {
        subscriber.next_ids(7).await;
    }
    let lost = connected[0].cursors();
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    let gap_a = |resumed: Option<&str>| RoomGap::new("a", &a[2], resumed, "reset");
    let gap_b = |resumed: Option<&str>| RoomGap::new("b", &b[3], resumed, "reset");
    let mut returning = MergedStream::resume(&nodes[2], "a,b,c", &lost).await;
    assert_eq!(read_gaps(&mut returning, 2, 0).await.0, [gap_a(None), gap_b(None)]);
    assert_eq!(returning.cursors(), "0-0,0-0,0-0");
    let c = nodes[0].post("c", "mason", "hi").await;
    for subscriber in connected.iter_mut().chain([&mut returning]) {
        assert_eq!(subscriber.next().await, ("c".into(), c.clone()), "a room without messages lost nothing");
    }
    let (a, b) = (nodes[1].post("a", "mason", "hi").await, nodes[0].post("b", "mason", "hi").await);
    for subscriber in &mut connected {
        let (gaps, ids) = read_gaps(subscriber, 2, 2).await;
        assert_eq!(gaps, [gap_a(Some(&a)), gap_b(Some(&b))]);
        assert_eq!(ids, IdsByRoom::from([("a".to_owned(), vec![a.clone()]), ("b".to_owned(), vec![b.clone()])]));
    }
    assert_eq!(connected[0].cursors(), format!("{a},{b},{c}"));
    assert_eq!(connected[1].cursors(), format!("{c},{b},{a}"));
}
