//! The pauses between attempts to connect: longer each time, and random, so that nodes do not reconnect in step.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// The pause before the first retry.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause. With the longest attempt it stays below 5 s, within which a node has to find a Redis that is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(1500);

/// How long a connection must have lasted for the pauses to begin anew: one that is refused after its greeting has not.
const STABLE_AFTER: Duration = Duration::from_secs(3);

/// The pauses of one task that connects.
pub struct Backoff {
    pause: Duration,
    connected_at: Option<Instant>,
}

impl Backoff {
    pub fn new() -> Self {
        Self { pause: FIRST_PAUSE, connected_at: None }
    }

    /// Notes that a connection was established.
    pub fn on_connected(&mut self) {
        self.connected_at = Some(Instant::now());
    }

    /// Waits before the next attempt, after a failed one or a lost connection.
    pub async fn wait(&mut self) {
        let lasted = self.connected_at.take().map_or(Duration::ZERO, |at| at.elapsed());
        sleep(self.next_pause(lasted).mul_f64(rand::random_range(0.5..1.0))).await;
    }

    /// Returns the next pause in full length. `lasted` is for how long the connection was established.
    fn next_pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= STABLE_AFTER {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_connection_has_lasted() {
        let mut backoff = Backoff::new();
        let mut pauses = |lasted: u64, count: usize| -> Vec<u128> {
            (0..count).map(|_| backoff.next_pause(Duration::from_secs(lasted)).as_millis()).collect()
        };
        assert_eq!(pauses(0, 6), [100, 200, 400, 800, 1500, 1500]);
        assert_eq!(pauses(3, 1), [100]);
        assert_eq!(pauses(0, 2), [200, 400], "a connection that ended at once changes nothing");
    }
}
