//! The subscribers of a room and their names, over all processes. It does no I/O: the room announces and sends.
//!
//! Each process announces its subscribers, and its entry is valid while the process lists itself as alive, so those of a
//! crashed node disappear by themselves. A join changes a counter; all changes within a second cost one announcement and
//! one event, and a room where nothing changes costs nothing.

pub mod snapshot;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::processes::Processes;
use crate::bus::{PRESENCE_RETENTION, PRESENCE_TTL, PresenceEntry, StoredPresence, unix_ms};
use crate::chat::Name;
use crate::sse::Event;
use snapshot::{MAX_IDS, MAX_SNAPSHOT_NAMES, PresenceSnapshot, PresentAs, presence_ids};

/// The shortest time between two announcements, and between two `presence` events.
const MIN_UPDATE_INTERVAL: Duration = Duration::from_secs(1);

/// When an unchanged entry is announced again, in seconds: in time for the store to keep it, and drawn at random, so that
/// rooms do not stay in step after a reconnect.
const REFRESH_SECONDS: std::ops::RangeInclusive<u64> =
    PRESENCE_RETENTION.as_secs() / 2..=PRESENCE_RETENTION.as_secs() * 2 / 3;

/// How often an unchanged entry is announced again while there are processes of the version before.
const REPEAT_INTERVAL: Duration = Duration::from_secs(PRESENCE_TTL.as_secs() / 3);

/// The most subscribers of a room in which joins and leaves are announced.
const MAX_TRACKED_SUBSCRIBERS: usize = 50;

/// How long no subscriber must have had a name before it is announced as left: reloading a page is not leaving.
const LEAVE_GRACE: Duration = Duration::from_secs(15);

/// The subscribers of one room, in this process and in others.
pub struct Presence {
    processes: Arc<Processes>,
    state: Mutex<PresenceState>,
}

/// The subscribers of all processes, and what was sent of them.
#[derive(Default)]
struct PresenceState {
    local: Local,
    remote: HashMap<String, Remote>,
    /// Whether the entries of other processes are known.
    synced: bool,
    /// The names that were in other processes when this one first announced itself.
    initial_names: Vec<String>,
    /// Whether a new subscriber needs a snapshot.
    snapshot_requested: bool,
    /// Whether the snapshot may have changed.
    dirty: bool,
    last_snapshot: Option<(Instant, PresenceSnapshot)>,
    tracked: TrackedNames,
}

/// The subscribers of this process.
#[derive(Default)]
struct Local {
    count: usize,
    names: BTreeMap<Name, usize>,
    ids: BTreeMap<Name, usize>,
    version: u64,
    /// Whether there are changes that were not announced yet.
    changed: bool,
    /// Whether an announcement is on its way.
    announcing: bool,
    announced_at: Option<Instant>,
    /// When the entry is announced again even if it has not changed.
    refresh_at: Option<Instant>,
}

/// The entry of another process.
struct Remote {
    entry: PresenceEntry,
    expires_at: Instant,
}

/// The names whose joins and leaves are announced to subscribers.
#[derive(Default)]
enum TrackedNames {
    /// There was no snapshot yet.
    #[default]
    Unknown,
    /// The room has too many subscribers.
    TooMany,
    /// The names that have joined and not left, and since when no subscriber has them.
    Tracked(BTreeMap<String, Option<Instant>>),
}

impl Presence {
    /// Creates the presence of an empty room.
    pub fn new(processes: Arc<Processes>) -> Self {
        let synced = processes.store().is_none();
        Self { processes, state: Mutex::new(PresenceState { synced, ..PresenceState::default() }) }
    }

    fn is_own(&self, entry: &PresenceEntry) -> bool {
        *entry.process == **self.processes.name()
    }

    /// Counts a subscriber of this process.
    pub fn join(&self, present_as: &PresentAs) {
        let mut state = self.state.lock();
        state.local.join(present_as);
        state.dirty = true;
    }

    /// Stops counting a subscriber of this process.
    pub fn leave(&self, present_as: &PresentAs) {
        let mut state = self.state.lock();
        state.local.leave(present_as);
        state.dirty = true;
    }

    /// Returns the number of subscribers of this process that are present.
    pub fn local_count(&self) -> usize {
        self.state.lock().local.count
    }

    /// Notes that a new subscriber needs a snapshot: earlier ones were ephemeral.
    pub fn request_snapshot(&self) {
        let mut state = self.state.lock();
        state.snapshot_requested = true;
        state.dirty = true;
        // The entries of other processes come with the response to an announcement, even to one of no subscribers.
        state.local.changed |= !state.synced && !state.local.announcing;
    }

    /// Takes the announcement of another process.
    pub fn on_remote(&self, entry: PresenceEntry) {
        if !self.is_own(&entry) {
            let now = Instant::now();
            self.note_repeating(&entry, now);
            self.state.lock().update_remote(entry, now + PRESENCE_TTL);
        }
    }

    /// After a reconnect, extends the time to live of remote entries, and announces the local one again.
    pub fn on_reconnected(&self) {
        let mut state = self.state.lock();
        let expires_at = Instant::now() + PRESENCE_TTL;
        for remote in state.remote.values_mut() {
            remote.expires_at = expires_at;
        }
        state.local.changed |= state.local.count > 0;
    }

    /// Announces the local entry again.
    pub fn announce_again(&self) {
        let local = &mut self.state.lock().local;
        local.changed |= local.count > 0;
    }

    /// Returns the entry to announce now, if one is due. The caller has to call [`on_reply`](Self::on_reply) after it.
    pub fn next_announcement(&self, now: Instant) -> Option<PresenceEntry> {
        let must_repeat = self.processes.must_repeat(now);
        let local = &mut self.state.lock().local;
        local.is_due(now, must_repeat).then(|| local.announce(now, self.processes.name()))
    }

    /// Takes the response to an announcement: the entries of all processes with their times to live, or `None` if the
    /// store was unavailable.
    pub fn on_reply(&self, entries: Option<Vec<StoredPresence>>) {
        let mut state = self.state.lock();
        state.local.announcing = false;
        state.local.changed |= entries.is_none();
        let Some(mut entries) = entries else { return };
        let now = Instant::now();
        entries
            .retain(|(entry, ttl)| !self.is_own(entry) && (!ttl.is_zero() || self.processes.is_alive(&entry.process)));
        if !std::mem::replace(&mut state.synced, true) {
            state.initial_names = entries.iter().flat_map(|(entry, _)| entry.names.clone()).collect();
        }
        for (entry, ttl) in entries {
            self.note_repeating(&entry, now);
            state.update_remote(entry, now + ttl);
        }
    }

    /// Returns the entry that removes this process from the room, if it was ever announced.
    pub fn withdrawal(&self) -> Option<PresenceEntry> {
        let local = &mut self.state.lock().local;
        let was_announced = local.announced_at.is_some() && (local.changed || local.count > 0);
        was_announced.then(|| PresenceEntry {
            count: 0,
            names: Vec::new(),
            ids: Vec::new(),
            ..local.announce(Instant::now(), self.processes.name())
        })
    }

    /// Returns the events for the current subscribers: none before the entries of other processes are known, since those
    /// would join then. While the store is disconnected, remote entries do not expire.
    pub fn take_events(&self, now: Instant, is_connected: bool) -> Vec<Event> {
        let mut state = self.state.lock();
        if is_connected {
            state.expire_remote(now, &self.processes);
        }
        if state.synced { state.take_events(now) } else { Vec::new() }
    }

    /// Returns true if there may be an announcement or an event to come, or a remote entry that expires by itself.
    pub fn needs_tick(&self) -> bool {
        let state = self.state.lock();
        let expires = |remote: &Remote| remote.entry.count > 0 && !self.processes.is_alive(&remote.entry.process);
        state.dirty || state.local.changed || state.remote.values().any(expires)
    }

    /// Returns a snapshot of the entries in the store, with the current one of this process.
    pub fn snapshot(&self, stored: &[PresenceEntry]) -> PresenceSnapshot {
        let local = self.state.lock().local.entry(self.processes.name());
        PresenceSnapshot::of(stored.iter().filter(|entry| !self.is_own(entry)).chain([&local]))
    }

    /// Returns the presence ids in the store and in this process, each once, in order, and only the first of too many.
    pub fn ids(&self, stored: &[PresenceEntry]) -> Vec<String> {
        let local = self.state.lock().local.entry(self.processes.name());
        presence_ids(stored.iter().filter(|entry| !self.is_own(entry)).chain([&local]))
    }

    fn note_repeating(&self, entry: &PresenceEntry, now: Instant) {
        if !entry.listed {
            self.processes.note_repeating(now);
        }
    }
}

impl PresenceState {
    fn update_remote(&mut self, entry: PresenceEntry, expires_at: Instant) {
        let known = self.remote.get(&entry.process);
        if known.is_none_or(|known| known.entry.version <= entry.version) {
            let expires_at = known.map_or(expires_at, |known| known.expires_at.max(expires_at));
            self.dirty |= known.is_none_or(|known| known.entry != entry);
            self.remote.insert(entry.process.clone(), Remote { entry, expires_at });
        }
    }

    fn expire_remote(&mut self, now: Instant, processes: &Processes) {
        let before = self.remote.len();
        self.remote.retain(|process, remote| {
            // An entry of no subscribers is kept only to recognize an older one that arrives later.
            remote.expires_at > now || remote.entry.count > 0 && processes.is_alive(process)
        });
        self.dirty |= self.remote.len() < before;
    }

    fn take_events(&mut self, now: Instant) -> Vec<Event> {
        if !self.dirty || self.last_snapshot.as_ref().is_some_and(|(at, _)| now - *at < MIN_UPDATE_INTERVAL) {
            return Vec::new();
        }
        let entries = self.remote.values().map(|remote| &remote.entry);
        let snapshot = PresenceSnapshot::of(entries.chain([&self.local.entry("")]));
        let names = snapshot.names.as_deref().filter(|_| snapshot.count <= MAX_TRACKED_SUBSCRIBERS);
        let mut events = self.tracked.update(names, std::mem::take(&mut self.initial_names), now);
        let has_changed = self.last_snapshot.as_ref().is_none_or(|(_, last)| *last != snapshot);
        if std::mem::take(&mut self.snapshot_requested) || has_changed {
            events.push(Event::presence(&snapshot));
            self.last_snapshot = Some((now, snapshot));
        }
        self.dirty = self.tracked.has_pending_leaves();
        events
    }
}

impl Local {
    fn join(&mut self, present_as: &PresentAs) {
        self.count += 1;
        self.changed = true;
        if let Some((names, name)) = self.names_of(present_as) {
            *names.entry(name.clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, present_as: &PresentAs) {
        self.count -= 1;
        self.changed = true;
        let Some((names, name)) = self.names_of(present_as) else {
            return;
        };
        match names.get_mut(name) {
            Some(subscribers) if *subscribers > 1 => *subscribers -= 1,
            _ => drop(names.remove(name)),
        }
    }

    fn names_of<'a>(&mut self, present_as: &'a PresentAs) -> Option<(&mut BTreeMap<Name, usize>, &'a Name)> {
        match present_as {
            PresentAs::Unnamed => None,
            PresentAs::Name(name) => Some((&mut self.names, name)),
            PresentAs::Id(id) => Some((&mut self.ids, id)),
        }
    }

    fn is_due(&self, now: Instant, must_repeat: bool) -> bool {
        let is_past = |interval: Duration| self.announced_at.is_none_or(|at| now - at >= interval);
        let must_refresh =
            || must_repeat && is_past(REPEAT_INTERVAL) || self.refresh_at.is_none_or(|refresh_at| refresh_at <= now);
        !self.announcing && (self.changed && is_past(MIN_UPDATE_INTERVAL) || self.count > 0 && must_refresh())
    }

    fn announce(&mut self, now: Instant, process: &str) -> PresenceEntry {
        if std::mem::take(&mut self.changed) {
            self.version = unix_ms().max(self.version + 1);
        }
        (self.announced_at, self.announcing) = (Some(now), true);
        self.refresh_at = Some(now + Duration::from_secs(rand::random_range(REFRESH_SECONDS)));
        self.entry(process)
    }

    fn entry(&self, process: &str) -> PresenceEntry {
        // One name more than a snapshot may have is enough to see that there are too many.
        let names = self.names.keys().take(MAX_SNAPSHOT_NAMES + 1).map(|name| name.as_str().to_owned()).collect();
        let ids = self.ids.keys().take(MAX_IDS).map(|id| id.plain().into_owned()).collect();
        PresenceEntry {
            process: process.to_owned(),
            version: self.version,
            count: self.count,
            names,
            ids,
            listed: true,
        }
    }
}

impl TrackedNames {
    /// Compares with the names that are present now, `None` if there are too many, and returns the events for joins and
    /// leaves. Not counted as joins are the names in the first snapshot that were there `initially`, and the names of a
    /// room that has just become small enough.
    fn update(&mut self, present: Option<&[String]>, initially: Vec<String>, now: Instant) -> Vec<Event> {
        let Some(present) = present else {
            *self = TrackedNames::TooMany;
            return Vec::new();
        };
        let mut tracked = match std::mem::take(self) {
            TrackedNames::Tracked(tracked) => tracked,
            TrackedNames::Unknown => initially.into_iter().map(|name| (name, None)).collect(),
            TrackedNames::TooMany => present.iter().map(|name| (name.clone(), None)).collect(),
        };
        let mut events = Vec::new();
        for name in present {
            if tracked.insert(name.clone(), None).is_none() {
                events.push(Event::user_joined(name));
            }
        }
        tracked.retain(|name, absent_since| {
            let has_left = !present.contains(name) && now - *absent_since.get_or_insert(now) >= LEAVE_GRACE;
            if has_left {
                events.push(Event::user_left(name));
            }
            !has_left
        });
        *self = TrackedNames::Tracked(tracked);
        events
    }

    /// Returns true if a name is absent and has not been announced as left.
    fn has_pending_leaves(&self) -> bool {
        matches!(self, TrackedNames::Tracked(tracked) if tracked.values().any(Option::is_some))
    }
}

#[cfg(test)]
mod tests;
