//! The sockets that this node streams, or did a moment ago. It keeps them alive: a batch goes to the store when some were
//! opened or refused, and every 20 s.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::bus::{CreateError, SOCKET_TTL, Socket, SocketId, SocketStore, Unavailable};
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// How often a socket is renewed while it has a stream.
const RENEW_INTERVAL: Duration = Duration::from_secs(20);

/// How often it is looked at which sockets are due, and whether the store still has them.
const TICK: Duration = Duration::from_secs(2);

/// The pause after a call of the store that failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long after all sockets were renewed, since the store had lost one, this may happen again.
const LOSS_PAUSE: Duration = Duration::from_secs(10);

/// Sockets per call of the store.
const BATCH: usize = 256;

/// The sockets of this node's streams.
pub struct LiveSockets {
    store: Arc<dyn SocketStore>,
    state: Mutex<State>,
    due: Notify,
}

#[derive(Default)]
struct State {
    /// By id, until a socket has had no stream for as long as it lives without one.
    known: HashMap<SocketId, Known>,
    /// Those that are to be renewed at once.
    due: HashSet<SocketId>,
}

struct Known {
    socket: Arc<Socket>,
    /// Whether the socket's app is no longer valid.
    revoked: Arc<AtomicBool>,
    streams: usize,
    renew_at: Instant,
    expires_at: Instant,
}

/// Keeps a socket alive until it is dropped.
pub struct LiveSocket {
    sockets: Arc<LiveSockets>,
    id: SocketId,
}

impl LiveSockets {
    /// Creates an empty set. [`LiveSockets::run`] has to run.
    pub fn new(store: Arc<dyn SocketStore>) -> Arc<Self> {
        Arc::new(Self { store, state: Mutex::default(), due: Notify::new() })
    }

    /// Stores a new socket.
    ///
    /// # Errors
    /// If its key has too many, or the store is unavailable.
    pub async fn create(&self, id: SocketId, socket: &Socket) -> Result<(), CreateError> {
        self.store.create(id, socket).await
    }

    /// Returns the socket with this id if it lives: if the store has it, or has lost it while this node still knows it.
    ///
    /// # Errors
    /// If the store is unavailable. A socket that this node knows then lives on as one that was refused.
    pub async fn find(&self, id: SocketId) -> Result<Option<Socket>, Unavailable> {
        match self.store.find(id).await {
            Ok(Some(socket)) => Ok(Some(socket)),
            Ok(None) => Ok(self.state.lock().living(id).map(|known| Socket::clone(&known.socket))),
            Err(Unavailable) => {
                if self.state.lock().renew(id) {
                    self.due.notify_one();
                }
                Err(Unavailable)
            }
        }
    }

    /// Renews a socket now, since its reader asks for a stream, and for as long as the returned guard is held.
    pub fn open(self: &Arc<Self>, id: SocketId, socket: Socket, revoked: &Arc<AtomicBool>) -> LiveSocket {
        let now = Instant::now();
        let mut state = self.state.lock();
        let known = state.known.entry(id).or_insert_with(|| Known {
            socket: Arc::new(socket),
            revoked: revoked.clone(),
            streams: 0,
            renew_at: now,
            expires_at: now,
        });
        known.revoked = revoked.clone();
        known.streams += 1;
        state.renew(id);
        drop(state);
        self.due.notify_one();
        LiveSocket { sockets: self.clone(), id }
    }

    /// Renews sockets, for as long as this exists.
    pub fn run(self: &Arc<Self>, metrics: Arc<Metrics>) -> impl Future<Output = ()> + Send + use<> {
        let (sockets, lost) = (Arc::downgrade(self), Arc::downgrade(self));
        let run = async move || Self::renew_all(sockets.clone()).await;
        let on_panic = move || {
            if let Some(sockets) = lost.upgrade() {
                sockets.state.lock().renew_streamed();
            }
        };
        supervise(metrics, "sockets", run, on_panic)
    }

    async fn renew_all(sockets: Weak<Self>) {
        let mut look_at = Instant::now();
        while let Some(sockets) = sockets.upgrade() {
            let _ = timeout(TICK, sockets.due.notified()).await;
            let now = Instant::now();
            if look_at <= now {
                look_at = now + if sockets.were_lost().await { LOSS_PAUSE } else { TICK };
                sockets.state.lock().on_tick(now);
            }
            if sockets.renew_due().await.is_err() {
                sleep(RETRY_PAUSE).await;
            }
        }
    }

    /// Looks for one of the streamed sockets in the store. If the store has lost it, all are due: it was emptied, or is
    /// another one.
    async fn were_lost(&self) -> bool {
        let Some(id) = self.state.lock().streamed() else {
            return false;
        };
        let is_lost = self.store.find(id).await == Ok(None);
        if is_lost {
            self.state.lock().renew_streamed();
        }
        is_lost
    }

    /// Renews the sockets that are due, in batches. What could not be renewed stays due.
    async fn renew_due(&self) -> Result<(), Unavailable> {
        let due = self.state.lock().take_due();
        for (index, batch) in due.chunks(BATCH).enumerate() {
            if let Err(Unavailable) = self.store.renew(batch).await {
                self.state.lock().due.extend(due[index * BATCH..].iter().map(|(id, _)| id));
                return Err(Unavailable);
            }
        }
        Ok(())
    }
}

impl Drop for LiveSocket {
    fn drop(&mut self) {
        if let Some(known) = self.sockets.state.lock().known.get_mut(&self.id) {
            known.streams -= 1;
        }
    }
}

impl State {
    /// Returns what is known of a socket if it lives.
    fn living(&self, id: SocketId) -> Option<&Known> {
        self.known.get(&id).filter(|known| known.lives(Instant::now()))
    }

    /// Lets a socket live on, and makes it due. Returns false if it is not known.
    fn renew(&mut self, id: SocketId) -> bool {
        let Some(known) = self.known.get_mut(&id) else {
            return false;
        };
        known.expires_at = Instant::now() + SOCKET_TTL;
        self.due.insert(id);
        true
    }

    /// Returns one of the sockets that have streams.
    fn streamed(&self) -> Option<SocketId> {
        let now = Instant::now();
        self.known.iter().find(|(_, known)| known.streams > 0 && known.lives(now)).map(|(id, _)| *id)
    }

    /// Makes all sockets due that have streams.
    fn renew_streamed(&mut self) {
        let streamed = self.known.iter().filter(|(_, known)| known.streams > 0);
        self.due.extend(streamed.map(|(id, _)| id));
    }

    /// Forgets the sockets that live no longer, and makes those due whose time to be renewed comes before the next tick.
    fn on_tick(&mut self, now: Instant) {
        self.known.retain(|_, known| known.streams > 0 || known.lives(now));
        let due = self.known.iter().filter(|(_, known)| known.streams > 0 && known.renew_at <= now + TICK);
        self.due.extend(due.map(|(id, _)| id));
    }

    /// Takes the sockets that are due and live.
    fn take_due(&mut self) -> Vec<(SocketId, Arc<Socket>)> {
        let now = Instant::now();
        let mut living = Vec::new();
        for id in mem::take(&mut self.due) {
            let Some(known) = self.known.get_mut(&id).filter(|known| known.lives(now)) else {
                continue;
            };
            known.renew_at = now + RENEW_INTERVAL;
            if known.streams > 0 {
                known.expires_at = now + SOCKET_TTL;
            }
            living.push((id, known.socket.clone()));
        }
        living
    }
}

impl Known {
    fn lives(&self, now: Instant) -> bool {
        let is_over = self.revoked.load(Ordering::Acquire) || self.socket.ttl().is_none();
        !is_over && (self.streams > 0 || self.expires_at > now)
    }
}
