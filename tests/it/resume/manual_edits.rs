//! A log that somebody deletes from, empties, expires, flushes or replaces by hand, under connected and returning
//! readers: the gap rule each time (contract 5, "Gap"; guarantee 4).

use crate::{
    redis::{assert_post_unavailable, post_until_accepted},
    support::{Gap, Node, Redis, Stream, eventually, halves, key},
};

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
        assert_eq!(connected.next_ids(5).await, ids);
        Room { redis, warm, cold: Vec::new(), connected, returned: Vec::new(), ids, deleted: Vec::new() }
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
        let streams = [Stream::resume(&self.warm, "lobby", asked).await, Stream::resume(&cold, "lobby", asked).await];
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
            let gap = Gap::next(&mut stream).await;
            assert_eq!((gap.asked.as_str(), gap.reason.as_str()), (asked, reason));
            assert_eq!(gap.resumed.as_ref(), following.first());
            match (place, following.first().map(|id| halves(id))) {
                (Some(place), _) => assert_eq!(gap.cursor, place),
                (None, Some((ms, n))) => {
                    assert!(halves(&gap.cursor).0 <= ms && halves(&gap.cursor).1 == n - 1, "{gap:?}");
                }
                (None, None) => {}
            }
            self.follows(&mut stream, following).await;
            self.returned.push(stream);
        }
    }

    /// What a connected reader is told of a log that was lost under it.
    async fn is_lost_to_the_connected(&mut self, resumed: Option<&String>) {
        let gap = Gap::next(&mut self.connected).await;
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
async fn deleting_the_newest_message_is_no_gap() {
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
async fn deleting_a_message_in_the_middle_is_no_gap() {
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
async fn emptying_the_log_is_a_trimmed_gap_for_older_cursors() {
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
async fn trimming_the_log_is_a_trimmed_gap_for_older_cursors() {
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
async fn deleting_the_log_is_a_reset() {
    a_log_is_lost_by(&["DEL", &key("lobby")]).await;
}

#[tokio::test]
async fn flushing_redis_is_a_reset() {
    a_log_is_lost_by(&["FLUSHALL"]).await;
}

#[tokio::test]
async fn expiry_of_the_log_is_a_reset() {
    a_log_is_lost_by(&["PEXPIRE", &key("lobby"), "1"]).await;
}

/// "after a failover … the same `n` can return under another ms".
#[tokio::test]
async fn restoring_an_older_log_is_a_reset_for_newer_cursors() {
    for somebody_returns_first in [true, false] {
        let mut room = Room::with_five_messages().await;
        let log = key("lobby");
        let copy: Vec<u8> = room.redis.cmd(&["DUMP", &log]).await;
        let copied = std::mem::take(&mut room.ids);
        room.ids = room.warm.fill("lobby", 5).await;
        assert_eq!(room.connected.next_ids(5).await, room.ids);
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
async fn log_key_of_another_type_is_an_outage_of_its_room_only() {
    let room = Room::with_five_messages().await;
    room.change(&["SET", &key("lobby"), "not a log"]).await;
    assert_post_unavailable(&room.warm).await;
    room.warm.get("/history/lobby").await.problem(503);
    room.warm.post("garden", "mason", "all is well here").await;
    room.change(&["DEL", &key("lobby")]).await;
    post_until_accepted(&room.warm, "a log again").await;
}
