//! Which processes that share the store are alive. Each lists itself every few seconds, so that the presence entries of
//! its rooms need not be repeated.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bus::{PresenceStore, Unavailable};

/// How often a process with rooms lists itself, and reads who else is listed.
const LISTING_INTERVAL: Duration = Duration::from_secs(4);

/// The pause before a failed listing is repeated.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long a process counts as alive after it was last seen in the list. Longer than the interval: after a loss of the
/// list, all others have listed themselves again by then.
const ABSENCE_GRACE: Duration = Duration::from_secs(6);

/// The age from which on the list is read again before it is used.
const MAX_LIST_AGE: Duration = Duration::from_secs(8);

/// How long a process of the version before counts as alive after its last announcement.
const REPEATING_GRACE: Duration = Duration::from_secs(30);

/// The processes that are alive, as far as this one knows.
pub struct Processes {
    /// The name of this process, unique among all that share the store.
    name: Arc<str>,
    store: Option<Arc<dyn PresenceStore>>,
    list: Mutex<List>,
    /// Held while the list is read, so that concurrent readers share the result.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct List {
    /// When each process was last seen in the list.
    seen: HashMap<String, Instant>,
    read_at: Option<Instant>,
    /// When this process lists itself next.
    due_at: Option<Instant>,
    /// Whether this process has listed itself, and has had rooms ever since.
    is_listed: bool,
    /// When a process that is not listed, one of the version before, last announced something.
    repeating_seen_at: Option<Instant>,
}

/// What a listing has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whether other processes have appeared or are no longer alive.
    pub others_changed: bool,
    /// Whether this process was listed before and was not any more, so that others have taken it for dead.
    pub was_lost: bool,
}

impl Processes {
    /// Creates an empty list for the process of this name. Without a store there are no other processes.
    pub fn new(name: Arc<str>, store: Option<Arc<dyn PresenceStore>>) -> Self {
        Self { name, store, list: Mutex::default(), reading: tokio::sync::Mutex::new(()) }
    }

    /// Returns the name of this process.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the store, if there are other processes.
    pub fn store(&self) -> Option<&Arc<dyn PresenceStore>> {
        self.store.as_ref()
    }

    /// Returns true if a process is listed, or was until a moment ago.
    pub fn is_alive(&self, process: &str) -> bool {
        self.list.lock().seen.contains_key(process)
    }

    /// Notes that a process that is never listed has announced something.
    pub fn note_repeating(&self, now: Instant) {
        self.list.lock().repeating_seen_at = Some(now);
    }

    /// Returns true if there are processes of the version before. They forget entries that are not repeated, and their
    /// own entries make Redis forget a room 24 s later.
    pub fn must_repeat(&self, now: Instant) -> bool {
        self.list.lock().repeating_seen_at.is_some_and(|seen_at| now - seen_at < REPEATING_GRACE)
    }

    /// Returns true if this process has to list itself now. The caller has to call [`list_own`](Self::list_own) then. A
    /// process without rooms is not listed.
    pub fn is_listing_due(&self, now: Instant, has_rooms: bool) -> bool {
        let mut list = self.list.lock();
        list.is_listed &= has_rooms;
        let is_due = self.store.is_some() && has_rooms && list.due_at.is_none_or(|due_at| due_at <= now);
        if is_due {
            list.due_at = Some(now + LISTING_INTERVAL);
        }
        is_due
    }

    /// Lists this process. Returns `None` if the store is unavailable.
    pub async fn list_own(&self) -> Option<Listing> {
        let listed = self.store.as_ref()?.list_processes(Some(&self.name)).await;
        let (mut list, now) = (self.list.lock(), Instant::now());
        let Ok(listed) = listed else {
            list.due_at = Some(now + RETRY_INTERVAL);
            return None;
        };
        let is_listed = listed.iter().any(|process| **process == *self.name);
        let was_lost = std::mem::replace(&mut list.is_listed, true) && !is_listed;
        Some(Listing { others_changed: list.update(listed, now), was_lost })
    }

    /// Reads the list unless that was done a moment ago.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn read_if_stale(&self) -> Result<(), Unavailable> {
        let is_stale = || self.list.lock().read_at.is_none_or(|read_at| read_at.elapsed() > MAX_LIST_AGE);
        let Some(store) = self.store.as_ref().filter(|_| is_stale()) else {
            return Ok(());
        };
        let _reading = self.reading.lock().await;
        if is_stale() {
            let listed = store.list_processes(None).await?;
            self.list.lock().update(listed, Instant::now());
        }
        Ok(())
    }
}

impl List {
    /// Takes what the store lists. Returns true if processes have appeared or are no longer alive.
    fn update(&mut self, listed: Vec<String>, now: Instant) -> bool {
        self.read_at = Some(now);
        let mut changed = false;
        for process in listed {
            changed |= self.seen.insert(process, now).is_none();
        }
        let before = self.seen.len();
        self.seen.retain(|_, seen_at| now - *seen_at < ABSENCE_GRACE);
        changed || self.seen.len() < before
    }
}

#[cfg(test)]
pub mod listing_store;

#[cfg(test)]
mod tests {
    use super::listing_store::ListingStore;
    use super::*;

    #[tokio::test]
    async fn a_process_lists_itself_at_intervals_and_sees_a_loss() {
        let store = Arc::new(ListingStore::default());
        let (processes, now) = (Processes::new("here~1".into(), Some(store.clone())), Instant::now());
        assert!(!processes.is_listing_due(now, false), "without rooms");
        assert!(processes.is_listing_due(now, true) && !processes.is_listing_due(now, true));
        assert!(processes.is_listing_due(now + LISTING_INTERVAL, true));
        assert_eq!(processes.list_own().await, None);
        assert!(processes.is_listing_due(Instant::now() + RETRY_INTERVAL, true), "again soon after a failure");
        for (listed, others_changed, was_lost) in [
            (vec![], false, false),
            (vec!["here~1"], true, false),
            (vec!["here~1", "there~2"], true, false),
            (vec!["here~1"], false, false),
            (vec![], false, true),
        ] {
            store.list(Some(listed));
            assert_eq!(processes.list_own().await, Some(Listing { others_changed, was_lost }));
        }
        processes.is_listing_due(now, false);
        assert!(!processes.list_own().await.unwrap().was_lost, "without rooms in between it was not listed");
    }

    #[tokio::test]
    async fn the_list_is_read_where_it_is_stale() {
        let store = Arc::new(ListingStore::default());
        let processes = Processes::new("here~1".into(), Some(store.clone()));
        assert_eq!(processes.read_if_stale().await, Err(Unavailable));
        store.list(Some(vec!["there~2"]));
        assert_eq!(processes.read_if_stale().await, Ok(()));
        assert!(processes.is_alive("there~2"));
        store.list(None);
        assert_eq!(processes.read_if_stale().await, Ok(()), "read a moment ago");
    }

    #[test]
    fn a_process_is_alive_until_it_was_absent_for_a_while() {
        let (mut list, start) = (List::default(), Instant::now());
        let listed = || vec!["there~2".to_owned()];
        assert!(list.update(listed(), start));
        assert!(!list.update(listed(), start + LISTING_INTERVAL));
        assert!(!list.update(vec![], start + 2 * LISTING_INTERVAL), "absent once");
        assert!(list.update(vec![], start + 3 * LISTING_INTERVAL));
        assert!(list.seen.is_empty());
    }
}
