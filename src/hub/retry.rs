//! When a client reconnects: delays drawn at random, so that clients that were disconnected together do not reconnect
//! together.

use bytes::Bytes;

use crate::chat::Cursor;
use crate::sse::{BackoffReason, Block, Event, Form};

/// Draws the `retry` of a stream's opening, in milliseconds.
pub(super) fn opening_ms() -> u32 {
    rand::random_range(1_000..=3_000)
}

/// Encodes the end of a stream for this reason, with a `retry` of 5 to 30 s for `full`, of 1 to 5 s for `slow`, `bus` and
/// `expired`, and of 100 to 500 ms for `draining`: the drain has spread the clients already, and another node awaits them. A stream that is
/// refused has the cursor that was asked for: some clients take a stream without an id for one that forgets theirs.
pub(super) fn backoff(reason: BackoffReason, asked: Option<&Cursor>, form: Form) -> Bytes {
    let retry_ms = match reason {
        BackoffReason::Full => rand::random_range(5_000..=30_000),
        BackoffReason::Slow | BackoffReason::Bus | BackoffReason::Expired => rand::random_range(1_000..=5_000),
        BackoffReason::Draining => rand::random_range(100..=500),
    };
    let event = Event::backoff(reason, retry_ms);
    form.encode(&Block { retry_ms: Some(retry_ms), cursor: asked, ..Block::of(&event) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Id;

    #[test]
    fn a_backoff_has_a_delay_and_a_reason_and_the_cursor_asked_for() {
        let form = Form { is_chunked: false, ..Form::default() };
        let asked: Cursor = [Id { ms: 1, n: 2 }, Id::ZERO].into_iter().collect();
        for (reason, name, range) in [
            (BackoffReason::Full, "full", 5_000..=30_000),
            (BackoffReason::Slow, "slow", 1_000..=5_000),
            (BackoffReason::Bus, "bus", 1_000..=5_000),
            (BackoffReason::Expired, "expired", 1_000..=5_000),
            (BackoffReason::Draining, "draining", 100..=500),
        ] {
            for (asked, id) in [(None, ""), (Some(&asked), "id: 1-2,0-0\n")] {
                let text = String::from_utf8(backoff(reason, asked, form).into()).unwrap();
                let delay: u32 = text.lines().next().unwrap().strip_prefix("retry:").unwrap().parse().unwrap();
                assert!(range.contains(&delay), "{text}");
                let data = format!("{{\"reason\":\"{name}\",\"retry\":{delay}}}");
                assert_eq!(text, format!("retry:{delay}\n{id}event: backoff\ndata: {data}\n\n"));
            }
        }
    }
}
