//! What the log says about the connections to Sentinels: each cause once, until the Sentinel answers again.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::bus::redis::failure::Failure;
use crate::bus::redis::url::{Access, Address};

/// How long a Sentinel may be away before that is logged.
const AWAY_GRACE: Duration = Duration::from_secs(1);

/// How long the same cause is not logged again if the Sentinel has answered meanwhile.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// The most causes that are remembered.
const MAX_CAUSES: usize = 16;

/// The causes that were logged.
#[derive(Default)]
pub struct SentinelLog {
    causes: Mutex<Vec<Cause>>,
}

struct Cause {
    /// `None` if it is the same for all Sentinels: a setting of this node.
    address: Option<Address>,
    text: String,
    at: Instant,
}

/// The failures of one Sentinel in a row.
#[derive(Default)]
pub struct Outage {
    since: Option<Instant>,
    is_logged: bool,
}

impl SentinelLog {
    /// Logs that a Sentinel cannot be asked, and looks for the cause first if it is unclear.
    pub async fn failed(&self, outage: &mut Outage, failure: Failure, access: &Access, address: &Address) {
        let since = *outage.since.get_or_insert_with(Instant::now);
        let is_brief = !matches!(failure, Failure::Refused(_)) && since.elapsed() < AWAY_GRACE;
        if is_brief || self.is_known(address, failure.cause()) {
            return;
        }
        let unexplained = failure.cause().to_owned();
        let failure = failure.explained(access, address).await;
        let cause = failure.cause();
        if !self.is_known(address, cause) {
            outage.is_logged = true;
            match &failure {
                Failure::Refused(_) | Failure::Unfit(_) => {
                    tracing::error!(%address, cause, "a Sentinel refuses this node")
                }
                _ => tracing::warn!(%address, cause, "a Sentinel cannot be asked"),
            }
        }
        let of_all = matches!(failure, Failure::Refused(_));
        self.remember((!of_all).then_some(address), cause);
        self.remember(Some(address), &unexplained);
    }

    /// Logs that a Sentinel answers.
    pub fn answered(&self, outage: &mut Outage, address: &Address) {
        if std::mem::take(outage).is_logged {
            tracing::info!(%address, "a Sentinel answers again");
        }
        let is_of_other = |cause: &Cause| cause.address.as_ref().is_some_and(|known| known != address);
        self.causes.lock().retain(|cause| is_of_other(cause) || cause.at.elapsed() < REPEAT_AFTER);
    }

    fn is_known(&self, address: &Address, text: &str) -> bool {
        let is_of = |cause: &Cause| cause.address.as_ref().is_none_or(|known| known == address);
        self.causes.lock().iter().any(|cause| is_of(cause) && cause.text == text)
    }

    /// Notes that a cause is known, from now on.
    fn remember(&self, address: Option<&Address>, text: &str) {
        let mut causes = self.causes.lock();
        causes.retain(|cause| cause.address.as_ref() != address || cause.text != text);
        if causes.len() >= MAX_CAUSES {
            causes.remove(0);
        }
        causes.push(Cause { address: address.cloned(), text: text.to_owned(), at: Instant::now() });
    }
}
