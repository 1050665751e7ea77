//! What one client address may do, and all together. Where nodes share a bus they count together; while
//! it is away each node keeps the limits by itself.

mod rate;
mod streams;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::bus::{Bus, Rate};

use rate::Rates;
use streams::{Seat, Streams};

/// How long a request waits for what the other nodes have counted.
const PATIENCE: Duration = Duration::from_millis(250);

/// The limits of a node; 0 turns one off.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitSettings {
    /// Messages per second of an address.
    pub rate: u32,
    /// Messages at once of an address.
    pub burst: u32,
    /// Open streams of the node.
    pub streams: u32,
    /// Open streams of an address.
    pub streams_per_address: u32,
}

/// What is counted against the limits.
pub struct Limits {
    rates: Option<Rates>,
    streams: Arc<Streams>,
}

impl Limits {
    /// Nothing counted yet. [`Limits::share`] has to run where there are several nodes.
    pub fn new(bus: Arc<dyn Bus>, most: LimitSettings) -> Self {
        let rate = NonZeroU32::new(most.rate).zip(NonZeroU32::new(most.burst));
        let rate = rate.map(|(per_second, burst)| Rate { per_second, burst });
        Self {
            rates: rate.map(|rate| Rates::new(bus.clone(), rate)),
            streams: Streams::new(bus, most.streams, most.streams_per_address),
        }
    }

    /// Counts one message of an address, or says how long it has to wait for the next.
    pub async fn check_post(&self, address: IpAddr) -> Result<(), Duration> {
        match &self.rates {
            Some(rates) => rates.spend(address).await,
            None => Ok(()),
        }
    }

    /// A place for one more stream of an address, held until it is dropped; `None` when there is
    /// none.
    pub async fn stream_permit(&self, address: IpAddr) -> Option<Seat> {
        self.streams.seat(address).await
    }

    /// Counts streams together with the other processes, for as long as there are these limits.
    pub fn share(&self, process: Arc<str>) -> impl Future<Output = ()> + use<> {
        Streams::share(Arc::downgrade(&self.streams), process)
    }
}
