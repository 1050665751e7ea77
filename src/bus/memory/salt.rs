//! The salt of marks of a single process.

use async_trait::async_trait;

use crate::bus::error::Unavailable;
use crate::bus::salt::SaltStore;
use crate::chat::Salt;

/// A salt that lives as long as the logs of the process.
pub struct MemorySalt(Salt);

impl Default for MemorySalt {
    fn default() -> Self {
        Self(Salt::random())
    }
}

#[async_trait]
impl SaltStore for MemorySalt {
    async fn salt(&self) -> Result<Salt, Unavailable> {
        Ok(self.0)
    }
}
