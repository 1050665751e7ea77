//! Many readers that come back by themselves: each resumes with the last id it saw, after the time it was told, and
//! sees to it that every message comes once and in order.

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

/// Ends with its test.
pub struct Crowd {
    readers: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    path: String,
    live: AtomicUsize,
    tries: Mutex<Vec<Instant>>,
    /// How many have seen this number or a later one, by the number that is waited for.
    goal: watch::Sender<u64>,
    arrived: AtomicUsize,
}

/// Where one reader is.
struct Reader {
    shared: Arc<Shared>,
    last: Option<String>,
    retry: Duration,
    counted_for: u64,
}

impl Crowd {
    /// So many readers of a path such as `/subscribe/lobby`, all live.
    pub async fn gather(address: SocketAddr, path: &str, count: usize) -> Crowd {
        let shared = Arc::new(Shared {
            address,
            path: path.to_owned(),
            live: AtomicUsize::new(0),
            tries: Mutex::default(),
            goal: watch::Sender::new(u64::MAX),
            arrived: AtomicUsize::new(0),
        });
        let mut crowd = Crowd { readers: JoinSet::new(), shared };
        for _ in 0..count {
            let reader = Reader {
                shared: crowd.shared.clone(),
                last: None,
                retry: Duration::from_millis(100),
                counted_for: u64::MAX,
            };
            crowd.readers.spawn(reader.stay());
        }
        crowd.all_live().await;
        crowd
    }

    /// Waits until every reader is live.
    pub async fn all_live(&mut self) {
        eventually("a crowd that is live", async || {
            self.complain();
            (self.live() == self.readers.len()).then_some(())
        })
        .await;
    }

    /// How many are live now.
    pub fn live(&self) -> usize {
        self.shared.live.load(Ordering::SeqCst)
    }

    /// Waits until every reader has seen the message with this id.
    pub async fn all_saw(&mut self, id: &str) {
        self.shared.arrived.store(0, Ordering::SeqCst);
        self.shared.goal.send_replace(halves(id).1);
        eventually("a message at every reader", async || {
            self.complain();
            (self.shared.arrived.load(Ordering::SeqCst) == self.readers.len()).then_some(())
        })
        .await;
    }

    /// When readers have come since this was asked last.
    pub fn tries(&self) -> Vec<Instant> {
        std::mem::take(&mut self.shared.tries.lock().expect("no panic while held"))
    }

    /// Panics as the first reader did that saw something wrong.
    fn complain(&mut self) {
        if let Some(ended) = self.readers.try_join_next() {
            ended.expect("a reader that goes on");
        }
    }
}

impl Reader {
    async fn stay(mut self) {
        let mut goal = self.shared.goal.subscribe();
        loop {
            self.shared.tries.lock().expect("no panic while held").push(Instant::now());
            if let Ok(mut socket) = TcpStream::connect(self.shared.address).await {
                let mut live = false;
                self.read(&mut socket, &mut live, &mut goal).await;
                if live {
                    self.shared.live.fetch_sub(1, Ordering::SeqCst);
                }
            }
            sleep(self.retry).await; // what the stream asks of the reader
        }
    }

    /// Reads one stream to its end.
    async fn read(&mut self, socket: &mut TcpStream, live: &mut bool, goal: &mut watch::Receiver<u64>) {
        let last = self.last.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n{last}\r\n", self.shared.path, self.shared.address);
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
                _ = goal.changed() => self.count(),
            }
            while let Some(end) = unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = unread.drain(..end + 2).collect();
                self.take(std::str::from_utf8(&block).expect("UTF-8"), live);
            }
        }
    }

    fn take(&mut self, block: &str, live: &mut bool) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        if let Some(retry) = field("retry: ").and_then(|retry| retry.parse().ok()) {
            self.retry = Duration::from_millis(retry);
        }
        let (event, id) = (field("event: "), field("id: "));
        assert_ne!(event.as_deref(), Some("gap"), "after {:?}: {block}", self.last);
        if event.as_deref() == Some("status") && !std::mem::replace(live, true) {
            self.shared.live.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(id) = id {
            match (field("data: "), &self.last) {
                (Some(_), Some(last)) => {
                    assert_eq!(halves(&id).1, halves(last).1 + 1, "{id} does not follow {last}")
                }
                (None, Some(last)) => assert_eq!(id, *last, "the place it asked for"),
                _ => {}
            }
            self.last = Some(id);
            self.count();
        }
    }

    /// Counts this reader, once, where it has come to what is waited for.
    fn count(&mut self) {
        let goal = *self.shared.goal.borrow();
        if self.counted_for != goal && self.last.as_ref().is_some_and(|last| halves(last).1 >= goal) {
            self.counted_for = goal;
            self.shared.arrived.fetch_add(1, Ordering::SeqCst);
        }
    }
}
