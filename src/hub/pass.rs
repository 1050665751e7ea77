//! What lets a client have a stream that only an app can give it, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::metrics::AppUsage;

/// How often a pass is checked by a subscriber that is catching up. One that is live checks it when a ping may be due.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The pass of one stream.
#[derive(Debug)]
pub struct Pass {
    /// The app's key.
    pub key: Arc<str>,
    /// Counts what the app uses.
    pub usage: AppUsage,
    /// When the pass is no longer valid.
    pub expires_at: Instant,
    /// Whether the app itself is no longer valid.
    pub revoked: Arc<AtomicBool>,
}

impl Pass {
    /// Returns true if the client may no longer have its stream.
    pub fn is_over(&self, now: Instant) -> bool {
        self.expires_at <= now || self.revoked.load(Ordering::Relaxed)
    }

    /// Waits until the client may no longer have its stream.
    pub async fn over(&self) {
        while !self.is_over(Instant::now()) {
            sleep(CHECK_INTERVAL).await;
        }
    }
}
