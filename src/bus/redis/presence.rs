//! Presence entries in Redis: a hash per room, announcements on the room's channel, and a hash of the processes that are
//! alive.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::announcement;
use super::connection::ThreadConnections;
use super::error::CallError;
use super::keys::Keys;
use super::scripts::{self, Announcing};
use crate::bus::error::Unavailable;
use crate::bus::presence::{
    LISTING_TTL, PRESENCE_RETENTION, PRESENCE_TTL, PresenceEntry, PresenceStore, StoredPresence,
};
use crate::chat::RoomName;

/// The presence entries of one Redis.
pub struct RedisPresence {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    presence: Script,
    list_processes: Script,
}

impl RedisPresence {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>, announcing: Announcing) -> Self {
        Self {
            keys,
            connections,
            presence: announcing.script(scripts::PRESENCE),
            list_processes: Script::new(include_str!("list_processes.lua")),
        }
    }

    async fn run(&self, room: &RoomName, entry: Option<&PresenceEntry>) -> Result<Vec<StoredPresence>, CallError> {
        let key = self.keys.presence(room);
        let mut call = self.presence.key(&key);
        call.arg(PRESENCE_TTL.as_millis() as u64).arg(PRESENCE_RETENTION.as_millis() as u64);
        if let Some(entry) = entry {
            let encoded = announcement::encode_presence(entry);
            let stored = if entry.count > 0 { encoded.as_str() } else { "" };
            call.arg(&entry.process).arg(stored);
            call.arg(self.keys.log(room)).arg(announcement::announce_presence(&encoded));
        }
        let lines: Vec<String> = self.connections.run(&key, &call).await?;
        Ok(lines.iter().filter_map(|line| parse_line(line)).collect())
    }

    async fn run_list_processes(&self, process: Option<&str>) -> Result<Vec<String>, CallError> {
        let key = self.keys.present_processes();
        let mut call = self.list_processes.key(&key);
        call.arg(LISTING_TTL.as_millis() as u64);
        if let Some(process) = process {
            call.arg(process);
        }
        self.connections.run(&key, &call).await
    }
}

#[async_trait]
impl PresenceStore for RedisPresence {
    async fn announce(&self, room: &RoomName, entry: &PresenceEntry) -> Result<Vec<StoredPresence>, Unavailable> {
        let result = self.run(room, Some(entry)).await;
        self.connections.calls().settle("announce presence", Some(room.as_str()), result)
    }

    async fn read(&self, room: &RoomName) -> Result<Vec<StoredPresence>, Unavailable> {
        let result = self.run(room, None).await;
        self.connections.calls().settle("read presence", Some(room.as_str()), result)
    }

    async fn list_processes(&self, process: Option<&str>) -> Result<Vec<String>, Unavailable> {
        let result = self.run_list_processes(process).await;
        self.connections.calls().settle("list processes", None, result)
    }
}

/// Parses a line of the script's reply: the milliseconds to live, a space, the entry. Returns `None` for what another
/// program has put there.
fn parse_line(line: &str) -> Option<StoredPresence> {
    let (ttl, entry) = line.split_once(' ')?;
    let ttl: i64 = ttl.parse().ok()?;
    Some((serde_json::from_str(entry).ok()?, Duration::from_millis(ttl.max(0) as u64)))
}
