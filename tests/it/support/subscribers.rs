//! Many subscribers that reconnect on their own: each resumes with the last id it saw, after the delay that the stream
//! asked for, and checks that every message arrives once and in order.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::sleep,
};

use super::{eventually, halves};

/// A group of subscribers that run until their test ends.
pub struct Subscribers {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

/// What all subscribers of a group read and report to.
struct Shared {
    address: SocketAddr,
    path: String,
    live: AtomicUsize,
    connection_attempts: Mutex<Vec<Instant>>,
    /// The sequence number that the test is waiting for.
    goal: watch::Sender<u64>,
    /// How many subscribers have received the goal.
    reached_goal: AtomicUsize,
}

/// The state of one subscriber, kept across its connections.
struct Subscriber {
    shared: Arc<Shared>,
    last_id: Option<String>,
    retry: Duration,
    /// The goal for which this subscriber has been counted.
    counted_goal: u64,
}

impl Subscribers {
    /// Connects `count` subscribers to a path such as `/subscribe/lobby` and waits until all are live.
    pub async fn connect(address: SocketAddr, path: &str, count: usize) -> Subscribers {
        let shared = Arc::new(Shared {
            address,
            path: path.to_owned(),
            live: AtomicUsize::new(0),
            connection_attempts: Mutex::default(),
            goal: watch::Sender::new(u64::MAX),
            reached_goal: AtomicUsize::new(0),
        });
        let mut subscribers = Subscribers { tasks: JoinSet::new(), shared };
        for _ in 0..count {
            let subscriber = Subscriber {
                shared: subscribers.shared.clone(),
                last_id: None,
                retry: Duration::from_millis(100),
                counted_goal: u64::MAX,
            };
            subscribers.tasks.spawn(subscriber.run());
        }
        subscribers.wait_until_live().await;
        subscribers
    }

    /// Waits until every subscriber is live.
    pub async fn wait_until_live(&mut self) {
        eventually("a live status at every subscriber", async || {
            self.propagate_panic();
            (self.live_count() == self.tasks.len()).then_some(())
        })
        .await;
    }

    /// Returns the number of subscribers that are live now.
    pub fn live_count(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }

    /// Waits until every subscriber has received the message with this id.
    pub async fn wait_until_received(&mut self, id: &str) {
        self.shared.reached_goal.store(0, Ordering::SeqCst);
        self.shared.goal.send_replace(halves(id).1);
        eventually("a message at every subscriber", async || {
            self.propagate_panic();
            (self.shared.reached_goal.load(Ordering::SeqCst) == self.tasks.len()).then_some(())
        })
        .await;
    }

    /// Returns the times of all connection attempts since the last call.
    pub fn take_connection_attempts(&self) -> Vec<Instant> {
        std::mem::take(&mut self.shared.connection_attempts.lock().expect("no panic while held"))
    }

    /// Panics if a subscriber did, which means that it received something wrong.
    fn propagate_panic(&mut self) {
        if let Some(ended) = self.tasks.try_join_next() {
            ended.expect("no subscriber panics");
        }
    }
}

impl Subscriber {
    /// Connects again and again until the test ends.
    async fn run(mut self) {
        let mut goal = self.shared.goal.subscribe();
        loop {
            self.shared.connection_attempts.lock().expect("no panic while held").push(Instant::now());
            if let Ok(mut socket) = TcpStream::connect(self.shared.address).await {
                let mut live = false;
                self.read_stream(&mut socket, &mut live, &mut goal).await;
                if live {
                    self.shared.live.fetch_sub(1, Ordering::SeqCst);
                }
            }
            sleep(self.retry).await; // the delay that the stream asked for
        }
    }

    /// Reads one stream to its end.
    async fn read_stream(&mut self, socket: &mut TcpStream, live: &mut bool, goal: &mut watch::Receiver<u64>) {
        let cursor = self.last_id.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n{cursor}\r\n", self.shared.path, self.shared.address);
        if socket.write_all(request.as_bytes()).await.is_err() {
            return;
        }
        let mut unread = Vec::with_capacity(2048);
        loop {
            tokio::select! {
                count = socket.read_buf(&mut unread) => match count {
                    Ok(1..) => {}
                    _ => return,
                },
                _ = goal.changed() => self.report_progress(),
            }
            while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = unread.drain(..end + 2).collect();
                self.handle_block(std::str::from_utf8(&block).expect("UTF-8"), live);
            }
        }
    }

    fn handle_block(&mut self, block: &str, live: &mut bool) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        if let Some(retry) = field("retry:").and_then(|retry| retry.parse().ok()) {
            self.retry = Duration::from_millis(retry);
        }
        let (event, id) = (field("event: "), field("id: "));
        assert_ne!(event.as_deref(), Some("gap"), "after {:?}: {block}", self.last_id);
        if event.as_deref() == Some("status") && !std::mem::replace(live, true) {
            self.shared.live.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(id) = id {
            match (event.as_deref(), &self.last_id) {
                (None, Some(last)) => assert_eq!(halves(&id).1, halves(last).1 + 1, "{id} does not follow {last}"),
                (Some(_), Some(last)) => assert_eq!(id, *last, "the node repeats the requested cursor"),
                _ => {}
            }
            self.last_id = Some(id);
            self.report_progress();
        }
    }

    /// Counts this subscriber, once, if it has received the goal.
    fn report_progress(&mut self) {
        let goal = *self.shared.goal.borrow();
        if self.counted_goal != goal && self.last_id.as_ref().is_some_and(|last| halves(last).1 >= goal) {
            self.counted_goal = goal;
            self.shared.reached_goal.fetch_add(1, Ordering::SeqCst);
        }
    }
}
