//! The log of a single process: the same behaviour as with Redis, but lost at restart.

mod deleted_ids;
mod room_log;
mod salt;
mod sockets;
mod summaries;
mod user_ids;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::deletion::{DELETE, Deletion};
use super::error::{ChangeError, PublishError, Unavailable};
use super::limits::Charge;
use super::log::{Bus, Entry, KEY_TTL_MS, Listener, LogPage, PageLimit, Receipt, Retention, Span, unix_ms};
use crate::chat::{Draft, EDIT, Id, Mark, MessageText, RoomName};
use crate::metrics::Metrics;
use crate::shrink::Shrink;
use crate::supervise::catch_now;
use room_log::{ENTRY_OVERHEAD_BYTES, RoomLog, size};
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
    /// Takes no token: where there is one process, it counts alone.
    async fn publish(&self, room: &RoomName, draft: &Draft, _charge: Option<&Charge>) -> Result<Receipt, PublishError> {
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

    async fn delete(&self, room: &RoomName, deletion: Deletion, mark: Option<&Mark>) -> Result<Id, ChangeError> {
        let now = Instant::now();
        let mut logs = self.logs.lock();
        logs.change(room, now, |log| match deletion {
            Deletion::Entry(id) => log.delete(id, mark),
            Deletion::All => {
                log.delete_all();
                Ok(())
            }
        })?;
        let entry = logs.append(room, DELETE, &deletion.data(), &self.node, &self.retention, now);
        let id = entry.id;
        self.announce(room, entry);
        Ok(id)
    }

    async fn edit(&self, room: &RoomName, id: Id, mark: &Mark, text: &MessageText) -> Result<Id, ChangeError> {
        let now = Instant::now();
        let mut logs = self.logs.lock();
        if !logs.has_space_for(2 * text.as_str().len()) {
            return Err(ChangeError::Unavailable);
        }
        let edit = logs.change(room, now, |log| log.edit(id, mark, text))?;
        let entry = logs.append(room, EDIT, &edit.to_json(), &self.node, &self.retention, now);
        if let Some(log) = logs.unexpired(room, now) {
            log.set_edit_entry(id, entry.id);
        }
        let id = entry.id;
        self.announce(room, entry);
        Ok(id)
    }

    async fn read(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let mut logs = self.logs.lock();
        Ok(logs.unexpired(room, Instant::now()).map_or_else(LogPage::of_no_log, |log| log.read(span, limit)))
    }

    async fn read_edited(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        let mut logs = self.logs.lock();
        Ok(logs
            .unexpired(room, Instant::now())
            .map_or_else(LogPage::of_no_log, |log| log.read_edited(span, limit)))
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

    async fn heal(&self, _: &RoomName) -> Result<bool, Unavailable> {
        Ok(false)
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
        let log = self.by_room.entry(room.clone()).or_insert_with(|| RoomLog::new(expires));
        log.expires = expires;
        self.bytes += size(&entry);
        self.bytes -= log.append(entry.clone(), retention.messages);
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

    /// Changes a log.
    fn change<T>(
        &mut self,
        room: &RoomName,
        now: Instant,
        change: impl FnOnce(&mut RoomLog) -> Result<T, ChangeError>,
    ) -> Result<T, ChangeError> {
        let log = self.unexpired(room, now).ok_or(ChangeError::NotRetained)?;
        let before = log.size();
        let changed = change(log);
        let after = log.size();
        self.bytes = self.bytes + after - before;
        changed
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
        self.keys.shrink_if_sparse();
        self.by_room.shrink_if_sparse();
    }
}

impl KeyRecord {
    fn size(&self) -> usize {
        self.kind.len() + self.data.len() + ENTRY_OVERHEAD_BYTES
    }
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
