//! What all subscribers of a node share: the timing of streams, the status of the node, and its metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus::IntGauge;

use crate::metrics::{AppUsage, Metrics};
use crate::sse::{Event, Syntax};

/// How long announcements may fail to arrive before subscribers get the status that is not live.
pub const OUTAGE_GRACE: Duration = Duration::from_secs(1);

/// The silence after which a socket's stream gets a ping. Its clients expect one at least every 30 s.
const PING_INTERVAL: Duration = Duration::from_secs(9);

/// The timing of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The silence after which a heartbeat is sent.
    pub heartbeat: Duration,
    /// The age at which a stream is ended at the latest; `None` if it is not limited.
    pub max_age: Option<Duration>,
}

impl Pace {
    /// Returns the silence after which a heartbeat is sent in a stream of this syntax.
    pub fn heartbeat_in(&self, syntax: Syntax) -> Duration {
        match syntax {
            Syntax::Socket => PING_INTERVAL,
            _ => self.heartbeat,
        }
    }

    /// Returns the precision of heartbeats, closed connections and ages.
    pub fn tick_interval(&self) -> Duration {
        let heartbeat = (self.heartbeat / 20).min(PING_INTERVAL / 10);
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
    /// The beginning of the first tick.
    pub started: Instant,
}

impl StreamContext {
    /// Returns the first tick from a time on. The ticks of all rooms are the same, so that a worker wakes once for all
    /// heartbeats that are due.
    pub fn tick_from(&self, time: Instant) -> Instant {
        let interval = self.pace.tick_interval().as_nanos();
        let ticks = time.saturating_duration_since(self.started).as_nanos().div_ceil(interval);
        self.started + Duration::from_nanos((ticks * interval) as u64)
    }

    /// Returns the event of the node's status in a stream of this syntax.
    pub fn status(&self, live: bool, syntax: Syntax) -> Event {
        Event::status(live, &self.node, self.pace.heartbeat_in(syntax).as_secs())
    }
}

/// Counts an open stream until it is dropped: of the node, of the app that lets the client have it, and as one that has
/// become live.
pub struct StreamGauge {
    _open: Counted,
    _of_app: Option<Counted>,
    live: Option<Counted>,
}

impl StreamGauge {
    /// Counts one more open stream.
    pub fn new(metrics: &Metrics, app: Option<&AppUsage>) -> Self {
        Self {
            _open: Counted::in_gauge(&metrics.streams),
            _of_app: app.map(|app| Counted::in_gauge(&app.streams)),
            live: None,
        }
    }

    /// Counts the stream as live, from the first call on.
    pub fn set_live(&mut self, metrics: &Metrics) {
        self.live.get_or_insert_with(|| Counted::in_gauge(&metrics.streams_live));
    }

    /// Returns whether the stream was ever live.
    pub fn was_live(&self) -> bool {
        self.live.is_some()
    }
}

/// One in a gauge, until it is dropped.
struct Counted(IntGauge);

impl Counted {
    fn in_gauge(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_the_same_for_all_rooms() {
        let pace = Pace { heartbeat: Duration::from_secs(10), max_age: None };
        let (started, tick) = (Instant::now(), Duration::from_millis(500));
        let context =
            StreamContext { node: "chat-1".into(), pace, metrics: Arc::new(Metrics::new().unwrap()), started };
        assert_eq!(pace.tick_interval(), tick);
        assert_eq!(context.tick_from(started), started);
        for late in [1, 250, 500] {
            assert_eq!(context.tick_from(started + 7 * tick + Duration::from_millis(late)), started + 8 * tick);
        }
        assert_eq!(context.tick_from(started + 8 * tick), started + 8 * tick);
    }
}
