//! Restores what a server has lost from what this node has in memory: a restart, a crash or a failover may take away what
//! nodes have sent to their subscribers, or acknowledged, a moment before.
//!
//! When a new run of a server is found ([`ServerRun`](super::server_run::ServerRun)), its logs are neither read nor written
//! for a while, and all nodes restore what they know from before. They may do so at the same time: an entry is only
//! appended to its own predecessor. What was deleted in the same run stays deleted.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use futures_util::stream::{self, FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use redis::Script;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::connection::ThreadConnections;
use super::connector::Connector;
use super::error::CallError;
use super::journal::Journal;
use super::keys::{Keys, slot_of};
use super::scripts::{self, Announcing};
use super::server_run::HOLD;
use super::topology::Topology;
use crate::bus::error::Unavailable;
use crate::bus::log::{Entry, KEY_TTL_MS, Listener, Retention};
use crate::chat::{Id, RoomName};
use crate::metrics::Metrics;
use crate::supervise::supervise;

/// How long before logs are read and written again those that are absent are filled. Until then all nodes have said what they
/// know.
const FILL_TIME: Duration = Duration::from_millis(120);

/// How long what a node knows of a log is kept for the others.
const OFFER_TTL: Duration = Duration::from_secs(10);

/// The most entries and bytes that one call restores.
const MAX_ENTRIES: usize = 200;
const MAX_BYTES: usize = 256 << 10;

/// Rooms that are healed at once.
const ROOMS_AT_ONCE: usize = 16;

/// How often a room is tried, and the pause before it is tried again.
const ATTEMPTS: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// How often what was acknowledged long ago is forgotten if nothing is posted.
const FORGET_INTERVAL: Duration = Duration::from_secs(5);

/// How often the log says at most how much was restored.
const LOG_INTERVAL: Duration = Duration::from_millis(500);

/// A step of healing, which is taken for all rooms before the next one.
#[derive(Clone, Copy)]
enum Step {
    /// What a log has lost at its end is appended. What does not continue it is offered to be restored in the next step.
    Offer,
    Fill,
}

/// Whether a room needs the next step.
#[derive(PartialEq, Eq)]
enum Next {
    Fill,
    Nothing,
}

/// An entry to restore.
struct Held {
    entry: Entry,
    key: Option<String>,
}

/// The reply of the script: the state of the log before it, its last id and that of its first entry, how many entries were
/// restored, and the ids that nodes have offered.
type Reply = (String, String, String, usize, Vec<String>);

/// Restores the logs of one Redis.
pub struct Healer {
    keys: Keys,
    retention: Retention,
    topology: Arc<Topology>,
    connections: Arc<ThreadConnections>,
    script: Script,
    journal: Journal,
    listener: OnceLock<Weak<dyn Listener>>,
    metrics: Arc<Metrics>,
    /// The rooms that were restored since the log has said so, and how many entries.
    restored: Mutex<(HashSet<RoomName>, usize)>,
    has_restored: Notify,
}

impl Healer {
    pub fn new(
        keys: Keys,
        retention: Retention,
        topology: Arc<Topology>,
        connections: Arc<ThreadConnections>,
        announcing: Announcing,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            keys,
            retention,
            topology,
            connections,
            script: announcing.script(scripts::HEAL),
            journal: Journal::default(),
            listener: OnceLock::new(),
            metrics,
            restored: Mutex::default(),
            has_restored: Notify::new(),
        }
    }

    /// Notes an entry that this node acknowledges, and the key under which an app has sent it.
    pub fn note_acknowledged(&self, room: &RoomName, entry: Entry, key: Option<&str>) {
        self.journal.add(room, entry, key);
    }

    /// Heals the rooms of each server of which a new run is found, and of all such servers at the beginning: before a panic
    /// it may have been one of them.
    async fn heal_servers(&self) {
        let mut known: HashSet<(String, Instant)> = HashSet::new();
        let mut healing = FuturesUnordered::new();
        loop {
            let mut runs = HashSet::new();
            for server in self.topology.masters().servers() {
                let Some(found) = server.run().found() else { continue };
                let run = (server.address().to_string(), found);
                if !known.contains(&run) {
                    healing.push(self.heal_rooms_of(server.clone(), found));
                }
                runs.insert(run);
            }
            known = runs;
            tokio::select! {
                () = self.topology.run_found() => {}
                Some(()) = healing.next() => {}
            }
        }
    }

    /// Heals the rooms of one server: first what logs have lost at their ends is appended and the others are told apart, for
    /// all rooms, then these are filled.
    async fn heal_rooms_of(&self, server: Arc<Connector>, found: Instant) {
        let Some(listener) = self.listener() else { return };
        let known: HashSet<RoomName> = listener.rooms().into_iter().chain(self.journal.rooms()).collect();
        let mut rooms: Vec<RoomName> = known.into_iter().collect();
        rooms.retain(|room| self.server_of(room).is_some_and(|of| Arc::ptr_eq(&of, &server)));
        let to_fill = self.for_each(rooms, Step::Offer, found).await;
        sleep_until(fill_time(found).into()).await;
        self.for_each(to_fill, Step::Fill, found).await;
    }

    /// Takes a step for each room, several at once and again if it fails, and returns the rooms that need the next one.
    async fn for_each(&self, rooms: Vec<RoomName>, step: Step, found: Instant) -> Vec<RoomName> {
        let results = stream::iter(rooms).map(|room| self.take_step(room, step, found)).buffer_unordered(ROOMS_AT_ONCE);
        results.filter_map(std::future::ready).collect().await
    }

    /// Takes a step for a room, again if it fails while the run is the same, and returns the room if it needs
    /// the next one.
    async fn take_step(&self, room: RoomName, step: Step, found: Instant) -> Option<RoomName> {
        for _ in 0..ATTEMPTS {
            if self.run_found(&room) != Some(found) {
                return None;
            }
            let result = match step {
                Step::Offer => self.offer(&room, found).await,
                Step::Fill => self.fill(&room, Some(found)).await.map(|_| Next::Nothing),
            };
            match self.connections.calls().settle("heal", Some(room.as_str()), result) {
                Ok(Next::Fill) => return Some(room),
                Ok(Next::Nothing) => {
                    self.journal.confirm(&room, found);
                    return None;
                }
                Err(Unavailable) => sleep(RETRY_PAUSE).await,
            }
        }
        None
    }

    async fn forget_acknowledged(&self) {
        loop {
            sleep(FORGET_INTERVAL).await;
            self.journal.forget_old();
        }
    }

    /// Says now and then how much was restored.
    async fn say_what_was_restored(&self) {
        loop {
            self.has_restored.notified().await;
            sleep(LOG_INTERVAL).await;
            let (rooms, entries) = std::mem::take(&mut *self.restored.lock());
            if entries > 0 {
                tracing::info!(rooms = rooms.len(), entries, "restored what Redis had lost");
            }
        }
    }

    fn listener(&self) -> Option<Arc<dyn Listener>> {
        self.listener.get().and_then(Weak::upgrade)
    }

    fn server_of(&self, room: &RoomName) -> Option<Arc<Connector>> {
        self.topology.masters().of_slot(slot_of(&self.keys.log(room))).cloned()
    }

    /// Returns when the current run of a room's server was found, if there was another one before.
    fn run_found(&self, room: &RoomName) -> Option<Instant> {
        self.server_of(room)?.run().found()
    }

    /// Returns an id that the log of a room is known to have had before the current run of its server, unless the log was
    /// read since then.
    pub fn last_known(&self, room: &RoomName) -> Option<Id> {
        let found = self.run_found(room)?;
        let of_listener = self.listener().and_then(|listener| listener.last_known_before(room.as_str(), found));
        of_listener.max(self.journal.last_known(room, self.read_at(room), found))
    }

    /// Returns when a room's log was last read, if the room is in memory: what it did not have then was removed.
    fn read_at(&self, room: &RoomName) -> Option<Instant> {
        self.listener()?.read_at(room.as_str())
    }

    /// Restores what a room's log has lost since before the current run of its server, also with what other nodes have
    /// offered. Returns true if there may be something to restore.
    pub async fn heal(&self, room: &RoomName) -> Result<bool, CallError> {
        let Some(found) = self.run_found(room) else {
            // This node has nothing from before. Others may.
            return Ok(self.fill(room, None).await? > 0);
        };
        let next = self.offer(room, found).await?;
        if next == Next::Fill {
            sleep_until(fill_time(found).into()).await;
            self.fill(room, Some(found)).await?;
        }
        let may_be_restored = next == Next::Fill || self.last_known(room).is_some();
        self.journal.confirm(room, found);
        Ok(may_be_restored)
    }

    /// Appends what a log has lost at its end. If it is absent, or was filled a short while ago, offers what this node knows
    /// of the rest.
    async fn offer(&self, room: &RoomName, found: Instant) -> Result<Next, CallError> {
        let (state, last, first, _, offered) = self.call(room, "offer", &[], Some(found)).await?;
        let (first, last) = (first.parse().unwrap_or(Id::ZERO), last.parse().unwrap_or(Id::ZERO));
        let is_whole = match state.as_str() {
            "whole" => true,
            "filled" | "absent" => false,
            _ => return Ok(Next::Nothing),
        };
        let mut held = self.held(room, found, Some(last).filter(|_| is_whole));
        let offered: HashSet<String> = offered.into_iter().collect();
        held.retain(|held| {
            // Only the node that took an entry may know all of it.
            let is_offered = held.entry.node.is_none() && offered.contains(&held.entry.id.to_string());
            let is_there = first <= held.entry.id && held.entry.id <= last && held.key.is_none();
            !is_offered && !is_there
        });
        self.call_in_parts(room, &held, found).await?;
        Ok(if is_whole { Next::Nothing } else { Next::Fill })
    }

    /// Restores what all nodes have offered of an absent log, or of one that was filled a short while ago, and returns how
    /// many entries it were.
    async fn fill(&self, room: &RoomName, found: Option<Instant>) -> Result<usize, CallError> {
        let (.., restored, _) = self.call(room, "fill", &[], found).await?;
        Ok(restored)
    }

    /// Returns what this node knows of a log from before a time: what comes after an id, or everything; and what it has
    /// acknowledged under the key of an app's event, in any case.
    fn held(&self, room: &RoomName, before: Instant, after: Option<Id>) -> Vec<Held> {
        let in_memory = self.listener().map(|listener| listener.entries_known_before(room.as_str(), before, after));
        let mut held: BTreeMap<Id, Held> =
            in_memory.into_iter().flatten().map(|entry| (entry.id, Held { entry, key: None })).collect();
        for acknowledged in self.journal.known(room, self.read_at(room), before) {
            let id = acknowledged.entry.id;
            let is_removed = held.get(&id).is_some_and(|known| !known.entry.has_data());
            if !is_removed && (after.is_none_or(|after| after < id) || acknowledged.key.is_some()) {
                held.insert(id, Held { entry: acknowledged.entry, key: acknowledged.key });
            }
        }
        held.into_values().collect()
    }

    /// Calls the script with entries, in parts of limited size.
    async fn call_in_parts(&self, room: &RoomName, held: &[Held], found: Instant) -> Result<(), CallError> {
        let mut rest = held;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |held: &&Held| {
                bytes += held.entry.data.len();
                bytes <= MAX_BYTES
            };
            let count = rest.iter().take(MAX_ENTRIES).take_while(fits).count().max(1);
            let (part, others) = rest.split_at(count);
            self.call(room, "offer", part, Some(found)).await?;
            rest = others;
        }
        Ok(())
    }

    /// Notes how many entries of a room were restored.
    fn note(&self, room: &RoomName, entries: usize) {
        if entries > 0 {
            self.metrics.restored.inc_by(entries as u64);
            let mut restored = self.restored.lock();
            restored.0.insert(room.clone());
            restored.1 += entries;
            self.has_restored.notify_one();
        }
    }

    async fn call(
        &self,
        room: &RoomName,
        mode: &str,
        held: &[Held],
        found: Option<Instant>,
    ) -> Result<Reply, CallError> {
        let log = self.keys.log(room);
        let mut call = self.script.key(&log);
        call.key(self.keys.deleted(room))
            .key(self.keys.edits(room))
            .key(self.keys.absent(room))
            .key(self.keys.offers(room))
            .key(self.keys.filled(room))
            .arg(mode)
            .arg(self.retention.messages)
            .arg(self.retention.seconds)
            .arg(KEY_TTL_MS)
            .arg(OFFER_TTL.as_millis() as u64);
        for Held { entry, key } in held {
            let is_removed = !entry.has_data();
            call.arg(entry.id.to_string())
                .arg(entry.cursor_before().to_string())
                .arg(if is_removed { "removed" } else { "" })
                .arg(if is_removed { "" } else { &entry.kind })
                .arg(&entry.data)
                .arg(entry.node.as_deref().unwrap_or_default())
                .arg(key.as_deref().unwrap_or_default());
        }
        let reply: Reply = match found {
            Some(found) => self.connections.run_in_run(&log, &call, found).await?,
            None => self.connections.run(&log, &call).await?,
        };
        self.note(room, reply.3);
        Ok(reply)
    }
}

/// Heals the rooms of each server of which a new run is found. `listener` has the rooms of this node.
pub fn start(healer: Arc<Healer>, listener: Weak<dyn Listener>, metrics: Arc<Metrics>) {
    if healer.listener.set(listener).is_ok() {
        let run = async move || {
            tokio::join!(healer.heal_servers(), healer.say_what_was_restored(), healer.forget_acknowledged());
        };
        tokio::spawn(supervise(metrics, "healing", run, || {}));
    }
}

/// Returns when absent logs are filled: shortly before logs are read and written again.
fn fill_time(found: Instant) -> Instant {
    found + HOLD.saturating_sub(FILL_TIME)
}
