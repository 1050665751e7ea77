//! The log of a single process: the same behaviour as with Redis, but lost at restart.

mod deleted_ids;
mod salt;
mod sockets;
mod summaries;
mod user_ids;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::deletion::{DELETE, Deletion};
use super::error::{DeleteError, PublishError, Unavailable};
use super::log::{Bus, Entry, KEY_TTL_MS, Listener, LogPage, PageLimit, Receipt, Retention, Span, unix_ms};
use crate::chat::{Draft, Id, RoomName};
use crate::metrics::Metrics;
use crate::supervise::catch_now;
use deleted_ids::DeletedIds;
pub use salt::MemorySalt;
pub use sockets::MemorySockets;
pub use summaries::MemorySummaries;
pub use user_ids::MemoryUserIds;

/// The most bytes of all logs and keys together. Beyond it, publishing is refused until logs expire, as by a Redis whose
/// memory is full: an acknowledged message is never evicted.
const MAX_STORE_BYTES: usize = 512 << 20;

/// The free bytes with which a full store counts as having space again. Any message fits, so that the state does not
/// change with the length of each.
const FREE_AGAIN_BYTES: usize = 1 << 20;

/// Estimated bytes that an entry or a key takes in addition to its text.
const ENTRY_OVERHEAD_BYTES: usize = 160;

/// How often expired logs and keys are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// The logs of one process.
pub struct Memory {
    node: String,
    retention: Retention,
    logs: Mutex<Logs>,
    listener: OnceLock<Weak<dyn Listener>>,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Logs {
    by_room: HashMap<RoomName, RoomLog>,
    keys: HashMap<(RoomName, String), KeyRecord>,
    bytes: usize,
    /// Whether a message was refused, and too little has expired since.
    is_full: bool,
    last_sweep: Option<Instant>,
}

struct RoomLog {
    entries: VecDeque<Entry>,
    deleted: DeletedIds,
    last: Id,
    expires: Instant,
}

/// What was published under an idempotency key.
struct KeyRecord {
    id: Id,
    kind: String,
    data: String,
    expires: Instant,
}

impl Memory {
    /// Creates an empty store whose entries name `node`.
    pub fn new(node: &str, retention: Retention, metrics: Arc<Metrics>) -> Self {
        metrics.store_connected.set(1);
        Self { node: node.into(), retention, logs: Mutex::default(), listener: OnceLock::new(), metrics }
    }

    fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.listener.get().and_then(Weak::upgrade)
    }

    /// Announces an entry. The logs have to be locked, so that announcements keep their order.
    fn announce(&self, room: &RoomName, entry: Entry) {
        if let Some(listener) = self.listener() {
            let announced = catch_now(&self.metrics, "pushes", || listener.on_entry(room.as_str(), entry));
            if announced.is_none() {
                listener.on_subscribed(room.as_str());
            }
        }
    }
}

#[async_trait]
impl Bus for Memory {
    async fn publish(&self, room: &RoomName, draft: &Draft) -> Result<Receipt, PublishError> {
        let now = Instant::now();
        let mut logs = self.logs.lock();
        logs.sweep(now);
        if let Some(record) = draft.key().and_then(|key| logs.key_record(room, key, now)) {
            return if (&*record.kind, &*record.data) == (draft.kind(), draft.data()) {
                Ok(Receipt { id: record.id, duplicate: true })
            } else {
                Err(PublishError::KeyReused)
            };
        }
        if !logs.has_space_for(draft.kind().len() + draft.data().len()) {
            return Err(PublishError::Unavailable);
        }
        let entry = logs.append(room, draft.kind(), draft.data(), &self.node, &self.retention, now);
        if let Some(key) = draft.key() {
            logs.remember_key(room, key, &entry, now);
        }
        let id = entry.id;
        self.announce(room, entry);
        Ok(Receipt { id, duplicate: false })
    }

    async fn delete(&self, room: &RoomName, deletion: Deletion) -> Result<Id, DeleteError> {
        let now = Instant::now();
        let mut logs = self.logs.lock();
        if !logs.delete(room, deletion, now) {
            return Err(DeleteError::NotRetained);
        }
        let entry = logs.append(room, DELETE, &deletion.data(), &self.node, &self.retention, now);
        let id = entry.id;
        self.announce(room, entry);
        Ok(id)
    }

    async fn read(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let mut logs = self.logs.lock();
        Ok(match logs.unexpired(room, Instant::now()) {
            Some(log) => log.read(span, limit),
            None => LogPage { first: None, last: Id::ZERO, entries: Vec::new(), more: false, only_deleted: false },
        })
    }

    async fn read_sizes(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let mut page = self.read(room, span, limit).await?;
        for entry in &mut page.entries {
            entry.data = entry.data.len().to_string();
        }
        Ok(page)
    }

    fn listen(&self, room: &RoomName) {
        // Under the lock, since the calls to a listener must not overlap.
        let _logs = self.logs.lock();
        if let Some(listener) = self.listener() {
            listener.on_subscribed(room.as_str());
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

impl Logs {
    /// Returns the room's log, and removes it if it has expired.
    fn unexpired(&mut self, room: &RoomName, now: Instant) -> Option<&mut RoomLog> {
        let is_expired = self.by_room.get(room).is_some_and(|log| log.expires <= now);
        if is_expired && let Some(log) = self.by_room.remove(room) {
            self.bytes -= log.size();
        }
        self.by_room.get_mut(room)
    }

    /// Returns true if there is space for a message with these bytes. Logs when there is none for the first time, and
    /// when there is again.
    fn has_space_for(&mut self, bytes: usize) -> bool {
        let free = MAX_STORE_BYTES.saturating_sub(self.bytes);
        let fits = bytes + ENTRY_OVERHEAD_BYTES <= free;
        if !fits && !self.is_full {
            self.is_full = true;
            tracing::error!("the in-memory message store is full; posts are refused until logs expire");
        } else if self.is_full && free >= FREE_AGAIN_BYTES {
            self.is_full = false;
            tracing::info!("the in-memory message store has space again");
        }
        fits
    }

    fn key_record(&self, room: &RoomName, key: &str, now: Instant) -> Option<&KeyRecord> {
        self.keys.get(&(room.clone(), key.to_owned())).filter(|record| record.expires > now)
    }

    fn append(
        &mut self,
        room: &RoomName,
        kind: &str,
        data: &str,
        node: &str,
        retention: &Retention,
        now: Instant,
    ) -> Entry {
        let last = self.unexpired(room, now).map_or(Id::ZERO, |log| log.last);
        let entry = Entry {
            id: last.next(unix_ms()),
            prev: Some(last),
            kind: kind.into(),
            data: data.into(),
            node: Some(node.into()),
        };
        let expires = now + Duration::from_secs(retention.seconds);
        let empty = || RoomLog { entries: VecDeque::new(), deleted: DeletedIds::default(), last, expires };
        let log = self.by_room.entry(room.clone()).or_insert_with(empty);
        log.entries.push_back(entry.clone());
        log.last = entry.id;
        log.expires = expires;
        self.bytes += size(&entry);
        if log.entries.len() > retention.messages
            && let Some(trimmed) = log.entries.pop_front()
        {
            self.bytes -= size(&trimmed);
        }
        entry
    }

    fn remember_key(&mut self, room: &RoomName, key: &str, entry: &Entry, now: Instant) {
        let expires = now + Duration::from_millis(KEY_TTL_MS);
        let (id, kind, data) = (entry.id, entry.kind.clone(), entry.data.clone());
        let record = KeyRecord { id, kind, data, expires };
        self.bytes += record.size();
        let expired = self.keys.insert((room.clone(), key.into()), record);
        self.bytes -= expired.map_or(0, |record| record.size());
    }

    /// Deletes entries, and returns false if there are none to delete.
    fn delete(&mut self, room: &RoomName, deletion: Deletion, now: Instant) -> bool {
        let Some(log) = self.unexpired(room, now) else {
            return false;
        };
        let before = log.size();
        let is_done = match deletion {
            Deletion::Entry(id) => log.delete(id),
            Deletion::All => {
                log.delete_all();
                true
            }
        };
        let after = log.size();
        self.bytes = self.bytes + after - before;
        is_done
    }

    /// Removes expired keys and logs, so that rooms that are no longer used take no memory.
    fn sweep(&mut self, now: Instant) {
        if self.last_sweep.is_some_and(|swept| now - swept < SWEEP_INTERVAL) {
            return;
        }
        self.last_sweep = Some(now);
        for (_, record) in self.keys.extract_if(|_, record| record.expires <= now) {
            self.bytes -= record.size();
        }
        for (_, log) in self.by_room.extract_if(|_, log| log.expires <= now) {
            self.bytes -= log.size();
        }
    }
}

impl KeyRecord {
    fn size(&self) -> usize {
        self.kind.len() + self.data.len() + ENTRY_OVERHEAD_BYTES
    }
}

impl RoomLog {
    fn size(&self) -> usize {
        self.entries.iter().map(size).sum::<usize>() + self.deleted.size()
    }

    fn delete(&mut self, id: Id) -> bool {
        let index = self.entries.partition_point(|entry| entry.id < id);
        if self.entries.get(index).is_none_or(|entry| entry.id != id || entry.is_deletion()) {
            return false;
        }
        let until = self.before(index + 1);
        self.deleted.add(id, self.before(index), until);
        self.entries.remove(index);
        self.deleted.forget_before(self.before(0));
        true
    }

    fn delete_all(&mut self) {
        for index in 0..self.entries.len() {
            self.deleted.add(self.entries[index].id, self.before(index), self.before(index + 1));
        }
        self.entries.clear();
        self.deleted.forget_before(self.last);
    }

    /// Returns the last id that was given out before the entry at this index; the last of all, if there is none.
    fn before(&self, index: usize) -> Id {
        self.entries.get(index).map_or(self.last, Entry::cursor_before)
    }

    fn read(&self, span: Span, limit: PageLimit) -> LogPage {
        let (first, last) = (self.entries.front().map(|entry| entry.id), self.last);
        let anchor = |id| self.entries.range(..self.position_after(id)).next_back();
        let (before, after) = match span {
            Span::Newest => (self.entries.len(), None),
            Span::Before(id) => (self.entries.partition_point(|entry| entry.id < id), None),
            Span::After(id) | Span::From(id) => (self.entries.len(), Some(self.position_after(id))),
        };
        let (from, to) = match after {
            None => (before - limit.count_fitting(self.entries.range(..before).rev().map(size)), before),
            Some(after) => (after, after + limit.count_fitting(self.entries.range(after..).map(size))),
        };
        let more = if after.is_none() { from > 0 } else { to < self.entries.len() };
        let mut only_deleted = false;
        let anchor = if let Span::From(id) = span {
            only_deleted = self.deleted.cover(id, self.before(self.position_after(id)));
            anchor(id)
        } else {
            None
        };
        let anchor = anchor.map(|anchor| Entry { data: String::new(), ..anchor.clone() });
        let entries = anchor.into_iter().chain(self.entries.range(from..to).cloned()).collect();
        LogPage { first, last, entries, more, only_deleted }
    }

    fn position_after(&self, id: Id) -> usize {
        self.entries.partition_point(|entry| entry.id <= id)
    }
}

fn size(entry: &Entry) -> usize {
    entry.kind.len() + entry.data.len() + ENTRY_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_store_is_logged_once_until_it_has_space_again() {
        let (lines, mut logs) = (Lines::default(), Logs::default());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 {
                logs.bytes = MAX_STORE_BYTES - 1000;
                for _ in 0..3 {
                    assert!(!logs.has_space_for(4000));
                    assert!(logs.has_space_for(100), "a short message still fits");
                }
                logs.bytes = 0;
                assert!(logs.has_space_for(4000) && logs.has_space_for(4000));
            }
        });
        let text = String::from_utf8(lines.0.lock().clone()).expect("text");
        let logged: Vec<_> = text.lines().map(|line| line.contains("is full")).collect();
        assert_eq!(logged, [true, false, true, false], "{text}");
    }
}
