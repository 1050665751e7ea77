//! A presence store for tests, which lists the processes that it was told.

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::bus::{PresenceEntry, PresenceStore, StoredPresence, Unavailable};
use crate::chat::RoomName;

/// The processes that are listed; `None` while the store is unavailable.
#[derive(Default)]
pub struct ListingStore(Mutex<Option<Vec<&'static str>>>);

impl ListingStore {
    /// Replaces the list.
    pub fn list(&self, processes: Option<Vec<&'static str>>) {
        *self.0.lock() = processes;
    }
}

#[async_trait]
impl PresenceStore for ListingStore {
    async fn announce(&self, _: &RoomName, _: &PresenceEntry) -> Result<Vec<StoredPresence>, Unavailable> {
        Err(Unavailable)
    }

    async fn read(&self, _: &RoomName) -> Result<Vec<StoredPresence>, Unavailable> {
        Err(Unavailable)
    }

    async fn list_processes(&self, _: Option<&str>) -> Result<Vec<String>, Unavailable> {
        let listed = self.0.lock().clone().ok_or(Unavailable)?;
        Ok(listed.into_iter().map(str::to_owned).collect())
    }
}
