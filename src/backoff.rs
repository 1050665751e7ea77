//! The pauses between attempts that may fail: longer each time, and random, so that what failed together does not try
//! again together.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The pauses of one task.
pub struct Backoff {
    first: Duration,
    longest: Duration,
    stable_after: Duration,
    /// The next pause in full length.
    pause: Duration,
    succeeded_at: Option<Instant>,
}

impl Backoff {
    /// Begins with the pause `first`, which doubles up to `longest`. It begins anew once an attempt has lasted for
    /// `stable_after`.
    pub fn new(first: Duration, longest: Duration, stable_after: Duration) -> Self {
        Self { first, longest, stable_after, pause: first, succeeded_at: None }
    }

    /// Notes that an attempt has succeeded: it lasts until the next [`wait`](Self::wait).
    pub fn on_success(&mut self) {
        self.succeeded_at = Some(Instant::now());
    }

    /// Waits before the next attempt: 50 to 100 % of the pause.
    pub async fn wait(&mut self) {
        let lasted = self.succeeded_at.take().map_or(Duration::ZERO, |at| at.elapsed());
        sleep(self.next_pause(lasted).mul_f64(rand::random_range(0.5..1.0))).await;
    }

    /// Returns the next pause in full length. `lasted` is for how long the last attempt has lasted.
    fn next_pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= self.stable_after {
            self.pause = self.first;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_an_attempt_has_lasted() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(1500), Duration::from_secs(3));
        let mut pauses = |lasted: u64, count: usize| -> Vec<u128> {
            (0..count).map(|_| backoff.next_pause(Duration::from_secs(lasted)).as_millis()).collect()
        };
        assert_eq!(pauses(0, 6), [100, 200, 400, 800, 1500, 1500]);
        assert_eq!(pauses(3, 1), [100]);
        assert_eq!(pauses(0, 2), [200, 400], "one that ended at once changes nothing");
    }
}
