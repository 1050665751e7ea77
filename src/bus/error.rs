//! Why a call to the message store failed.

use std::time::Duration;

/// Why a publish was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The idempotency key was used for another sender or text.
    KeyReused,
    /// There is no token for the post, for this long. Nothing was stored.
    RateLimited(Duration),
    /// The store is unreachable or refused to store; the outcome is unknown.
    Unavailable,
}

/// Why nothing is known to be deleted or edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeError {
    /// The log retains no such entry, or it is one that tells of a deletion or an edit.
    NotRetained,
    /// The message has no mark, or another one.
    OfOther,
    /// The store may not change anything, since its user lacks the right.
    Forbidden,
    /// The store is unreachable or refused the change; the outcome is unknown.
    Unavailable,
}

/// The store did not respond in time or responded with an error. The node's log has the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl From<Unavailable> for PublishError {
    fn from(_: Unavailable) -> Self {
        PublishError::Unavailable
    }
}

impl From<Unavailable> for ChangeError {
    fn from(_: Unavailable) -> Self {
        ChangeError::Unavailable
    }
}
