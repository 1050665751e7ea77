//! The rooms of this node, and the readers in them.
//!
//! A room on a node is a short log of ready-made frames (`hub/log.rs`), and a reader is only a socket
//! and a place in it (`hub/reader.rs`). A reader that has caught up waits in its worker's delivery for
//! the room (`hub/delivery.rs`); one that has not is on its own, at its place. There is no queue per
//! reader. Several rooms in one stream are merged once for all who read them (`hub/several.rs`); a
//! reader knows only its feed (`hub/feed.rs`), be it one room or several.

mod arrival;
mod batch;
mod cohort;
mod continuity;
mod crowd;
mod delivery;
mod drain;
mod feed;
mod homes;
mod log;
mod presence;
mod reader;
mod room;
mod several;
mod tape;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::bus::{Bus, Entry, Listener, LogPage, PresenceEntry, PublishError, Receipt, Span, Unavailable};
use crate::chat::{Draft, RoomName, Rooms};
use crate::metrics::Metrics;
use crate::sse;
use drain::Drain;
use feed::Feed;
use homes::Homes;
use room::{Room, Stay};
use several::Several;

pub use arrival::{RequestedCursor, Start, SubscribeRequest};
pub use delivery::Worker;
pub use presence::{PresenceRequest, PresenceSnapshot};

/// How long the bus may be lost before readers are told.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a room without readers stays: a page that reloads finds it warm.
const LINGER: Duration = Duration::from_secs(3);

/// How often rooms are looked after.
const ROUND: Duration = Duration::from_millis(250);

/// A foreign publish whose frame has more bytes is not passed on: it must not put every reader of a room
/// over the limit of how far it may fall behind.
const LONGEST_FOREIGN: usize = 1 << 20;

/// What happens to a stream as time goes by.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After so much silence it says that it lives.
    pub heartbeat: Duration,
    /// At this age at the latest it is sent away.
    pub max_age: Option<Duration>,
}

/// The rooms of one node.
pub struct Hub {
    bus: Arc<dyn Bus>,
    node: String,
    /// This process among all that share the bus: two may have the same node name.
    process: Arc<str>,
    pace: Pace,
    metrics: Arc<Metrics>,
    rooms: Mutex<HashMap<RoomName, Arc<Room>>>,
    several: Mutex<HashMap<Rooms, Weak<Several>>>,
    node_bytes: Arc<AtomicUsize>,
    /// Since when the bus has not been heard, if so.
    lost: Mutex<Option<Instant>>,
    drain: Drain,
    homes: Homes,
}

impl Hub {
    /// The hub of a node. It listens to the bus as soon as the bus is attached to it, and
    /// [`Hub::run_ticks`] has to run.
    pub fn new(bus: Arc<dyn Bus>, node: &str, pace: Pace, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            bus,
            node: node.into(),
            process: format!("{node}~{:016x}", rand::random::<u64>()).into(),
            pace,
            metrics,
            rooms: Mutex::default(),
            several: Mutex::default(),
            node_bytes: Arc::default(),
            lost: Mutex::default(),
            drain: Drain::default(),
            homes: Homes::default(),
        })
    }

    /// Stores and announces a message that was posted at `since`.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn publish(&self, room: &RoomName, draft: &Draft, since: Instant) -> Result<Receipt, PublishError> {
        if let Some(here) = self.room(room.as_str()) {
            here.posting(draft.data(), since);
        }
        let receipt = self.bus.publish(room, draft).await.inspect_err(|refusal| {
            if *refusal == PublishError::Unavailable {
                self.metrics.posts_refused.with_label_values(&["store_unavailable"]).inc();
            }
        })?;
        if !receipt.duplicate {
            self.metrics.published.inc();
        }
        Ok(receipt)
    }

    /// Reads part of a room's log, for a page.
    ///
    /// # Errors
    /// When the bus is out of reach.
    pub async fn history(&self, room: &RoomName, span: Span, limit: usize) -> Result<LogPage, Unavailable> {
        self.metrics.log_reads.with_label_values(&["history"]).inc();
        self.bus.read(room, span, limit).await
    }

    /// Who is in a room, on all nodes.
    ///
    /// # Errors
    /// When the bus is out of reach.
    pub async fn presence(&self, room: &RoomName) -> Result<PresenceSnapshot, Unavailable> {
        let all = self.bus.attendance(room).await?;
        Ok(match self.room(room.as_str()) {
            Some(here) => here.presence().roster(all),
            None => PresenceSnapshot::of(all.iter()),
        })
    }

    /// The name of this process among all that share the bus.
    pub fn process(&self) -> Arc<str> {
        self.process.clone()
    }

    /// What the node's name is.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether the bus is heard now.
    pub fn is_connected(&self) -> bool {
        self.lost_since().is_none()
    }

    /// Whether the bus is heard, or was a moment ago: what new readers are told.
    fn is_live(&self) -> bool {
        self.lost_since().is_none_or(|since| since.elapsed() < PATIENCE)
    }

    fn lost_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the bus was ever reached and the node goes on.
    pub fn is_ready(&self) -> bool {
        self.bus.was_reached() && !self.is_draining()
    }

    /// Whether streams are being sent away.
    pub fn is_draining(&self) -> bool {
        self.drain.has_begun()
    }

    /// Sends all readers away, spread at random over `window`, and returns when the last has gone.
    pub async fn drain(&self, window: Duration) {
        self.drain.begin(window);
        while self.metrics.streams.get() > 0 && !self.drain.is_over() {
            tokio::time::sleep(drain::STEP).await;
        }
        join_all(self.all_rooms().iter().map(|room| room.say_farewell())).await;
    }

    /// Looks after the rooms for as long as there is a hub: tells of a lost bus and forgets rooms
    /// that nobody reads.
    pub async fn run_ticks(hub: Weak<Hub>) {
        let mut round = tokio::time::interval(ROUND);
        loop {
            round.tick().await;
            let Some(hub) = hub.upgrade() else { return };
            let now = Instant::now();
            hub.forget_empty_rooms(now - LINGER);
            for room in hub.all_rooms() {
                room.admit_loss(now - PATIENCE);
                room.look_who_is_here(now);
                room.verify_frames(now);
            }
            hub.metrics.buffered_bytes.set(hub.node_bytes.load(Ordering::Relaxed) as i64);
        }
    }

    /// Enters one room, or several merged into one.
    fn enter(&self, names: &Rooms) -> Feed {
        if !names.are_several() {
            return Feed::One(self.enter_one(&names[0]));
        }
        let mut several = self.several.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(merged) = several.get(names).and_then(Weak::upgrade) {
            return Feed::Several(merged);
        }
        several.retain(|_, merged| merged.strong_count() > 0);
        let rooms = names.iter().map(|name| self.enter_one(name)).collect();
        let merged = Several::new(names.clone(), rooms, self.node_bytes.clone());
        several.insert(names.clone(), Arc::downgrade(&merged));
        Feed::Several(merged)
    }

    /// Enters a room, which is made if it is not there. The first to come makes the bus listen.
    fn enter_one(&self, name: &RoomName) -> Stay {
        let mut rooms = self.rooms();
        if let Some(room) = rooms.get(name) {
            return room.clone().enter();
        }
        let (bus, metrics, process) = (self.bus.clone(), self.metrics.clone(), self.process.clone());
        let room = Room::new(name.clone(), bus, metrics, self.is_live(), self.node_bytes.clone(), process);
        let room = Arc::new(room);
        rooms.insert(name.clone(), room.clone());
        self.metrics.rooms.set(rooms.len() as i64);
        let stay = room.enter();
        drop(rooms);
        self.bus.listen(name);
        stay
    }

    fn forget_empty_rooms(&self, since: Instant) {
        let mut rooms = self.rooms();
        let empty: Vec<_> = rooms.extract_if(|_, room| room.is_empty_since(since)).collect();
        self.metrics.rooms.set(rooms.len() as i64);
        // Under the lock: whoever enters next listens after this, not before.
        empty.iter().for_each(|(name, _)| self.bus.unlisten(name));
    }

    fn room(&self, name: &str) -> Option<Arc<Room>> {
        self.rooms().get(name).cloned()
    }

    fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms().values().cloned().collect()
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<RoomName, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self, live: bool) -> bytes::Bytes {
        sse::status(live, &self.node, self.pace.heartbeat.as_secs())
    }
}

impl Pace {
    /// How often readers are looked after: heartbeats, leaving and age are as exact as this.
    fn round(&self) -> Duration {
        let heartbeat = self.heartbeat / 20;
        self.max_age.map_or(heartbeat, |age| heartbeat.min(age / 50))
    }

    /// When a stream that begins now is sent away: at an age between 80 and 100 % of the highest, so that
    /// those who came together do not come back together.
    fn farewell(&self) -> Option<Instant> {
        let age = self.max_age?;
        let latest = age - self.round();
        Some(Instant::now() + rand::random_range(age.mul_f64(0.8)..=latest))
    }
}

impl Listener for Hub {
    fn joined(&self, room: &str) {
        if let Some(room) = self.room(room) {
            room.joined();
        }
    }

    fn announced(&self, room: &str, entry: Entry) {
        if let Some(room) = self.room(room) {
            room.announced(entry);
        }
    }

    fn foreign(&self, room: &str, payload: &[u8]) {
        let Some(room) = self.room(room) else { return };
        let frame = sse::foreign(payload);
        match frame.len() <= LONGEST_FOREIGN {
            true => room.beside(frame),
            false => {
                tracing::warn!(room = %room.name(), bytes = payload.len(), "a foreign publish is too long to be passed on")
            }
        }
    }

    fn attending(&self, room: &str, attendance: PresenceEntry) {
        if let Some(room) = self.room(room) {
            room.presence().hear(attendance);
        }
    }

    fn lost(&self, since: Instant) {
        *self.lost_since() = Some(since);
        self.all_rooms().iter().for_each(|room| room.lost(since));
    }

    fn found(&self) {
        *self.lost_since() = None;
    }
}
