//! Why a stream ends, and the reason that its client receives.

use crate::sse::BackoffReason;

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The client closed it, or vanished.
    Closed,
    /// The subscriber lagged too far behind.
    Slow,
    /// The node is about to stop.
    Draining,
    /// The stream has reached its maximum age, so that other nodes get their share.
    MaxAge,
    /// The client may no longer have it.
    Expired,
}

impl EndReason {
    /// Returns the label of the metric `tiny_chat_streams_ended_total`.
    pub fn label(self) -> &'static str {
        match self {
            EndReason::Closed => "closed",
            EndReason::Slow => "slow",
            EndReason::Draining => "draining",
            EndReason::MaxAge => "max_age",
            EndReason::Expired => "expired",
        }
    }

    /// Returns the reason in the `backoff` event; `None` if the client is gone. The event has no reason of its own for
    /// the maximum age.
    pub fn backoff(self) -> Option<BackoffReason> {
        match self {
            EndReason::Closed => None,
            EndReason::Slow => Some(BackoffReason::Slow),
            EndReason::Draining | EndReason::MaxAge => Some(BackoffReason::Draining),
            EndReason::Expired => Some(BackoffReason::Expired),
        }
    }
}
