//! A master whose place another server takes, as Sentinels decide it (contract 6).

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

use super::post_until_accepted;
use crate::support::{Block, Node, Redis, Sentinels, Stream, eventually, key, within};

/// The time within which posts are taken again after Sentinel has decided.
const MAX_RECOVERY: Duration = Duration::from_secs(5);

/// The pause between two posts of the load: with two nodes about 100 posts a second.
const POST_PAUSE: Duration = Duration::from_millis(20);

/// Starts two nodes on the same Sentinels.
async fn two_nodes(url: &str) -> [Arc<Node>; 2] {
    let start = async || Arc::new(Node::start(&[("REDIS_URL", url), ("HEARTBEAT", "1")]).await);
    [start().await, start().await]
}

/// Posts with keys to each of the nodes in turn, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    /// The ids of the posts that were taken, and when.
    taken: Arc<Mutex<Vec<(String, Instant)>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    fn start(nodes: &[Arc<Node>]) -> Load {
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let tasks = nodes.iter().enumerate().map(|(index, node)| {
            let (node, stop, taken) = (node.clone(), stop.clone(), taken.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("key-{index}-{number}");
                    let post = json!({ "sender": "mason", "message": "hi", "key": key });
                    let answer = node.publish("lobby", post).await;
                    if answer.status < 300 {
                        taken.lock().expect("a lock").push((answer.id(), Instant::now()));
                    }
                    sleep(POST_PAUSE).await;
                }
            })
        });
        Load { tasks: tasks.collect(), stop, taken }
    }

    fn count(&self) -> usize {
        self.taken.lock().expect("a lock").len()
    }

    /// Waits until this many further posts were taken.
    async fn wait_for(&self, further: usize) {
        let so_far = self.count();
        eventually("posts that are taken", async || (self.count() >= so_far + further).then_some(())).await;
    }

    /// Stops, and returns what was taken.
    async fn stop(self) -> Vec<(String, Instant)> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a task that posts");
        }
        Arc::into_inner(self.taken).expect("no other task").into_inner().expect("a lock")
    }
}

/// Collects all that a stream gets.
fn collect(mut stream: Stream) -> (JoinHandle<Stream>, Arc<Mutex<Vec<Block>>>, Arc<AtomicBool>) {
    let (blocks, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let (collected, stopped) = (blocks.clone(), stop.clone());
    let task = tokio::spawn(async move {
        // There is a heartbeat each second.
        while !stopped.load(Ordering::Relaxed) {
            let block = stream.next().await;
            collected.lock().expect("a lock").push(block);
        }
        stream
    });
    (task, blocks, stop)
}

/// Checks that a post that was taken is in the log of the new master, or that the stream, which had got it, was told so.
fn assert_none_lost_silently(taken: &[(String, Instant)], stored: &HashSet<String>, blocks: &[Block]) {
    let mut lost: HashSet<&String> = taken.iter().map(|(id, _)| id).filter(|id| !stored.contains(*id)).collect();
    let seen: HashSet<&String> =
        blocks.iter().filter(|block| block.event.is_none()).flat_map(|block| &block.id).collect();
    let gaps = blocks.iter().filter(|block| block.event.as_deref() == Some("gap")).count();
    lost.retain(|id| seen.contains(id));
    assert!(lost.is_empty() || gaps > 0, "{lost:?} were seen, are in no log, and no gap tells of it");
    if gaps == 0 {
        let missing: Vec<_> =
            taken.iter().map(|(id, _)| id).filter(|id| stored.contains(*id) && !seen.contains(id)).collect();
        assert!(missing.is_empty(), "{missing:?} are in the log and were not delivered");
    }
}

async fn ids_in_log(server: &Redis) -> HashSet<String> {
    let entries: Vec<(String, Vec<String>)> = server.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    entries.into_iter().map(|(id, _)| id).collect()
}

/// Returns how many scripts and writes to logs a server has executed.
async fn calls(server: &Redis) -> u64 {
    let stats: String = server.cmd(&["INFO", "commandstats"]).await;
    let count = |name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
    };
    count("evalsha") + count("eval")
}

/// Waits until a Sentinel says that another server is the master.
async fn switch(sentinel: &Redis) -> impl Future<Output = Instant> + use<> {
    let client = redis::Client::open(sentinel.url()).expect("a URL");
    let mut events = client.get_async_pubsub().await.expect("a connection");
    events.subscribe("+switch-master").await.expect("a subscription");
    async move {
        let mut events = events.into_on_message();
        within(Duration::from_secs(30), "a switch", events.next()).await.expect("a message");
        Instant::now()
    }
}

#[tokio::test]
async fn nodes_share_rooms_on_the_master() {
    let sentinels = Sentinels::start(3, 1).await;
    let [here, there] = two_nodes(&sentinels.url()).await;
    let mut reader = Stream::live(&here, "lobby").await;
    let ids = there.fill("lobby", 3).await;
    assert_eq!(reader.next_ids(3).await, ids);
    assert_eq!(here.stored("lobby").await.len(), 3);
    assert_eq!(Stream::resume(&there, "lobby", &ids[0]).await.next_ids(2).await, ids[1..]);
    assert_eq!(ids_in_log(&sentinels.servers()[0]).await.len(), 3);
}

#[tokio::test]
async fn planned_failover_loses_nothing_silently() {
    let sentinels = Sentinels::start(3, 2).await;
    let nodes = two_nodes(&sentinels.url()).await;
    let old = &sentinels.servers()[0];
    let [here, there] =
        [collect(Stream::live(&nodes[0], "lobby").await), collect(Stream::live(&nodes[1], "lobby").await)];
    let load = Load::start(&nodes);
    load.wait_for(100).await;
    let switched = switch(&sentinels.sentinels()[0]).await;
    let (switched, new) = tokio::join!(switched, sentinels.failover());
    // What was sent before the nodes heard of it has been answered by then.
    sleep(Duration::from_millis(300)).await;
    let calls_then = calls(old).await;
    load.wait_for(200).await;
    assert_eq!(calls(old).await, calls_then, "nothing is sent to the old master");
    let taken = load.stop().await;
    let recovered = taken
        .iter()
        .map(|(_, at)| *at)
        .find(|at| *at > switched + Duration::from_millis(50))
        .expect("a post");
    assert!(recovered - switched < MAX_RECOVERY, "a post was taken after {:?}", recovered - switched);
    println!("recovered after {:?}", recovered - switched);
    let last = post_until_accepted(&nodes[0], "the last one").await;
    let stored = ids_in_log(new).await;
    for (task, blocks, stop) in [here, there] {
        let has_last = async || {
            let blocks = blocks.lock().expect("a lock");
            blocks.iter().any(|block| block.id.as_ref() == Some(&last)).then_some(())
        };
        eventually("the last message", has_last).await;
        stop.store(true, Ordering::Relaxed);
        task.await.expect("the stream stayed open");
        assert_none_lost_silently(&taken, &stored, &blocks.lock().expect("a lock"));
    }
}
