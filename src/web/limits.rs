use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// After so many posts the addresses whose bucket is full again are forgotten, so that memory is
/// bounded by the posts of the last few seconds.
const TIDY_EVERY: usize = 4096;

/// What one client address may do, and all together.
pub struct Limits {
    rate: Option<DefaultKeyedRateLimiter<IpAddr>>,
    posts: AtomicUsize,
    streams: Arc<Streams>,
}

struct Streams {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

/// Addresses are forgotten with their last stream.
#[derive(Default)]
struct Open {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

impl Limits {
    /// Messages per second and burst of an address, streams of the node and of an address; 0 turns
    /// a limit off.
    pub fn new(rate: u32, burst: u32, streams: usize, streams_per_address: usize) -> Self {
        let unlimited = |most| if most == 0 { usize::MAX } else { most };
        let rate = NonZeroU32::new(rate).zip(NonZeroU32::new(burst));
        Self {
            rate: rate.map(|(rate, burst)| RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))),
            posts: AtomicUsize::new(0),
            streams: Arc::new(Streams {
                most: unlimited(streams),
                most_per_address: unlimited(streams_per_address),
                open: Mutex::default(),
            }),
        }
    }

    /// Counts one message of an address, or says how long it has to wait for the next.
    pub fn post(&self, address: IpAddr) -> Result<(), Duration> {
        let Some(rate) = &self.rate else { return Ok(()) };
        if self.posts.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            rate.retain_recent();
        }
        rate.check_key(&address).map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }

    /// A place for one more stream of an address, held until it is dropped; `None` when there is
    /// none.
    pub fn seat(&self, address: IpAddr) -> Option<Seat> {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.per_address.get(&address).copied().unwrap_or_default();
        if open.total >= self.streams.most || of_address >= self.streams.most_per_address {
            return None;
        }
        open.total += 1;
        open.per_address.insert(address, of_address + 1);
        Some(Seat { streams: self.streams.clone(), address })
    }
}

/// The place of one open stream.
pub struct Seat {
    streams: Arc<Streams>,
    address: IpAddr,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total -= 1;
        if let Some(count) = open.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from_bits(n).into()
    }

    #[test]
    fn a_seat_is_free_again_when_it_is_dropped_and_leaves_nothing_behind() {
        let limits = Limits::new(0, 0, 3, 2);
        let seats: Vec<_> = [1, 1, 2].map(|n| limits.seat(address(n)).unwrap()).into();
        assert!(limits.seat(address(1)).is_none() && limits.seat(address(3)).is_none());
        drop(seats);
        assert!(limits.seat(address(1)).is_some());
        assert!(limits.streams.open.lock().unwrap().per_address.is_empty());
    }

    #[test]
    fn a_million_addresses_leave_no_memory_behind() {
        let limits = Limits::new(1000, 1, 0, 0);
        (0..1_000_000).for_each(|n| limits.post(address(n)).unwrap());
        let held = limits.rate.as_ref().unwrap().len();
        assert!(held < 100_000, "{held} addresses are held");
    }

    #[test]
    fn zero_turns_a_limit_off() {
        let limits = Limits::new(0, 20, 0, 0);
        assert!((0..1000).all(|_| limits.post(address(1)).is_ok()));
        let seats: Vec<_> = (0..1000).map(|_| limits.seat(address(1))).collect();
        assert!(seats.iter().all(Option::is_some));
    }
}
