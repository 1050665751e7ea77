//! While a cluster moves the slot of a room, its keys are at two servers, and scripts with several keys are refused. Posts
//! are taken all the same, none twice, and logs are read (contract § 6).

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    eshq::{KEYS, OPEN},
    support::{Cluster, Node, Stream, eventually, key, slot_of},
};

const SECRET: &str = "0123456789abcdef";

/// A room whose slot is moved from the first master to the second.
struct Moving {
    cluster: Cluster,
    node: Node,
    room: String,
    log: String,
    slot: u16,
}

impl Moving {
    async fn start() -> Moving {
        let cluster = Cluster::start(2).await;
        let node = Node::start(&[("REDIS_URL", &cluster.url()), KEYS]).await;
        let room = cluster.room_at(0, 0).await;
        let log = key(&room);
        let slot = slot_of(&log);
        Moving { cluster, node, room, log, slot }
    }

    async fn begin(&self) {
        self.cluster.begin_move(self.slot, 1).await;
    }

    async fn end(&self) {
        self.cluster.move_keys(self.slot, 1).await;
        self.cluster.end_move(self.slot, 1).await;
    }

    /// Moves one key.
    async fn move_key(&self, key: &str) {
        let port = self.cluster.servers()[1].port().to_string();
        let moved: String = self.cluster.cmd_at(0, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).await;
        assert_eq!(moved, "OK", "{key}");
    }

    async fn post(&self, message: &str, key: &str) -> Value {
        self.node.publish(&self.room, json!({ "message": message, "key": key })).await.expect(200).json()
    }

    /// Posts a message, and again after a 503, which is the answer on a busy machine if many are tried one after the other.
    /// Returns the answer, and whether a 503 came first.
    async fn post_until_known(&self, message: &str, key: &str) -> (Value, bool) {
        let attempts = Cell::new(0);
        let post = async || {
            attempts.set(attempts.get() + 1);
            let answer = self.node.publish(&self.room, json!({ "message": message, "key": key })).await;
            (answer.status != 503).then(|| answer.expect(200).json())
        };
        (eventually("another answer than 503", post).await, attempts.get() > 1)
    }

    /// Posts a message under its own name as the key, and returns its id.
    async fn post_new(&self, message: &str) -> (String, String) {
        let stored = self.post(message, message).await;
        assert_eq!(stored["duplicate"], Value::Null, "{message}");
        (message.to_owned(), stored["id"].as_str().expect("an id").to_owned())
    }

    /// Posts messages again, which must be known.
    async fn assert_known(&self, posted: &[(String, String)]) {
        for (message, id) in posted {
            assert_eq!(self.post(message, message).await, json!({ "id": id, "duplicate": true }), "{message}");
        }
        let (message, _) = &posted[0];
        self.node.publish(&self.room, json!({ "message": "other", "key": message })).await.problem(422);
    }

    async fn texts(&self) -> Vec<String> {
        let stored = self.node.stored(&self.room).await;
        stored.iter().map(|message| message["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Returns how many calls the masters have refused since their keys are at two servers.
    async fn refusals(&self) -> u64 {
        let stats = self.cluster.servers().iter().map(|server| server.cmd::<String>(&["INFO", "errorstats"]));
        let stats = join_all(stats).await.concat();
        let counts = stats.lines().filter_map(|line| line.strip_prefix("errorstat_TRYAGAIN:count="));
        counts.map(|count| count.trim().parse::<u64>().expect("a number")).sum()
    }
}

#[tokio::test]
async fn posts_are_taken_once_while_their_slot_moves() {
    let moving = Moving::start().await;
    let mut posted = vec![moving.post_new("before").await];
    moving.begin().await;
    // The log is at the source; its records are at both.
    posted.push(moving.post_new("log-at-the-source").await);
    moving.node.post(&moving.room, "mason", "no key").await;
    moving.assert_known(&posted).await;
    assert!(moving.refusals().await > 0, "the script that posts use otherwise is refused");
    moving.move_key(&moving.log).await;
    // The log is at the target, the first record at the source.
    posted.push(moving.post_new("log-at-the-target").await);
    moving.node.post(&moving.room, "mason", "no key").await;
    moving.assert_known(&posted).await;
    moving.end().await;
    moving.assert_known(&posted).await;
    posted.push(moving.post_new("after").await);
    let expected = ["before", "log-at-the-source", "no key", "log-at-the-target", "no key", "after"];
    assert_eq!(moving.texts().await, expected);
}

/// What was stored and not yet written down under its key is found in the log, in whatever page it is.
#[tokio::test]
async fn key_without_a_record_is_found_in_a_moving_log() {
    let moving = Moving::start().await;
    moving.node.post(&moving.room, "mason", "before").await;
    moving.begin().await;
    let posted = vec![moving.post_new("first").await];
    let event = async |data: &str| {
        let fields = [("channel", &*moving.room), ("type", "note"), ("data", data)];
        OPEN.call_with(&moving.node, "/event", &fields, &[("Idempotency-Key", "event")]).await
    };
    event("once").await.expect(200);
    let stored = async || moving.cluster.cmd::<u64>(&moving.log, &["XLEN", &moving.log]).await;
    assert_eq!(stored().await, 3);
    for _ in 0..1100 {
        let fields = ["data", r#"{"sender":"a","message":"b"}"#, "node", "other"];
        let words = [&["XADD", &*moving.log, "*"][..], &fields].concat();
        moving.cluster.cmd_at::<String>(0, &words).await;
    }
    for record in ["first", "event"] {
        let record = format!("{}:key:{record}", moving.log);
        assert_eq!(moving.cluster.cmd_asking::<u64>(1, &["DEL", &record]).await, 1, "{record}");
    }
    moving.assert_known(&posted).await;
    event("once").await.expect(200);
    event("other").await.problem(422);
    moving.end().await;
    moving.assert_known(&posted).await;
    event("once").await.expect(200);
    assert_eq!(stored().await, 1103);
}

#[tokio::test]
async fn concurrent_posts_with_one_key_are_one_in_a_moving_log() {
    let moving = Moving::start().await;
    moving.begin().await;
    let posts = join_all((0..20).map(|_| moving.post_until_known("hi", "k"))).await;
    assert!(posts.iter().all(|(post, _)| post["id"] == posts[0].0["id"]), "{posts:?}");
    let new = posts.iter().filter(|(post, _)| post["duplicate"].is_null()).count();
    // The one that was stored may have been answered with 503.
    let may_be_unanswered = posts.iter().any(|(_, was_refused)| *was_refused);
    assert!(new == 1 || new == 0 && may_be_unanswered, "{posts:?}");
    assert_eq!(moving.texts().await, ["hi"]);
}

/// The texts that messages have now, and what was deleted, may be at another server than the log.
#[tokio::test]
async fn moving_logs_are_read_with_edits_and_deletions() {
    let moving = Moving::start().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        let fields = json!({ "message": number.to_string(), "secret": SECRET });
        ids.push(moving.node.publish(&moving.room, fields).await.id());
    }
    let change = async |method: Method, id: &str| {
        let path = format!("/history/{}/{id}", moving.room);
        let request = moving.node.request(method, &path).json(&json!({ "message": "edited", "secret": SECRET }));
        moving.node.send(request).await.expect(200);
    };
    change(Method::PATCH, &ids[4]).await;
    for id in &ids[1..4] {
        change(Method::DELETE, id).await;
    }
    let read = async |state: &str| {
        assert_eq!(moving.texts().await, ["0", "edited"], "{state}");
        let mut stream = Stream::resume(&moving.node, &moving.room, &ids[2]).await;
        assert_eq!(stream.next_message().await.id, ids[4], "{state}: no gap comes first");
    };
    read("not yet").await;
    moving.begin().await;
    for key in ["", ":edits", ":deleted"].map(|suffix| format!("{}{suffix}", moving.log)) {
        read(&format!("before {key}")).await;
        moving.move_key(&key).await;
    }
    read("all but the slot").await;
    moving.end().await;
    read("moved").await;
}

#[tokio::test]
async fn changes_wait_for_the_end_of_a_move_for_two_seconds() {
    let moving = Moving::start().await;
    let post = async || moving.node.publish(&moving.room, json!({ "message": "hi", "secret": SECRET })).await.id();
    let (edited, deleted) = (post().await, post().await);
    moving.begin().await;
    let change = async |method: Method, id: &str| {
        let path = format!("/history/{}/{id}", moving.room);
        moving
            .node
            .send(moving.node.request(method, &path).json(&json!({ "message": "ho", "secret": SECRET })))
            .await
    };
    let started = Instant::now();
    change(Method::PATCH, &edited).await.problem(503);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let before = moving.refusals().await;
    let end = async {
        eventually("refusals of both", async || (moving.refusals().await > before + 1).then_some(())).await;
        moving.end().await;
    };
    let (edit, deletion, ()) = tokio::join!(change(Method::PATCH, &edited), change(Method::DELETE, &deleted), end);
    edit.expect(200);
    deletion.expect(200);
    assert_eq!(moving.texts().await, ["ho"]);
}
