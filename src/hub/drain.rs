//! Ends all streams before the node stops, each at a moment drawn at random from one window, so that the clients do not
//! reconnect all at once. Before that the drain is announced, so that proxies can notice while all goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

/// The interval between two draws of which subscribers leave.
pub const DRAIN_STEP: Duration = Duration::from_millis(50);

/// How far the end of the node has come.
#[derive(Debug, Default)]
pub struct Drain {
    announced: AtomicBool,
    /// The end of the drain window, once the drain has started.
    end: watch::Sender<Option<Instant>>,
}

impl Drain {
    /// Announces that the drain will start.
    pub fn announce(&self) {
        self.announced.store(true, Ordering::Relaxed);
    }

    /// Returns true if the drain was announced.
    pub fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Relaxed)
    }

    /// Starts the drain.
    pub fn start(&self, window: Duration) {
        self.announce();
        self.end.send_replace(Some(Instant::now() + window));
    }

    /// Returns true if the drain has started.
    pub fn has_started(&self) -> bool {
        self.end.borrow().is_some()
    }

    /// Returns true if all streams should have ended, with some steps to spare for the last of them.
    pub fn is_over(&self) -> bool {
        self.end.borrow().is_some_and(|end| Instant::now() > end + 4 * DRAIN_STEP)
    }

    /// Returns a receiver that is notified when the drain starts.
    pub fn changes(&self) -> watch::Receiver<Option<Instant>> {
        self.end.subscribe()
    }

    /// Waits until the drain has started and the moment has come that was drawn for one subscriber.
    pub async fn wait_for_turn(&self) {
        let mut changes = self.end.subscribe();
        let end = changes.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        if let Some(end) = end {
            let left = end.saturating_duration_since(Instant::now());
            sleep_until((Instant::now() + left.mul_f64(rand::random())).into()).await;
        }
    }

    /// Returns the odds of leaving now for a subscriber that could leave at `since`, too. They grow such that every moment
    /// of the window is equally likely, also if steps come late.
    pub fn odds(&self, since: Instant) -> f64 {
        let (end, now) = (*self.end.borrow(), Instant::now());
        end.map_or(0.0, |end| {
            let left = end.saturating_duration_since(since);
            if now >= end { 1.0 } else { (now - since).as_secs_f64() / left.as_secs_f64() }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_step_makes_up_for_the_time_it_lost() {
        let drain = Drain::default();
        assert_eq!(drain.odds(Instant::now()), 0.0);
        drain.start(Duration::from_secs(30));
        let odds = drain.odds(Instant::now() - Duration::from_secs(10));
        assert!((0.24..0.26).contains(&odds), "{odds} after a quarter of 40 s");
        drain.start(Duration::ZERO);
        assert_eq!(drain.odds(Instant::now()), 1.0);
    }
}
