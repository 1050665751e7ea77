//! How often a client address may try a password.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The wrong tries of an address within [`WINDOW`] after which none of its passwords is looked at.
const MAX_TRIES: usize = 10;

/// How long a wrong try is remembered.
const WINDOW: Duration = Duration::from_secs(60);

/// How many addresses are counted.
const MAX_ADDRESSES: usize = 4096;

/// Counts wrong passwords by client address.
#[derive(Debug, Default)]
pub struct WrongTries {
    /// The times of the last wrong tries of an address, at most [`MAX_TRIES`], oldest first.
    addresses: Mutex<HashMap<IpAddr, VecDeque<Instant>>>,
}

impl WrongTries {
    /// Returns how long an address has to wait until one of its passwords is looked at, if it has to.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let addresses = self.addresses.lock();
        let tries = addresses.get(&address).filter(|tries| tries.len() >= MAX_TRIES)?;
        (*tries.front()? + WINDOW).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }

    /// Counts a wrong try.
    pub fn count(&self, address: IpAddr, now: Instant) {
        let mut addresses = self.addresses.lock();
        if addresses.len() >= MAX_ADDRESSES && !addresses.contains_key(&address) {
            make_room(&mut addresses, now);
        }
        let tries = addresses.entry(address).or_default();
        if tries.len() >= MAX_TRIES {
            tries.pop_front();
        }
        tries.push_back(now);
    }
}

/// Forgets the addresses whose tries are over, or else the one that was quiet for the longest: who has as many addresses
/// as that is slowed down by their number no more than by this limit.
fn make_room(addresses: &mut HashMap<IpAddr, VecDeque<Instant>>, now: Instant) {
    let last = |tries: &VecDeque<Instant>| tries.back().copied();
    addresses.retain(|_, tries| last(tries).is_some_and(|last| now.saturating_duration_since(last) < WINDOW));
    if addresses.len() < MAX_ADDRESSES {
        return;
    }
    let quietest = addresses.iter().min_by_key(|(_, tries)| last(tries)).map(|(address, _)| *address);
    if let Some(quietest) = quietest {
        addresses.remove(&quietest);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    #[test]
    fn ten_tries_within_a_minute_lock_an_address_until_one_is_over() {
        let (tries, start) = (WrongTries::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        for second in 0..10 {
            assert_eq!(tries.wait(address(1), at(second)), None, "{second}");
            tries.count(address(1), at(second));
        }
        assert_eq!(tries.wait(address(1), at(10)), Some(Duration::from_secs(50)));
        assert_eq!(tries.wait(address(2), at(10)), None, "another address");
        assert_eq!(tries.wait(address(1), at(60)), None, "the first is over");
        tries.count(address(1), at(60));
        assert_eq!(tries.wait(address(1), at(60)), Some(Duration::from_secs(1)), "nine and one came within a minute");
    }

    #[test]
    fn counted_addresses_are_bounded_and_the_quietest_is_forgotten() {
        let (tries, start) = (WrongTries::default(), Instant::now());
        for _ in 0..MAX_TRIES {
            tries.count(address(0), start + Duration::from_secs(1));
        }
        for number in 1..5_000 {
            tries.count(address(number), start + Duration::from_millis(u64::from(number / 1_000)));
        }
        assert_eq!(tries.addresses.lock().len(), MAX_ADDRESSES);
        assert!(tries.wait(address(0), start + Duration::from_secs(1)).is_some());
        tries.count(address(20_000), start + WINDOW * 2);
        assert_eq!(tries.addresses.lock().len(), 1, "what is over is forgotten together");
    }
}
