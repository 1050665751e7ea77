//! The salt of marks.

use async_trait::async_trait;

use super::error::Unavailable;
use crate::chat::Salt;

/// The salt that all processes with the same store have in common. It is drawn once; a store that lost it gets the one
/// that its processes have, if any of them still runs.
///
/// Every call returns within 2 s.
#[async_trait]
pub trait SaltStore: Send + Sync {
    /// Returns the salt, which the store has had within the last second.
    async fn salt(&self) -> Result<Salt, Unavailable>;
}
