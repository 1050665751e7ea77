//! The limits of open streams: of the node, and of each client address over all nodes.
//!
//! A permit is decided by the counts of this process and then by the store, which knows the other processes. Requests
//! that arrive during a call to the store share the next one, so a burst of them costs few calls.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::store_call::wait_for_store;
use crate::bus::{LimitStore, PROCESS_TTL, StreamReservation, Unavailable};

/// How often all addresses are reported again, in case the store has lost them.
const REPORT_ALL_INTERVAL: Duration = Duration::from_secs(30);

/// How often the store is called when nothing has changed, so that this process counts as alive; also the pause after a
/// failed call.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);

/// Addresses per call to the store.
const ADDRESSES_PER_CALL: usize = 256;

/// Counts open streams.
pub struct StreamLimiter {
    store: Option<Arc<dyn LimitStore>>,
    max: usize,
    max_per_address: usize,
    usage: Mutex<Usage>,
    changed: Notify,
}

#[derive(Default)]
struct Usage {
    /// Streams that are open or wait for a permit.
    total: usize,
    /// By address, until its last stream has ended and the store has no others.
    addresses: HashMap<IpAddr, AddressUsage>,
    /// Addresses with streams that wait for a permit.
    waiting: HashSet<IpAddr>,
    /// Addresses whose open streams the store does not know.
    unreported: HashSet<IpAddr>,
    /// Whether the store is unavailable, so that this process decides alone.
    is_alone: bool,
}

#[derive(Default)]
struct AddressUsage {
    open: usize,
    /// Streams that the store may count: as many as in the last report, even if there was no response to it.
    reported: usize,
    /// Requests that wait for a permit, oldest first.
    waiting: Vec<oneshot::Sender<Option<StreamPermit>>>,
}

/// Allows one open stream until it is dropped.
pub struct StreamPermit {
    limiter: Arc<StreamLimiter>,
    address: IpAddr,
}

impl StreamLimiter {
    /// Creates limits of the node and of each address; 0 turns a limit off.
    pub fn new(store: Option<Arc<dyn LimitStore>>, max: u32, max_per_address: u32) -> Arc<Self> {
        let limit = |max: u32| if max == 0 { usize::MAX } else { max as usize };
        let max_per_address = limit(max_per_address);
        Arc::new(Self {
            // Without a limit per address there is nothing to count over all nodes.
            store: store.filter(|_| max_per_address != usize::MAX),
            max: limit(max),
            max_per_address,
            usage: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Returns a permit for one more stream of an address, or `None` if there are too many streams.
    pub async fn permit(self: &Arc<Self>, address: IpAddr) -> Option<StreamPermit> {
        let permit = {
            let mut usage = self.usage.lock();
            if usage.total >= self.max || usage.of(address) >= self.max_per_address {
                return None;
            }
            usage.total += 1;
            if !self.asks_store(&usage) {
                return Some(self.open(&mut usage, address));
            }
            let (sender, permit) = oneshot::channel();
            usage.entry(address).waiting.push(sender);
            usage.waiting.insert(address);
            permit
        };
        self.changed.notify_one();
        permit.await.ok().flatten()
    }

    fn asks_store(&self, usage: &Usage) -> bool {
        self.store.is_some() && !usage.is_alone
    }

    fn open(self: &Arc<Self>, usage: &mut Usage, address: IpAddr) -> StreamPermit {
        usage.entry(address).open += 1;
        StreamPermit { limiter: self.clone(), address }
    }

    /// Reports changes to the store, and all addresses at intervals, for as long as the limiter exists.
    pub async fn run(limiter: Weak<Self>, process: Arc<str>) {
        // The store forgets a process that is silent for PROCESS_TTL, and its streams with it.
        let (mut report_all_at, mut stale_at) =
            (Instant::now() + REPORT_ALL_INTERVAL, Instant::now() + PROCESS_TTL / 2);
        while let Some(limiter) = limiter.upgrade() {
            let Some(store) = limiter.store.clone() else { return };
            if limiter.usage.lock().has_no_news() {
                let _ = timeout(KEEPALIVE_INTERVAL, limiter.changed.notified()).await;
            }
            if report_all_at.min(stale_at) <= Instant::now() {
                limiter.usage.lock().report_all();
                report_all_at = Instant::now() + REPORT_ALL_INTERVAL;
            }
            match limiter.call_store(&*store, &process).await {
                Ok(()) => stale_at = Instant::now() + PROCESS_TTL / 2,
                Err(Unavailable) => sleep(KEEPALIVE_INTERVAL).await,
            }
        }
    }

    /// Makes one call to the store and settles the requests that waited for it.
    async fn call_store(self: &Arc<Self>, store: &dyn LimitStore, process: &str) -> Result<(), Unavailable> {
        let (reservations, is_idle) = {
            let mut usage = self.usage.lock();
            (usage.take_reservations(), usage.addresses.is_empty())
        };
        if reservations.is_empty() && is_idle {
            self.usage.lock().share_again();
            return Ok(());
        }
        // A call without a response may be executed after all, when a pause of the store ends. The process keeps its
        // name, so the next report replaces what that call counted.
        let call = store.reserve_streams(process, &reservations, self.max_per_address);
        if let Ok(granted) = wait_for_store(call).await {
            for (reservation, granted) in reservations.iter().zip(granted) {
                self.settle(*reservation, granted);
                self.usage.lock().note_reported(*reservation, granted);
            }
            self.usage.lock().share_again();
            return Ok(());
        }
        self.decide_alone();
        Err(Unavailable)
    }

    /// Grants every permit without asking the store, those that are waited for included, until it responds again.
    pub fn decide_alone(self: &Arc<Self>) {
        let waiting = self.usage.lock().decide_alone();
        for reservation in waiting {
            self.settle(reservation, reservation.wanted);
        }
    }

    /// Gives permits to the oldest requests of an address, as many as were granted, and none to the others.
    fn settle(self: &Arc<Self>, reservation: StreamReservation, granted: usize) {
        let (waiting, permits) = {
            let mut usage = self.usage.lock();
            let waiting: Vec<_> = usage.entry(reservation.address).waiting.drain(..reservation.wanted).collect();
            usage.total -= waiting.len() - granted.min(waiting.len());
            let permit = |index| (index < granted).then(|| self.open(&mut usage, reservation.address));
            let permits: Vec<_> = (0..waiting.len()).map(permit).collect();
            (waiting, permits)
        };
        // Without the lock: the permit of a cancelled request is dropped here, and its drop takes the lock.
        for (waiting, permit) in waiting.into_iter().zip(permits) {
            let _ = waiting.send(permit);
        }
    }
}

impl Usage {
    fn entry(&mut self, address: IpAddr) -> &mut AddressUsage {
        self.addresses.entry(address).or_default()
    }

    fn of(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).map_or(0, |usage| usage.open + usage.waiting.len())
    }

    fn remove_if_unused(&mut self, address: IpAddr) {
        if self.addresses.get(&address).is_some_and(AddressUsage::is_unused) {
            self.addresses.remove(&address);
        }
    }

    /// Notes how many streams of an address the store counts.
    fn note_reported(&mut self, reservation: StreamReservation, granted: usize) {
        self.entry(reservation.address).reported = reservation.open + granted;
        self.remove_if_unused(reservation.address);
    }

    fn has_no_news(&self) -> bool {
        self.waiting.is_empty() && self.unreported.is_empty() && !self.is_alone
    }

    fn report_all(&mut self) {
        self.unreported.extend(self.addresses.keys());
    }

    /// Notes that the store is unavailable. Returns the requests that waited for it.
    fn decide_alone(&mut self) -> Vec<StreamReservation> {
        self.is_alone = true;
        let all = self.addresses.iter().map(|(address, usage)| usage.reservation(*address));
        all.filter(|reservation| reservation.wanted > 0).collect()
    }

    /// Notes that the store responds. After an outage, everything is reported to it.
    fn share_again(&mut self) {
        if std::mem::take(&mut self.is_alone) {
            self.report_all();
        }
    }

    /// Takes what has to be reported, up to [`ADDRESSES_PER_CALL`].
    fn take_reservations(&mut self) -> Vec<StreamReservation> {
        let addresses: Vec<IpAddr> = self.waiting.union(&self.unreported).take(ADDRESSES_PER_CALL).copied().collect();
        let reservation = |address: IpAddr| {
            self.waiting.remove(&address);
            self.unreported.remove(&address);
            let usage = self.addresses.get_mut(&address)?;
            usage.reported = usage.reported.max(usage.open + usage.waiting.len());
            Some(usage.reservation(address))
        };
        addresses.into_iter().filter_map(reservation).collect()
    }
}

impl AddressUsage {
    fn is_unused(&self) -> bool {
        self.open == 0 && self.waiting.is_empty() && self.reported == 0
    }

    fn reservation(&self, address: IpAddr) -> StreamReservation {
        StreamReservation { address, open: self.open, wanted: self.waiting.len() }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut usage = self.limiter.usage.lock();
        usage.total -= 1;
        let of_address = usage.entry(self.address);
        of_address.open -= 1;
        // In an outage as well, so that it is reported after it.
        if of_address.reported > 0 {
            usage.unreported.insert(self.address);
            self.limiter.changed.notify_one();
        }
        usage.remove_if_unused(self.address);
    }
}

#[cfg(test)]
mod tests;
