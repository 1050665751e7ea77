//! The model test of continuity against a real Redis: in 200 rooms at once, messages are published by the node's own
//! scripts with clocks that jump, entries are deleted, logs are trimmed, emptied, deleted, replaced and rolled back,
//! connections break, and subscribers come and go on two nodes. Afterwards each subscriber must have everything, or
//! must have been told (contract § 7).

use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redis::{Script, aio::MultiplexedConnection};
use tokio::task::JoinHandle;

use crate::support::{Node, Redis, Stream, eventually, key};

const HISTORIES: u64 = 200;
const ROUNDS: u32 = 6;
const SUBSCRIBERS: usize = 3;

/// The mark of all messages.
const MARK: &str = "0123456789abcdef0123456789abcdef";

/// Includes a script of the node.
macro_rules! script {
    ($name:literal) => {
        include_str!(concat!("../../../src/bus/redis/", $name, ".lua"))
    };
}

/// The number of a message in its room; `None` is the place before the first message of a log.
type Place = Option<usize>;

struct Message {
    id: String,
    /// The message before it in its log.
    parent: Place,
    is_deleted: bool,
    /// Whether it tells of a deletion or an edit.
    is_change: bool,
}

/// The messages that a log ever had, those that it retains, and its copy as Redis made it.
#[derive(Clone, Default)]
struct Log {
    all: Vec<usize>,
    retained: Vec<usize>,
    dump: Vec<u8>,
}

/// What a subscriber received, over all its streams.
#[derive(Clone, Debug)]
enum Received {
    Cursor(String),
    Message(usize),
    Gap,
}

#[derive(Default)]
struct Subscriber {
    received: Arc<Mutex<Vec<Received>>>,
    stream: Option<JoinHandle<()>>,
}

/// What many rooms share.
struct World {
    nodes: [Node; 2],
    redis: MultiplexedConnection,
    publish: Script,
    delete: Script,
    edit: Script,
}

struct Room {
    world: Arc<World>,
    name: String,
    random: StdRng,
    /// Whether nothing may be lost, so that there must be no gap.
    is_kept: bool,
    clock: u64,
    messages: Vec<Message>,
    log: Log,
    copies: Vec<Log>,
    subscribers: [Subscriber; SUBSCRIBERS],
}

#[derive(Debug, Default)]
struct Verdicts {
    messages: usize,
    gaps: usize,
    silent_losses: Vec<String>,
    false_gaps: Vec<String>,
    id_given_twice: usize,
}

impl World {
    async fn start(redis: &Redis) -> Arc<World> {
        let environment = [("MAX_STREAMS_PER_ADDRESS", "0")];
        let with_clock = |source: &str| {
            let with_clock = source.replace("redis.call('TIME')", "{ 0, ARGV[#ARGV] * 1000 }");
            assert_ne!(source, with_clock, "the clock is injected");
            Script::new(&format!("local PUBLISH = 'PUBLISH'\n{with_clock}"))
        };
        Arc::new(World {
            nodes: [Node::on(redis, &environment).await, Node::on(redis, &environment).await],
            redis: redis.connect().await.expect("a connection"),
            publish: with_clock(concat!(script!("log"), script!("token"), script!("publish"))),
            delete: with_clock(concat!(script!("log"), script!("removal"), script!("delete"))),
            edit: with_clock(concat!(script!("log"), script!("removal"), script!("edit"))),
        })
    }
}

impl Subscriber {
    fn cursor(&self) -> Option<String> {
        let received = self.received.lock().unwrap();
        received.iter().rev().find_map(|received| match received {
            Received::Cursor(id) => Some(id.clone()),
            _ => None,
        })
    }

    /// Opens a stream after the last cursor, or a new one, and receives what comes until it leaves.
    async fn come(&mut self, node: &Node, room: &str) {
        let cursor = self.cursor();
        let headers: Vec<_> = cursor.iter().map(|id| ("Last-Event-ID", id.as_str())).collect();
        let mut stream = Stream::open(node, &format!("/subscribe/{room}"), &headers).await;
        let received = Arc::clone(&self.received);
        self.stream = Some(tokio::spawn(async move {
            while let Some(block) = stream.next_or_end().await {
                let mut received = received.lock().unwrap();
                if block.event.as_deref() == Some("gap") {
                    received.push(Received::Gap);
                } else if block.event.as_deref() == Some("edit") {
                    let number = block.json()["message"].as_str().and_then(|text| text.parse().ok());
                    received.push(Received::Message(number.expect("a number")));
                } else if block.event.as_deref() == Some("delete") {
                    let data = block.json();
                    received.push(Received::Message(data["number"].as_u64().expect("a number") as usize));
                } else if block.event.is_none() && block.data.is_some() {
                    received.push(Received::Message(block.message().message.parse().expect("a number")));
                }
                received.extend(block.id.map(Received::Cursor));
            }
        }));
    }

    /// Closes the stream and waits until nothing is received any more.
    async fn leave(&mut self) {
        if let Some(stream) = self.stream.take() {
            stream.abort();
            let _ = stream.await;
        }
    }
}

impl Room {
    fn new(world: Arc<World>, seed: u64) -> Self {
        Self {
            world,
            name: format!("room-{seed}"),
            random: StdRng::seed_from_u64(seed),
            is_kept: seed.is_multiple_of(4),
            clock: 1_700_000_000_000,
            messages: Vec::new(),
            log: Log::default(),
            copies: Vec::new(),
            subscribers: Default::default(),
        }
    }

    async fn redis<T: redis::FromRedisValue>(&self, command: &str, arguments: &[&[u8]]) -> T {
        let mut redis = self.world.redis.clone();
        redis::cmd(command)
            .arg(key(&self.name))
            .arg(arguments)
            .query_async(&mut redis)
            .await
            .expect("redis answers")
    }

    /// Lets some things happen. If the connections of the nodes break after it, an older copy may replace the log.
    async fn play_round(&mut self, ends_with_failover: bool) {
        for _ in 0..self.random.random_range(2..7) {
            match self.random.random_range(0..20) {
                0..8 => self.publish().await,
                9 => self.delete().await,
                14 => self.edit().await,
                8 if self.random.random_bool(0.2) => self.clear().await,
                10 if !self.is_kept => self.trim().await,
                11 if !self.is_kept => self.lose_log().await,
                12 => self.copy().await,
                13 => self.clock = 1_700_000_000_000 + self.random.random_range(0..20),
                _ => self.come_or_leave().await,
            }
        }
        if ends_with_failover && !self.is_kept && !self.copies.is_empty() && self.random.random_bool(0.5) {
            self.publish().await;
            self.all_have_the_last().await;
            self.log = self.copies[self.random.random_range(0..self.copies.len())].clone();
            let _: String = self.redis("RESTORE", &[b"0", &self.log.dump, b"REPLACE"]).await;
        }
    }

    /// Waits until the open streams have the last message. An announcement of the old log that a node takes after it has
    /// read the new one is told later, by the next comparison with the log.
    async fn all_have_the_last(&self) {
        let last = self.messages.last().map(|message| message.id.clone());
        for subscriber in self.subscribers.iter().filter(|subscriber| subscriber.stream.is_some()) {
            eventually("the last message", async || (subscriber.cursor() == last).then_some(())).await;
        }
    }

    async fn publish(&mut self) {
        let data = format!(r#"{{"sender":"mason","message":"{}","mark":"{MARK}"}}"#, self.messages.len());
        let world = Arc::clone(&self.world);
        let mut call = self.call(&world.publish);
        for beside in ["absent", "offers", "filled"] {
            call.key(format!("{}:{beside}", key(&self.name)));
        }
        call.arg(data)
            .arg("chat-1")
            .arg(1000)
            .arg(60)
            .arg("")
            .arg("")
            .arg("")
            .arg(1000)
            .arg("")
            .arg("")
            .arg(self.clock);
        let (id, ..): (String, String, String) =
            call.invoke_async(&mut world.redis.clone()).await.expect("it is stored");
        self.append(id, false);
    }

    /// Returns a call of a script, and lets some time pass.
    fn call<'a>(&mut self, script: &'a Script) -> redis::ScriptInvocation<'a> {
        self.clock += self.random.random_range(0..3);
        let mut call = script.key(key(&self.name));
        call.key(format!("{}:deleted", key(&self.name))).key(self.edits());
        call
    }

    /// Returns the key of the edited messages.
    fn edits(&self) -> String {
        format!("{}:edits", key(&self.name))
    }

    fn append(&mut self, id: String, is_change: bool) {
        let (number, parent) = (self.messages.len(), self.log.all.last().copied());
        self.messages.push(Message { id, parent, is_deleted: false, is_change });
        self.log.all.push(number);
        self.log.retained.push(number);
    }

    /// Returns a retained message, and the entry that tells of its edit.
    async fn any_message(&mut self) -> Option<(usize, Option<usize>)> {
        let messages: Vec<usize> = self.log.retained.iter().copied().filter(|n| !self.messages[*n].is_change).collect();
        let number = messages[self.random_index(messages.len())?];
        let mut redis = self.world.redis.clone();
        let mut command = redis::cmd("HGET");
        command.arg(self.edits()).arg(&self.messages[number].id);
        let edit: Option<String> = command.query_async(&mut redis).await.expect("redis answers");
        let edit = edit.and_then(|edit| {
            let id = edit.split(' ').next()?;
            self.log.retained.iter().copied().find(|number| self.messages[*number].id == id)
        });
        Some((number, edit))
    }

    /// Notes that entries were deleted.
    fn remove(&mut self, numbers: impl IntoIterator<Item = usize>) {
        for number in numbers {
            self.messages[number].is_deleted = true;
            self.log.retained.retain(|retained| *retained != number);
        }
    }

    /// Deletes a message as a node does.
    async fn delete(&mut self) {
        let Some((number, edit)) = self.any_message().await else {
            return;
        };
        let id = self.messages[number].id.clone();
        if self.run_delete(&id).await {
            self.remove(edit.into_iter().chain([number]));
        }
    }

    /// Edits a message as a node does.
    async fn edit(&mut self) {
        let Some((number, edit)) = self.any_message().await else {
            return;
        };
        let (id, text) = (self.messages[number].id.clone(), format!("\"{}\"", self.messages.len()));
        let world = Arc::clone(&self.world);
        let mut call = self.call(&world.edit);
        call.arg(id).arg(MARK).arg(text).arg("chat-1").arg(1000).arg(60).arg(self.clock);
        let (id, outcome, ..): (String, String, String, String) =
            call.invoke_async(&mut world.redis.clone()).await.expect("an outcome");
        assert_eq!(outcome, "edited");
        self.remove(edit);
        self.append(id, true);
    }

    /// Deletes all messages as a node does.
    async fn clear(&mut self) {
        let all = self.log.clone();
        if self.run_delete("*").await {
            all.all.iter().for_each(|number| self.messages[*number].is_deleted = true);
            self.log.retained.retain(|number| !all.all.contains(number));
        }
    }

    /// Returns true if the script has deleted something.
    async fn run_delete(&mut self, target: &str) -> bool {
        let data = format!(r#"{{"id":"{target}","number":{}}}"#, self.messages.len());
        let data = if target == "*" { data.replace(r#""id":"*""#, r#""all":true"#) } else { data };
        let world = Arc::clone(&self.world);
        let mut call = self.call(&world.delete);
        call.arg(target).arg("").arg(data).arg("chat-1").arg(1000).arg(60).arg(self.clock);
        let (id, outcome, ..): (String, String, String, String) =
            call.invoke_async(&mut world.redis.clone()).await.expect("an outcome");
        if outcome == "deleted" {
            self.append(id, true);
        }
        outcome == "deleted"
    }

    async fn trim(&mut self) {
        let Some(count) = self.random_index(self.log.retained.len() + 1) else {
            return;
        };
        self.log.retained.drain(..count);
        let _: u64 = self.redis("XTRIM", &[b"MAXLEN", self.log.retained.len().to_string().as_bytes()]).await;
    }

    async fn lose_log(&mut self) {
        self.log = Log::default();
        let _: u64 = match self.random.random_bool(0.5) {
            true => self.redis("DEL", &[]).await,
            false => self.redis("PEXPIRE", &[b"0"]).await,
        };
    }

    async fn copy(&mut self) {
        if !self.log.all.is_empty() {
            let dump = self.redis("DUMP", &[]).await;
            self.copies.push(Log { dump, ..self.log.clone() });
        }
    }

    async fn come_or_leave(&mut self) {
        let subscriber = &mut self.subscribers[self.random.random_range(0..SUBSCRIBERS)];
        if subscriber.stream.is_some() {
            subscriber.leave().await;
        } else {
            subscriber.come(&self.world.nodes[self.random.random_range(0..2)], &self.name).await;
        }
    }

    fn random_index(&mut self, length: usize) -> Option<usize> {
        (length > 0).then(|| self.random.random_range(0..length))
    }

    /// Publishes a last message, and waits until every subscriber has got as far.
    async fn finish(mut self) -> Verdicts {
        self.publish().await;
        let last = self.messages.last().map(|message| message.id.clone());
        let mut verdicts = Verdicts::default();
        for mut subscriber in std::mem::take(&mut self.subscribers) {
            if subscriber.stream.is_none() {
                subscriber.come(&self.world.nodes[0], &self.name).await;
            }
            eventually("the last message", async || (subscriber.cursor() == last).then_some(())).await;
            subscriber.leave().await;
            self.judge(&subscriber.received.lock().unwrap(), &mut verdicts);
        }
        verdicts
    }

    /// Follows what a subscriber received: each message has to continue from the one before, apart from deleted ones,
    /// unless a gap is next.
    fn judge(&self, received: &[Received], verdicts: &mut Verdicts) {
        let (mut place, mut cursor, mut is_broken) = (None, "0-0", false);
        let mut moves_cursor = true;
        for (index, next) in received.iter().enumerate() {
            let complaint = || format!("{}: {:?}", self.name, &received[..=index]);
            match next {
                // The first opening, or the block after a gap. Other cursors are those of messages and of resumes.
                Received::Cursor(id) if std::mem::take(&mut moves_cursor) => {
                    place = self.messages.iter().rposition(|message| message.id == *id);
                    cursor = id;
                }
                Received::Cursor(_) => {}
                Received::Gap => {
                    verdicts.gaps += 1;
                    if self.is_kept {
                        verdicts.false_gaps.push(complaint());
                    }
                    (is_broken, moves_cursor) = (false, true);
                }
                Received::Message(number) => {
                    verdicts.messages += 1;
                    if is_broken {
                        verdicts.silent_losses.push(complaint());
                    }
                    let before = self.skip_deleted(self.messages[*number].parent, place, cursor);
                    let has_same_id = self.id(before) == cursor;
                    verdicts.id_given_twice += usize::from(before != place && has_same_id);
                    is_broken = before != place && !has_same_id;
                    (place, cursor) = (Some(*number), &self.messages[*number].id);
                }
            }
        }
        if is_broken {
            verdicts.silent_losses.push(format!("{}: {received:?}", self.name));
        }
    }

    fn skip_deleted(&self, mut from: Place, place: Place, cursor: &str) -> Place {
        while from != place
            && let Some(number) = from
            && self.messages[number].is_deleted
            && self.messages[number].id != cursor
        {
            from = self.messages[number].parent;
        }
        from
    }

    fn id(&self, place: Place) -> &str {
        place.map_or("0-0", |number| &self.messages[number].id)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_in_redis_have_no_silent_loss_and_no_false_gap() {
    let redis = Redis::start().await;
    let world = World::start(&redis).await;
    let mut rooms: Vec<Room> = (0..HISTORIES).map(|seed| Room::new(Arc::clone(&world), seed)).collect();
    for round in 0..ROUNDS {
        join_all(rooms.iter_mut().map(|room| room.play_round(round % 2 == 1))).await;
        if round % 2 == 1 {
            let _: u64 = redis.cmd(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
        }
    }
    let mut sum = Verdicts::default();
    for verdicts in join_all(rooms.into_iter().map(Room::finish)).await {
        sum.messages += verdicts.messages;
        sum.gaps += verdicts.gaps;
        sum.id_given_twice += verdicts.id_given_twice;
        sum.silent_losses.extend(verdicts.silent_losses);
        sum.false_gaps.extend(verdicts.false_gaps);
    }
    assert!(sum.silent_losses.is_empty() && sum.false_gaps.is_empty(), "{sum:#?}");
    assert!(sum.messages > 1000 && sum.gaps > 50, "{sum:#?}");
}
