//! What this node has acknowledged a short while ago: where a room has no subscribers, no other node may know of it.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bus::log::Entry;
use crate::chat::{Id, RoomName};
use crate::shrink::Shrink;

/// For how long an entry is kept: longer than Redis takes to come back, or Sentinels to promote a replica.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// The most bytes of all entries.
const MAX_BYTES: usize = 16 << 20;

/// Estimated bytes that an entry takes in addition to its texts.
const OVERHEAD_BYTES: usize = 256;

/// An entry that was acknowledged, with its predecessor.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub entry: Entry,
    /// The idempotency key of an app's event; a message has its own in its data.
    pub key: Option<String>,
    /// When the log is known to have had it. Later entries have no earlier time.
    at: Instant,
}

impl Acknowledged {
    fn size(&self) -> usize {
        let key = self.key.as_ref().map_or(0, String::len);
        self.entry.data.len() + self.entry.kind.len() + key + OVERHEAD_BYTES
    }
}

/// The newest entries that were acknowledged.
#[derive(Default)]
pub struct Journal(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    by_room: HashMap<RoomName, VecDeque<Acknowledged>>,
    /// The rooms of all entries, oldest first.
    order: VecDeque<RoomName>,
    bytes: usize,
}

impl Journal {
    /// Notes an entry that was acknowledged just now.
    pub fn add(&self, room: &RoomName, entry: Entry, key: Option<&str>) {
        let acknowledged = Acknowledged { entry, key: key.map(str::to_owned), at: Instant::now() };
        let mut entries = self.0.lock();
        entries.forget_replaced(room, &acknowledged.entry);
        entries.bytes += acknowledged.size();
        entries.order.push_back(room.clone());
        // Most rooms have no other one within that time.
        let of_room = entries.by_room.entry(room.clone()).or_insert_with(|| VecDeque::with_capacity(1));
        of_room.push_back(acknowledged);
        entries.forget_old();
    }

    /// Forgets what is kept for long enough.
    pub fn forget_old(&self) {
        self.0.lock().forget_old();
    }

    /// Returns the rooms with entries.
    pub fn rooms(&self) -> Vec<RoomName> {
        let mut entries = self.0.lock();
        entries.forget_old();
        entries.by_room.keys().cloned().collect()
    }

    /// Returns the last id that the log of a room is known to have had before a time, but not from before another one.
    pub fn last_known(&self, room: &RoomName, since: Option<Instant>, before: Instant) -> Option<Id> {
        self.0.lock().known(room, since, before).last().map(|acknowledged| acknowledged.entry.id)
    }

    /// Returns what the log of a room is known to have had before a time, but not from before another one: oldest first.
    pub fn known(&self, room: &RoomName, since: Option<Instant>, before: Instant) -> Vec<Acknowledged> {
        self.0.lock().known(room, since, before).cloned().collect()
    }

    /// Notes that what was lost in a room since a time was restored, or else is lost for good.
    pub fn confirm(&self, room: &RoomName, since: Instant) {
        let mut entries = self.0.lock();
        let of_room = entries.by_room.get_mut(room).into_iter().flatten();
        of_room.take_while(|entry| entry.at < since).for_each(|entry| entry.at = since);
    }
}

impl Entries {
    /// Returns what was known in between, oldest first. It ends at the first later one: each post after a restart asks, and as a
    /// rule there is nothing from before.
    fn known(&self, room: &RoomName, since: Option<Instant>, before: Instant) -> impl Iterator<Item = &Acknowledged> {
        let of_room = self.by_room.get(room).into_iter().flatten();
        of_room.take_while(move |entry| entry.at < before).skip_while(move |entry| Some(entry.at) < since)
    }

    /// Forgets what was in the log that this entry's log has replaced: it continues from an earlier number.
    fn forget_replaced(&mut self, room: &RoomName, entry: &Entry) {
        let Some(of_room) = self.by_room.get_mut(room) else {
            return;
        };
        let last = of_room.back().map_or(Id::ZERO, |newest| newest.entry.id);
        if entry.prev.is_some_and(|prev| prev.n < last.n) {
            self.bytes -= of_room.iter().map(Acknowledged::size).sum::<usize>();
            self.by_room.remove(room);
            self.order.retain(|other| other != room);
        }
    }

    fn forget_old(&mut self) {
        while let Some(room) = self.order.front() {
            let oldest = self.by_room.get(room).and_then(VecDeque::front);
            let is_kept = oldest.is_some_and(|oldest| oldest.at.elapsed() < KEPT_FOR);
            if is_kept && self.bytes <= MAX_BYTES {
                break;
            }
            if let Some(of_room) = self.by_room.get_mut(room) {
                self.bytes -= of_room.pop_front().map_or(0, |oldest| oldest.size());
                if of_room.is_empty() {
                    self.by_room.remove(room);
                }
            }
            self.order.pop_front();
        }
        self.by_room.shrink_if_sparse();
        self.order.shrink_if_sparse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u64, bytes: usize) -> Entry {
        let data = "x".repeat(bytes);
        Entry {
            id: Id { ms: 1, n },
            prev: Some(Id { ms: 1, n: n - 1 }),
            kind: String::new(),
            data,
            node: None,
        }
    }

    #[test]
    fn the_oldest_make_way_for_newer_ones() {
        let (journal, lobby, garden) = (Journal::default(), RoomName::parse("lobby"), RoomName::parse("garden"));
        let (lobby, garden) = (lobby.unwrap(), garden.unwrap());
        journal.add(&garden, entry(1, 10), None);
        for n in 1..=20 {
            journal.add(&lobby, entry(n, 1 << 20), None);
        }
        let now = Instant::now();
        let kept: Vec<u64> = journal.known(&lobby, None, now).iter().map(|kept| kept.entry.id.n).collect();
        assert_eq!(kept, (6..=20).collect::<Vec<u64>>());
        assert_eq!(journal.last_known(&lobby, None, now), Some(Id { ms: 1, n: 20 }));
        assert_eq!(journal.rooms(), [lobby]);
        assert!(journal.0.lock().bytes <= MAX_BYTES);
    }

    #[test]
    fn rooms_without_new_posts_are_forgotten() {
        let journal = Journal::default();
        for number in 0..1000 {
            journal.add(&RoomName::parse(&format!("room-{number}")).unwrap(), entry(1, 10), None);
        }
        let long_ago = Instant::now() - KEPT_FOR;
        for of_room in journal.0.lock().by_room.values_mut() {
            of_room[0].at = long_ago;
        }
        journal.forget_old();
        let entries = journal.0.lock();
        assert_eq!((entries.bytes, entries.by_room.capacity(), entries.order.capacity()), (0, 0, 0));
    }

    #[test]
    fn only_what_was_known_in_between_counts() {
        let (journal, lobby) = (Journal::default(), RoomName::parse("lobby").unwrap());
        let before = Instant::now();
        journal.add(&lobby, entry(1, 10), Some("k"));
        let after = Instant::now();
        assert_eq!(journal.last_known(&lobby, None, before), None, "it was acknowledged later");
        assert_eq!(journal.last_known(&lobby, Some(before), after), Some(Id { ms: 1, n: 1 }));
        assert_eq!(journal.last_known(&lobby, Some(after), after), None, "it was read since then");
        assert_eq!(journal.known(&lobby, None, after)[0].key.as_deref(), Some("k"));
        journal.confirm(&lobby, after);
        assert_eq!(journal.last_known(&lobby, None, after), None, "it was restored since then");
        assert_eq!(journal.last_known(&lobby, None, Instant::now()), Some(Id { ms: 1, n: 1 }));
    }

    #[test]
    fn a_log_that_begins_anew_replaces_the_one_before() {
        let (journal, lobby) = (Journal::default(), RoomName::parse("lobby").unwrap());
        (1..=3).for_each(|n| journal.add(&lobby, entry(n, 10), None));
        journal.add(&lobby, entry(1, 20), None);
        let known = journal.known(&lobby, None, Instant::now());
        assert_eq!(known.iter().map(|known| known.entry.data.len()).collect::<Vec<_>>(), [20]);
        assert_eq!(journal.0.lock().order.len(), 1);
    }
}
