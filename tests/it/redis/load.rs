//! Posts that go on while a master is replaced, and streams whose content is collected meanwhile.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{task::JoinHandle, time::sleep};

use crate::support::{Block, Node, Redis, Stream, eventually, halves, key};

/// The pause between two posts of the load: with two nodes about 100 posts a second.
const POST_PAUSE: Duration = Duration::from_millis(20);

/// Posts with keys to each of the nodes in turn, until it is told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    /// The ids of the posts that were taken, and when.
    taken: Arc<Mutex<Vec<(String, Instant)>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts with this room.
    pub fn start(nodes: &[Arc<Node>], room: &str) -> Load {
        let (stop, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let tasks = nodes.iter().enumerate().map(|(index, node)| {
            let (node, stop, taken) = (node.clone(), stop.clone(), taken.clone());
            let room = room.to_owned();
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = format!("key-{index}-{number}");
                    let post = json!({ "sender": "mason", "message": "hi", "key": key });
                    let answer = node.publish(&room, post).await;
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
    pub async fn wait_for(&self, further: usize) {
        let so_far = self.count();
        eventually("posts that are taken", async || (self.count() >= so_far + further).then_some(())).await;
    }

    /// Stops, and returns what was taken.
    pub async fn stop(self) -> Vec<(String, Instant)> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.expect("a task that posts");
        }
        Arc::into_inner(self.taken).expect("no other task").into_inner().expect("a lock")
    }
}

/// All that a stream has got.
pub struct Collected {
    blocks: Arc<Mutex<Vec<Block>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Collected {
    pub async fn start(node: &Node, room: &str) -> Collected {
        let mut stream = Stream::live(node, room).await;
        let (blocks, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (collected, stopped) = (blocks.clone(), stop.clone());
        let task = tokio::spawn(async move {
            // There is a heartbeat each second.
            while !stopped.load(Ordering::Relaxed) {
                let block = stream.next().await;
                collected.lock().expect("a lock").push(block);
            }
        });
        Collected { blocks, stop, task }
    }

    /// Waits for a message, and returns all that came until then. The stream must not have ended.
    pub async fn until(self, last: &str) -> Vec<Block> {
        let has_last = async || {
            let blocks = self.blocks.lock().expect("a lock");
            blocks.iter().any(|block| block.id.as_deref() == Some(last)).then_some(())
        };
        eventually("the last message", has_last).await;
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the stream stayed open");
        Arc::into_inner(self.blocks).expect("no other task").into_inner().expect("a lock")
    }

    /// Checks what came until a message: every post that was taken where nodes heal, and elsewhere nothing was lost
    /// silently.
    pub async fn assert_nothing_lost(
        self,
        last: &str,
        taken: &[(String, Instant)],
        stored: &HashSet<String>,
        is_healing: bool,
    ) {
        let blocks = self.until(last).await;
        if is_healing {
            assert_has_all(taken, &blocks);
        } else {
            assert_none_lost_silently(taken, stored, &blocks);
        }
    }
}

/// Checks that a post that was taken is in the log of the new master, or that the stream, which had got it, was told so.
pub fn assert_none_lost_silently(taken: &[(String, Instant)], stored: &HashSet<String>, blocks: &[Block]) {
    let mut lost = lost(taken, stored);
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

/// Checks that a stream was told of no gap, and got every post that was taken, once and in order.
pub fn assert_has_all(taken: &[(String, Instant)], blocks: &[Block]) {
    let gap = blocks.iter().find(|block| block.event.as_deref() == Some("gap"));
    assert_eq!(gap, None);
    let seen: Vec<&String> = blocks.iter().filter(|block| block.event.is_none()).flat_map(|block| &block.id).collect();
    assert!(
        seen.is_sorted_by_key(|id| halves(id).1) && seen.windows(2).all(|pair| pair[0] != pair[1]),
        "{seen:?}"
    );
    let seen: HashSet<&String> = seen.into_iter().collect();
    let missing: Vec<&String> = taken.iter().map(|(id, _)| id).filter(|id| !seen.contains(id)).collect();
    assert!(missing.is_empty(), "{missing:?} were not delivered");
}

/// Returns the posts that were taken and are not in the log of the new master.
pub fn lost<'a>(taken: &'a [(String, Instant)], stored: &HashSet<String>) -> HashSet<&'a String> {
    taken.iter().map(|(id, _)| id).filter(|id| !stored.contains(*id)).collect()
}

/// Returns the ids in the log of a room at a server.
pub async fn ids_in_log(server: &Redis, room: &str) -> HashSet<String> {
    let entries: Vec<(String, Vec<String>)> = server.cmd(&["XRANGE", &key(room), "-", "+"]).await;
    entries.into_iter().map(|(id, _)| id).collect()
}
