//! Redis away, stopped, emptied, or changed by hand: what readers and writers are told, and that nothing is lost
//! that the log still has (contract 5, "Gap" and "Status"; contract 6; guarantees 1, 3 and 4).

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::support::{Node, Proxy, Redis, Stream, eventually, halves, key, within};

const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// A node that reaches Redis only through a proxy.
async fn behind(proxy: &Proxy) -> Node {
    let url = format!("redis://{}", proxy.address());
    Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await
}

fn address(redis: &Redis) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], redis.port()))
}

/// Waits for the next status, before which only heartbeats may come.
async fn told(stream: &mut Stream, live: bool) {
    loop {
        let block = stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            Some("status") => return assert_eq!(block.json()["live"], live, "{block:?}"),
            _ => panic!("{block:?} where a status was to come"),
        }
    }
}

/// The ids of `count` messages, and then the status that says all is well: it may not come before them.
async fn caught_up(stream: &mut Stream, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let block = stream.next().await;
        match block.event.as_deref() {
            Some("heartbeat") => {}
            _ => ids.push(block.message().id),
        }
    }
    told(stream, true).await;
    ids
}

/// "Bus out of reach: 503 with `Retry-After`, within 2 s; never a hang, never a 2xx."
async fn refused(node: &Node) {
    let asked = Instant::now();
    let answer = node.publish("lobby", json!({ "sender": "mason", "message": "into the void" })).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "an answer after {:?}", asked.elapsed());
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0), "{answer:?}");
    answer.problem(503);
}

/// Posts until it is taken, as a client does that was told to come back.
async fn post_again(node: &Node, message: &str) -> String {
    eventually("a message that is taken", async || {
        let answer = node.publish("lobby", json!({ "sender": "mason", "message": message })).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await
}

/// A gap and the place after it.
#[derive(Debug, PartialEq)]
struct Gap {
    asked: String,
    resumed: Option<String>,
    reason: String,
    place: String,
}

/// The gap that must be the next thing the stream says.
async fn gap(stream: &mut Stream) -> Gap {
    let block = stream.said().await;
    assert_eq!((block.event.as_deref(), &block.id), (Some("gap"), &None), "{block:?}");
    let gap = block.json();
    let place = stream.said().await;
    let id = place.id.unwrap_or_default();
    assert_eq!(place.raw, format!("id: {id}\n\n"), "a block with only an id follows the gap");
    let text = |member: &str| gap[member].as_str().map(str::to_owned);
    Gap {
        asked: text("asked").expect("asked"),
        resumed: text("resumed"),
        reason: text("reason").expect("reason"),
        place: id,
    }
}

// Redis away

#[tokio::test]
async fn a_node_starts_without_redis_says_so_and_recovers_by_itself() {
    let mut redis = Redis::start().await;
    redis.kill();
    let node = Node::launch(&[("REDIS_URL", &redis.url()), HEARTBEAT]).await;
    node.logged("Redis cannot be reached").await;
    node.get("/readyz").await.expect(503);
    node.get("/healthz").await.expect(200);
    refused(&node).await;
    let mut early = Stream::open(&node, "/subscribe/lobby", &[]).await;
    assert_eq!(early.head.status, 200);
    assert_eq!(early.first().await.id, None, "nobody knows the place yet");
    told(&mut early, false).await;
    redis.restart().await;
    node.ready().await;
    let place = early.said().await;
    assert_eq!(place.raw, "id: 0-0\n\n");
    told(&mut early, true).await;
    let id = node.post("lobby", "mason", "at last").await;
    assert_eq!(early.next_message().await.id, id);
}

/// "200 when the bus has been reached since the start …; a later outage shows in its body and in `status`, not in the code".
#[tokio::test]
async fn a_later_outage_leaves_a_node_ready_and_shows_in_the_body() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let before = node.get("/readyz").await.expect(200);
    redis.kill();
    eventually("another body of /readyz", async || {
        (node.get("/readyz").await.expect(200).body != before.body).then_some(())
    })
    .await;
    assert_eq!(node.metric("tinychat_bus_connected").await, Some(0.0));
    redis.restart().await;
    eventually("the body of before", async || {
        (node.get("/readyz").await.expect(200).body == before.body).then_some(())
    })
    .await;
}

/// "pages come without history and say so; `/history` is 503."
#[tokio::test]
async fn during_an_outage_pages_come_without_history_and_say_so() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before the storm").await;
    redis.kill();
    for path in ["/", "/lobby"] {
        let page = node.page(path).await.html(200);
        assert!(page.contains("lost its message store") && !page.contains("before the storm"), "{page}");
    }
    node.get("/history/lobby").await.problem(503);
    node.get("/history/lobby/1-1").await.problem(503);
    redis.restart().await;
    let id = post_again(&node, "after it").await;
    assert!(node.page("/lobby").await.html(200).contains(&id));
}

#[tokio::test]
async fn posts_are_refused_in_time_while_redis_is_gone() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before").await;
    redis.kill();
    for _ in 0..3 {
        refused(&node).await;
    }
    redis.restart().await;
    post_again(&node, "after").await;
}

#[tokio::test]
async fn posts_are_refused_in_time_while_redis_hangs() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    node.post("lobby", "mason", "before").await;
    redis.stop();
    for _ in 0..5 {
        refused(&node).await;
    }
    redis.cont();
    post_again(&node, "after").await;
}

#[tokio::test]
async fn posts_are_refused_while_redis_is_full_and_taken_when_it_is_not() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let limit = async |bytes: &str| redis.cmd::<String>(&["CONFIG", "SET", "maxmemory", bytes]).await;
    limit("1").await;
    refused(&node).await;
    limit("0").await;
    let id = node.post("lobby", "mason", "room again").await;
    assert_eq!(reader.next_message().await.id, id);
}

/// Guarantee 1: "Anything else: unknown; send again with the same `key` and it appears once."
#[tokio::test]
async fn a_post_that_was_not_acknowledged_appears_once_when_it_is_sent_again_with_its_key() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let fields = json!({ "sender": "mason", "message": "did it arrive?", "key": "k-1" });
    redis.stop();
    node.publish("lobby", fields.clone()).await.problem(503);
    redis.cont();
    let id = eventually("an acknowledgement", async || {
        let answer = node.publish("lobby", fields.clone()).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await;
    let next = node.post("lobby", "mason", "it did").await;
    assert_eq!(reader.ids(2).await, [id, next]);
}

// readers through an outage

#[tokio::test]
async fn a_redis_that_comes_back_with_its_log_has_cost_the_readers_nothing() {
    let mut redis = Redis::durable().await;
    let nodes = [
        Node::on(&redis, &[HEARTBEAT]).await,
        Node::on(&redis, &[HEARTBEAT]).await,
    ];
    let mut readers = [
        Stream::live(&nodes[0], "lobby").await,
        Stream::live(&nodes[1], "lobby").await,
    ];
    for round in 0..3 {
        let ids = nodes[round % 2].fill("lobby", 5).await;
        for reader in &mut readers {
            assert_eq!(reader.ids(5).await, ids);
        }
        redis.kill();
        for reader in &mut readers {
            told(reader, false).await;
        }
        redis.restart().await;
        for reader in &mut readers {
            told(reader, true).await;
        }
    }
}

/// "in mid-stream, when a log was lost under a connected reader; `asked` is then the last id sent".
#[tokio::test]
async fn a_redis_that_comes_back_empty_is_a_gap_to_the_connected_and_to_the_returning() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut connected = Stream::live(&node, "lobby").await;
    let last = node.fill("lobby", 5).await.pop().unwrap();
    connected.ids(5).await;
    redis.kill();
    told(&mut connected, false).await;
    redis.restart().await;
    let lost = Gap {
        asked: last.clone(),
        resumed: None,
        reason: "reset".into(),
        place: "0-0".into(),
    };
    assert_eq!(gap(&mut connected).await, lost, "the gap comes before the status");
    let mut returning = Stream::resume(&node, "lobby", &last).await;
    assert_eq!(gap(&mut returning).await, lost);
    let ids = node.fill("lobby", 7).await;
    assert_eq!(connected.ids(7).await, ids);
    assert_eq!(returning.ids(7).await, ids);
}

/// "while the node has lost its bus (1 s or more) the stream stays open and says `"live":false`".
#[tokio::test]
async fn a_redis_that_hangs_shows_in_the_status_and_heartbeats_go_on() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    redis.stop();
    within(Duration::from_secs(5), "the status", told(&mut reader, false)).await;
    for _ in 0..2 {
        assert_eq!(reader.next().await.event.as_deref(), Some("heartbeat"));
    }
    redis.cont();
    told(&mut reader, true).await;
    let id = post_again(&node, "awake").await;
    assert_eq!(reader.next_message().await.id, id);
}

/// "`true` comes after everything missed was sent."
#[tokio::test]
async fn what_others_wrote_while_a_node_was_cut_off_comes_before_the_status() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(address(&redis)).await;
    let (here, there) = (behind(&proxy).await, Node::on(&redis, &[("HISTORY", "10000")]).await);
    let mut reader = Stream::live(&here, "lobby").await;
    let mut idle = Stream::live(&here, "garden").await;
    for missed in [10, 300, 1500] {
        proxy.cut();
        told(&mut reader, false).await;
        told(&mut idle, false).await;
        let ids = there.fill("lobby", missed).await;
        proxy.restore();
        assert_eq!(caught_up(&mut reader, ids.len()).await, ids);
        told(&mut idle, true).await;
    }
}

/// "Who comes during the outage gets 200, `retry:`, `status` false, and its place when it is known".
#[tokio::test]
async fn who_comes_during_an_outage_is_kept_and_served_after_it() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(address(&redis)).await;
    let (here, there) = (behind(&proxy).await, Node::on(&redis, &[]).await);
    let mut warm = Stream::live(&here, "lobby").await;
    let before = there.fill("lobby", 5).await;
    warm.ids(5).await;
    proxy.cut();
    told(&mut warm, false).await;
    let mut returning = Stream::open(&here, "/subscribe/lobby", &[("Last-Event-ID", &before[2])]).await;
    assert_eq!(returning.first().await.id.as_ref(), Some(&before[2]));
    told(&mut returning, false).await;
    let mut recent = Stream::open(&here, "/subscribe/lobby?history=3", &[]).await;
    assert_eq!(recent.first().await.id, None, "nobody knows yet which are the last three");
    told(&mut recent, false).await;
    let mut elsewhere = Stream::open(&here, "/subscribe/attic", &[("Last-Event-ID", "0-0")]).await;
    assert_eq!(elsewhere.first().await.id.as_deref(), Some("0-0"));
    told(&mut elsewhere, false).await;
    let during = there.fill("lobby", 5).await;
    proxy.restore();
    assert_eq!(caught_up(&mut warm, 5).await, during);
    assert_eq!(caught_up(&mut returning, 7).await, [&before[3..], &during[..]].concat());
    assert_eq!(recent.said().await.raw, format!("id: {}\n\n", during[1]), "the place before the last three");
    assert_eq!(caught_up(&mut recent, 3).await, during[2..]);
    assert_eq!(caught_up(&mut elsewhere, 0).await, [""; 0]);
    let id = post_again(&here, "after").await;
    for mut reader in [warm, returning, recent] {
        assert_eq!(reader.next_message().await.id, id);
    }
}

/// "`DRAIN`: seconds over which streams are sent away at SIGTERM": whether or not Redis answers.
#[tokio::test]
async fn a_node_whose_redis_hangs_still_ends_in_time() {
    let redis = Redis::start().await;
    let mut node = Node::on(&redis, &[("DRAIN", "1")]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    redis.stop();
    told(&mut reader, false).await;
    let asked = Instant::now();
    node.terminate();
    assert!(node.exit().await.success());
    assert!(asked.elapsed() < Duration::from_secs(4), "ended after {:?}", asked.elapsed());
    let last = reader.rest().await.pop().expect("a last word");
    assert_eq!(last.event.as_deref(), Some("backoff"), "{last:?}");
}

#[tokio::test]
async fn every_connection_to_redis_may_break_at_once() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    for round in 0..5 {
        let _: u64 = redis.cmd(&["CLIENT", "KILL", "SKIPME", "yes"]).await;
        let id = post_again(&node, &format!("round {round}")).await;
        assert_eq!(reader.next_message().await.id, id);
        node.history("lobby", "").await;
    }
}

/// Whatever else is published on the channel, before and after every break: it is passed on and does no harm.
#[tokio::test]
async fn foreign_publishes_between_broken_connections_lose_and_double_nothing() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let mut ids = Vec::new();
    for payload in [
        "cron",
        "{\"sender\":\"cron\"}",
        "\u{1e}",
        "\u{1e}7-7",
        "\u{1e}9007199254740991-900  forged",
        "a\r\nid: 1-1\r\n",
    ] {
        redis.publish("lobby", payload).await;
        ids.push(node.post("lobby", "mason", "one").await);
        let _: u64 = redis.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        redis.publish("lobby", payload).await;
        ids.push(node.post("lobby", "mason", "two").await);
        redis.heard("lobby").await;
    }
    let mut seen = Vec::new();
    while seen.len() < ids.len() {
        let block = reader.said().await;
        assert_eq!(block.event, None, "{block:?}");
        seen.extend(block.id);
    }
    assert_eq!(seen, ids);
}

// a log changed by hand

/// A room with five messages, a reader that has seen them, and readers that returned since.
struct Room {
    redis: Redis,
    /// The node of the connected reader; the returning find its memory warm.
    warm: Node,
    /// The nodes where the returning were the first to come.
    cold: Vec<Node>,
    connected: Stream,
    returned: Vec<Stream>,
    ids: Vec<String>,
    /// Deleted from the log by hand: a node that has one in memory may still give it.
    deleted: Vec<String>,
}

impl Room {
    async fn with_five_messages() -> Room {
        let redis = Redis::start().await;
        let warm = Node::on(&redis, &[]).await;
        let mut connected = Stream::live(&warm, "lobby").await;
        let ids = warm.fill("lobby", 5).await;
        assert_eq!(connected.ids(5).await, ids);
        Room {
            redis,
            warm,
            cold: Vec::new(),
            connected,
            returned: Vec::new(),
            ids,
            deleted: Vec::new(),
        }
    }

    async fn change(&self, words: &[&str]) {
        let _: redis::Value = self.redis.cmd(words).await;
    }

    /// One message more, through a node where nobody reads.
    async fn post(&self) -> String {
        Node::on(&self.redis, &[]).await.post("lobby", "mason", "one more").await
    }

    /// Returns with an id, on the node that has the room in memory and on one that has not.
    async fn returning(&mut self, asked: &str) -> [Stream; 2] {
        let cold = Node::on(&self.redis, &[]).await;
        let streams = [
            Stream::resume(&self.warm, "lobby", asked).await,
            Stream::resume(&cold, "lobby", asked).await,
        ];
        self.cold.push(cold);
        streams
    }

    /// Whoever returns with this id gets these messages, without a gap.
    async fn continues(&mut self, asked: &str, following: &[String]) {
        for mut stream in self.returning(asked).await {
            self.follows(&mut stream, following).await;
            self.returned.push(stream);
        }
    }

    /// Whoever returns with this id gets a gap, and then these messages.
    async fn is_gap(&mut self, asked: &str, reason: &str, place: Option<&str>, following: &[String]) {
        for mut stream in self.returning(asked).await {
            let gap = gap(&mut stream).await;
            assert_eq!((gap.asked.as_str(), gap.reason.as_str()), (asked, reason));
            assert_eq!(gap.resumed.as_ref(), following.first());
            match (place, following.first().map(|id| halves(id))) {
                (Some(place), _) => assert_eq!(gap.place, place),
                (None, Some((ms, n))) => {
                    assert!(halves(&gap.place).0 <= ms && halves(&gap.place).1 == n - 1, "{gap:?}");
                }
                (None, None) => {}
            }
            self.follows(&mut stream, following).await;
            self.returned.push(stream);
        }
    }

    /// What a connected reader is told of a log that was lost under it.
    async fn is_lost_to_the_connected(&mut self, resumed: Option<&String>) {
        let gap = gap(&mut self.connected).await;
        assert_eq!((&gap.asked, gap.reason.as_str()), (&self.ids[4], "reset"));
        assert_eq!(gap.resumed.as_ref(), resumed);
    }

    /// All who returned are live: they get what is posted now, and have got nothing else since.
    async fn goes_on(&mut self) -> String {
        let next = self.post().await;
        for mut stream in std::mem::take(&mut self.returned) {
            self.follows(&mut stream, std::slice::from_ref(&next)).await;
        }
        next
    }

    async fn follows(&self, stream: &mut Stream, ids: &[String]) {
        let mut seen = Vec::new();
        while seen.len() < ids.len() {
            let id = stream.next_message().await.id;
            if !self.deleted.contains(&id) {
                seen.push(id);
            }
        }
        assert_eq!(seen, ids);
    }
}

/// The last generated id shows continuity, whether or not its message is still there.
#[tokio::test]
async fn the_newest_message_deleted_by_hand_is_no_gap() {
    let mut room = Room::with_five_messages().await;
    let newest = room.ids[4].clone();
    room.change(&["XDEL", &key("lobby"), &newest]).await;
    room.deleted.push(newest.clone());
    room.continues(&newest, &[]).await;
    room.continues(&room.ids[3].clone(), &[]).await;
    let next = room.goes_on().await;
    assert_eq!(halves(&next).1, 6, "a number is never given twice");
    assert_eq!(room.connected.next_message().await.id, next);
}

/// "or lies between two retained ones in both halves (it was deleted)".
#[tokio::test]
async fn a_message_deleted_by_hand_from_the_middle_is_no_gap() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.change(&["XDEL", &key("lobby"), &ids[2]]).await;
    room.deleted.push(ids[2].clone());
    for asked in [1, 2] {
        room.continues(&ids[asked], &ids[3..]).await;
    }
    let next = room.goes_on().await;
    assert_eq!(room.connected.next_message().await.id, next);
}

#[tokio::test]
async fn a_log_emptied_by_hand_is_a_trimmed_gap_to_whoever_had_not_seen_all() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.change(&["XTRIM", &key("lobby"), "MAXLEN", "0"]).await;
    room.continues(&ids[4], &[]).await;
    for asked in [ids[3].as_str(), &ids[0], "0-0"] {
        room.is_gap(asked, "trimmed", Some(&ids[4]), &[]).await;
    }
    let next = room.goes_on().await;
    assert_eq!(room.connected.next_message().await.id, next);
    room.continues(&ids[4], std::slice::from_ref(&next)).await;
    room.is_gap(&ids[3], "trimmed", None, &[next]).await;
}

#[tokio::test]
async fn a_log_trimmed_by_hand_is_a_trimmed_gap_to_whoever_is_older() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.change(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    room.continues(&ids[4], &[]).await;
    room.continues(&ids[2], &ids[3..]).await;
    for asked in [ids[1].as_str(), &ids[0], "0-0"] {
        room.is_gap(asked, "trimmed", None, &ids[3..]).await;
    }
    let next = room.goes_on().await;
    assert_eq!(room.connected.next_message().await.id, next);
}

/// A log that is gone, in one way or another, is a reset to all who had an id of it.
async fn a_log_is_lost_by(words: &[&str]) {
    for somebody_returns_first in [true, false] {
        let mut room = Room::with_five_messages().await;
        let ids = room.ids.clone();
        room.change(words).await;
        eventually("the end of the log", async || {
            (room.redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await == 0).then_some(())
        })
        .await;
        if somebody_returns_first {
            for asked in [&ids[4], &ids[0]] {
                room.is_gap(asked, "reset", Some("0-0"), &[]).await;
            }
            let next = room.goes_on().await;
            room.is_lost_to_the_connected(None).await;
            assert_eq!(room.connected.next_message().await.id, next);
        } else {
            let next = room.post().await;
            room.is_lost_to_the_connected(Some(&next)).await;
            assert_eq!(room.connected.next_message().await.id, next);
            for asked in [&ids[4], &ids[1]] {
                room.is_gap(asked, "reset", None, std::slice::from_ref(&next)).await;
            }
            room.goes_on().await;
        }
    }
}

#[tokio::test]
async fn a_log_deleted_by_hand_is_a_reset() {
    a_log_is_lost_by(&["DEL", &key("lobby")]).await;
}

#[tokio::test]
async fn a_flushed_redis_is_a_reset() {
    a_log_is_lost_by(&["FLUSHALL"]).await;
}

#[tokio::test]
async fn a_log_that_expires_is_a_reset() {
    a_log_is_lost_by(&["PEXPIRE", &key("lobby"), "1"]).await;
}

/// "after a failover … the same `n` can return under another ms".
#[tokio::test]
async fn an_older_copy_in_place_of_the_log_is_a_reset_to_whoever_had_seen_more() {
    for somebody_returns_first in [true, false] {
        let mut room = Room::with_five_messages().await;
        let log = key("lobby");
        let copy: Vec<u8> = room.redis.cmd(&["DUMP", &log]).await;
        let copied = std::mem::take(&mut room.ids);
        room.ids = room.warm.fill("lobby", 5).await;
        assert_eq!(room.connected.ids(5).await, room.ids);
        let newer = room.ids.clone();
        let _: String = room.redis.cmd(&[b"RESTORE", log.as_bytes(), b"0", &copy, b"REPLACE"]).await;
        if somebody_returns_first {
            room.continues(&copied[4], &[]).await;
            room.continues(&copied[2], &copied[3..]).await;
            for asked in [&newer[0], &newer[4]] {
                room.is_gap(asked, "reset", Some(&copied[4]), &[]).await;
            }
            let next = room.goes_on().await;
            room.is_lost_to_the_connected(None).await;
            assert_eq!(room.connected.next_message().await.id, next);
        } else {
            let next = room.post().await;
            room.is_lost_to_the_connected(Some(&next)).await;
            assert_eq!(room.connected.next_message().await.id, next);
            room.continues(&copied[4], std::slice::from_ref(&next)).await;
            for asked in [&newer[0], &newer[4]] {
                room.is_gap(asked, "reset", None, std::slice::from_ref(&next)).await;
            }
            room.goes_on().await;
        }
    }
}

/// What is no stream at all stands in the log's place: nothing is taken, nothing crashes, and it heals.
#[tokio::test]
async fn a_key_of_another_type_is_an_outage_of_its_room_alone() {
    let room = Room::with_five_messages().await;
    room.change(&["SET", &key("lobby"), "not a log"]).await;
    refused(&room.warm).await;
    room.warm.get("/history/lobby").await.problem(503);
    room.warm.post("garden", "mason", "all is well here").await;
    room.change(&["DEL", &key("lobby")]).await;
    post_again(&room.warm, "a log again").await;
}
