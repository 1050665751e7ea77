//! A room on this node: the tail of its log, kept in sync with the store, and its presence.

pub mod agenda;
pub mod buffer;
pub mod context;
pub mod gap;
pub mod held;
pub mod log_tail;
pub mod node_buffers;
pub mod presence;
pub mod processes;
mod recent_ids;
mod resume_burst;
pub mod shared_presence;
mod usage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{sleep, sleep_until};

use super::changes::Changes;
use super::context::OUTAGE_GRACE;
use super::log_reader::LogReader;
use crate::bus::{Entry, LogPage, Unavailable};
use crate::chat::{Id, RoomName, Rooms};
use crate::sse::Event;
use crate::supervise::{catch, supervise};
use buffer::MAX_BUFFER_BYTES;
use context::RoomContext;
use log_tail::{AnnouncementOutcome, LogTail};
use node_buffers::{BufferEntry, BufferOwner};
use recent_ids::SharedRecentIds;
use resume_burst::ResumeBurst;
use shared_presence::SharedPresence;
use usage::Usage;

/// The pause before a failed read of a room's log is repeated.
const ROOM_READ_RETRY_PAUSE: Duration = Duration::from_millis(100);

/// A room whose frames are shared by the subscribers of all workers.
pub struct Room {
    context: Arc<RoomContext>,
    names: Rooms,
    log: Mutex<LogTail>,
    changed: Changes,
    /// The number of subscriptions to the room's announcements so far.
    subscriptions: AtomicU64,
    /// The number of the current subscription; 0 while announcements do not arrive.
    subscription: AtomicU64,
    /// The number of reads of the log that were started, and so the number of the latest one.
    reads_started: AtomicU64,
    /// The number of the latest read that succeeded. The task that holds the lock reads, and the others share the result.
    last_read: tokio::sync::Mutex<u64>,
    resume_burst: Mutex<ResumeBurst>,
    /// Empty until a subscriber asks for more messages than are in memory.
    recent_ids: SharedRecentIds,
    presence: Arc<SharedPresence>,
    usage: Usage,
    _buffer_entry: BufferEntry,
}

impl Room {
    /// Creates a room whose log has not been read yet. `live` is the status of its subscribers until then.
    pub fn new(context: Arc<RoomContext>, name: RoomName, live: bool) -> Arc<Self> {
        let now = Instant::now();
        // Its log is not in sync yet.
        context.agenda.add(&name);
        Arc::new_cyclic(|room: &Weak<Self>| Self {
            log: Mutex::new(LogTail::new(live, context.buffers.counter())),
            changed: Changes::default(),
            subscriptions: AtomicU64::new(0),
            subscription: AtomicU64::new(0),
            reads_started: AtomicU64::new(0),
            last_read: tokio::sync::Mutex::new(0),
            resume_burst: Mutex::new(ResumeBurst::new(now)),
            recent_ids: SharedRecentIds::default(),
            names: name.clone().into(),
            presence: Arc::new(SharedPresence::new(name.clone(), context.clone())),
            usage: Usage::new(now),
            _buffer_entry: context.buffers.add(room.clone()),
            context,
        })
    }

    /// Returns the room's name.
    pub fn name(&self) -> &RoomName {
        &self.names[0]
    }

    /// Returns the room's name as a list of one room.
    pub fn names(&self) -> &Rooms {
        &self.names
    }

    /// Locks the frames. The guard must not be held across an await.
    pub fn log(&self) -> MutexGuard<'_, LogTail> {
        self.log.lock()
    }

    /// Returns what notifies when there may be new frames or a new status.
    pub fn changes(&self) -> &Changes {
        &self.changed
    }

    fn notify_changed(&self) {
        self.context.buffers.reclaim();
        self.changed.notify();
    }

    // Keeping in sync.

    /// Reads the log, because announcements begin to arrive: what was appended before is not announced.
    pub fn on_subscribed(self: Arc<Self>) {
        let number = self.subscriptions.fetch_add(1, Ordering::SeqCst) + 1;
        // First, so that no read that began before marks the frames as in sync.
        self.subscription.store(number, Ordering::SeqCst);
        self.log().start_catching_up(Instant::now());
        self.presence.on_reconnected();
        self.spawn_catch_up();
    }

    /// Notes that announcements no longer arrive; `since` is when the store last responded.
    pub fn on_lost(&self, since: Instant) {
        self.subscription.store(0, Ordering::SeqCst);
        self.log().start_catching_up(since);
        self.context.agenda.add(self.name());
    }

    /// Appends an announced entry. If it shows that others were missed, reads the log.
    pub fn on_entry(self: Arc<Self>, entry: Entry) {
        let (outcome, needs_comparison) = {
            let mut log = self.log();
            let was_verified = log.is_verified();
            (log.on_announcement(entry), was_verified && !log.is_verified())
        };
        if needs_comparison {
            // Once, not with each entry: a tick keeps the room on the agenda until it was compared.
            self.context.agenda.add(self.name());
        }
        match outcome {
            AnnouncementOutcome::Applied => self.notify_changed(),
            AnnouncementOutcome::Ignored => {}
            AnnouncementOutcome::OutOfOrder => self.spawn_catch_up(),
        }
    }

    /// Takes an entry that this node has stored itself.
    pub fn on_stored(&self, entry: &Entry) {
        if self.log().on_stored(entry) {
            self.notify_changed();
        }
    }

    /// Appends an ephemeral frame.
    pub fn push_ephemeral(&self, event: Event) {
        self.log().push_ephemeral(event);
        self.notify_changed();
    }

    /// Reports an outage, updates presence and checks the frames, where that is due. The room comes back on the agenda if
    /// there may be more to do.
    pub fn tick(self: &Arc<Self>, now: Instant) {
        self.report_outage(now - OUTAGE_GRACE);
        let is_connected = self.subscription.load(Ordering::SeqCst) > 0;
        for event in self.presence.tick(now, is_connected) {
            self.push_ephemeral(event);
        }
        self.check_frames_if_due(now);
        let is_quiet = self.usage.guards() > 0 && self.log().is_verified() && !self.resume_burst.lock().needs_check();
        if !is_quiet || self.presence.needs_tick() {
            self.context.agenda.add(self.name());
        }
    }

    /// Changes the status to not live if the frames have not been in sync since `limit` or longer.
    pub fn report_outage(&self, limit: Instant) {
        if self.log().report_outage(limit) {
            self.notify_changed();
        }
    }

    /// Returns the number of reads that were started, for [`in_sync_since`](Self::in_sync_since).
    pub fn reads_started(&self) -> u64 {
        self.reads_started.load(Ordering::SeqCst)
    }

    /// Waits until the frames are in sync and a read that started after that many others has succeeded.
    pub async fn in_sync_since(&self, reads_started: u64) {
        let mut changes = self.changed.receiver();
        loop {
            while !self.log().is_in_sync() {
                changes.changed().await;
            }
            if self.read_log(reads_started).await.is_ok() && self.log().is_in_sync() {
                return;
            }
            sleep(ROOM_READ_RETRY_PAUSE).await;
        }
    }

    /// Waits until the id of a resuming subscriber can be looked up: not at all in a burst if it is in memory, otherwise
    /// until the log was read.
    pub async fn ready_for_lookup(&self, id: Id) {
        let reads_started = self.reads_started();
        let is_in_memory = {
            let log = self.log();
            log.is_in_sync() && log.position_after(id).is_some()
        };
        if is_in_memory {
            let read_at = self.resume_burst.lock().on_resume(Instant::now());
            let Some(read_at) = read_at else {
                self.context.agenda.add(self.name());
                return;
            };
            sleep_until(read_at.into()).await;
        }
        self.in_sync_since(reads_started).await;
    }

    /// Reads the log if cursors were looked up in memory alone, and compares it with what was announced, where that is
    /// due.
    fn check_frames_if_due(self: &Arc<Self>, now: Instant) {
        if self.log().take_due_comparison(now) {
            let room = self.clone();
            tokio::spawn(async move {
                catch(&*room.context.metrics, "room", room.logs().in_turn(room.compare_announced())).await
            });
        }
        if self.resume_burst.lock().take_due_check(now) {
            let room = self.clone();
            tokio::spawn(async move {
                if catch(&*room.context.metrics, "room", room.read_log(room.reads_started())).await != Some(Ok(())) {
                    room.resume_burst.lock().retry_check();
                    room.context.agenda.add(room.name());
                }
            });
        }
    }

    /// Returns what reads the log.
    pub fn logs(&self) -> &LogReader {
        &self.context.logs
    }

    /// Returns the cursor before the newest `count` messages, or before all of them if there are fewer.
    pub async fn cursor_before_newest(&self, count: usize) -> Result<Id, Unavailable> {
        let buffered = self.log().cursor_before_newest(count);
        match buffered {
            Some(cursor) => Ok(cursor),
            // Subscribers share what is read for one of them.
            None => self.recent_ids.look_up(self.logs(), self.name(), count).await,
        }
    }

    /// Starts to read the log, in a task of its own.
    pub fn spawn_catch_up(self: Arc<Self>) {
        self.context.agenda.add(self.name());
        let (metrics, room) = (self.context.metrics.clone(), self.clone());
        let run = async move || room.clone().catch_up().await;
        tokio::spawn(supervise(metrics, "room", run, move || self.log().start_catching_up(Instant::now())));
    }

    /// Reads the log until the frames are in sync, or until announcements no longer arrive.
    async fn catch_up(self: Arc<Self>) {
        loop {
            if self.subscription.load(Ordering::SeqCst) == 0 || self.log().is_in_sync() {
                return;
            }
            if self.read_log(self.reads_started()).await.is_err() {
                sleep(ROOM_READ_RETRY_PAUSE).await;
            }
        }
    }

    /// Reads the log from the last known id, that id included, to its end, and marks the frames as in sync if
    /// announcements arrive. Concurrent callers share a read: one that started after `reads_started` others serves.
    async fn read_log(&self, reads_started: u64) -> Result<(), Unavailable> {
        let mut last_read = self.last_read.lock().await;
        if *last_read > reads_started {
            return Ok(());
        }
        let (number, read_at) = (self.reads_started.fetch_add(1, Ordering::SeqCst) + 1, Instant::now());
        let subscription = self.subscription.load(Ordering::SeqCst);
        self.compare_announced().await?;
        while self.read_page().await? {}
        *last_read = number;
        self.mark_in_sync(subscription, read_at);
        Ok(())
    }

    fn mark_in_sync(&self, subscription: u64, read_at: Instant) {
        let mut log = self.log();
        // Only a read that began after the announcements did has everything that was not announced.
        if subscription > 0 && self.subscription.load(Ordering::SeqCst) == subscription {
            log.mark_in_sync(read_at);
        }
        drop(log);
        self.notify_changed();
    }

    /// Compares what was announced since the latest read with the log.
    async fn compare_announced(&self) -> Result<(), Unavailable> {
        let Some(after) = self.log().unverified() else {
            return Ok(());
        };
        let page = self.logs().announced_entries(self.name(), after).await?;
        let gap = self.log().compare(after, &page);
        self.context.report_gap(self.name(), gap);
        self.notify_changed();
        Ok(())
    }

    /// Reads and appends one page. Returns true if there is more to read.
    async fn read_page(&self) -> Result<bool, Unavailable> {
        let last = self.log().begin_read();
        let more = match last {
            None => {
                let page = self.logs().first_room_page(self.name(), MAX_BUFFER_BYTES).await?;
                let more = page.more;
                self.log().load(page);
                more
            }
            Some(last) => {
                let has_lost = |page: &LogPage| held::is_ahead_of(&self.log(), page);
                let page = self.logs().room_page(self.name(), last, has_lost).await?;
                let more = page.more;
                let Ok(gap) = self.log().apply_page(last, page) else {
                    return Ok(true);
                };
                self.context.report_gap(self.name(), gap);
                more
            }
        };
        self.notify_changed();
        Ok(more)
    }

    /// Returns the presence in the room.
    pub fn presence(&self) -> &Arc<SharedPresence> {
        &self.presence
    }

    /// Returns what the room shares with the others of its node.
    pub fn context(&self) -> &RoomContext {
        &self.context
    }

    /// Returns a guard that keeps the room in memory.
    pub fn enter(self: Arc<Self>) -> RoomGuard {
        self.usage.add_guard();
        RoomGuard(self)
    }

    /// Returns whether the room is in use.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }
}

impl BufferOwner for Room {
    fn last_read(&self) -> Instant {
        self.log().buffer().last_read()
    }

    fn evict_while(&self, is_needed: &dyn Fn() -> bool) {
        self.log().evict_while(|_| is_needed());
    }
}

/// Keeps a room in memory until it is dropped.
pub struct RoomGuard(Arc<Room>);

impl Clone for RoomGuard {
    fn clone(&self) -> Self {
        self.0.clone().enter()
    }
}

impl std::ops::Deref for RoomGuard {
    type Target = Arc<Room>;

    fn deref(&self) -> &Arc<Room> {
        &self.0
    }
}

impl Drop for RoomGuard {
    fn drop(&mut self) {
        if self.0.usage.drop_guard() {
            self.0.context.agenda.add(self.0.name());
        }
    }
}

#[cfg(test)]
mod tests;
