//! The gap rule when an operator deletes from the log, empties, expires, flushes or replaces it, for connected and
//! returning subscribers (contract § 5 and § 7).

use crate::{
    redis::{assert_post_unavailable, post_until_accepted},
    support::{Gap, Node, Redis, Stream, eventually, halves, key},
};

/// A room with five messages, a subscriber that received them, and subscribers that have resumed since.
struct Room {
    redis: Redis,
    /// The node of the connected subscriber, which has the room in memory.
    warm_node: Node,
    /// Nodes on which a resuming subscriber was the first of the room.
    cold_nodes: Vec<Node>,
    connected: Stream,
    resumed_streams: Vec<Stream>,
    ids: Vec<String>,
    /// Ids deleted from the log, which a node that has them in memory may still send.
    deleted: Vec<String>,
}

impl Room {
    async fn with_five_messages() -> Room {
        let redis = Redis::start().await;
        let warm_node = Node::on(&redis, &[]).await;
        let mut connected = Stream::live(&warm_node, "lobby").await;
        let ids = warm_node.fill("lobby", 5).await;
        assert_eq!(connected.next_ids(5).await, ids);
        Room {
            redis,
            warm_node,
            cold_nodes: Vec::new(),
            connected,
            resumed_streams: Vec::new(),
            ids,
            deleted: Vec::new(),
        }
    }

    async fn run(&self, command: &[&str]) {
        let _: redis::Value = self.redis.cmd(command).await;
    }

    /// Publishes one more message through a node without subscribers and returns its id.
    async fn post(&self) -> String {
        Node::on(&self.redis, &[]).await.post("lobby", "mason", "one more").await
    }

    /// Resumes after a cursor on a node that has the room in memory and on one that does not.
    async fn resume_on_both(&mut self, asked: &str) -> [Stream; 2] {
        let cold_node = Node::on(&self.redis, &[]).await;
        let streams = [
            Stream::resume(&self.warm_node, "lobby", asked).await,
            Stream::resume(&cold_node, "lobby", asked).await,
        ];
        self.cold_nodes.push(cold_node);
        streams
    }

    /// Checks that resuming after a cursor sends these messages without a gap.
    async fn assert_resumes(&mut self, asked: &str, following: &[String]) {
        for mut stream in self.resume_on_both(asked).await {
            self.assert_next(&mut stream, following).await;
            self.resumed_streams.push(stream);
        }
    }

    /// Checks that resuming after a cursor sends a gap and then these messages.
    async fn assert_gap(&mut self, asked: &str, reason: &str, cursor: Option<&str>, following: &[String]) {
        for mut stream in self.resume_on_both(asked).await {
            let gap = Gap::next(&mut stream).await;
            assert_eq!((gap.asked.as_str(), gap.reason.as_str()), (asked, reason));
            assert_eq!(gap.resumed.as_ref(), following.first());
            match (cursor, following.first().map(|id| halves(id))) {
                (Some(cursor), _) => assert_eq!(gap.cursor, cursor),
                (None, Some((ms, n))) => {
                    assert!(halves(&gap.cursor).0 <= ms && halves(&gap.cursor).1 == n - 1, "{gap:?}");
                }
                (None, None) => {}
            }
            self.assert_next(&mut stream, following).await;
            self.resumed_streams.push(stream);
        }
    }

    /// Checks that the connected subscriber gets a gap because the log was lost.
    async fn assert_reset_when_connected(&mut self, resumed: Option<&String>) {
        let gap = Gap::next(&mut self.connected).await;
        assert_eq!((&gap.asked, gap.reason.as_str()), (&self.ids[4], "reset"));
        assert_eq!(gap.resumed.as_ref(), resumed);
    }

    /// Publishes a message and checks that it is the next one that all resumed subscribers get.
    async fn assert_all_live(&mut self) -> String {
        let next = self.post().await;
        for mut stream in std::mem::take(&mut self.resumed_streams) {
            self.assert_next(&mut stream, std::slice::from_ref(&next)).await;
        }
        next
    }

    async fn assert_next(&self, stream: &mut Stream, ids: &[String]) {
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

/// The last generated id shows continuity even if its entry is deleted.
#[tokio::test]
async fn deleting_the_newest_message_is_no_gap() {
    let mut room = Room::with_five_messages().await;
    let newest = room.ids[4].clone();
    room.run(&["XDEL", &key("lobby"), &newest]).await;
    room.deleted.push(newest.clone());
    room.assert_resumes(&newest, &[]).await;
    room.assert_resumes(&room.ids[3].clone(), &[]).await;
    let next = room.assert_all_live().await;
    assert_eq!(halves(&next).1, 6, "a number is never reused");
    assert_eq!(room.connected.next_message().await.id, next);
}

/// An id between two retained ones in both halves was deleted.
#[tokio::test]
async fn deleting_a_message_in_the_middle_is_no_gap() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.run(&["XDEL", &key("lobby"), &ids[2]]).await;
    room.deleted.push(ids[2].clone());
    for asked in [1, 2] {
        room.assert_resumes(&ids[asked], &ids[3..]).await;
    }
    let next = room.assert_all_live().await;
    assert_eq!(room.connected.next_message().await.id, next);
}

#[tokio::test]
async fn emptying_the_log_is_a_trimmed_gap_for_older_cursors() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.run(&["XTRIM", &key("lobby"), "MAXLEN", "0"]).await;
    room.assert_resumes(&ids[4], &[]).await;
    for asked in [ids[3].as_str(), &ids[0], "0-0"] {
        room.assert_gap(asked, "trimmed", Some(&ids[4]), &[]).await;
    }
    let next = room.assert_all_live().await;
    assert_eq!(room.connected.next_message().await.id, next);
    room.assert_resumes(&ids[4], std::slice::from_ref(&next)).await;
    room.assert_gap(&ids[3], "trimmed", None, &[next]).await;
}

#[tokio::test]
async fn trimming_the_log_is_a_trimmed_gap_for_older_cursors() {
    let mut room = Room::with_five_messages().await;
    let ids = room.ids.clone();
    room.run(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    room.assert_resumes(&ids[4], &[]).await;
    room.assert_resumes(&ids[2], &ids[3..]).await;
    for asked in [ids[1].as_str(), &ids[0], "0-0"] {
        room.assert_gap(asked, "trimmed", None, &ids[3..]).await;
    }
    let next = room.assert_all_live().await;
    assert_eq!(room.connected.next_message().await.id, next);
}

/// Checks that losing the whole log by this command is a reset for every cursor into it.
async fn losing_the_log_is_a_reset(command: &[&str]) {
    for resumes_before_the_next_post in [true, false] {
        let mut room = Room::with_five_messages().await;
        let ids = room.ids.clone();
        room.run(command).await;
        eventually("the end of the log", async || {
            (room.redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await == 0).then_some(())
        })
        .await;
        if resumes_before_the_next_post {
            for asked in [&ids[4], &ids[0]] {
                room.assert_gap(asked, "reset", Some("0-0"), &[]).await;
            }
            let next = room.assert_all_live().await;
            room.assert_reset_when_connected(None).await;
            assert_eq!(room.connected.next_message().await.id, next);
        } else {
            let next = room.post().await;
            room.assert_reset_when_connected(Some(&next)).await;
            assert_eq!(room.connected.next_message().await.id, next);
            for asked in [&ids[4], &ids[1]] {
                room.assert_gap(asked, "reset", None, std::slice::from_ref(&next)).await;
            }
            room.assert_all_live().await;
        }
    }
}

#[tokio::test]
async fn deleting_the_log_is_a_reset() {
    losing_the_log_is_a_reset(&["DEL", &key("lobby")]).await;
}

#[tokio::test]
async fn flushing_redis_is_a_reset() {
    losing_the_log_is_a_reset(&["FLUSHALL"]).await;
}

#[tokio::test]
async fn expiry_of_the_log_is_a_reset() {
    losing_the_log_is_a_reset(&["PEXPIRE", &key("lobby"), "1"]).await;
}

/// After a failover the same sequence number can come back with another time.
#[tokio::test]
async fn restoring_an_older_log_is_a_reset_for_newer_cursors() {
    for resumes_before_the_next_post in [true, false] {
        let mut room = Room::with_five_messages().await;
        let log = key("lobby");
        let copy: Vec<u8> = room.redis.cmd(&["DUMP", &log]).await;
        let copied = std::mem::take(&mut room.ids);
        room.ids = room.warm_node.fill("lobby", 5).await;
        assert_eq!(room.connected.next_ids(5).await, room.ids);
        let newer = room.ids.clone();
        let _: String = room.redis.cmd(&[b"RESTORE", log.as_bytes(), b"0", &copy, b"REPLACE"]).await;
        if resumes_before_the_next_post {
            room.assert_resumes(&copied[4], &[]).await;
            room.assert_resumes(&copied[2], &copied[3..]).await;
            for asked in [&newer[0], &newer[4]] {
                room.assert_gap(asked, "reset", Some(&copied[4]), &[]).await;
            }
            let next = room.assert_all_live().await;
            room.assert_reset_when_connected(None).await;
            assert_eq!(room.connected.next_message().await.id, next);
        } else {
            let next = room.post().await;
            room.assert_reset_when_connected(Some(&next)).await;
            assert_eq!(room.connected.next_message().await.id, next);
            room.assert_resumes(&copied[4], std::slice::from_ref(&next)).await;
            for asked in [&newer[0], &newer[4]] {
                room.assert_gap(asked, "reset", None, std::slice::from_ref(&next)).await;
            }
            room.assert_all_live().await;
        }
    }
}

/// A key that is not a stream makes the log unreadable until it is deleted.
#[tokio::test]
async fn log_key_of_another_type_is_an_outage_of_its_room_only() {
    let room = Room::with_five_messages().await;
    room.run(&["SET", &key("lobby"), "not a log"]).await;
    assert_post_unavailable(&room.warm_node).await;
    room.warm_node.get("/history/lobby").await.problem(503);
    room.warm_node.post("garden", "mason", "all is well here").await;
    room.run(&["DEL", &key("lobby")]).await;
    post_until_accepted(&room.warm_node, "a log again").await;
}
