//! How many connections may be open, and which one ends to make way for a new one.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use prometheus::IntCounterVec;

/// How many connections are ended at once when the node has too many: to choose them costs time.
const MAX_REVOKED_AT_ONCE: usize = 16;

/// Counts the open connections of a node, streams included.
///
/// If there are too many, a new one takes the place of the oldest that waits for its client. If all are streams or are
/// being answered, the new one is refused.
pub(crate) struct ConnectionLimiter {
    max: usize,
    max_per_peer: usize,
    refused: IntCounterVec,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: usize,
    next_number: u64,
    peers: HashMap<IpAddr, Peer>,
}

#[derive(Default)]
struct Peer {
    open: usize,
    /// The connections that are no streams, oldest first.
    revocable: BTreeMap<u64, Arc<Lease>>,
}

/// Allows one open connection until it is dropped.
pub(crate) struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    peer: IpAddr,
    number: u64,
    /// `None` for a stream.
    lease: Option<Arc<Lease>>,
}

/// What the limiter and a connection know of each other.
#[derive(Default)]
struct Lease {
    state: AtomicU8,
    waker: AtomicWaker,
}

/// A lease of a connection that waits for its client: for a request, the rest of one, or room for an answer.
const WAITING: u8 = 0;
/// A lease of a connection with a request that is being answered.
const BUSY: u8 = 1;
/// A lease that has ended.
const REVOKED: u8 = 2;

impl Lease {
    fn change(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    fn is_revoked(&self) -> bool {
        self.state.load(Ordering::Acquire) == REVOKED
    }
}

impl ConnectionLimiter {
    /// Limits connections to `max` in all and to `max_per_peer` of one peer, if that is a limit. `refused` counts, by
    /// limit, the connections that were refused or had to make way.
    pub(crate) fn new(max: usize, max_per_peer: Option<usize>, refused: IntCounterVec) -> Arc<Self> {
        let max_per_peer = max_per_peer.unwrap_or(usize::MAX);
        Arc::new(Self { max, max_per_peer, refused, open: Mutex::default() })
    }

    /// Returns a permit for one more connection of a peer, or `None` if there are too many and none can end. A trusted
    /// peer has no limit of its own.
    pub(crate) fn permit(self: &Arc<Self>, peer: IpAddr, is_trusted: bool) -> Option<ConnectionPermit> {
        let mut open = self.open.lock();
        if !is_trusted && open.of(peer) >= self.max_per_peer {
            self.refused.with_label_values(&["address"]).inc();
            open.revoke_oldest(peer, 1)?;
        }
        if open.total >= self.max {
            self.refused.with_label_values(&["files"]).inc();
            let greatest = open.peers.iter().max_by_key(|(_, peer)| peer.revocable.len()).map(|(peer, _)| *peer);
            open.revoke_oldest(greatest?, MAX_REVOKED_AT_ONCE)?;
        }
        let (number, lease) = (open.next_number, Arc::<Lease>::default());
        (open.next_number, open.total) = (number + 1, open.total + 1);
        let of_peer = open.peers.entry(peer).or_default();
        of_peer.open += 1;
        of_peer.revocable.insert(number, lease.clone());
        Some(ConnectionPermit { limiter: self.clone(), peer, number, lease: Some(lease) })
    }
}

impl Open {
    fn of(&self, peer: IpAddr) -> usize {
        self.peers.get(&peer).map_or(0, |peer| peer.open)
    }

    /// Ends up to `count` connections of a peer that wait, oldest first, and counts them no longer. Returns `None` if
    /// there is none.
    fn revoke_oldest(&mut self, peer: IpAddr, count: usize) -> Option<()> {
        let of_peer = self.peers.get_mut(&peer)?;
        let waiting = of_peer.revocable.iter().filter(|(_, lease)| lease.change(WAITING, REVOKED)).take(count);
        let revoked: Vec<u64> = waiting.map(|(number, _)| *number).collect();
        let leases: Vec<_> = revoked.iter().filter_map(|number| of_peer.revocable.remove(number)).collect();
        for lease in &leases {
            lease.waker.wake();
            self.uncount(peer);
        }
        (!leases.is_empty()).then_some(())
    }

    fn uncount(&mut self, peer: IpAddr) {
        self.total -= 1;
        if let Some(of_peer) = self.peers.get_mut(&peer) {
            of_peer.open -= 1;
            if of_peer.open == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

impl ConnectionPermit {
    /// Notes that a request is being answered. Returns false if the permit was revoked.
    pub(crate) fn begin_answer(&self) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.change(WAITING, BUSY))
    }

    /// Notes that the answer was written, or that the client does not read it.
    pub(crate) fn end_answer(&self) {
        if let Some(lease) = &self.lease {
            lease.change(BUSY, WAITING);
        }
    }

    /// Returns true if the connection has to end, to make way for another.
    pub(crate) fn is_revoked(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.is_revoked())
    }

    /// Wakes a task when the permit is revoked.
    pub(crate) fn wake_when_revoked(&self, waker: &Waker) {
        if let Some(lease) = &self.lease {
            lease.waker.register(waker);
        }
    }

    /// Notes that the connection has become a stream, which never makes way.
    pub(crate) fn keep(&mut self) {
        if self.lease.take().is_some() {
            let mut open = self.limiter.open.lock();
            if let Some(of_peer) = open.peers.get_mut(&self.peer) {
                of_peer.revocable.remove(&self.number);
            }
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open = self.limiter.open.lock();
        if self.is_revoked() {
            return; // it is counted no longer
        }
        if let Some(of_peer) = open.peers.get_mut(&self.peer) {
            of_peer.revocable.remove(&self.number);
        }
        open.uncount(self.peer);
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Opts;

    use super::*;

    fn limiter(max: usize, max_per_peer: usize) -> Arc<ConnectionLimiter> {
        let refused = IntCounterVec::new(Opts::new("refused", "refused"), &["reason"]).unwrap();
        ConnectionLimiter::new(max, Some(max_per_peer), refused)
    }

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn a_new_connection_replaces_the_oldest_that_waits() {
        let limiter = limiter(100, 3);
        let open: Vec<_> = (0..3).map(|_| limiter.permit(address(1), false).unwrap()).collect();
        assert!(open[0].begin_answer());
        let newest = limiter.permit(address(1), false).unwrap();
        assert_eq!(open.iter().map(ConnectionPermit::is_revoked).collect::<Vec<_>>(), [false, true, false]);
        assert!(!open[1].begin_answer(), "too late");
        assert!(open[2].begin_answer() && newest.begin_answer());
        assert!(limiter.permit(address(1), false).is_none(), "all are being answered");
        assert!(limiter.permit(address(2), false).is_some(), "another peer is not concerned");
        open[2].end_answer();
        assert!(limiter.permit(address(1), false).is_some());
        assert!(open[2].is_revoked());
        drop((open, newest));
        assert_eq!(limiter.open.lock().total, 0);
        assert!(limiter.open.lock().peers.is_empty());
    }

    #[test]
    fn streams_count_and_never_make_way() {
        let limiter = limiter(100, 2);
        let mut streams: Vec<_> = (0..2).map(|_| limiter.permit(address(1), false).unwrap()).collect();
        streams.iter_mut().for_each(ConnectionPermit::keep);
        assert!(limiter.permit(address(1), false).is_none());
        streams.pop();
        assert!(limiter.permit(address(1), false).is_some());
    }

    #[test]
    fn a_trusted_peer_is_limited_only_by_the_node() {
        let limiter = limiter(20, 2);
        let proxy: Vec<_> = (0..19).map(|_| limiter.permit(address(9), true).unwrap()).collect();
        let other = limiter.permit(address(1), false).unwrap();
        assert!(!proxy.iter().any(ConnectionPermit::is_revoked));
        let newest = limiter.permit(address(2), false).unwrap();
        assert_eq!(proxy.iter().filter(|permit| permit.is_revoked()).count(), MAX_REVOKED_AT_ONCE);
        assert!(!other.is_revoked() && !newest.is_revoked(), "the peer with the most makes way");
    }
}
