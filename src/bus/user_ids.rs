//! The counter of the users of the chat article's API.

use async_trait::async_trait;

use super::error::Unavailable;

/// The ids of users, given out in order by all processes that share the store. An id is no identity: it lets a page tell
/// its own messages from those of others.
///
/// Every call returns within 2 s.
#[async_trait]
pub trait UserIds: Send + Sync {
    /// Returns the next id. It was never returned before.
    async fn next(&self) -> Result<u64, Unavailable>;

    /// Returns true if [`next`](UserIds::next) has returned this id.
    async fn was_given_out(&self, id: u64) -> Result<bool, Unavailable>;
}
