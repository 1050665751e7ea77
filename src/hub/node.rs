//! The hub of a node: its rooms by name.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parking_lot::Mutex;

use super::context::{OUTAGE_GRACE, Pace, StreamContext};
use super::drain::{DRAIN_STEP, Drain};
use super::log_reader::LogReader;
use super::placement::Placement;
use super::room::agenda::Agenda;
use super::room::context::RoomContext;
use super::room::node_buffers::NodeBuffers;
use super::room::presence::snapshot::{PresenceSnapshot, presence_ids};
use super::room::processes::Processes;
use super::room::shared_presence;
use super::room::{Room, RoomGuard};
use super::room_activity::RoomActivity;
use super::room_table::RoomTable;
use super::source::Source;
use super::source::by_names::MergedByNames;
use super::tick_clock::TickClock;
use crate::bus::{Bus, ChangeError, Charge, Deletion, PublishError, Receipt, Stores, Unavailable};
use crate::chat::{Draft, Id, Mark, MessageText, RoomName, Rooms};
use crate::metrics::Metrics;
use crate::supervise::{catch, supervise};

/// How long a room without subscribers stays in memory, so that reloading a page does not read its log again.
const UNUSED_ROOM_TTL: Duration = Duration::from_secs(3);

/// How many ticks it takes to check all rooms, a slice of them at each: a minute.
const ROOM_SLICES: usize = 240;

/// The rooms of one node.
pub struct Hub {
    /// The rooms' logs.
    bus: Arc<dyn Bus>,
    streams: Arc<StreamContext>,
    room_context: Arc<RoomContext>,
    rooms: RoomTable,
    merged: Mutex<MergedByNames>,
    /// When the store last responded; `None` while all of it can be reached.
    disconnected_since: Mutex<Option<Instant>>,
    /// Since when the rooms are not checked, after a panic.
    unchecked_since: Mutex<Option<Instant>>,
    drain: Arc<Drain>,
    placement: Placement,
}

impl Hub {
    /// Creates the hub of a node. The caller has to attach it to the bus and to run [`Hub::run_ticks`].
    pub fn new(stores: &Stores, node: &str, pace: Pace, metrics: Arc<Metrics>) -> Arc<Self> {
        // Two nodes may have the same name.
        let process = format!("{node}~{:016x}", rand::random::<u64>());
        let room_context = RoomContext {
            processes: Arc::new(Processes::new(process.into(), stores.presence.clone())),
            agenda: Agenda::default(),
            metrics: metrics.clone(),
            logs: LogReader::new(stores.bus.clone(), metrics.clone()),
            buffers: NodeBuffers::default(),
        };
        Arc::new(Self {
            bus: stores.bus.clone(),
            streams: Arc::new(StreamContext { node: node.into(), pace, metrics, started: Instant::now() }),
            room_context: Arc::new(room_context),
            rooms: RoomTable::new(ROOM_SLICES),
            merged: Mutex::default(),
            disconnected_since: Mutex::default(),
            unchecked_since: Mutex::default(),
            drain: Arc::default(),
            placement: Placement::default(),
        })
    }

    fn processes(&self) -> &Arc<Processes> {
        &self.room_context.processes
    }

    fn metrics(&self) -> &Metrics {
        &self.streams.metrics
    }

    /// Stores and announces a message that was posted at `posted`.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub async fn publish(
        &self,
        room: &RoomName,
        draft: &Draft,
        charge: Option<&Charge>,
        posted: Instant,
    ) -> Result<Receipt, PublishError> {
        let receipt = self.bus.publish(room, draft, charge).await.inspect_err(|error| {
            let reason = match error {
                PublishError::KeyReused => return,
                PublishError::RateLimited(_) => "rate_limit",
                PublishError::Unavailable => "store_unavailable",
            };
            self.metrics().posts_refused.with_label_values(&[reason]).inc();
        })?;
        self.metrics().publish.observe(posted.elapsed().as_secs_f64());
        if !receipt.duplicate {
            self.metrics().published.inc();
        }
        Ok(receipt)
    }

    /// Deletes from a room's log, and returns the id of the entry that says so.
    ///
    /// # Errors
    /// As [`Bus::delete`].
    pub async fn delete(&self, room: &RoomName, deletion: Deletion, mark: Option<&Mark>) -> Result<Id, ChangeError> {
        self.bus.delete(room, deletion, mark).await
    }

    /// Gives a message another text, and returns the id of the entry that says so.
    ///
    /// # Errors
    /// As [`Bus::edit`].
    pub async fn edit(&self, room: &RoomName, id: Id, mark: &Mark, text: &MessageText) -> Result<Id, ChangeError> {
        self.bus.edit(room, id, mark, text).await
    }

    /// Returns what reads the logs, for pages and history requests.
    pub fn logs(&self) -> &LogReader {
        &self.room_context.logs
    }

    /// Returns the subscribers of a room and their names, over all nodes.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn presence(&self, room: &RoomName) -> Result<PresenceSnapshot, Unavailable> {
        match self.room(room.as_str()) {
            Some(room) => room.presence().read().await,
            None => Ok(PresenceSnapshot::of(shared_presence::read(self.processes(), room).await?.iter())),
        }
    }

    /// Returns the presence ids of a room's sockets, over all nodes: sorted, each once, not escaped, at most 1,000.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn presence_ids(&self, room: &RoomName) -> Result<Vec<String>, Unavailable> {
        match self.room(room.as_str()) {
            Some(room) => room.presence().read_ids().await,
            None => Ok(presence_ids(shared_presence::read(self.processes(), room).await?.iter())),
        }
    }

    /// Returns as soon as it is known that this node can never work with the store, and why.
    pub async fn unusable(&self) -> String {
        self.bus.unusable().await
    }

    /// Returns the name of this process, unique among all that share the store.
    pub fn process(&self) -> Arc<str> {
        self.processes().name().clone()
    }

    /// Returns the node's name.
    pub fn node(&self) -> &str {
        &self.streams.node
    }

    /// Returns the rooms in memory.
    pub fn room_activity(&self) -> Vec<RoomActivity> {
        self.all_rooms().iter().map(|room| RoomActivity::of(room)).collect()
    }

    /// Returns true if all of the store can be reached.
    pub fn is_connected(&self) -> bool {
        self.disconnected_since.lock().is_none()
    }

    /// Notes since when the store, or a part of it, cannot be reached.
    pub(super) fn set_disconnected(&self, since: Option<Instant>) {
        *self.disconnected_since.lock() = since;
    }

    /// Returns true if all of the store can be reached, or could within [`OUTAGE_GRACE`]: the status with which a new room begins.
    fn is_live(&self) -> bool {
        self.disconnected_since.lock().is_none_or(|since| since.elapsed() < OUTAGE_GRACE)
    }

    /// Returns true if the store was ever reached and no drain was announced.
    pub fn is_ready(&self) -> bool {
        self.bus.was_reached() && !self.is_leaving()
    }

    /// Returns true if the node will stop: it is no longer ready, and its streams end soon if they do not already.
    pub fn is_leaving(&self) -> bool {
        self.drain.is_announced()
    }

    /// Returns true if the node has begun to end its streams.
    pub fn is_draining(&self) -> bool {
        self.drain.has_started()
    }

    /// Announces that the streams will be ended, so that proxies choose other nodes.
    pub fn announce_drain(&self) {
        self.drain.announce();
    }

    /// Ends all streams, spread at random over `window`. Returns when the last one has ended.
    pub async fn drain(&self, window: Duration) {
        self.drain.start(window);
        while self.metrics().streams.get() > 0 && !self.drain.is_over() {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        join_all(self.all_rooms().iter().map(|room| room.presence().withdraw())).await;
    }

    /// Looks after the rooms for as long as the hub exists: reports outages, updates presence, and removes rooms that are
    /// no longer used.
    pub async fn run_ticks(self: Arc<Self>) {
        let (metrics, hub) = (self.streams.metrics.clone(), Arc::downgrade(&self));
        drop(self);
        let failing = hub.clone();
        let run = async move || Self::tick_regularly(hub.clone()).await;
        let on_panic = move || {
            if let Some(hub) = failing.upgrade() {
                hub.on_ticks_failing(Instant::now());
            }
        };
        supervise(metrics, "ticks", run, on_panic).await;
    }

    async fn tick_regularly(hub: Weak<Hub>) {
        let mut clock = TickClock::new();
        // A panic may have ended a tick that had rooms left to look at.
        let mut has_to_check_all = true;
        while let Some(hub) = hub.upgrade() {
            let now = Instant::now();
            let ticks = clock.take(now);
            if std::mem::take(&mut has_to_check_all) || hub.processes().must_repeat(now) {
                hub.put_on_agenda(&hub.all_rooms());
            } else {
                let slices = ticks.rev().take(ROOM_SLICES).map(|tick| tick as usize % ROOM_SLICES);
                slices.for_each(|slice| hub.put_on_agenda(&hub.rooms.slice(slice)));
            }
            hub.tick(now);
            hub.on_ticks_running();
            let context = hub.room_context.clone();
            drop(hub);
            clock.wait(&context.agenda).await;
        }
    }

    /// Tells subscribers that their streams are not live, if that has been so for [`OUTAGE_GRACE`]: without ticks they
    /// would not learn of an outage.
    fn on_ticks_failing(&self, now: Instant) {
        let since = *self.unchecked_since.lock().get_or_insert(now);
        if now - since >= OUTAGE_GRACE {
            for room in self.all_rooms() {
                room.log().start_catching_up(since);
                room.report_outage(now - OUTAGE_GRACE);
            }
        }
    }

    fn on_ticks_running(&self) {
        if self.unchecked_since.lock().take().is_some() {
            self.all_rooms().into_iter().for_each(Room::spawn_catch_up);
        }
    }

    fn tick(self: &Arc<Self>, now: Instant) {
        for name in self.room_context.agenda.take() {
            if let Some(room) = self.room(name.as_str())
                && !self.remove_if_unused(&room, now - UNUSED_ROOM_TTL)
            {
                room.tick(now);
            }
        }
        if self.processes().is_listing_due(now, self.metrics().rooms.get() > 0) {
            tokio::spawn(self.clone().list_process());
        }
        self.metrics().buffered_bytes.set(self.room_context.buffers.bytes() as i64);
    }

    /// Lists this process as alive, so that its presence entries stay valid, and sees which others are.
    async fn list_process(self: Arc<Self>) {
        let listing = catch(self.metrics(), "presence", self.processes().list_own()).await;
        let Some(listing) = listing.flatten() else {
            return;
        };
        if listing.was_lost {
            self.all_rooms().iter().for_each(|room| room.presence().announce_again());
        }
        if listing.others_changed {
            self.put_on_agenda(&self.all_rooms());
        }
    }

    fn put_on_agenda(&self, rooms: &[Arc<Room>]) {
        rooms.iter().for_each(|room| self.room_context.agenda.add(room.name()));
    }

    /// Returns what a subscriber of these rooms reads, and keeps the rooms in memory while it is held.
    pub(super) fn enter(&self, names: &Rooms) -> Source {
        if let [name] = &**names {
            return Source::Room(self.enter_room(name));
        }
        let enter = |names: &Rooms| names.iter().map(|name| self.enter_room(name)).collect();
        Source::Merged(self.merged.lock().enter(names, enter, &self.room_context))
    }

    /// Enters a room. If it is not in memory, creates it and listens to its announcements.
    fn enter_room(&self, name: &RoomName) -> RoomGuard {
        let create = || Room::new(self.room_context.clone(), name.clone(), self.is_live());
        let (room, is_new) = self.rooms.enter(name, create);
        if is_new {
            self.metrics().rooms.inc();
            self.bus.listen(name);
        }
        room
    }

    /// Removes a room if there was no subscriber since then.
    fn remove_if_unused(&self, room: &Room, since: Instant) -> bool {
        self.rooms.remove_if_unused(room, since, || {
            self.metrics().rooms.dec();
            // Before a subscriber that enters the room next listens to it.
            self.bus.unlisten(room.name());
        })
    }

    pub(super) fn room(&self, name: &str) -> Option<Arc<Room>> {
        self.rooms.get(name)
    }

    pub(super) fn all_rooms(&self) -> Vec<Arc<Room>> {
        self.rooms.all()
    }

    // What the workers need.

    pub(super) fn stream_context(&self) -> &Arc<StreamContext> {
        &self.streams
    }

    pub(super) fn drain_signal(&self) -> &Arc<Drain> {
        &self.drain
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    pub(super) fn prepare_thread(&self) {
        self.bus.prepare_thread();
    }
}

#[cfg(test)]
mod tests;
