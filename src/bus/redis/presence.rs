//! Presence entries in Redis: a hash per room, and announcements on the room's channel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use super::announcement;
use super::connection::ThreadConnections;
use super::error::CallError;
use super::keys::Keys;
use crate::bus::error::Unavailable;
use crate::bus::presence::{PRESENCE_TTL, PresenceEntry, PresenceStore};
use crate::chat::RoomName;

/// The presence entries of one Redis.
pub struct RedisPresence {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    script: Script,
}

impl RedisPresence {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>) -> Self {
        Self { keys, connections, script: Script::new(include_str!("presence.lua")) }
    }

    async fn run(
        &self,
        room: &RoomName,
        entry: Option<&PresenceEntry>,
    ) -> Result<Vec<(PresenceEntry, Duration)>, CallError> {
        let mut call = self.script.key(self.keys.presence(room));
        call.key(self.keys.log(room)).arg(PRESENCE_TTL.as_millis() as u64);
        if let Some(entry) = entry {
            let encoded = announcement::encode_presence(entry);
            let stored = if entry.count > 0 { encoded.as_str() } else { "" };
            call.arg(&entry.process).arg(stored).arg(announcement::announce_presence(&encoded));
        }
        let lines: Vec<String> = self.connections.run(&call).await?;
        Ok(lines.iter().filter_map(|line| parse_line(line)).collect())
    }
}

#[async_trait]
impl PresenceStore for RedisPresence {
    async fn announce(
        &self,
        room: &RoomName,
        entry: &PresenceEntry,
    ) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable> {
        self.run(room, Some(entry)).await.map_err(|error| error.log("announce presence"))
    }

    async fn read(&self, room: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable> {
        let entries = self.run(room, None).await.map_err(|error| error.log("read presence"))?;
        Ok(entries.into_iter().map(|(entry, _)| entry).collect())
    }
}

/// Parses a line of the script's reply: the milliseconds to live, a space, the entry. Returns `None` for what another
/// program has put there.
fn parse_line(line: &str) -> Option<(PresenceEntry, Duration)> {
    let (ttl, entry) = line.split_once(' ')?;
    Some((serde_json::from_str(entry).ok()?, Duration::from_millis(ttl.parse().ok()?)))
}
