//! When a client reconnects: delays drawn at random, so that clients that were disconnected together do not reconnect
//! together.

use bytes::Bytes;

use crate::sse::{self, BackoffReason};

/// Draws the `retry` of a stream's opening, in milliseconds.
pub(super) fn opening_ms() -> u32 {
    rand::random_range(1_000..=3_000)
}

/// Encodes the end of a stream for this reason, with a `retry` of 5 to 30 s for `full`, of 1 to 5 s for `slow`, and of 100
/// to 500 ms for `draining`: the drain has spread the clients already, and another node awaits them.
pub fn backoff(reason: BackoffReason) -> Bytes {
    let retry_ms = match reason {
        BackoffReason::Full => rand::random_range(5_000..=30_000),
        BackoffReason::Slow => rand::random_range(1_000..=5_000),
        BackoffReason::Draining => rand::random_range(100..=500),
    };
    sse::backoff(reason, retry_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_has_a_delay_and_a_reason_and_no_id() {
        for (reason, range) in [
            (BackoffReason::Full, 5_000..=30_000),
            (BackoffReason::Slow, 1_000..=5_000),
            (BackoffReason::Draining, 100..=500),
        ] {
            let text = String::from_utf8(backoff(reason).into()).unwrap();
            let delay: u32 = text.lines().next().unwrap().strip_prefix("retry: ").unwrap().parse().unwrap();
            assert!(range.contains(&delay) && !text.contains("id:"), "{text}");
            assert!(text.contains("event: backoff\ndata: {\"reason\":"), "{text}");
        }
    }
}
