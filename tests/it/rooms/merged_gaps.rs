//! Gaps among several rooms: each room's is its own, and the place that follows it is the place in all of them (issue 3,
//! "Several rooms, one stream"; contract 5, "Gap").

use crate::support::{
    Bus, IdsByRoom, MergedStream, Node, Redis, RoomGap, Stream, count_ids, eventually, halves, ids_after, key,
    on_both_buses,
};

on_both_buses!(
    wrong_number_of_cursors_is_invalid_for_every_room,
    malformed_cursor_is_a_gap_only_in_its_room,
    cursor_never_assigned_is_a_reset_gap_only_in_its_room,
    expiring_log_is_a_gap_only_in_its_room,
);

/// So many gaps and so many messages, in whatever order the rooms come; in each room the gap comes first.
async fn told(reader: &mut MergedStream, gaps: usize, messages: usize) -> (Vec<RoomGap>, IdsByRoom) {
    let (mut told, mut ids) = (Vec::new(), IdsByRoom::new());
    while told.len() < gaps || count_ids(&ids) < messages {
        match reader.next_or_gap().await {
            Ok((room, id)) => ids.entry(room).or_default().push(id),
            Err(gap) => {
                assert!(!ids.contains_key(&gap.room), "{gap:?} comes after messages of the room");
                told.push(gap);
            }
        }
    }
    told.sort_by(|one, other| one.room.cmp(&other.room));
    (told, ids)
}

/// Readers that have gone on after a gap get one more message of each room and nothing else; so does who comes back
/// with the place that was sent last.
async fn all_go_on(node: &Node, rooms: &str, mut readers: Vec<MergedStream>) {
    let places: Vec<String> = readers.iter().map(MergedStream::cursors).collect();
    for place in &places {
        readers.push(MergedStream::resume(node, rooms, place).await);
    }
    for room in rooms.split(',') {
        let live = node.post(room, "mason", "live").await;
        for reader in &mut readers {
            assert_eq!(reader.next().await, (room.to_owned(), live.clone()));
        }
    }
}

/// An id that is later than what a room has given.
fn ahead(id: &str) -> String {
    let (ms, n) = halves(id);
    format!("{}-{}", ms + 3_600_000, n + 5)
}

async fn wrong_number_of_cursors_is_invalid_for_every_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let (a, b) = (node.fill("a", 3).await, node.fill("b", 2).await);
    let mut readers = Vec::new();
    let three = format!("{},{},0-0", a[0], b[0]);
    for asked in ["garbage", &a[0], &three, "0-0,0-0,", ",,", &["0-0"; 30].join(",")] {
        let mut reader = MergedStream::open(&node, "a,b", &format!("?lastEventId={asked}"), &[]).await;
        let cut: String = asked.chars().take(64).collect();
        let (gaps, ids) = told(&mut reader, 2, 0).await;
        assert_eq!(gaps, [RoomGap::new("a", &cut, None, "invalid"), RoomGap::new("b", &cut, None, "invalid")]);
        assert_eq!(ids, IdsByRoom::new());
        assert_eq!(reader.cursors(), format!("{},{}", a[2], b[1]));
        readers.push(reader);
    }
    let mut one = Stream::open(&node, &format!("/subscribe/a?lastEventId={},{}", a[0], b[0]), &[]).await;
    one.first().await;
    assert_eq!(one.next_content().await.json()["reason"], "invalid", "one room has no place in two");
    all_go_on(&node, "a,b", readers).await;
}

/// The place is not told before the gap: who is cut off in between has to ask for it again.
async fn malformed_cursor_is_a_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 3).await), ("b".to_owned(), node.fill("b", 4).await)]);
    let (last_a, b) = (&all["a"][2], &all["b"]);
    let mut readers = Vec::new();
    for bad in ["garbage", "", "1-2-3", "-1", "9007199254740992-1", "1-9007199254740992"] {
        let asked = format!("{bad},{}", b[1]);
        let mut reader = MergedStream::open(&node, "a,b", "", &[("Last-Event-ID", &asked)]).await;
        assert!(!reader.has_cursors(), "a place before the gap");
        assert_eq!(reader.next_gap().await, RoomGap::new("a", bad, None, "invalid"));
        assert_eq!(reader.cursors(), format!("{last_a},{}", b[1]), "the place in all rooms");
        assert_eq!(reader.next_ids(2).await, IdsByRoom::from([("b".to_owned(), b[2..].to_vec())]));
        readers.push(reader);
    }
    all_go_on(&node, "a,b", readers).await;
}

async fn cursor_never_assigned_is_a_reset_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = IdsByRoom::from([("a".to_owned(), node.fill("a", 3).await), ("b".to_owned(), node.fill("b", 4).await)]);
    let asked = format!("{},{},1361572294000-42", all["a"][0], ahead(&all["b"][3]));
    let mut reader = MergedStream::resume(&node, "a,b,c", &asked).await;
    let (gaps, ids) = told(&mut reader, 2, 2).await;
    let b = RoomGap::new("b", &ahead(&all["b"][3]), None, "reset");
    assert_eq!(gaps, [b, RoomGap::new("c", "1361572294000-42", None, "reset")]);
    assert_eq!(ids, IdsByRoom::from([("a".to_owned(), all["a"][1..].to_vec())]));
    assert_eq!(reader.cursors(), format!("{},{},0-0", all["a"][2], all["b"][3]));
    all_go_on(&node, "a,b,c", vec![reader]).await;
}

/// "in mid-stream, when a log was lost under a connected reader; `asked` is then the last id sent".
async fn expiring_log_is_a_gap_only_in_its_room(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let mut readers = [MergedStream::live(&node, "a,b").await, MergedStream::live(&node, "b,a").await];
    let lost = node.fill("a", 3).await;
    for reader in &mut readers {
        reader.next_ids(3).await;
    }
    let expired = async || (node.history("a", "").await["last"] == "0-0").then_some(());
    eventually("the end of the log", expired).await;
    let b = node.post("b", "mason", "not lost").await;
    let a = node.post("a", "mason", "after the loss").await;
    for reader in &mut readers {
        assert_eq!(reader.next().await, ("b".into(), b.clone()));
        assert_eq!(reader.next_gap().await, RoomGap::new("a", &lost[2], Some(&a), "reset"));
        assert_eq!((halves(&reader.cursor_of("a")).1, reader.cursor_of("b")), (0, b.clone()));
        assert_eq!(reader.next().await, ("a".into(), a.clone()));
    }
}

/// All that can be wrong at once, on a node that holds the frames of all rooms and on one that holds none.
#[tokio::test]
async fn each_merged_room_has_its_own_gap_reason() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut all = IdsByRoom::new();
    for room in ["a", "b", "c", "d"] {
        all.insert(room.to_owned(), nodes[0].fill(room, 6).await);
    }
    let _: u64 = redis.cmd(&["XTRIM", &key("a"), "MAXLEN", "2"]).await;
    let _keeps_the_rooms_in_memory = MergedStream::live(&nodes[0], "d,c,b,a").await;
    let asked = format!("{},{},x,{}", all["a"][1], ahead(&all["b"][5]), all["d"][3]);
    for node in &nodes {
        let mut reader = MergedStream::open(node, "a,b,c,d", "", &[("Last-Event-ID", &asked)]).await;
        let (gaps, ids) = told(&mut reader, 3, 4).await;
        let trimmed = RoomGap::new("a", &all["a"][1], Some(&all["a"][4]), "trimmed");
        let reset = RoomGap::new("b", &ahead(&all["b"][5]), None, "reset");
        assert_eq!(gaps, [trimmed, reset, RoomGap::new("c", "x", None, "invalid")]);
        let kept = [("a".to_owned(), all["a"][4..].to_vec()), ("d".to_owned(), all["d"][4..].to_vec())];
        assert_eq!(ids, IdsByRoom::from(kept));
        let last: Vec<&str> = all.values().map(|ids| ids[5].as_str()).collect();
        assert_eq!(reader.cursors(), last.join(","));
    }
    let mut reader = MergedStream::resume(&nodes[1], "a,d", &format!("{},{}", all["a"][3], all["d"][5])).await;
    assert_eq!(
        reader.next_ids(2).await,
        ids_after(&all, "a", &all["a"][3]),
        "directly before the first retained message"
    );
}

/// Several's frame of contract 5, byte for byte; and every place in between is one to come back with.
#[tokio::test]
async fn gap_names_its_room_and_is_followed_by_all_cursors() {
    let node = Node::start(&[]).await;
    let (a, b) = (node.post("a", "mason", "hi").await, node.post("b", "mason", "hi").await);
    let mut stream = Stream::open(&node, &format!("/subscribe/a,b?lastEventId={a},1-50"), &[]).await;
    assert_eq!(stream.first().await.id, Some(format!("{a},1-50")));
    let gap =
        format!("event: gap\ndata: {{\"asked\":\"1-50\",\"resumed\":\"{b}\",\"reason\":\"reset\",\"room\":\"b\"}}\n\n");
    assert_eq!(stream.next_content().await.raw, gap);
    let place = stream.next_content().await;
    let vector = place.id.clone().expect("a place");
    assert_eq!(place.raw, format!("id: {vector}\n\n"));
    let (in_a, in_b) = vector.split_once(',').expect("two places");
    assert_eq!((in_a, halves(in_b).1), (a.as_str(), 0));
    assert_eq!(MergedStream::resume(&node, "a,b", &vector).await.next().await, ("b".into(), b.clone()));
    assert_eq!(stream.next_content().await.id, Some(format!("{a},{b}")));
}

#[tokio::test]
async fn flushing_redis_is_a_gap_in_every_merged_room() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut connected = [MergedStream::live(&nodes[0], "a,b,c").await, MergedStream::live(&nodes[1], "c,b,a").await];
    let (a, b) = (nodes[0].fill("a", 3).await, nodes[1].fill("b", 4).await);
    for reader in &mut connected {
        reader.next_ids(7).await;
    }
    let lost = connected[0].cursors();
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    let gap_a = |resumed: Option<&str>| RoomGap::new("a", &a[2], resumed, "reset");
    let gap_b = |resumed: Option<&str>| RoomGap::new("b", &b[3], resumed, "reset");
    let mut returning = MergedStream::resume(&nodes[2], "a,b,c", &lost).await;
    assert_eq!(told(&mut returning, 2, 0).await.0, [gap_a(None), gap_b(None)]);
    assert_eq!(returning.cursors(), "0-0,0-0,0-0");
    let c = nodes[0].post("c", "mason", "hi").await;
    for reader in connected.iter_mut().chain([&mut returning]) {
        assert_eq!(reader.next().await, ("c".into(), c.clone()), "nothing was lost in a room without messages");
    }
    let (a, b) = (nodes[1].post("a", "mason", "hi").await, nodes[0].post("b", "mason", "hi").await);
    for reader in &mut connected {
        let (gaps, ids) = told(reader, 2, 2).await;
        assert_eq!(gaps, [gap_a(Some(&a)), gap_b(Some(&b))]);
        assert_eq!(ids, IdsByRoom::from([("a".to_owned(), vec![a.clone()]), ("b".to_owned(), vec![b.clone()])]));
    }
    assert_eq!(connected[0].cursors(), format!("{a},{b},{c}"));
    assert_eq!(connected[1].cursors(), format!("{c},{b},{a}"));
}
