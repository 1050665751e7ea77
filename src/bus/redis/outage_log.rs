//! What the log says about the connections to Redis: each change once, with the address and the cause.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::failure::Failure;

/// How long Redis may be away before that is logged, so that a brief interruption is not.
const AWAY_GRACE: Duration = Duration::from_secs(1);

/// The longest round trip with which everything works (docs/operations.md).
const MAX_ROUND_TRIP: Duration = Duration::from_millis(400);

/// How long the same loss is not logged again.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The state of the connections, as far as it was logged.
pub struct OutageLog {
    /// Host and port, without the password.
    address: String,
    state: Mutex<State>,
}

struct State {
    connected: bool,
    was_connected: bool,
    /// When the outage began.
    since: Instant,
    /// The causes that were logged since then.
    causes: Vec<String>,
    /// The cause of the last loss that was logged.
    last_loss: Option<(String, Instant)>,
    /// Whether the end of the outage is worth a line, since its beginning was.
    outage_logged: bool,
    slow_since: Option<Instant>,
    warnings: Vec<String>,
}

impl OutageLog {
    /// Creates the log of a node that has not connected yet.
    pub fn new(address: String) -> Self {
        let state = State {
            connected: false,
            was_connected: false,
            since: Instant::now(),
            causes: Vec::new(),
            last_loss: None,
            outage_logged: true,
            slow_since: None,
            warnings: Vec::new(),
        };
        Self { address, state: Mutex::new(state) }
    }

    /// Returns true if the failure would be logged now: it is worth looking for its cause.
    pub fn is_new(&self, failure: &Failure) -> bool {
        let state = self.state.lock();
        let brief = !matches!(failure, Failure::Refused(_) | Failure::Unfit(_))
            && !state.connected
            && state.since.elapsed() < AWAY_GRACE;
        !brief && !state.causes.iter().any(|cause| cause == failure.cause())
    }

    /// Logs an attempt to connect that failed.
    pub fn failed(&self, unexplained: &Failure, failure: &Failure) {
        let mut state = self.state.lock();
        let cause = failure.cause();
        let known = state.causes.iter().any(|known| known == cause);
        state.causes.push(unexplained.cause().to_owned());
        state.causes.push(cause.to_owned());
        if known {
            return;
        }
        state.outage_logged = true;
        let address = &self.address;
        match (failure, state.connected, state.was_connected) {
            (_, true, _) => tracing::warn!(address, cause, "a further connection to Redis fails"),
            (Failure::Refused(_) | Failure::Unfit(_), _, _) => {
                tracing::error!(address, cause, "Redis refuses this node")
            }
            (_, _, true) => tracing::warn!(address, cause, "Redis is still unreachable"),
            _ => tracing::warn!(address, cause, "Redis cannot be reached; this node is not ready and keeps trying"),
        }
    }

    /// Logs that announcements arrive.
    pub fn connected(&self, node: &str) {
        let mut state = self.state.lock();
        state.connected = true;
        let first = !std::mem::replace(&mut state.was_connected, true);
        let is_known = std::mem::take(&mut state.outage_logged);
        let address = &self.address;
        if first {
            tracing::info!(node, address, "connected to Redis; sharing rooms with all nodes on it");
        } else if is_known {
            tracing::info!(address, "connected to Redis again");
        }
    }

    /// Logs that announcements no longer arrive.
    pub fn lost(&self, failure: &Failure) {
        let (mut state, cause) = (self.state.lock(), failure.cause());
        state.connected = false;
        state.since = Instant::now();
        let repeated = |(last, at): &(String, Instant)| last == cause && at.elapsed() < REPEAT_AFTER;
        state.outage_logged = !state.last_loss.as_ref().is_some_and(repeated);
        if state.outage_logged {
            state.causes.clear();
            state.last_loss = Some((cause.to_owned(), Instant::now()));
            tracing::warn!(address = self.address, cause, "lost the connection to Redis; reconnecting");
        }
    }

    /// Logs a round trip that is too long, once until it is shorter again.
    pub fn round_trip(&self, round_trip: Duration) {
        let mut state = self.state.lock();
        if round_trip <= MAX_ROUND_TRIP {
            state.slow_since.take_if(|since| since.elapsed() >= REPEAT_AFTER);
        } else if state.slow_since.replace(Instant::now()).is_none() {
            let (ms, max_ms) = (round_trip.as_millis() as u64, MAX_ROUND_TRIP.as_millis() as u64);
            tracing::warn!(
                address = self.address,
                round_trip_ms = ms,
                "the round trip to Redis is longer than {max_ms} ms: readers may see an outage and posts fail"
            );
        }
    }

    /// Logs a warning once.
    pub fn warn_once(&self, warning: &str) {
        let mut state = self.state.lock();
        if !state.warnings.iter().any(|known| known == warning) {
            state.warnings.push(warning.to_owned());
            tracing::warn!(address = self.address, "{warning}");
        }
    }
}
