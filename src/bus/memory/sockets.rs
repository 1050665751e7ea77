//! Sockets of a single process: bounded, expiring, and lost at restart.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::bus::error::Unavailable;
use crate::bus::sockets::{CreateError, MAX_SOCKETS_PER_KEY, Socket, SocketId, SocketStore};

/// The most bytes of all sockets together. Beyond it none is made until others expire.
const MAX_STORE_BYTES: usize = 64 << 20;

/// Estimated bytes that a socket takes in addition to its texts.
const SOCKET_OVERHEAD_BYTES: usize = 200;

/// The least time between two removals of what has expired.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The sockets of one process.
#[derive(Default)]
pub struct MemorySockets {
    living: Mutex<Living>,
}

#[derive(Default)]
struct Living {
    by_id: HashMap<SocketId, (Arc<Socket>, Instant)>,
    /// How many of them each key has.
    counts: HashMap<Arc<str>, usize>,
    bytes: usize,
    last_sweep: Option<Instant>,
}

#[async_trait]
impl SocketStore for MemorySockets {
    async fn create(&self, id: SocketId, socket: &Socket) -> Result<(), CreateError> {
        let mut living = self.living.lock();
        living.sweep(Instant::now());
        if living.counts.get(&socket.key).is_some_and(|count| *count >= MAX_SOCKETS_PER_KEY) {
            return Err(CreateError::TooMany);
        }
        if living.bytes + size(socket) > MAX_STORE_BYTES {
            return Err(CreateError::Unavailable);
        }
        living.insert(id, &Arc::new(socket.clone()));
        Ok(())
    }

    async fn find(&self, id: SocketId) -> Result<Option<Socket>, Unavailable> {
        let living = self.living.lock();
        let found = living.by_id.get(&id).filter(|(_, expires)| *expires > Instant::now());
        Ok(found.map(|(socket, _)| Socket::clone(socket)))
    }

    async fn renew(&self, sockets: &[(SocketId, Arc<Socket>)]) -> Result<(), Unavailable> {
        let mut living = self.living.lock();
        for (id, socket) in sockets {
            living.insert(*id, socket);
        }
        Ok(())
    }
}

impl Living {
    /// Inserts or renews a socket, unless its time is over.
    fn insert(&mut self, id: SocketId, socket: &Arc<Socket>) {
        let Some(ttl) = socket.ttl() else { return };
        if self.by_id.insert(id, (socket.clone(), Instant::now() + ttl)).is_none() {
            *self.counts.entry(socket.key.clone()).or_default() += 1;
            self.bytes += size(socket);
        }
    }

    /// Removes what has expired, at most once in an interval: a flood of calls does not look at all sockets each time.
    fn sweep(&mut self, now: Instant) {
        if self.last_sweep.is_some_and(|swept| now - swept < SWEEP_INTERVAL) {
            return;
        }
        self.last_sweep = Some(now);
        for (_, (socket, _)) in self.by_id.extract_if(|_, (_, expires)| *expires <= now) {
            self.bytes -= size(&socket);
            if let Some(count) = self.counts.get_mut(&socket.key) {
                *count -= 1;
            }
        }
        self.counts.retain(|_, count| *count > 0);
    }
}

fn size(socket: &Socket) -> usize {
    socket.channel.len() + socket.presence_id.as_ref().map_or(0, String::len) + SOCKET_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::log::unix_ms;
    use crate::bus::sockets::SOCKET_TTL;

    fn socket(key: &str) -> Socket {
        Socket { key: key.into(), channel: "news".into(), prefix: None, presence_id: None, made: unix_ms() }
    }

    #[tokio::test]
    async fn a_key_has_so_many_living_sockets_and_no_more() {
        let store = MemorySockets::default();
        let (full, other) = (socket("full"), socket("other"));
        store.living.lock().counts.insert(full.key.clone(), MAX_SOCKETS_PER_KEY - 1);
        assert_eq!(store.create(SocketId::random(), &full).await, Ok(()));
        assert_eq!(store.create(SocketId::random(), &full).await, Err(CreateError::TooMany));
        assert_eq!(store.create(SocketId::random(), &other).await, Ok(()));
        {
            let mut living = store.living.lock();
            living.sweep(Instant::now() + SOCKET_TTL + SWEEP_INTERVAL);
            assert_eq!((living.by_id.len(), living.bytes), (0, 0));
            living.last_sweep = None;
        }
        assert_eq!(store.create(SocketId::random(), &full).await, Ok(()));
    }

    #[tokio::test]
    async fn a_renewal_stores_what_was_lost_but_nothing_older_than_a_day() {
        let store = MemorySockets::default();
        let (lost, over) = (SocketId::random(), SocketId::random());
        let day_old = Socket { made: unix_ms() - 24 * 60 * 60 * 1000, ..socket("k") };
        store.renew(&[(lost, Arc::new(socket("k"))), (over, Arc::new(day_old))]).await.unwrap();
        assert!(store.find(lost).await.unwrap().is_some());
        assert!(store.find(over).await.unwrap().is_none());
    }
}
