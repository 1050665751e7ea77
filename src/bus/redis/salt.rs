//! The salt of marks in Redis: one for all nodes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use redis::Script;

use super::connection::ThreadConnections;
use super::keys::Keys;
use crate::bus::error::Unavailable;
use crate::bus::salt::SaltStore;
use crate::chat::Salt;

/// How long a node takes the salt for that of its Redis without asking again. When Redis has lost it, and gets another
/// one from a new node, all have that one after this time.
const MAX_AGE: Duration = Duration::from_secs(1);

/// The salt of one Redis.
pub struct RedisSalt {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    script: Script,
    known: Mutex<Known>,
}

struct Known {
    salt: Salt,
    /// When Redis had this salt; `None` if it never had.
    confirmed: Option<Instant>,
}

impl RedisSalt {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>) -> Self {
        let known = Mutex::new(Known { salt: Salt::random(), confirmed: None });
        Self { keys, connections, script: Script::new(include_str!("salt.lua")), known }
    }
}

#[async_trait]
impl SaltStore for RedisSalt {
    async fn salt(&self) -> Result<Salt, Unavailable> {
        let offered = {
            let known = self.known.lock();
            if known.confirmed.is_some_and(|confirmed| confirmed.elapsed() < MAX_AGE) {
                return Ok(known.salt);
            }
            known.salt
        };
        let asked = Instant::now();
        let key = self.keys.salt();
        let mut call = self.script.key(&key);
        let result = self.connections.run::<String>(&key, call.arg(offered.to_hex())).await;
        let stored = self.connections.calls().settle("salt", None, result)?;
        let Some(salt) = Salt::parse(&stored) else {
            tracing::warn!(key = self.keys.salt(), "the salt of marks cannot be read: it was not written by tiny-chat");
            return Err(Unavailable);
        };
        *self.known.lock() = Known { salt, confirmed: Some(asked) };
        Ok(salt)
    }
}
