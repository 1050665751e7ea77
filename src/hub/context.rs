//! What all subscribers of a node share: the timing of streams, the status of the node, and its metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::metrics::Metrics;
use crate::sse;

/// How long announcements may fail to arrive before subscribers get the status that is not live.
pub const OUTAGE_GRACE: Duration = Duration::from_secs(1);

/// The timing of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The silence after which a heartbeat is sent.
    pub heartbeat: Duration,
    /// The age at which a stream is ended at the latest; `None` if it is not limited.
    pub max_age: Option<Duration>,
}

impl Pace {
    /// Returns how often subscribers are checked, which is the precision of heartbeats, closed connections and ages.
    pub fn tick_interval(&self) -> Duration {
        let heartbeat = self.heartbeat / 20;
        self.max_age.map_or(heartbeat, |age| heartbeat.min(age / 50))
    }

    /// Draws when a stream that begins now is ended: at 80 to 100 % of the maximum age, so that the clients of streams
    /// that began together do not reconnect together.
    pub fn draw_expiry(&self) -> Option<Instant> {
        let age = self.max_age?;
        let latest = age - self.tick_interval();
        Some(Instant::now() + rand::random_range(age.mul_f64(0.8)..=latest))
    }
}

/// What all subscribers of a node share.
pub struct StreamContext {
    /// The node's name.
    pub node: String,
    pub pace: Pace,
    pub metrics: Arc<Metrics>,
}

impl StreamContext {
    /// Encodes the node's status.
    pub fn status(&self, live: bool) -> Bytes {
        sse::status(live, &self.node, self.pace.heartbeat.as_secs())
    }
}

/// Counts an open stream until it is dropped.
pub struct StreamGauge(Arc<StreamContext>);

impl StreamGauge {
    /// Counts one more open stream.
    pub fn new(context: Arc<StreamContext>) -> Self {
        context.metrics.streams.inc();
        Self(context)
    }
}

impl Drop for StreamGauge {
    fn drop(&mut self) {
        self.0.metrics.streams.dec();
    }
}
