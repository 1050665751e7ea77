//! An app: a key, its secrets, and the rooms it may name.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::channel::{ChannelError, room_of};
use super::key_list::Secret;
use super::prefix::Prefix;
use crate::chat::RoomName;

/// An app as of one reading of the list of keys.
pub struct App {
    key: Arc<str>,
    prefix: Prefix,
    secrets: Vec<Secret>,
    /// The prefixes of all keys, the empty one excluded.
    prefixes: Arc<[Prefix]>,
    revoked: Arc<AtomicBool>,
}

impl App {
    /// Creates an app. It shares the flag of its version before, unless that was revoked or had another prefix.
    pub(super) fn new(
        key: &str,
        prefix: Prefix,
        secrets: Vec<Secret>,
        prefixes: Arc<[Prefix]>,
        before: Option<&App>,
    ) -> Self {
        let before = before.filter(|app| app.prefix == prefix && !app.revoked.load(Ordering::Acquire));
        let revoked = before.map_or_else(Arc::default, |app| app.revoked.clone());
        Self { key: key.into(), prefix, secrets, prefixes, revoked }
    }

    /// Returns the key.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// Returns how the rooms of this key begin.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Returns the prefix if the entry of this key named it.
    pub fn own_prefix(&self) -> Option<&str> {
        (self.prefix != Prefix::default_of(&self.key)).then(|| self.prefix.as_str())
    }

    /// Returns true if the channels of this key are open rooms.
    pub fn is_open(&self) -> bool {
        !self.prefix.is_private()
    }

    /// Returns true if `is_it` is true of one of the secrets. It is called with each of them, whatever it returns, so that
    /// the time taken does not tell which one it was.
    pub fn has_secret(&self, is_it: impl Fn(&str) -> bool) -> bool {
        self.secrets.iter().fold(false, |found, secret| is_it(secret.reveal()) | found)
    }

    /// Returns the room that this key calls by the name of a channel.
    ///
    /// # Errors
    /// If the channel is too short, too long, or in the rooms of another key.
    pub fn room(&self, channel: &str) -> Result<RoomName, ChannelError> {
        room_of(&self.prefix, channel, &self.prefixes)
    }

    /// Returns the flag that is set when the last secret of the key is gone, or its prefix is another. Later versions of
    /// the app share it.
    pub fn revoked(&self) -> &Arc<AtomicBool> {
        &self.revoked
    }

    /// Returns true if both are versions of one app, without a revocation in between.
    pub(super) fn shares_revocation(&self, other: &App) -> bool {
        Arc::ptr_eq(&self.revoked, &other.revoked)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("key", &self.key).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
