use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::PATIENCE;
use crate::bus::{Bus, PROCESS_TTL, StreamReservation, Unavailable};

/// How often the bus is told again of every address, lest it has forgotten.
const REPEAT: Duration = Duration::from_secs(30);

/// How often the bus hears that this process lives, and how often one that is away is asked again.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Addresses in one call to the bus.
const BATCH: usize = 256;

/// The open streams, of the node and by address.
///
/// Whether one more may be opened is decided here and then by the bus, which knows the other nodes'.
/// Those who ask while a call is under way wait for the next, all in one: a storm costs few calls.
pub struct Streams {
    bus: Arc<dyn Bus>,
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
    changed: Notify,
}

/// Addresses are forgotten with their last stream.
#[derive(Default)]
struct Counts {
    total: usize,
    addresses: HashMap<IpAddr, Address>,
    /// Whose askers wait for the bus.
    asking: HashSet<IpAddr>,
    /// Of which the bus has to be told, too.
    changed: HashSet<IpAddr>,
    /// Whether the bus is away: the node then decides alone.
    alone: bool,
}

/// The streams of one address.
#[derive(Default)]
struct Address {
    open: usize,
    /// Who asks for one more.
    asking: Vec<oneshot::Sender<Option<Seat>>>,
}

/// The place of one open stream.
pub struct Seat {
    streams: Arc<Streams>,
    address: IpAddr,
}

impl Streams {
    /// At most so many of the node and of an address; 0 turns a limit off.
    pub fn new(bus: Arc<dyn Bus>, most: u32, most_per_address: u32) -> Arc<Self> {
        let unlimited = |most: u32| if most == 0 { usize::MAX } else { most as usize };
        Arc::new(Self {
            bus,
            most: unlimited(most),
            most_per_address: unlimited(most_per_address),
            counts: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// A place for one more stream of an address, or none.
    pub async fn seat(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let answer = {
            let mut counts = self.counts();
            if counts.total >= self.most || counts.of_address(address) >= self.most_per_address {
                return None;
            }
            counts.total += 1;
            if !self.is_shared(&counts) {
                return Some(self.open(&mut counts, address));
            }
            let (asking, answer) = oneshot::channel();
            counts.of(address).asking.push(asking);
            counts.asking.insert(address);
            answer
        };
        self.changed.notify_one();
        answer.await.ok().flatten()
    }

    /// Whether the bus has a say.
    fn is_shared(&self, counts: &Counts) -> bool {
        self.most_per_address != usize::MAX && !counts.alone
    }

    fn open(self: &Arc<Self>, counts: &mut Counts, address: IpAddr) -> Seat {
        counts.of(address).open += 1;
        Seat { streams: self.clone(), address }
    }

    /// Tells the bus what has changed, and everything now and then, for as long as there are streams to
    /// count.
    pub async fn share(streams: Weak<Self>, process: Arc<str>) {
        let (mut name, mut outages) = (process.clone(), 0);
        let (mut repeat, mut forgotten) = (Instant::now() + REPEAT, Instant::now() + PROCESS_TTL / 2);
        while let Some(streams) = streams.upgrade().filter(|streams| streams.most_per_address != usize::MAX) {
            if streams.counts().has_no_news() {
                let _ = timeout(SIGN_OF_LIFE, streams.changed.notified()).await;
            }
            if repeat.min(forgotten) <= Instant::now() {
                streams.counts().mention_all();
                repeat = Instant::now() + REPEAT;
            }
            match streams.tell(&name).await {
                Ok(()) => forgotten = Instant::now() + PROCESS_TTL / 2,
                Err(Unavailable) => {
                    // Of what ended meanwhile the bus is never told: what it knows has to die, and it does by this.
                    outages += 1;
                    name = format!("{process}.{outages}").into();
                    sleep(SIGN_OF_LIFE).await;
                }
            }
        }
    }

    /// One call to the bus, and what follows from it.
    async fn tell(self: &Arc<Self>, process: &str) -> Result<(), Unavailable> {
        let (claims, none) = {
            let mut counts = self.counts();
            (counts.claims(), counts.addresses.is_empty())
        };
        if claims.is_empty() && none {
            self.counts().go_on_together();
            return Ok(());
        }
        match timeout(PATIENCE, self.bus.claim(process, &claims, self.most_per_address)).await {
            Ok(Ok(granted)) => {
                claims.iter().zip(granted).for_each(|(claim, granted)| self.answer(*claim, granted));
                self.counts().go_on_together();
                Ok(())
            }
            _ => {
                let asking = self.counts().go_on_alone();
                asking.into_iter().for_each(|claim| self.answer(claim, claim.wanted));
                Err(Unavailable)
            }
        }
    }

    /// Gives those who asked a place, the first of them first, or none.
    fn answer(self: &Arc<Self>, claim: StreamReservation, granted: usize) {
        let answers: Vec<_> = {
            let mut counts = self.counts();
            let asking: Vec<_> = counts.of(claim.address).asking.drain(..claim.wanted).collect();
            let refused = asking.len() - granted.min(asking.len());
            counts.total -= refused;
            let seats = (0..asking.len()).map(|place| (place < granted).then(|| self.open(&mut counts, claim.address)));
            let seats: Vec<_> = seats.collect();
            counts.forget_if_empty(claim.address);
            asking.into_iter().zip(seats).collect()
        };
        // Who has gone meanwhile gives the place back here.
        answers.into_iter().for_each(|(asking, seat)| drop(asking.send(seat)));
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn of(&mut self, address: IpAddr) -> &mut Address {
        self.addresses.entry(address).or_default()
    }

    fn of_address(&self, address: IpAddr) -> usize {
        self.addresses.get(&address).map_or(0, |of| of.open + of.asking.len())
    }

    fn forget_if_empty(&mut self, address: IpAddr) {
        if self.addresses.get(&address).is_some_and(|of| of.open == 0 && of.asking.is_empty()) {
            self.addresses.remove(&address);
        }
    }

    fn has_no_news(&self) -> bool {
        self.asking.is_empty() && self.changed.is_empty() && !self.alone
    }

    fn mention_all(&mut self) {
        self.changed.extend(self.addresses.keys());
    }

    /// The bus is away: nobody waits for it any more. Gives who did.
    fn go_on_alone(&mut self) -> Vec<StreamReservation> {
        self.alone = true;
        let all = self.addresses.iter().map(|(address, of)| of.claim(*address));
        all.filter(|claim| claim.wanted > 0).collect()
    }

    /// The bus answers. If it was away, it is told of everything.
    fn go_on_together(&mut self) {
        if std::mem::take(&mut self.alone) {
            self.mention_all();
        }
    }

    /// What the bus has to be told, or the first part of it.
    fn claims(&mut self) -> Vec<StreamReservation> {
        let some: Vec<IpAddr> = self.asking.union(&self.changed).take(BATCH).copied().collect();
        let claim = |address: IpAddr| {
            self.asking.remove(&address);
            self.changed.remove(&address);
            self.addresses
                .get(&address)
                .map_or(StreamReservation { address, open: 0, wanted: 0 }, |of| of.claim(address))
        };
        some.into_iter().map(claim).collect()
    }
}

impl Address {
    fn claim(&self, address: IpAddr) -> StreamReservation {
        StreamReservation { address, open: self.open, wanted: self.asking.len() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.streams.counts();
        counts.total -= 1;
        counts.of(self.address).open -= 1;
        counts.forget_if_empty(self.address);
        if self.streams.is_shared(&counts) {
            counts.changed.insert(self.address);
            self.streams.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
