use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::time::timeout;

use super::PATIENCE;
use crate::bus::{Bus, Rate};

/// After so many posts the addresses whose bucket is full again are forgotten, so that memory is
/// bounded by the posts of the last few seconds.
const TIDY_EVERY: usize = 4096;

/// How fast each address has published of late: first counted here, so that a flood at this node costs
/// the others nothing; what passes is counted with the other nodes.
pub struct Rates {
    bus: Arc<dyn Bus>,
    rate: Rate,
    here: DefaultKeyedRateLimiter<IpAddr>,
    posts: AtomicUsize,
}

impl Rates {
    pub fn new(bus: Arc<dyn Bus>, rate: Rate) -> Self {
        let here = RateLimiter::keyed(Quota::per_second(rate.per_second).allow_burst(rate.burst));
        Self { bus, rate, here, posts: AtomicUsize::default() }
    }

    /// Counts one message of an address, or says how long it has to wait for the next.
    pub async fn spend(&self, address: IpAddr) -> Result<(), Duration> {
        self.spend_here(address)?;
        match timeout(PATIENCE, self.bus.spend(address, self.rate)).await {
            Ok(Ok(counted)) => counted,
            _ => Ok(()),
        }
    }

    fn spend_here(&self, address: IpAddr) -> Result<(), Duration> {
        if self.posts.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.here.retain_recent();
        }
        self.here.check_key(&address).map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::bus::{self, Retention};
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn a_million_addresses_leave_no_memory_behind() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let bus = bus::open(None, "chat", "node", Retention { messages: 1, seconds: 1 }, metrics).unwrap();
        let rate = Rate { per_second: 1000.try_into().unwrap(), burst: 1.try_into().unwrap() };
        let rates = Rates::new(bus, rate);
        for n in 0..1_000_000 {
            rates.spend(Ipv4Addr::from_bits(n).into()).await.unwrap();
        }
        let held = rates.here.len();
        assert!(held < 100_000, "{held} addresses are held");
    }
}
