//! Remembers whose rooms those are whose names are hashes, so that they can be removed with all others of a key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::app::App;
use super::channel::is_hashed;
use crate::bus::{HashedRoomStore, Unavailable};
use crate::chat::RoomName;

/// How long a room that was remembered is not remembered again. A key may be purged, and come back.
const INTERVAL: Duration = Duration::from_secs(60);

/// How many rooms this process knows to be remembered. When there are more, it forgets them all, and stores them again.
const MAX_KNOWN: usize = 20_000;

/// The rooms of apps with hashes for names.
pub struct HashedRooms {
    /// None if the rooms end with this process.
    store: Option<Arc<dyn HashedRoomStore>>,
    known: Mutex<HashMap<RoomName, Instant>>,
}

impl HashedRooms {
    /// Creates the list of none.
    pub fn new(store: Option<Arc<dyn HashedRoomStore>>) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Remembers a room of an app before something is stored in it.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn remember(&self, app: &App, room: &RoomName) -> Result<(), Unavailable> {
        let Some(store) = self.store.as_ref().filter(|_| is_hashed(room) && !self.is_known(room)) else {
            return Ok(());
        };
        store.remember(room, app.prefix().as_str()).await?;
        let mut known = self.known.lock();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(room.clone(), Instant::now());
        Ok(())
    }

    fn is_known(&self, room: &RoomName) -> bool {
        self.known.lock().get(room).is_some_and(|at| at.elapsed() < INTERVAL)
    }
}
