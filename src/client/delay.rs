//! How long to wait before the next attempt.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The delay until the server or the user says another.
const DEFAULT_DELAY: Duration = Duration::from_secs(3);

/// The shortest delay, whatever is said.
const MIN_DELAY: Duration = Duration::from_millis(100);

/// What a delay that doubles ends at.
const MAX_DOUBLED_DELAY: Duration = Duration::from_secs(60);

/// The longest delay, so that none overflows.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The delays of one source.
#[derive(Debug)]
pub(super) struct Delays {
    /// What the user chose. It goes before what the server says.
    chosen: Option<Duration>,
    told: Duration,
    failures_in_a_row: u32,
}

impl Delays {
    pub(super) fn new(chosen: Option<Duration>) -> Self {
        Self { chosen, told: DEFAULT_DELAY, failures_in_a_row: 0 }
    }

    /// Returns the delay after a first failure, without what is drawn at random.
    pub(super) fn base(&self) -> Duration {
        self.chosen.unwrap_or(self.told).clamp(MIN_DELAY, MAX_DELAY)
    }

    /// Notes a `retry:` of the server.
    pub(super) fn on_retry(&mut self, told: Duration) {
        self.told = told;
    }

    /// Notes an event, which ends a row of failures.
    pub(super) fn on_event(&mut self) {
        self.failures_in_a_row = 0;
    }

    /// Notes a failure, and returns how long to wait after it: the base or the `Retry-After` of the answer, doubled for
    /// each failure in a row before it. A quarter more at most is added to the first, so that clients that were cut off
    /// together do not come back together; of the later ones half at most is taken away.
    pub(super) fn on_failure(&mut self, retry_after: Option<Duration>) -> Duration {
        let base = retry_after.map_or(self.base(), |said| said.clamp(MIN_DELAY, MAX_DELAY));
        let failures_before = self.failures_in_a_row;
        self.failures_in_a_row = failures_before.saturating_add(1);
        if failures_before == 0 {
            return base.mul_f64(rand::random_range(1.0..1.25));
        }
        let doubled = base.saturating_mul(1 << failures_before.min(16)).min(MAX_DOUBLED_DELAY);
        doubled.mul_f64(rand::random_range(0.5..1.0)).max(base)
    }
}

/// Returns the `Retry-After` of an answer, which is a number of seconds or a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.to_utc() - Utc::now()).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn delays_double_but_not_below_what_was_said() {
        let mut delays = Delays::new(None);
        for full in [3000, 6000, 12_000, 24_000, 48_000, 60_000, 60_000] {
            let delay = delays.on_failure(None);
            let (shortest, longest) = if full == 3000 { (3000, 3750) } else { (3000.max(full / 2), full) };
            assert!(delay >= MS(shortest) && delay <= MS(longest), "{delay:?} instead of {full} ms");
        }
        delays.on_event();
        delays.on_retry(MS(90_000));
        for _ in 0..5 {
            assert!(delays.on_failure(None) >= MS(90_000), "longer than a minute because the server said so");
        }
        delays.on_event();
        let delay = delays.on_failure(Some(MS(1000)));
        assert!(delay >= MS(1000) && delay <= MS(1250), "{delay:?} after Retry-After: 1");
    }

    #[test]
    fn the_delay_of_the_user_wins_and_none_is_below_100_ms() {
        let mut delays = Delays::new(None);
        delays.on_retry(MS(50));
        assert_eq!(delays.base(), MS(100));
        assert!(delays.on_failure(Some(Duration::ZERO)) >= MS(100));
        let mut delays = Delays::new(Some(MS(250)));
        delays.on_retry(MS(1000));
        assert_eq!(delays.base(), MS(250));
        assert!(Delays::new(Some(Duration::MAX)).on_failure(Some(Duration::MAX)) > MAX_DOUBLED_DELAY);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let parse = |text: &str| retry_after(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(parse("7"), Some(MS(7000)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let date = (Utc::now() + chrono::TimeDelta::seconds(100)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert!(parse(&date).is_some_and(|delay| delay > MS(90_000) && delay <= MS(100_000)), "{date}");
        assert_eq!((parse("soon"), parse("-1"), retry_after(&HeaderMap::new())), (None, None, None));
    }
}
