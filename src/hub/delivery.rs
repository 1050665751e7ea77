use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use super::arrival::{Arrival, Start, arrive};
use super::batch::{Batch, Tally};
use super::drain;
use super::reader::{End, Reader};
use super::tape::Position;
use super::{Hub, feed::Feed};
use crate::chat::Rooms;

/// After so many readers the worker looks whether there is other work, such as a POST.
const FAIR_SHARE: usize = 256;

/// One worker's part of the hub: the readers whose sockets are on its reactor. It never leaves its
/// thread.
pub struct Worker {
    hub: Arc<Hub>,
    deliveries: RefCell<HashMap<Rooms, Rc<Waiting>>>,
}

/// Readers that have caught up, on their way into the delivery of their feed.
#[derive(Default)]
struct Waiting {
    readers: RefCell<Vec<Reader>>,
    arrived: Notify,
}

impl Worker {
    /// A worker without readers.
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        Rc::new(Self { hub, deliveries: RefCell::default() })
    }

    /// The node's hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Takes a reader over, until its stream ends.
    pub fn take(self: &Rc<Self>, arrival: Arrival) {
        let feed = self.hub.enter(&arrival.rooms);
        let here = arrival.guest.enter(feed.rooms());
        let reader = Reader::new(self.hub.clone(), feed, here, arrival.socket, arrival.head, arrival.seat);
        self.bring_up(reader, Some(arrival.start));
    }

    /// Leaves a reader alone until it has caught up; then it waits with the others of its feed.
    fn bring_up(self: &Rc<Self>, mut reader: Reader, start: Option<Start>) {
        let worker = self.clone();
        spawn_local(async move {
            let (hub, farewell) = (worker.hub.clone(), reader.farewell);
            let caught_up = tokio::select! {
                caught_up = until_caught_up(&mut reader, start) => caught_up,
                () = hub.drain.turn_of_one() => Err(End::Draining),
                () = until(farewell) => Err(End::Aged),
            };
            match caught_up {
                Ok(()) => worker.seat(reader),
                Err(end) => reader.end(end),
            }
        });
    }

    fn seat(self: &Rc<Self>, reader: Reader) {
        let feed = reader.feed().clone();
        let mut deliveries = self.deliveries.borrow_mut();
        let waiting = deliveries.entry(feed.names().clone()).or_insert_with(|| {
            let waiting = Rc::new(Waiting::default());
            spawn_local(Delivery::new(self.clone(), feed, waiting.clone()).run());
            waiting
        });
        waiting.readers.borrow_mut().push(reader);
        waiting.arrived.notify_one();
    }
}

async fn until_caught_up(reader: &mut Reader, start: Option<Start>) -> Result<(), End> {
    if let Some(start) = start {
        arrive(reader, &start).await?;
    }
    reader.catch_up().await
}

async fn until(farewell: Option<Instant>) {
    match farewell {
        Some(farewell) => sleep_until(farewell.into()).await,
        None => pending().await,
    }
}

/// The readers of one feed on one worker that have caught up: whatever comes is written to all of
/// them in turn, with one call each. One whose socket is full goes on by itself; nobody waits for it.
struct Delivery {
    worker: Rc<Worker>,
    feed: Feed,
    waiting: Rc<Waiting>,
    readers: Vec<Reader>,
    tally: Tally,
}

impl Delivery {
    fn new(worker: Rc<Worker>, feed: Feed, waiting: Rc<Waiting>) -> Self {
        let tally = Tally::new(&worker.hub.metrics);
        Self { worker, feed, waiting, readers: Vec::new(), tally }
    }

    async fn run(mut self) {
        let mut changes = self.feed.changes();
        let mut drain = self.worker.hub.drain.changes();
        let mut rounds = every(self.worker.hub.pace.round());
        let mut draws = every(drain::STEP);
        while self.welcome() {
            let more = self.deliver().await;
            if self.readers.is_empty() {
                continue;
            }
            let draining = drain.borrow_and_update().is_some();
            tokio::select! {
                _ = changes.changed() => {}
                () = self.waiting.arrived.notified() => {}
                _ = drain.changed() => {}
                _ = rounds.tick() => each(&self.worker, &mut self.readers, |reader| reader.look_after(Instant::now())).await,
                _ = draws.tick(), if draining => self.draw().await,
                () = yield_now(), if more => {}
            }
        }
    }

    /// Lets those in who wait. `false` when nobody is left: the next reader makes a new delivery.
    fn welcome(&mut self) -> bool {
        self.readers.append(&mut self.waiting.readers.borrow_mut());
        if self.readers.is_empty() {
            self.worker.deliveries.borrow_mut().remove(self.feed.names());
        }
        !self.readers.is_empty()
    }

    /// Writes one batch, from where the last of the readers is; says whether there may be more. A busy
    /// room always has more, so that heartbeats, newcomers and a drain get their turn in between.
    async fn deliver(&mut self) -> bool {
        let from = self.readers.iter().map(|reader| reader.at).min().unwrap_or(Position::MAX);
        let batch = self.feed.tape(|tape| Batch::next(tape, from, from));
        let Some(batch) = batch else {
            // This place is not held any more: who is there finds out by itself.
            each(&self.worker, &mut self.readers, |reader| Ok(reader.at > from)).await;
            return true;
        };
        let told = self.readers.iter().all(|reader| batch.live == Some(reader.told));
        if batch.bytes.is_empty() && told {
            return false;
        }
        each(&self.worker, &mut self.readers, |reader| reader.deliver(&batch, Instant::now(), &mut self.tally)).await;
        self.tally.flush();
        true
    }

    /// One step of sending everybody away.
    async fn draw(&mut self) {
        let drain = &self.worker.hub.drain;
        each(&self.worker, &mut self.readers, |_| if drain.draw() { Err(End::Draining) } else { Ok(true) }).await;
    }
}

/// Does something with every reader. Those who cannot go on at the pace of the others go on by
/// themselves, and those who end are ended.
async fn each(worker: &Rc<Worker>, readers: &mut Vec<Reader>, mut work: impl FnMut(&mut Reader) -> Result<bool, End>) {
    for at in (0..readers.len()).rev() {
        match work(&mut readers[at]) {
            Ok(true) => {}
            Ok(false) => worker.bring_up(readers.swap_remove(at), None),
            Err(end) => readers.swap_remove(at).end(end),
        }
        if at % FAIR_SHARE == FAIR_SHARE - 1 {
            yield_now().await;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
