use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

/// How often it is drawn who leaves.
pub const STEP: Duration = Duration::from_millis(50);

/// The sending away of all readers, each at a moment drawn at random from one window, so that they
/// come back spread out.
#[derive(Debug, Default)]
pub struct Drain(watch::Sender<Option<Instant>>);

impl Drain {
    /// Opens the window.
    pub fn begin(&self, window: Duration) {
        self.0.send_replace(Some(Instant::now() + window));
    }

    /// Whether the window is open, or was.
    pub fn has_begun(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Whether everybody should have left, a moment for their last words included.
    pub fn is_over(&self) -> bool {
        self.0.borrow().is_some_and(|end| Instant::now() > end + 4 * STEP)
    }

    /// Wakes when the window opens.
    pub fn changes(&self) -> watch::Receiver<Option<Instant>> {
        self.0.subscribe()
    }

    /// Waits for the moment at which one reader has to leave.
    pub async fn turn_of_one(&self) {
        let mut changes = self.0.subscribe();
        let end = changes.wait_for(Option::is_some).await.ok().and_then(|end| *end);
        if let Some(end) = end {
            let left = end.saturating_duration_since(Instant::now());
            sleep_until((Instant::now() + left.mul_f64(rand::random())).into()).await;
        }
    }

    /// Whether one reader has to leave in this step, given that it has not left before. With these
    /// odds every moment of the window is equally likely.
    pub fn draw(&self) -> bool {
        let end = *self.0.borrow();
        end.is_some_and(|end| {
            let left = end.saturating_duration_since(Instant::now());
            rand::random::<f64>() * left.as_secs_f64() <= STEP.as_secs_f64()
        })
    }
}
