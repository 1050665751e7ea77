//! A panic ends no more than what it happened in: it is counted and logged, the task starts anew, and nothing is lost.
//! A debug build panics on demand (`src/supervise.rs`).

use std::fs;

use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{DEADLINE, MergedStream, Node, Redis, Stream, eventually, halves, within};

/// A node in which one task panics while a file exists.
struct Faulty {
    node: Node,
    redis: Redis,
    task: &'static str,
    directory: TempDir,
}

impl Faulty {
    async fn start(task: &'static str) -> Faulty {
        let (redis, directory) = (Redis::start().await, tempfile::tempdir().expect("a directory"));
        let fault = format!("{task}:{}", directory.path().join("fault").display());
        let environment = [
            ("TINY_CHAT_PANIC", fault.as_str()),
            ("HEARTBEAT", "1"),
            ("ADMIN_PASSWORD", "correct horse"),
            ("APP_KEYS", "shop:0123456789abcdef"),
        ];
        let node = Node::on(&redis, &environment).await;
        Faulty { node, redis, task, directory }
    }

    /// From now on the task panics.
    fn begin(&self) {
        fs::write(self.directory.path().join("fault"), "").expect("a file");
    }

    /// From now on the task does not panic.
    fn end(&self) {
        fs::remove_file(self.directory.path().join("fault")).expect("the file");
    }

    /// Waits until the task has panicked `count` times, and checks that the node says so and stays ready.
    async fn panicked(&self, count: usize) {
        let name = format!("tiny_chat_task_panics_total{{task=\"{}\"}}", self.task);
        eventually("panics", async || (self.node.metric(&name).await? >= count as f64).then_some(())).await;
        let ready = self.node.get("/readyz").await.expect(200);
        assert!(ready.text().starts_with("ready, but ") && ready.text().contains(self.task), "{}", ready.text());
        self.node.logged("panicked: TINY_CHAT_PANIC").await;
    }

    /// Checks that messages reach the stream, and that a new one is live.
    async fn works(&self, stream: &mut Stream) {
        let ids = self.node.fill("lobby", 3).await;
        assert_eq!(stream.next_ids(3).await, ids);
        Stream::live(&self.node, "lobby").await;
    }
}

/// Returns the ids of the messages before the next status, and whether that is live.
async fn ids_before_status(stream: &mut Stream) -> (Vec<String>, bool) {
    let mut ids = Vec::new();
    let reading = async {
        loop {
            let block = stream.next().await;
            match block.event.as_deref() {
                Some("heartbeat") => {}
                Some("status") => return block.json()["live"] == true,
                _ => ids.push(block.message().id),
            }
        }
    };
    let live = within(DEADLINE, "a status", reading).await;
    (ids, live)
}

/// While the task panics its subscribers are told as in an outage, and nothing is lost.
async fn assert_panic_is_an_outage(task: &'static str) {
    let faulty = Faulty::start(task).await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    assert_eq!(ids_before_status(&mut stream).await, (vec![], false));
    let mut missed = faulty.node.fill("lobby", 2).await;
    faulty.panicked(3).await;
    missed.extend(faulty.node.fill("lobby", 2).await);
    faulty.end();
    assert_eq!(ids_before_status(&mut stream).await, (missed, true));
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_of_the_redis_subscriber_is_a_lost_redis() {
    assert_panic_is_an_outage("announcements").await;
}

/// The callback for announcements runs on a task of the Redis library, or within the request that posts.
#[tokio::test]
async fn panic_in_the_callback_for_announcements_loses_nothing() {
    let faulty = Faulty::start("pushes").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    // What it stores itself, the faulty node need not be told.
    let other = Node::on(&faulty.redis, &[]).await;
    faulty.begin();
    let mut missed = other.fill("lobby", 2).await;
    assert_eq!(ids_before_status(&mut stream).await, (vec![], false));
    faulty.panicked(3).await;
    missed.extend(other.fill("lobby", 1).await);
    faulty.end();
    assert_eq!(ids_before_status(&mut stream).await, (missed, true));
    faulty.works(&mut stream).await;

    let file = tempfile::NamedTempFile::new().expect("a file");
    let fault = format!("pushes:{}", file.path().display());
    let node = Node::start(&[("TINY_CHAT_PANIC", &fault)]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 3).await;
    assert_eq!(stream.next_ids(3).await, ids);
}

#[tokio::test]
async fn panic_while_logs_are_healed_loses_nothing() {
    let mut faulty = Faulty::start("healing").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    let (mut read, unread) = (faulty.node.fill("lobby", 3).await, faulty.node.fill("garden", 3).await);
    faulty.begin();
    faulty.redis.kill();
    faulty.redis.restart().await;
    faulty.panicked(2).await;
    let accepted =
        async || faulty.node.publish("lobby", json!({ "message": "hi", "key": "once" })).await.id_if_stored();
    read.push(eventually("an accepted post", accepted).await);
    assert_eq!(stream.next_ids(4).await, read);
    faulty.end();
    eventually("the room without subscribers", async || {
        let stored = faulty.node.stored("garden").await;
        let ids: Vec<_> = stored.iter().filter_map(|message| message["id"].as_str()).collect();
        (ids == unread).then_some(())
    })
    .await;
}

#[tokio::test]
async fn panic_of_a_kept_connection_refuses_posts_until_it_is_back() {
    let faulty = Faulty::start("connection").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    faulty.panicked(3).await;
    let refused = async || (faulty.node.publish("lobby", json!({ "message": "hi" })).await.status == 503).then_some(());
    eventually("a refused post", refused).await;
    faulty.end();
    let accepted =
        async || faulty.node.publish("lobby", json!({ "message": "hi", "key": "once" })).await.id_if_stored();
    let id = eventually("an accepted post", accepted).await;
    assert_eq!(stream.next_message().await.id, id);
    // Each thread has its connection, and others may be back a little later.
    eventually("other threads", async || {
        for _ in 0..20 {
            faulty.node.publish("garden", json!({ "message": "hi" })).await.id_if_stored()?;
        }
        Some(())
    })
    .await;
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_of_the_ticks_is_told_to_subscribers() {
    assert_panic_is_an_outage("ticks").await;
}

#[tokio::test]
async fn panic_of_a_room_that_catches_up_loses_nothing() {
    let faulty = Faulty::start("room").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    let mut other = Stream::live(&faulty.node, "garden").await;
    let first = faulty.node.post("lobby", "mason", "hi").await;
    assert_eq!(stream.next_message().await.id, first);
    faulty.begin();
    let (ms, n) = halves(&first);
    let unannounced = format!("{ms}-{}", n + 1);
    faulty.redis.store_unannounced("lobby", &unannounced).await;
    let announced = faulty.node.post("lobby", "mason", "after a skipped number").await;
    assert_eq!(ids_before_status(&mut stream).await, (vec![], false));
    faulty.panicked(2).await;
    let id = faulty.node.post("garden", "mason", "in another room").await;
    assert_eq!(other.next_message().await.id, id);
    faulty.end();
    assert_eq!(ids_before_status(&mut stream).await, (vec![unannounced, announced], true));
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_of_merging_is_told_and_loses_nothing() {
    let faulty = Faulty::start("merging").await;
    let mut merged = MergedStream::live(&faulty.node, "lobby,garden").await.stream;
    faulty.begin();
    let mut missed = vec![faulty.node.post("lobby", "mason", "while it fails").await];
    faulty.panicked(2).await;
    missed.push(faulty.node.post("lobby", "mason", "still").await);
    let (before, live) = ids_before_status(&mut merged).await;
    assert!(!live);
    faulty.end();
    let (after, live) = ids_before_status(&mut merged).await;
    assert!(live);
    let lobby = |ids: Vec<String>| ids.into_iter().map(|id| id.split(',').next().unwrap_or_default().to_owned());
    assert_eq!(lobby([before, after].concat()).collect::<Vec<_>>(), missed);
    let id = faulty.node.post("garden", "mason", "in the other room").await;
    assert_eq!(merged.next_message().await.id.split(',').nth(1), Some(id.as_str()));
}

#[tokio::test]
async fn panic_of_a_fanout_ends_its_streams_which_resume() {
    let faulty = Faulty::start("fanout").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    let read = faulty.node.post("lobby", "mason", "hi").await;
    assert_eq!(stream.next_message().await.id, read);
    faulty.begin();
    let missed = faulty.node.post("lobby", "mason", "while it fails").await;
    let rest = stream.read_to_end().await;
    assert!(rest.iter().all(|block| block.event.is_some()), "{rest:?}");
    faulty.panicked(1).await;
    faulty.end();
    let mut stream = Stream::resume(&faulty.node, "lobby", &read).await;
    assert_eq!(stream.next_message().await.id, missed);
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_where_fanouts_take_turns_delays_messages() {
    let faulty = Faulty::start("fanouts").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    let missed = faulty.node.fill("lobby", 3).await;
    faulty.panicked(2).await;
    faulty.end();
    assert_eq!(stream.next_ids(3).await, missed);
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_where_subscribers_are_handed_over_delays_them() {
    let faulty = Faulty::start("handoffs").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    // Workers get connections in turn, so that some of these have to go to the other one.
    let late = join_all((0..8).map(|_| Stream::live(&faulty.node, "lobby")));
    let other = async {
        faulty.panicked(2).await;
        let id = faulty.node.post("lobby", "mason", "hi").await;
        assert_eq!(stream.next_message().await.id, id);
        faulty.end();
    };
    let (late, ()) = tokio::join!(late, other);
    faulty.works(&mut stream).await;
    for mut late in late {
        late.next_messages(3).await;
    }
}

#[tokio::test]
async fn panic_of_the_stream_limit_lets_streams_in() {
    let faulty = Faulty::start("limits").await;
    faulty.begin();
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.panicked(2).await;
    Stream::live(&faulty.node, "garden").await;
    faulty.end();
    faulty.works(&mut stream).await;
    let counted = async || {
        let streams: Vec<String> = faulty.redis.cmd(&["KEYS", "chat:streams:*"]).await;
        (!streams.is_empty()).then_some(())
    };
    eventually("streams that are counted over all nodes", counted).await;
}

#[tokio::test]
async fn panic_of_presence_is_made_up_for() {
    let faulty = Faulty::start("presence").await;
    faulty.begin();
    let mut stream = Stream::live(&faulty.node, "lobby?name=ada").await;
    faulty.panicked(2).await;
    faulty.end();
    let announced = async || {
        let present: Vec<String> = faulty.redis.cmd(&["HVALS", "chat:{lobby}:present"]).await;
        present.iter().any(|entry| entry.contains("ada")).then_some(())
    };
    eventually("the name in Redis", announced).await;
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_where_sockets_are_renewed_loses_none() {
    let faulty = Faulty::start("sockets").await;
    faulty.begin();
    let call = faulty.node.request(reqwest::Method::POST, "/socket").basic_auth("shop", Some("0123456789abcdef"));
    let socket = faulty.node.send(call.form(&[("channel", "news")])).await.expect(200).json();
    let socket = socket["socket"].as_str().expect("an id");
    let mut stream = Stream::open(&faulty.node, &format!("/eventsource?socket={socket}"), &[]).await;
    stream.first().await;
    faulty.panicked(2).await;
    let key = format!("chat:socket:{{{socket}}}");
    let _: u64 = faulty.redis.cmd(&["PEXPIRE", &key, "40000"]).await;
    faulty.end();
    let renewed = async || {
        let ttl: i64 = faulty.redis.cmd(&["PTTL", &key]).await;
        (ttl > 80_000).then_some(())
    };
    eventually("a renewal", renewed).await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.works(&mut stream).await;
}

/// A signal that a panic swallowed would leave revoked keys in use.
#[tokio::test]
async fn panic_while_keys_are_read_is_followed_by_another_reading() {
    let (keys, fault) =
        (tempfile::NamedTempFile::new().expect("a file"), tempfile::NamedTempFile::new().expect("a file"));
    let (path, fault_path) = (keys.path().display().to_string(), fault.path().display());
    let fault_option = format!("keys:{fault_path}");
    let node = Node::start(&[("APP_KEYS_FILE", &path), ("TINY_CHAT_PANIC", &fault_option)]).await;
    node.signal(nix::sys::signal::Signal::SIGHUP);
    node.logged("panicked: TINY_CHAT_PANIC").await;
    drop(fault);
    node.logged("SIGHUP: read the list of keys again").await;
}

#[tokio::test]
async fn panic_of_the_summaries_is_a_hole_in_them() {
    let summaries = async |faulty: &Faulty| -> Vec<String> { faulty.redis.cmd(&["KEYS", "chat:{~dashboard}:*"]).await };
    let (faulty, mut stream) = loop {
        let faulty = Faulty::start("summaries").await;
        let stream = Stream::live(&faulty.node, "lobby").await;
        faulty.begin();
        // One is written every 10 s by the clock, perhaps just before.
        if summaries(&faulty).await.is_empty() {
            break (faulty, stream);
        }
    };
    // The task is asked before it writes.
    faulty.panicked(2).await;
    assert!(summaries(&faulty).await.is_empty());
    faulty.end();
    eventually("summaries", async || (summaries(&faulty).await.len() == 5).then_some(())).await;
    faulty.works(&mut stream).await;
}

#[tokio::test]
async fn panic_of_a_stream_or_a_request_ends_it_alone() {
    let faulty = Faulty::start("stream").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    let mut failed = tokio::net::TcpStream::connect(faulty.node.address()).await.expect("a connection");
    let request = "GET /subscribe/lobby HTTP/1.1\r\nHost: a\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut failed, request.as_bytes()).await.expect("the request");
    let mut answer = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut failed, &mut answer).await;
    assert!(read.is_err() || answer.is_empty(), "{answer:?}");
    faulty.panicked(1).await;
    faulty.end();
    faulty.works(&mut stream).await;

    let faulty = Faulty::start("request").await;
    let mut stream = Stream::live(&faulty.node, "lobby").await;
    faulty.begin();
    faulty.node.get("/history/lobby").await.problem(500);
    faulty.end();
    faulty.panicked(1).await;
    faulty.works(&mut stream).await;
}
