//! When a client comes back after its stream has ended: an EventSource as WHATWG HTML describes it, a script as the
//! client library of its hub does.

use std::time::Duration;

use crate::hubs::kind::Kind;

/// How long a browser waits, if the stream does not say.
const BROWSER_RETRY: Duration = Duration::from_secs(3);

/// The delays of a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reconnect {
    /// The delay that the stream set. Any status but 200 is final.
    EventSource { retry: Duration },
    /// A delay that grows with each failure in a row, and of which up to half is left out at random.
    Script {
        first: Duration,
        factor: f64,
        most: Duration,
    },
}

impl Reconnect {
    pub fn of(kind: Kind) -> Self {
        let script = |first, factor, most| Self::Script {
            first: Duration::from_millis(first),
            factor,
            most: Duration::from_millis(most),
        };
        match kind {
            Kind::Centrifugo => script(500, 2.0, 20_000),     // centrifuge-js
            Kind::SocketIo => script(1_000, 2.0, 5_000),      // socket.io-client
            Kind::DurableStreams => script(100, 1.3, 60_000), // @durable-streams/client
            _ => Self::EventSource { retry: BROWSER_RETRY },
        }
    }

    /// Keeps the delay that a stream sets.
    pub fn set_retry(&mut self, milliseconds: u64) {
        if let Self::EventSource { retry } = self {
            *retry = Duration::from_millis(milliseconds);
        }
    }

    /// Returns true if a response with this status is the end of the client.
    pub fn is_final(self, status: u16) -> bool {
        matches!(self, Self::EventSource { .. }) && status != 200
    }

    /// Returns how long to wait after a number of failures in a row.
    pub fn delay(self, failures: i32) -> Duration {
        match self {
            Self::EventSource { retry } => retry,
            Self::Script { first, factor, most } => {
                let longest = (first.as_secs_f64() * factor.powi(failures)).min(most.as_secs_f64());
                Duration::from_secs_f64(longest * rand::random_range(0.5..=1.0))
            }
        }
    }
}
