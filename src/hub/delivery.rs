use std::cell::RefCell;
use std::collections::HashMap;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use super::Hub;
use super::arrival::{Start, SubscribeRequest, arrive};
use super::batch::{Batch, Tally};
use super::cohort::Cohort;
use super::drain;
use super::feed::Feed;
use super::homes::Newcomer;
use super::reader::{End, Reader};
use super::tape::Position;
use crate::chat::Rooms;

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
    /// A worker without readers; those whose home it is come to it from all workers.
    pub fn new(hub: Arc<Hub>) -> Rc<Self> {
        let mut newcomers = hub.homes.open();
        hub.bus.prepare_thread();
        let worker = Rc::new(Self { hub, deliveries: RefCell::default() });
        let home = worker.clone();
        spawn_local(async move {
            while let Some(newcomer) = newcomers.recv().await {
                home.receive(newcomer);
            }
        });
        worker
    }

    /// The node's hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Takes a reader over, until its stream ends: it is sent home, or stays here.
    pub fn subscribe(self: &Rc<Self>, arrival: SubscribeRequest) {
        let feed = self.hub.enter(&arrival.rooms);
        let to_stay = self.hub.homes.send(Newcomer { arrival, feed });
        to_stay.into_iter().for_each(|newcomer| self.receive(newcomer));
    }

    fn receive(self: &Rc<Self>, Newcomer { arrival, feed }: Newcomer) {
        let Ok(socket) = TcpStream::from_std(arrival.socket) else {
            return;
        };
        let here = arrival.presence.enter(feed.rooms());
        let reader = Reader::new(self.hub.clone(), feed, here, socket, arrival.head, arrival.permit);
        self.bring_up(reader, Some(arrival.start));
    }

    /// Leaves a reader alone until it has caught up; then it waits with the others of its feed.
    pub fn bring_up(self: &Rc<Self>, mut reader: Reader, start: Option<Start>) {
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
    /// As a rule one; a newcomer is one for itself until it is where the others are.
    cohorts: Vec<Cohort>,
    tally: Tally,
}

impl Delivery {
    fn new(worker: Rc<Worker>, feed: Feed, waiting: Rc<Waiting>) -> Self {
        let tally = Tally::new(&worker.hub.metrics);
        Self { worker, feed, waiting, cohorts: Vec::new(), tally }
    }

    async fn run(mut self) {
        let mut changes = self.feed.changes();
        let mut drain = self.worker.hub.drain.changes();
        let mut rounds = every(self.worker.hub.pace.round());
        let mut draws = every(drain::STEP);
        while self.welcome() {
            let more = self.deliver().await;
            if self.cohorts.iter().all(Cohort::is_empty) {
                continue;
            }
            let draining = drain.borrow_and_update().is_some();
            tokio::select! {
                _ = changes.changed() => {}
                () = self.waiting.arrived.notified() => {}
                _ = drain.changed() => {}
                _ = rounds.tick() => self.look_after().await,
                _ = draws.tick(), if draining => self.draw().await,
                () = yield_now(), if more => {}
            }
        }
    }

    /// Lets those in who wait, and brings those together who are at the same place. `false` when nobody
    /// is left: the next reader makes a new delivery.
    fn welcome(&mut self) -> bool {
        self.cohorts.retain(|cohort| !cohort.is_empty());
        let apart = self.cohorts.split_off(self.cohorts.len().min(1));
        let newcomers = self.waiting.readers.take().into_iter().map(Cohort::of);
        apart.into_iter().chain(newcomers).for_each(|cohort| self.bring_together(cohort));
        if self.cohorts.is_empty() {
            self.worker.deliveries.borrow_mut().remove(self.feed.names());
        }
        !self.cohorts.is_empty()
    }

    fn bring_together(&mut self, cohort: Cohort) {
        match self.cohorts.iter_mut().find(|other| other.is_in_step_with(&cohort)) {
            Some(other) => other.join(cohort),
            None => self.cohorts.push(cohort),
        }
    }

    /// Writes one batch, from where the last of the readers is; says whether there may be more. A busy
    /// room always has more, so that heartbeats, newcomers and a drain get their turn in between.
    async fn deliver(&mut self) -> bool {
        let from = self.cohorts.iter().map(Cohort::at).min().unwrap_or(Position::MAX);
        let batch = self.feed.tape(|tape| Batch::next(tape, from, from));
        let Some(batch) = batch else {
            // This place is not held any more: who is there finds out by itself.
            for cohort in self.cohorts.iter_mut().filter(|cohort| cohort.at() == from) {
                cohort.each(&self.worker, |_, _| Ok(false)).await;
            }
            return true;
        };
        let told = self.cohorts.iter().all(|cohort| batch.live == Some(cohort.told()));
        if batch.bytes.is_empty() && told {
            return false;
        }
        for cohort in &mut self.cohorts {
            cohort.deliver(&batch, &self.worker, &mut self.tally).await;
        }
        self.tally.flush();
        true
    }

    async fn look_after(&mut self) {
        for cohort in &mut self.cohorts {
            cohort.look_after(&self.worker).await;
        }
    }

    /// One step of sending everybody away.
    async fn draw(&mut self) {
        let drain = &self.worker.hub.drain;
        for cohort in &mut self.cohorts {
            cohort.each(&self.worker, |_, _| if drain.draw() { Err(End::Draining) } else { Ok(true) }).await;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
