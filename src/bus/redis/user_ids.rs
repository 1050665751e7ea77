//! User ids in Redis: one counter for all nodes.

use std::sync::Arc;

use async_trait::async_trait;
use redis::Script;

use super::connection::ThreadConnections;
use super::keys::Keys;
use crate::bus::error::Unavailable;
use crate::bus::user_ids::UserIds;

/// The counter of one Redis.
pub struct RedisUserIds {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    script: Script,
}

impl RedisUserIds {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>) -> Self {
        Self { keys, connections, script: Script::new(include_str!("user_ids.lua")) }
    }

    /// Gives out so many ids. Returns the last id that was ever given out.
    async fn run(&self, count: u64) -> Result<u64, Unavailable> {
        let key = self.keys.user_ids();
        let mut call = self.script.key(&key);
        let result = self.connections.run(&key, call.arg(count)).await;
        self.connections.calls().settle("user ids", None, result)
    }
}

#[async_trait]
impl UserIds for RedisUserIds {
    async fn next(&self) -> Result<u64, Unavailable> {
        self.run(1).await
    }

    async fn was_given_out(&self, id: u64) -> Result<bool, Unavailable> {
        Ok((1..=self.run(0).await?).contains(&id))
    }
}
