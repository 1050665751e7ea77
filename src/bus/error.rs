//! Why a call to the message store failed.

/// Why a publish was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The idempotency key was used for another sender or text.
    KeyReused,
    /// The store is unreachable or refused to store; the outcome is unknown.
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
