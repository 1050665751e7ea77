//! The apps that send events: their keys with their secrets, and the rooms that their channels are.
//!
//! - [`Apps`] is the list of the keys, which can be read anew while the node runs; [`App`] is a key as of one reading
//! - `sources`: where the list comes from; `key_list`: its entries, parsed or refused with the rule
//! - `prefix`: how the rooms of a key begin; `channel`: the room of a channel
//! - [`HashedRooms`]: which rooms with hashes for names are under which prefix
//! - [`LiveSockets`] are the sockets that this node streams

mod app;
mod channel;
mod hashed_rooms;
mod key_list;
mod live_sockets;
mod prefix;
mod sources;
mod token;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::chat::RoomName;
use key_list::Entry;

pub use app::App;
pub use channel::{ChannelError, MAX_CHANNEL_BYTES};
pub use hashed_rooms::HashedRooms;
pub use key_list::check_key;
pub use live_sockets::{LiveSocket, LiveSockets};
pub use prefix::{Prefix, is_private_name};
pub use sources::KeySources;
pub use token::token;

/// The apps of this node.
pub struct Apps {
    sources: KeySources,
    apps: RwLock<BTreeMap<Arc<str>, Arc<App>>>,
    /// Whether there are, or were, keys.
    are_enabled: AtomicBool,
}

impl Apps {
    /// Reads the list of the keys.
    ///
    /// # Errors
    /// If an entry is bad, or a file cannot be read. The text names the place and the rule, and no secret.
    pub fn open(sources: KeySources) -> Result<Self, String> {
        let apps = Self { sources, apps: RwLock::default(), are_enabled: AtomicBool::new(false) };
        apps.reload()?;
        Ok(apps)
    }

    /// Reads the list of the keys anew. Keys that are gone are revoked.
    ///
    /// # Errors
    /// As [`open`](Self::open). The list then stays as it was.
    pub fn reload(&self) -> Result<(), String> {
        let entries = self.sources.read()?;
        let mut apps = self.apps.write();
        let now = listed(&entries, &apps);
        let old = std::mem::replace(&mut *apps, now);
        self.are_enabled.fetch_or(!apps.is_empty(), Ordering::Relaxed);
        let is_gone = |app: &&Arc<App>| !apps.get(app.key()).is_some_and(|now| app.shares_revocation(now));
        for app in old.values().filter(is_gone) {
            app.revoked().store(true, Ordering::Release);
        }
        for app in apps.values().filter(|app| app.is_open() && !old.contains_key(app.key())) {
            tracing::warn!(
                key = %app.key(),
                "the prefix of this key does not begin with private-: its channels are open rooms, which everybody reads \
                 and writes"
            );
        }
        Ok(())
    }

    /// Returns the app that has this key.
    pub fn find(&self, key: &str) -> Option<Arc<App>> {
        self.apps.read().get(key).cloned()
    }

    /// Returns all apps, sorted by their keys.
    pub fn all(&self) -> Vec<Arc<App>> {
        self.apps.read().values().cloned().collect()
    }

    /// Returns true if there are keys, or were since the start.
    pub fn are_enabled(&self) -> bool {
        self.are_enabled.load(Ordering::Relaxed)
    }

    /// Returns true if the list of the keys can change while the node runs.
    pub fn can_change(&self) -> bool {
        self.sources.has_file()
    }

    /// Returns true if the room is closed to everyone who is not let in by an app.
    pub fn is_private(&self, room: &RoomName) -> bool {
        // Where keys may come at any time, nothing is said in these rooms that an app would inherit.
        (self.are_enabled() || self.can_change()) && is_private_name(room.as_str())
    }
}

/// Returns the apps of these entries, each with the flag of its version before.
fn listed(entries: &[Entry], before: &BTreeMap<Arc<str>, Arc<App>>) -> BTreeMap<Arc<str>, Arc<App>> {
    let mut by_key: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        by_key.entry(&entry.key).or_default().push(entry);
    }
    let prefixes: Arc<[Prefix]> =
        entries.iter().map(|entry| entry.prefix.clone()).filter(|it| !it.is_empty()).collect();
    let app = |(key, entries): (&str, Vec<&Entry>)| {
        let secrets = entries.iter().map(|entry| entry.secret.clone()).collect();
        let app = App::new(key, entries[0].prefix.clone(), secrets, prefixes.clone(), before.get(key).map(Arc::as_ref));
        (app.key().clone(), Arc::new(app))
    };
    by_key.into_iter().map(app).collect()
}

#[cfg(test)]
mod tests;
