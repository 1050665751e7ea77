//! Who is in a room, on all nodes.
//!
//! Every node says now and then how many readers it has in a room and under which names, and is
//! believed for a while; so a crashed node's readers go by themselves. A join costs a counter here,
//! and all joins of a second together cost one saying and one event.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;

use super::room::{Room, Stay};
use crate::bus::{PRESENCE_TTL, PresenceEntry, unix_ms};
use crate::chat::{Name, RoomName};
use crate::sse;

/// Readers are told, and other nodes, at most so often.
const PACE: Duration = Duration::from_secs(1);

/// How often a node says the same again: three times before it is forgotten.
const REPEAT: Duration = Duration::from_secs(PRESENCE_TTL.as_secs() / 3);

/// The most names that are told; of more, only the number of readers is.
const NAMES: usize = 100;

/// In rooms of more readers it is not told who joined and left.
const SMALL: usize = 50;

/// A name is gone when no reader has had it for so long: a page that reloads does not leave.
const GRACE: Duration = Duration::from_secs(15);

/// As whom a reader comes, and where it is to be seen.
#[derive(Clone, Debug, Default)]
pub struct PresenceRequest {
    /// Its name; it counts without one, too.
    pub name: Option<Name>,
    /// Those of its rooms in which it is present; all of them where this is `None`.
    pub rooms: Option<Vec<RoomName>>,
}

/// A reader's presence in a room, until it is dropped.
pub struct Here {
    room: Arc<Room>,
    name: Option<Name>,
}

/// Who is in a room, as readers are told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PresenceSnapshot {
    /// All readers, those without a name too.
    pub count: usize,
    /// Their names, each once, in order; absent where there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// What this node knows about who is in a room.
pub struct Presence {
    /// This process among all: two may have the same node name.
    process: Arc<str>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    own: Own,
    others: HashMap<String, Other>,
    /// Whether the other nodes' readers are known.
    known: bool,
    /// The names that were on other nodes when this one first said who is here.
    before: Vec<String>,
    /// Whether somebody has come who was not told yet.
    asked: bool,
    /// Whether it may be different from what was told.
    stirred: bool,
    told: Option<(Instant, PresenceSnapshot)>,
    names: Names,
}

/// The readers of this node.
#[derive(Default)]
struct Own {
    count: usize,
    names: BTreeMap<Name, usize>,
    version: u64,
    /// Whether the other nodes have not been told.
    changed: bool,
    saying: bool,
    said: Option<Instant>,
}

/// The readers of another node, and until when that is believed.
struct Other {
    attendance: PresenceEntry,
    until: Instant,
}

/// The names that are here.
#[derive(Default)]
enum Names {
    /// It was never looked.
    #[default]
    Unknown,
    /// The room is too large.
    TooMany,
    /// Those that are known as joined and were not told as left, and since when nobody has them.
    Followed(BTreeMap<String, Option<Instant>>),
}

impl PresenceRequest {
    /// Enters those of a feed's rooms in which the reader is to be present.
    pub fn enter(&self, rooms: &[Stay]) -> Box<[Here]> {
        let is_in = |room: &&Stay| self.rooms.as_ref().is_none_or(|rooms| rooms.contains(room.name()));
        rooms.iter().filter(is_in).map(|room| Here::new(Arc::clone(room), self.name.clone())).collect()
    }
}

impl Here {
    fn new(room: Arc<Room>, name: Option<Name>) -> Self {
        let mut state = room.presence().state();
        state.own.enter(name.as_ref());
        state.stirred = true;
        drop(state);
        room.say_who_is_here(Instant::now());
        Self { room, name }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        let mut state = self.room.presence().state();
        state.own.leave(self.name.as_ref());
        state.stirred = true;
    }
}

impl Presence {
    /// A room in which nobody is. `process` names this process among all that share the bus.
    pub fn new(process: Arc<str>) -> Self {
        Self { process, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has come who was not told who is here.
    pub fn ask(&self) {
        self.state().ask();
    }

    /// Another node says who it has.
    pub fn hear(&self, attendance: PresenceEntry) {
        if *attendance.process != *self.process {
            self.state().hear(attendance, Instant::now() + PRESENCE_TTL);
        }
    }

    /// The bus is heard again: who was there may still be, and does not know who is here.
    pub fn begin_anew(&self) {
        let mut state = self.state();
        let until = Instant::now() + PRESENCE_TTL;
        state.others.values_mut().for_each(|other| other.until = until);
        state.own.changed |= state.own.count > 0;
    }

    /// What the other nodes are to be told now. [`Presence::said`] has to follow.
    pub fn say(&self, now: Instant) -> Option<PresenceEntry> {
        let mut state = self.state();
        state.own.is_due(now).then(|| state.own.say(now, &self.process))
    }

    /// What the bus knows after something was said to it, and for how long each of these is believed; `None`
    /// where it could not be reached.
    pub fn said(&self, all: Option<Vec<(PresenceEntry, Duration)>>) {
        let mut state = self.state();
        state.own.saying = false;
        state.own.changed |= all.is_none();
        let Some(mut others) = all else { return };
        others.retain(|(attendance, _)| *attendance.process != *self.process);
        if !std::mem::replace(&mut state.known, true) {
            state.before = others.iter().flat_map(|(attendance, _)| attendance.names.clone()).collect();
        }
        let now = Instant::now();
        others.into_iter().for_each(|(attendance, left)| state.hear(attendance, now + left));
    }

    /// What the bus has to be told at the end of the process, where there is something.
    pub fn farewell(&self) -> Option<PresenceEntry> {
        let mut state = self.state();
        (state.own.said.is_some() && (state.own.changed || state.own.count > 0)).then(|| PresenceEntry {
            count: 0,
            names: Vec::new(),
            ..state.own.say(Instant::now(), &self.process)
        })
    }

    /// The events for the readers of now, where something has changed. Without the bus, nobody is
    /// thought to have left.
    pub fn tell(&self, now: Instant, bus_is_heard: bool) -> Vec<Bytes> {
        let mut state = self.state();
        if bus_is_heard {
            state.forget(now);
        }
        match state.known || !bus_is_heard {
            true => state.tell(now),
            false => Vec::new(),
        }
    }

    /// Who is here, where `all` is what the bus knows.
    pub fn roster(&self, all: Vec<PresenceEntry>) -> PresenceSnapshot {
        let own = self.state().own.attendance(&self.process);
        PresenceSnapshot::of(all.iter().filter(|attendance| *attendance.process != *self.process).chain([&own]))
    }
}

impl PresenceSnapshot {
    /// All of these together.
    pub fn of<'a>(all: impl Iterator<Item = &'a PresenceEntry>) -> Self {
        let (mut count, mut names) = (0, BTreeSet::new());
        for attendance in all {
            // Whoever writes to the bus may claim any number.
            count = usize::saturating_add(count, attendance.count);
            names.extend(&attendance.names);
        }
        let names = (names.len() <= NAMES).then(|| names.into_iter().cloned().collect());
        Self { count, names }
    }
}

impl State {
    /// Who is there on other nodes is learned by saying something, be it that nobody is here.
    fn ask(&mut self) {
        (self.asked, self.stirred) = (true, true);
        self.own.changed |= !self.known;
    }

    fn hear(&mut self, attendance: PresenceEntry, until: Instant) {
        let known = self.others.get(&attendance.process);
        if known.is_none_or(|known| known.attendance.version <= attendance.version) {
            let until = known.map_or(until, |known| known.until.max(until));
            self.stirred |= known.is_none_or(|known| known.attendance != attendance);
            self.others.insert(attendance.process.clone(), Other { attendance, until });
        }
    }

    fn forget(&mut self, now: Instant) {
        let before = self.others.len();
        self.others.retain(|_, other| other.until > now);
        self.stirred |= self.others.len() < before;
    }

    fn tell(&mut self, now: Instant) -> Vec<Bytes> {
        if !self.stirred || self.told.as_ref().is_some_and(|(at, _)| now - *at < PACE) {
            return Vec::new();
        }
        let roster =
            PresenceSnapshot::of(self.others.values().map(|other| &other.attendance).chain([&self.own.attendance("")]));
        let small = roster.names.as_deref().filter(|_| roster.count <= SMALL);
        let mut events = self.names.follow(small, std::mem::take(&mut self.before), now);
        let news = self.told.as_ref().is_none_or(|(_, told)| *told != roster);
        if std::mem::take(&mut self.asked) || news {
            events.push(sse::presence(&roster));
            self.told = Some((now, roster));
        }
        self.stirred = self.names.are_waiting();
        events
    }
}

impl Own {
    fn enter(&mut self, name: Option<&Name>) {
        self.count += 1;
        name.into_iter().for_each(|name| *self.names.entry(name.clone()).or_default() += 1);
        self.changed = true;
    }

    fn leave(&mut self, name: Option<&Name>) {
        self.count -= 1;
        self.changed = true;
        let Some(name) = name else { return };
        match self.names.get_mut(name) {
            Some(readers) if *readers > 1 => *readers -= 1,
            _ => drop(self.names.remove(name)),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        let longer_ago = |pause: Duration| self.said.is_none_or(|said| now - said >= pause);
        !self.saying && (self.changed && longer_ago(PACE) || self.count > 0 && longer_ago(REPEAT))
    }

    fn say(&mut self, now: Instant, process: &str) -> PresenceEntry {
        if std::mem::take(&mut self.changed) {
            self.version = unix_ms().max(self.version + 1);
        }
        (self.said, self.saying) = (Some(now), true);
        self.attendance(process)
    }

    /// One name more than is ever told is enough to see that there are too many.
    fn attendance(&self, process: &str) -> PresenceEntry {
        let names = self.names.keys().take(NAMES + 1).map(|name| name.as_str().to_owned()).collect();
        PresenceEntry { process: process.to_owned(), version: self.version, count: self.count, names }
    }
}

impl Names {
    /// Looks who is here; gives the events about who has joined and left. At the first look, who was
    /// there `before` has not joined; nor has anybody when a room was too large until now.
    fn follow(&mut self, here: Option<&[String]>, before: Vec<String>, now: Instant) -> Vec<Bytes> {
        let Some(here) = here else {
            *self = Names::TooMany;
            return Vec::new();
        };
        let mut followed = match std::mem::take(self) {
            Names::Followed(followed) => followed,
            Names::Unknown => before.into_iter().map(|name| (name, None)).collect(),
            Names::TooMany => here.iter().map(|name| (name.clone(), None)).collect(),
        };
        let mut events = Vec::new();
        for name in here {
            if followed.insert(name.clone(), None).is_none() {
                events.push(sse::user_joined(name));
            }
        }
        followed.retain(|name, gone| {
            let is_gone = !here.contains(name) && now - *gone.get_or_insert(now) >= GRACE;
            if is_gone {
                events.push(sse::user_left(name));
            }
            !is_gone
        });
        *self = Names::Followed(followed);
        events
    }

    /// Whether somebody is gone, and it was not told.
    fn are_waiting(&self) -> bool {
        matches!(self, Names::Followed(followed) if followed.values().any(Option::is_some))
    }
}

#[cfg(test)]
mod tests;
