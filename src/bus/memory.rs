//! The bus of one process: the same behaviour as Redis', forgotten at restart.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{
    Bus, Entry, KEY_TTL_MS, Listener, LogPage, PresenceEntry, PublishError, Rate, Receipt, Retention, Span,
    StreamReservation, Unavailable, unix_ms,
};
use crate::chat::{Draft, Id, RoomName};
use crate::metrics::Metrics;

/// All logs together hold at most this many bytes; then publishing is refused, as by a Redis whose
/// memory is full, until logs expire. Nothing that was acknowledged is thrown away for it.
const CAPACITY: usize = 512 << 20;

/// What an entry costs beside its text.
const OVERHEAD: usize = 160;

/// How often logs and keys that have expired unasked are looked for.
const SWEEP: Duration = Duration::from_secs(30);

/// The logs of one process.
pub struct Memory {
    node: String,
    retention: Retention,
    store: Mutex<Store>,
    listener: OnceLock<Weak<dyn Listener>>,
}

#[derive(Default)]
struct Store {
    logs: HashMap<RoomName, Log>,
    keys: HashMap<(RoomName, String), Known>,
    bytes: usize,
    swept: Option<Instant>,
}

struct Log {
    entries: VecDeque<Entry>,
    last: Id,
    expires: Instant,
}

/// What was published under a key.
struct Known {
    id: Id,
    data: String,
    expires: Instant,
}

impl Memory {
    /// An empty bus whose entries name `node`.
    pub fn new(node: &str, retention: Retention, metrics: &Metrics) -> Self {
        metrics.store_connected.set(1);
        Self { node: node.into(), retention, store: Mutex::default(), listener: OnceLock::new() }
    }

    fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.listener.get().and_then(Weak::upgrade)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for Memory {
    async fn publish(&self, room: &RoomName, draft: &Draft) -> Result<Receipt, PublishError> {
        let now = Instant::now();
        let mut store = self.store();
        store.sweep(now);
        if let Some(known) = draft.key().and_then(|key| store.known(room, key, now)) {
            let same = known.data == draft.data();
            return if same {
                Ok(Receipt { id: known.id, duplicate: true })
            } else {
                Err(PublishError::KeyReused)
            };
        }
        if store.bytes + draft.data().len() + OVERHEAD > CAPACITY {
            tracing::error!("the in-process bus is full; messages are refused until logs expire");
            return Err(PublishError::Unavailable);
        }
        let entry = store.append(room, draft, &self.node, &self.retention, now);
        let id = entry.id;
        // Announced under the lock: the order of the announcements is the order of the log.
        if let Some(listener) = self.listener() {
            listener.announced(room.as_str(), entry);
        }
        Ok(Receipt { id, duplicate: false })
    }

    async fn read(&self, room: &RoomName, span: Span, limit: usize) -> Result<LogPage, Unavailable> {
        let mut store = self.store();
        Ok(match store.living(room, Instant::now()) {
            Some(log) => log.read(span, limit),
            None => LogPage { first: None, last: Id::ZERO, entries: Vec::new(), more: false },
        })
    }

    async fn attend(&self, _: &RoomName, _: &PresenceEntry) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable> {
        // There is nobody else.
        Ok(Vec::new())
    }

    async fn attendance(&self, _: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable> {
        Ok(Vec::new())
    }

    // What one process may do it counts itself.

    async fn spend(&self, _: IpAddr, _: Rate) -> Result<Result<(), Duration>, Unavailable> {
        Ok(Ok(()))
    }

    async fn claim(&self, _: &str, claims: &[StreamReservation], _: usize) -> Result<Vec<usize>, Unavailable> {
        Ok(claims.iter().map(|claim| claim.wanted).collect())
    }

    fn listen(&self, room: &RoomName) {
        // The calls to a listener never overlap.
        let _store = self.store();
        if let Some(listener) = self.listener() {
            listener.joined(room.as_str());
        }
    }

    fn unlisten(&self, _: &RoomName) {}

    fn attach(&self, listener: Weak<dyn Listener>) {
        let _ = self.listener.set(listener);
    }

    fn was_reached(&self) -> bool {
        true
    }
}

impl Store {
    /// The room's log, unless it has expired.
    fn living(&mut self, room: &RoomName, now: Instant) -> Option<&mut Log> {
        if self.logs.get(room).is_some_and(|log| log.expires <= now) {
            self.forget(room);
        }
        self.logs.get_mut(room)
    }

    fn forget(&mut self, room: &RoomName) {
        if let Some(log) = self.logs.remove(room) {
            self.bytes -= log.entries.iter().map(size).sum::<usize>();
        }
    }

    fn known(&self, room: &RoomName, key: &str, now: Instant) -> Option<&Known> {
        self.keys.get(&(room.clone(), key.to_owned())).filter(|known| known.expires > now)
    }

    fn append(&mut self, room: &RoomName, draft: &Draft, node: &str, retention: &Retention, now: Instant) -> Entry {
        let last = self.living(room, now).map_or(Id::ZERO, |log| log.last);
        let entry = Entry {
            id: last.next(unix_ms()),
            kind: String::new(),
            data: draft.data().into(),
            node: Some(node.into()),
        };
        let expires = now + Duration::from_secs(retention.seconds);
        let log = self.logs.entry(room.clone()).or_insert_with(|| Log { entries: VecDeque::new(), last, expires });
        log.entries.push_back(entry.clone());
        log.last = entry.id;
        log.expires = expires;
        self.bytes += size(&entry);
        if log.entries.len() > retention.messages
            && let Some(trimmed) = log.entries.pop_front()
        {
            self.bytes -= size(&trimmed);
        }
        if let Some(key) = draft.key() {
            let known =
                Known { id: entry.id, data: entry.data.clone(), expires: now + Duration::from_millis(KEY_TTL_MS) };
            self.bytes += known.size();
            let expired = self.keys.insert((room.clone(), key.into()), known);
            self.bytes -= expired.map_or(0, |known| known.size());
        }
        entry
    }

    /// Lets go of what has expired, now and then, so that rooms nobody asks for cost nothing.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now - swept < SWEEP) {
            return;
        }
        self.swept = Some(now);
        for (_, known) in self.keys.extract_if(|_, known| known.expires <= now) {
            self.bytes -= known.size();
        }
        let expired: Vec<_> =
            self.logs.iter().filter(|(_, log)| log.expires <= now).map(|(room, _)| room.clone()).collect();
        expired.iter().for_each(|room| self.forget(room));
    }
}

impl Known {
    fn size(&self) -> usize {
        self.data.len() + OVERHEAD
    }
}

impl Log {
    fn read(&self, span: Span, limit: usize) -> LogPage {
        let (from, to) = match span {
            Span::Newest => (self.entries.len().saturating_sub(limit), self.entries.len()),
            Span::Before(id) => {
                let to = self.entries.partition_point(|entry| entry.id < id);
                (to.saturating_sub(limit), to)
            }
            Span::After(id) => {
                let from = self.entries.partition_point(|entry| entry.id <= id);
                (from, self.entries.len().min(from + limit))
            }
            Span::From(id) => {
                let after = self.entries.partition_point(|entry| entry.id <= id);
                (after.saturating_sub(1), self.entries.len().min(after + limit))
            }
        };
        let more = match span {
            Span::Newest | Span::Before(_) => from > 0,
            Span::After(_) | Span::From(_) => to < self.entries.len(),
        };
        LogPage {
            first: self.entries.front().map(|entry| entry.id),
            last: self.last,
            entries: self.entries.range(from..to).cloned().collect(),
            more,
        }
    }
}

fn size(entry: &Entry) -> usize {
    entry.data.len() + OVERHEAD
}
