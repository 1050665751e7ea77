//! The presence of a room, kept in sync with the store that all processes share.

use std::sync::Arc;
use std::time::Instant;

use super::context::RoomContext;
use super::presence::Presence;
use super::presence::snapshot::{PresenceSnapshot, PresentAs};
use super::processes::Processes;
use crate::bus::{PresenceEntry, StoredPresence, Unavailable};
use crate::chat::RoomName;
use crate::sse::Event;
use crate::supervise::catch;

/// The presence of one room. Whatever changes it puts the room on the agenda.
pub struct SharedPresence {
    room: RoomName,
    presence: Presence,
    context: Arc<RoomContext>,
}

impl SharedPresence {
    /// Creates the presence of a room without subscribers.
    pub fn new(room: RoomName, context: Arc<RoomContext>) -> Self {
        Self { room, presence: Presence::new(context.processes.clone()), context }
    }

    /// Counts a subscriber of this process, and announces it if an announcement is due.
    pub fn join(self: &Arc<Self>, present_as: &PresentAs) {
        self.presence.join(present_as);
        self.announce(Instant::now());
        self.context.agenda.add(&self.room);
    }

    /// Stops counting a subscriber of this process.
    pub fn leave(&self, present_as: &PresentAs) {
        self.presence.leave(present_as);
        self.context.agenda.add(&self.room);
    }

    /// Returns the number of subscribers of this process that are present.
    pub fn local_count(&self) -> usize {
        self.presence.local_count()
    }

    /// Notes that a new subscriber needs a snapshot: earlier ones were ephemeral.
    pub fn request_snapshot(&self) {
        self.presence.request_snapshot();
        self.context.agenda.add(&self.room);
    }

    /// Takes the announcement of another process.
    pub fn on_remote(&self, entry: PresenceEntry) {
        self.presence.on_remote(entry);
        self.context.agenda.add(&self.room);
    }

    /// After a reconnect, extends the time to live of remote entries, and announces the local one again.
    pub fn on_reconnected(&self) {
        self.presence.on_reconnected();
        self.context.agenda.add(&self.room);
    }

    /// Announces the local subscribers again, because others have taken this process for dead.
    pub fn announce_again(&self) {
        self.presence.announce_again();
        self.context.agenda.add(&self.room);
    }

    /// Announces the local subscribers if that is due, and returns the events that are.
    pub fn tick(self: &Arc<Self>, now: Instant, is_connected: bool) -> Vec<Event> {
        self.announce(now);
        self.presence.take_events(now, is_connected)
    }

    /// Returns true if the next tick may have something to do.
    pub fn needs_tick(&self) -> bool {
        self.presence.needs_tick()
    }

    /// Returns the subscribers of all processes.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn read(&self) -> Result<PresenceSnapshot, Unavailable> {
        Ok(self.presence.snapshot(&read(&self.context.processes, &self.room).await?))
    }

    /// Returns the presence ids of all processes.
    ///
    /// # Errors
    /// If the store is unavailable.
    pub async fn read_ids(&self) -> Result<Vec<String>, Unavailable> {
        Ok(self.presence.ids(&read(&self.context.processes, &self.room).await?))
    }

    /// Removes this process from the room's presence, at the end of the process.
    pub async fn withdraw(&self) {
        if let Some(store) = self.context.processes.store()
            && let Some(entry) = self.presence.withdrawal()
        {
            // If it fails, the entry expires by itself.
            let _ = store.announce(&self.room, &entry).await;
        }
    }

    fn announce(self: &Arc<Self>, now: Instant) {
        if self.context.processes.store().is_none() {
            return;
        }
        if let Some(entry) = self.presence.next_announcement(now) {
            let shared = self.clone();
            tokio::spawn(async move {
                let reply = catch(&*shared.context.metrics, "presence", shared.send(&entry)).await;
                shared.presence.on_reply(reply.and_then(Result::ok));
                shared.context.agenda.add(&shared.room);
            });
        }
    }

    async fn send(&self, entry: &PresenceEntry) -> Result<Vec<StoredPresence>, Unavailable> {
        let store = self.context.processes.store().ok_or(Unavailable)?;
        self.context.processes.read_if_stale().await?;
        store.announce(&self.room, entry).await
    }
}

/// Returns the stored entries of a room whose processes are alive.
///
/// # Errors
/// If the store is unavailable.
pub async fn read(processes: &Processes, room: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable> {
    let Some(store) = processes.store() else {
        return Ok(Vec::new());
    };
    processes.read_if_stale().await?;
    let stored = store.read(room).await?.into_iter();
    let alive = stored.filter(|(entry, ttl)| !ttl.is_zero() || processes.is_alive(&entry.process));
    Ok(alive.map(|(entry, _)| entry).collect())
}

/// Counts a subscriber as present in a room until it is dropped.
pub struct PresenceGuard {
    presence: Arc<SharedPresence>,
    present_as: PresentAs,
}

impl PresenceGuard {
    /// Counts a subscriber.
    pub fn new(presence: Arc<SharedPresence>, present_as: PresentAs) -> Self {
        presence.join(&present_as);
        Self { presence, present_as }
    }
}

impl Drop for PresenceGuard {
    fn drop(&mut self) {
        self.presence.leave(&self.present_as);
    }
}
