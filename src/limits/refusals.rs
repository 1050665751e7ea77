//! The pace of refused streams: a client that ignores the delay it is told gets its refusals later.
//!
//! Nothing here may cost more than the requests themselves, so addresses and waiting connections are bounded; what is
//! beyond a bound is refused at once.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The refusals that an address gets at once within [`WINDOW`].
const MAX_AT_ONCE: usize = 10;

/// How long a refusal is remembered.
const WINDOW: Duration = Duration::from_secs(10);

/// The milliseconds after which a further refusal is given.
const PAUSE_MS: RangeInclusive<u64> = 1000..=5000;

/// How many connections may wait for their refusals.
const MAX_WAITING: usize = 256;

/// How many addresses are counted.
const MAX_ADDRESSES: usize = 4096;

/// Counts refusals by client address.
pub struct RefusalPacer {
    refusals: Mutex<Refusals>,
    waiting: Arc<Semaphore>,
}

#[derive(Default)]
struct Refusals {
    /// The times of the last refusals of an address, at most [`MAX_AT_ONCE`], oldest first.
    addresses: HashMap<IpAddr, VecDeque<Instant>>,
    /// When forgotten addresses were last removed.
    swept_at: Option<Instant>,
}

/// The wait of a connection for its refusal; it counts until it is dropped.
#[derive(Debug)]
pub struct Pause {
    /// How long to wait.
    pub duration: Duration,
    _permit: OwnedSemaphorePermit,
}

impl Default for RefusalPacer {
    fn default() -> Self {
        Self { refusals: Mutex::default(), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }
}

impl RefusalPacer {
    /// Counts a refusal. Returns how long the connection has to wait for it, or `None` if it is given at once.
    pub fn pause(&self, address: IpAddr, now: Instant) -> Option<Pause> {
        if !self.refusals.lock().is_one_too_many(address, now) {
            return None;
        }
        let permit = self.waiting.clone().try_acquire_owned().ok()?;
        let duration = Duration::from_millis(rand::random_range(PAUSE_MS));
        Some(Pause { duration, _permit: permit })
    }
}

impl Refusals {
    /// Notes a refusal. Returns true if as many as are given at once came before it in the window.
    fn is_one_too_many(&mut self, address: IpAddr, now: Instant) -> bool {
        if !self.addresses.contains_key(&address) {
            self.sweep(now);
            if self.addresses.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let times = self.addresses.entry(address).or_default();
        let oldest = if times.len() == MAX_AT_ONCE { times.pop_front() } else { None };
        times.push_back(now);
        oldest.is_some_and(|oldest| is_recent(oldest, now))
    }

    /// Removes the addresses that were not refused for as long as the window, at most once in that time.
    fn sweep(&mut self, now: Instant) {
        if self.swept_at.is_some_and(|swept_at| is_recent(swept_at, now)) {
            return;
        }
        self.swept_at = Some(now);
        self.addresses.retain(|_, times| times.back().is_some_and(|last| is_recent(*last, now)));
        self.addresses.shrink_to_fit();
    }
}

fn is_recent(time: Instant, now: Instant) -> bool {
    now.saturating_duration_since(time) < WINDOW
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    /// Refuses an address so often that the next refusal has to wait.
    fn use_up(pacer: &RefusalPacer, address: IpAddr, now: Instant) {
        for number in 1..=MAX_AT_ONCE {
            assert!(pacer.pause(address, now).is_none(), "refusal {number}");
        }
    }

    #[test]
    fn the_eleventh_refusal_in_ten_seconds_waits() {
        let (pacer, start) = (RefusalPacer::default(), Instant::now());
        let after = |seconds: f64| pacer.pause(address(1), start + Duration::from_secs_f64(seconds));
        for seconds in 0..10 {
            assert!(after(f64::from(seconds)).is_none(), "{seconds}");
        }
        let pause = after(9.9).unwrap();
        assert!((1..=5).contains(&pause.duration.as_secs()) && pause.duration <= Duration::from_secs(5), "{pause:?}");
        assert!(pacer.pause(address(2), start).is_none(), "another address");
        assert!(after(10.95).is_some(), "ten came within the 10 s before");
        assert!(after(13.0).is_none(), "nine came within the 10 s before");
        assert!(after(23.5).is_none(), "all are forgotten");
    }

    #[test]
    fn pauses_are_drawn_from_1_to_5_seconds() {
        let (pacer, now) = (RefusalPacer::default(), Instant::now());
        use_up(&pacer, address(1), now);
        let draws: Vec<_> = (0..200).map(|_| pacer.pause(address(1), now).unwrap().duration.as_millis()).collect();
        assert!(draws.iter().all(|ms| (1000..=5000).contains(ms)), "{draws:?}");
        assert!(draws.iter().any(|ms| *ms < 2000) && draws.iter().any(|ms| *ms > 4000), "{draws:?}");
    }

    #[test]
    fn connections_beyond_the_bound_do_not_wait() {
        let (pacer, now) = (RefusalPacer::default(), Instant::now());
        use_up(&pacer, address(1), now);
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| pacer.pause(address(1), now).unwrap()).collect();
        use_up(&pacer, address(2), now);
        assert!(pacer.pause(address(1), now).is_none() && pacer.pause(address(2), now).is_none());
        waiting.pop();
        waiting.push(pacer.pause(address(2), now).unwrap());
        assert!(pacer.pause(address(1), now).is_none());
    }

    #[test]
    fn addresses_beyond_the_bound_are_not_counted() {
        let (pacer, start) = (RefusalPacer::default(), Instant::now());
        let count = || pacer.refusals.lock().addresses.len();
        for number in 0..100_000 {
            assert!(pacer.pause(address(number), start).is_none());
        }
        assert_eq!(count(), MAX_ADDRESSES);
        let (known, unknown) = (address(0), address(100_000));
        for _ in 0..20 {
            assert!(pacer.pause(unknown, start).is_none());
        }
        assert!((0..20).any(|_| pacer.pause(known, start).is_some()), "those that are counted still wait");
        let later = start + WINDOW;
        use_up(&pacer, unknown, later);
        assert!(pacer.pause(unknown, later).is_some());
        assert_eq!(count(), 1, "addresses that are quiet are forgotten");
    }
}
