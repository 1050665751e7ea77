//! Limits per client address and per app, counted over all nodes. While the store is unavailable, each node counts alone.

mod rate;
mod refusals;
mod store_call;
mod streams;
mod wrong_tries;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bus::{Bucket, Charge, LimitStore, Rate};
use crate::metrics::Metrics;
use crate::supervise::supervise;
use rate::RateLimiter;
use refusals::RefusalPacer;
use streams::StreamLimiter;

pub use refusals::Pause;
pub use streams::StreamPermit;
pub use wrong_tries::WrongTries;

/// The highest rate that is limited: the store counts in microseconds. A higher one is the same to any client.
const MAX_RATE: u32 = 1_000_000;

/// How many calls an app may make: as many at once as in a second.
const CALL_RATE: Rate = Rate {
    per_second: NonZeroU32::MIN.saturating_add(999),
    burst: NonZeroU32::MIN.saturating_add(999),
};

/// The configured limits; 0 turns a limit off.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitSettings {
    /// Messages per second of an address, in the long run.
    pub rate: u32,
    /// Messages that an address may send at once.
    pub burst: u32,
    /// Open streams of the node.
    pub streams: u32,
    /// Open streams of an address.
    pub streams_per_address: u32,
}

/// The limits of a node, and what is counted against them.
pub struct Limits {
    rate: Option<RateLimiter>,
    calls: RateLimiter,
    streams: Arc<StreamLimiter>,
    refusals: RefusalPacer,
}

impl Limits {
    /// Creates limits that count together with other processes if there is a store. [`Limits::run`] has to run then.
    pub fn new(store: Option<Arc<dyn LimitStore>>, settings: LimitSettings) -> Self {
        let rate = NonZeroU32::new(settings.rate.min(MAX_RATE)).zip(NonZeroU32::new(settings.burst));
        let rate = rate.map(|(per_second, burst)| Rate { per_second, burst });
        Self {
            rate: rate.map(|rate| RateLimiter::new(store.clone(), rate)),
            calls: RateLimiter::new(store.clone(), CALL_RATE),
            streams: StreamLimiter::new(store, settings.streams, settings.streams_per_address),
            refusals: RefusalPacer::default(),
        }
    }

    /// Counts one message of an address that is about to be published. Returns what the store has to charge for it, if
    /// that is done with the message.
    ///
    /// # Errors
    /// Returns how long to wait if the address has sent too many.
    pub async fn begin_post(&self, address: IpAddr) -> Result<Option<Charge>, Duration> {
        match &self.rate {
            Some(rate) => rate.begin_post(Bucket::Address(address)).await,
            None => Ok(None),
        }
    }

    /// Counts one message of an address.
    ///
    /// # Errors
    /// Returns how long to wait if the address has sent too many.
    pub async fn check_post(&self, address: IpAddr) -> Result<(), Duration> {
        match &self.rate {
            Some(rate) => rate.take_token(Bucket::Address(address)).await,
            None => Ok(()),
        }
    }

    /// Counts one call of the app with this key.
    ///
    /// # Errors
    /// Returns how long to wait if the app has made too many.
    pub async fn check_call(&self, key: &Arc<str>) -> Result<(), Duration> {
        self.calls.take_token(Bucket::App(key.clone())).await
    }

    /// Returns a permit for one more stream of an address, or `None` if there are too many streams.
    pub async fn stream_permit(&self, address: IpAddr) -> Option<StreamPermit> {
        self.streams.permit(address).await
    }

    /// Counts a refused stream of an address. Returns how long the connection has to wait for the refusal, if it has to.
    pub fn pause_refusal(&self, address: IpAddr) -> Option<Pause> {
        self.refusals.pause(address, Instant::now())
    }

    /// Counts streams together with the other processes, for as long as these limits exist.
    pub fn run(&self, process: Arc<str>, metrics: Arc<Metrics>) -> impl Future<Output = ()> + Send + use<> {
        let limiter = Arc::downgrade(&self.streams);
        let alone = limiter.clone();
        let mut starts = 0;
        let run = async move || {
            starts += 1;
            // A new name each time: what was reported under the last one may be wrong, and expires.
            let name = if starts == 1 { process.clone() } else { format!("{process}-{starts}").into() };
            StreamLimiter::run(limiter.clone(), name).await;
        };
        let on_panic = move || {
            if let Some(limiter) = alone.upgrade() {
                limiter.decide_alone();
            }
        };
        supervise(metrics, "limits", run, on_panic)
    }
}
