use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::crowd::{Crowd, Judged};
use super::log::{Heard, Log, Outdated};
use super::presence::Presence;
use crate::bus::{Bus, Entry, LogPage, Span, Unavailable};
use crate::chat::{Id, RoomName, Rooms};
use crate::metrics::Metrics;
use crate::sse::GapReason;

/// Entries per reading of a log: as many as a reader may fall behind, so that most who come back
/// find their place in memory.
const PAGE: usize = 1000;

/// Posts that wait to be heard again; where more are under way, the oldest are not timed.
const TIMED_POSTS: usize = 256;

/// After how long a reading that failed is tried again.
const AGAIN: Duration = Duration::from_millis(100);

/// A room on this node: its log, shared by the readers of all workers, and how it stays true.
pub struct Room {
    names: Rooms,
    bus: Arc<dyn Bus>,
    metrics: Arc<Metrics>,
    log: Mutex<Log>,
    changed: watch::Sender<()>,
    /// How often announcements began to come.
    joins: AtomicU64,
    /// Which of these times lasts; 0 while none comes.
    join: AtomicU64,
    /// Readings begun; a reading is numbered by it.
    readings: AtomicU64,
    /// The number of the latest reading that succeeded. Whoever holds it reads.
    turn: tokio::sync::Mutex<u64>,
    crowd: Mutex<Crowd>,
    /// Posts of this node to this room that were not announced yet.
    posts: Mutex<VecDeque<(String, Instant)>>,
    presence: Presence,
    /// How often it is held in memory.
    stays: AtomicUsize,
    left: Mutex<Instant>,
}

impl Room {
    /// A room that is not yet known. `live` is what its readers are told until then; `process` names
    /// this process among all that share the bus.
    pub fn new(
        name: RoomName,
        bus: Arc<dyn Bus>,
        metrics: Arc<Metrics>,
        live: bool,
        node_bytes: Arc<AtomicUsize>,
        process: Arc<str>,
    ) -> Self {
        Self {
            names: name.into(),
            bus,
            metrics,
            log: Mutex::new(Log::new(live, node_bytes)),
            changed: watch::Sender::new(()),
            joins: AtomicU64::new(0),
            join: AtomicU64::new(0),
            readings: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(0),
            crowd: Mutex::new(Crowd::new(Instant::now())),
            posts: Mutex::default(),
            presence: Presence::new(process),
            stays: AtomicUsize::new(0),
            left: Mutex::new(Instant::now()),
        }
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.names[0]
    }

    /// The room's name, as a list of rooms.
    pub fn names(&self) -> &Rooms {
        &self.names
    }

    /// The frames. Held for moments only, and never across an await.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is here.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Wakes whenever there may be new frames or a new status.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A ticket for [`Room::current_since`]: only readings that begin from now on count for it.
    pub fn ticket(&self) -> u64 {
        self.readings.load(Ordering::SeqCst)
    }

    /// Waits until the frames are what the log had at some moment after the ticket was drawn.
    pub async fn current_since(&self, ticket: u64) {
        let mut changes = self.changes();
        loop {
            let _ = changes.wait_for(|()| self.log().is_current()).await;
            if self.read_log(ticket).await.is_ok() && self.log().is_current() {
                return;
            }
            sleep(AGAIN).await;
        }
    }

    /// Waits until the frames say enough about an id that somebody comes back with.
    pub async fn ready_to_judge(&self, id: Id) {
        let ticket = self.ticket();
        let held = {
            let log = self.log();
            log.is_current() && log.position_after(id).is_some()
        };
        if held {
            let judged = self.crowd().judge(Instant::now());
            match judged {
                Judged::ByMemory => return,
                Judged::ByTheLog(read) => sleep_until(read.into()).await,
            }
        }
        self.current_since(ticket).await;
    }

    /// Reads the log where frames were trusted without, as soon as it is time.
    pub fn verify_frames(self: &Arc<Self>, now: Instant) {
        if self.crowd().is_due(now) {
            let room = self.clone();
            tokio::spawn(async move { room.read_log(room.ticket()).await.map_err(|Unavailable| room.crowd().owe()) });
        }
    }

    /// Reads part of the log for one reader.
    pub async fn read(&self, span: Span, limit: usize) -> Result<LogPage, Unavailable> {
        self.metrics.log_reads.with_label_values(&["subscriber"]).inc();
        self.bus.read(self.name(), span, limit).await
    }

    /// The announcements begin to come. The answer says that the log has to be read.
    pub fn joined(self: Arc<Self>) {
        self.log().fall_behind(Instant::now());
        self.presence.begin_anew();
        self.join.store(self.joins.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::spawn(self.recover());
    }

    /// No announcement has come since then.
    pub fn lost(&self, since: Instant) {
        self.join.store(0, Ordering::SeqCst);
        self.log().fall_behind(since);
    }

    /// Takes an announcement; where it shows that others were missed, the log is read.
    pub fn announced(self: Arc<Self>, entry: Entry) {
        let posted = self.posted(&entry.data);
        let heard = self.log().hear(entry, posted);
        match heard {
            Heard::Appended => self.wake(),
            Heard::Kept => {}
            Heard::Behind => drop(tokio::spawn(self.recover())),
        }
    }

    /// Takes what is not in the log.
    pub fn beside(&self, bytes: Bytes) {
        self.log().hear_beside(bytes);
        self.wake();
    }

    /// Tells the readers that the bus is lost, if the log has not been known since `limit`.
    pub fn admit_loss(&self, limit: Instant) {
        if self.log().admit_loss(limit) {
            self.wake();
        }
    }

    /// Tells other nodes and the readers who is here, where it is time.
    pub fn look_who_is_here(self: &Arc<Self>, now: Instant) {
        self.say_who_is_here(now);
        let bus_is_heard = self.join.load(Ordering::SeqCst) > 0;
        self.presence.tell(now, bus_is_heard).into_iter().for_each(|event| self.beside(event));
    }

    /// Tells other nodes who is here, where it is time.
    pub fn say_who_is_here(self: &Arc<Self>, now: Instant) {
        if let Some(attendance) = self.presence.say(now) {
            let room = self.clone();
            tokio::spawn(async move { room.presence.said(room.bus.attend(room.name(), &attendance).await.ok()) });
        }
    }

    /// Tells other nodes that nobody is here any more.
    pub async fn say_farewell(&self) {
        if let Some(attendance) = self.presence.farewell() {
            let _ = self.bus.attend(self.name(), &attendance).await;
        }
    }

    /// Counts a gap that is told.
    pub fn count_gap(&self, reason: GapReason) {
        self.metrics.gaps.with_label_values(&[reason.as_str()]).inc();
    }

    /// Counts a reader that comes with an id, by whether its place was in memory.
    pub fn count_resume(&self, in_memory: bool) {
        let from = if in_memory { "memory" } else { "log" };
        self.metrics.resumes.with_label_values(&[from]).inc();
    }

    /// Notes when a message was posted here, so that its way to the sockets can be timed.
    pub fn posting(&self, data: &str, since: Instant) {
        let mut posts = self.posts();
        posts.push_back((data.to_owned(), since));
        if posts.len() > TIMED_POSTS {
            posts.pop_front();
        }
    }

    /// Keeps the room in memory until the guard is dropped.
    pub fn enter(self: Arc<Self>) -> Stay {
        self.stays.fetch_add(1, Ordering::SeqCst);
        Stay(self)
    }

    /// How often it is held in memory: once for each reader, twice while it arrives.
    pub fn stays(&self) -> usize {
        self.stays.load(Ordering::SeqCst)
    }

    /// Whether nobody has been here since then.
    pub fn is_empty_since(&self, limit: Instant) -> bool {
        self.stays.load(Ordering::SeqCst) == 0 && *self.left.lock().unwrap_or_else(PoisonError::into_inner) <= limit
    }

    /// Reads the log until it is known again. Ends when it is, or when the bus is lost: then the
    /// room is joined anew.
    async fn recover(self: Arc<Self>) {
        loop {
            let join = self.join.load(Ordering::SeqCst);
            if join == 0 || self.log().is_current() {
                return;
            }
            match self.read_log(self.ticket()).await {
                Ok(()) => self.settle(join),
                Err(Unavailable) => sleep(AGAIN).await,
            }
        }
    }

    fn settle(&self, join: u64) {
        let mut log = self.log();
        // Only a reading that began after the announcements did is all there is.
        if self.join.load(Ordering::SeqCst) == join {
            log.settle();
        }
        drop(log);
        self.wake();
    }

    /// Reads the log from the last known id, that id included, to its end. Readers that come at once
    /// share a reading: one that began after the ticket was drawn serves.
    async fn read_log(&self, ticket: u64) -> Result<(), Unavailable> {
        let mut done = self.turn.lock().await;
        if *done > ticket {
            return Ok(());
        }
        let number = self.readings.fetch_add(1, Ordering::SeqCst) + 1;
        while self.read_page().await? {}
        *done = number;
        Ok(())
    }

    async fn read_page(&self) -> Result<bool, Unavailable> {
        let last = self.log().last();
        self.metrics.log_reads.with_label_values(&["room"]).inc();
        let reading = self.bus.read(self.name(), last.map_or(Span::Newest, Span::From), PAGE).await?;
        let more = last.is_some() && reading.more;
        let outdated = match last {
            None => {
                self.log().begin(reading);
                false
            }
            Some(asked) => self.catch_up(asked, reading).is_err(),
        };
        self.wake();
        Ok(more || outdated)
    }

    fn catch_up(&self, asked: Id, reading: LogPage) -> Result<(), Outdated> {
        let gap = self.log().catch_up(asked, reading)?;
        if let Some(reason) = gap {
            self.count_gap(reason);
            tracing::warn!(room = %self.name(), reason = reason.as_str(), "a log was lost under its readers; they are told of the gap");
        }
        Ok(())
    }

    fn wake(&self) {
        self.changed.send_replace(());
    }

    /// When this was posted, if it was posted here. A repeated key is never announced; its note goes
    /// with the next ones.
    fn posted(&self, data: &str) -> Option<Instant> {
        let mut posts = self.posts();
        let at = posts.iter().position(|(posted, _)| posted == data)?;
        posts.remove(at).map(|(_, since)| since)
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn posts(&self) -> MutexGuard<'_, VecDeque<(String, Instant)>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a room in memory, and a little longer.
pub struct Stay(Arc<Room>);

impl Clone for Stay {
    fn clone(&self) -> Self {
        self.0.clone().enter()
    }
}

impl std::ops::Deref for Stay {
    type Target = Arc<Room>;

    fn deref(&self) -> &Arc<Room> {
        &self.0
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        *self.0.left.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.0.stays.fetch_sub(1, Ordering::SeqCst);
    }
}
