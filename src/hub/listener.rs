//! Passes the announcements of the bus on to the rooms, and says what they have.

use std::time::Instant;

use super::node::Hub;
use super::room::held;
use crate::bus::{Entry, Listener, PresenceEntry, unix_ms};
use crate::chat::{Id, RoomName};
use crate::sse::Event;

/// The most bytes of a foreign frame: as many as a subscriber may lag behind.
const MAX_FOREIGN_BYTES: usize = 1 << 20;

impl Listener for Hub {
    fn on_subscribed(&self, room: &str) {
        if let Some(room) = self.room(room) {
            room.on_subscribed();
        }
    }

    fn on_entry(&self, room: &str, entry: Entry) {
        if let Some(room) = self.room(room) {
            room.on_entry(entry);
        }
    }

    fn on_stored(&self, room: &str, entry: &Entry) {
        if let Some(room) = self.room(room) {
            room.on_stored(entry);
        }
    }

    fn on_foreign(&self, room: &str, payload: &[u8]) {
        let Some(room) = self.room(room) else { return };
        let event = Event::foreign(payload, unix_ms());
        if event.encoded_len() <= MAX_FOREIGN_BYTES {
            room.push_ephemeral(event);
        } else {
            tracing::warn!(room = %room.name(), bytes = payload.len(), "discarded a payload of another program, which is too long");
        }
    }

    fn on_presence(&self, room: &str, entry: PresenceEntry) {
        if let Some(room) = self.room(room) {
            room.presence().on_remote(entry);
        }
    }

    fn on_lost(&self, room: &str, since: Instant) {
        if let Some(room) = self.room(room) {
            room.on_lost(since);
        }
    }

    fn on_disconnected(&self, since: Instant) {
        self.set_disconnected(Some(since));
    }

    fn on_reconnected(&self) {
        self.set_disconnected(None);
    }
    fn rooms(&self) -> Vec<RoomName> {
        self.all_rooms().iter().map(|room| room.name().clone()).collect()
    }

    fn last_known_before(&self, room: &str, time: Instant) -> Option<Id> {
        held::last_known_before(&self.room(room)?.log(), time)
    }

    fn read_at(&self, room: &str) -> Option<Instant> {
        self.room(room)?.log().read_at()
    }

    fn entries_known_before(&self, room: &str, time: Instant, after: Option<Id>) -> Vec<Entry> {
        self.room(room).map(|room| held::entries_known_before(&room.log(), time, after)).unwrap_or_default()
    }
}
