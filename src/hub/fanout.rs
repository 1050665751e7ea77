//! The loop that writes the frames of one source to its live subscribers on one worker.

pub mod group;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::batch::{Batch, DeliveryStats};
use super::context::StreamContext;
use super::drain::{DRAIN_STEP, Drain};
use super::room::buffer::Position;
use super::source::Source;
use super::subscriber::Subscriber;
use super::subscriber::end_reason::EndReason;
use group::Group;

/// Live subscribers that are about to join a fan-out.
#[derive(Default)]
pub struct JoinQueue {
    subscribers: RefCell<Vec<Subscriber>>,
    added: Notify,
}

impl JoinQueue {
    /// Adds a subscriber that is live.
    pub fn push(&self, subscriber: Subscriber) {
        self.subscribers.borrow_mut().push(subscriber);
        self.added.notify_one();
    }
}

/// The live subscribers of one source on one worker. New frames are written to all of them in turn, with one call each.
/// A subscriber whose socket is full is passed to `on_lagging` and catches up on its own, so the others never wait.
pub struct Fanout<F> {
    context: Arc<StreamContext>,
    drain: Arc<Drain>,
    source: Source,
    queue: Rc<JoinQueue>,
    /// Usually one group. A subscriber that joins is a group of its own until it has received what the others have.
    groups: Vec<Group>,
    stats: DeliveryStats,
    last_drain_step: Option<Instant>,
    on_lagging: F,
}

impl<F: Fn(Subscriber)> Fanout<F> {
    /// Creates a fan-out to the subscribers that arrive in the queue.
    pub fn new(
        context: Arc<StreamContext>,
        drain: Arc<Drain>,
        source: Source,
        queue: Rc<JoinQueue>,
        on_lagging: F,
    ) -> Self {
        let stats = DeliveryStats::new(&context.metrics);
        Self {
            context,
            drain,
            source,
            queue,
            groups: Vec::new(),
            stats,
            last_drain_step: None,
            on_lagging,
        }
    }

    /// Runs until there are no subscribers. When this returns, the queue is empty.
    pub async fn run(mut self) {
        let mut changes = self.source.changes();
        let mut drain = self.drain.changes();
        let mut ticks = every(self.context.pace.tick_interval());
        let mut drain_steps = every(DRAIN_STEP);
        while self.admit() {
            let more = self.deliver().await;
            if self.groups.iter().all(Group::is_empty) {
                continue;
            }
            let is_draining = drain.borrow_and_update().is_some();
            tokio::select! {
                _ = changes.changed() => {}
                () = self.queue.added.notified() => {}
                _ = drain.changed() => {}
                _ = ticks.tick() => self.tick().await,
                _ = drain_steps.tick(), if is_draining => self.drain_step().await,
                () = yield_now(), if more => {}
            }
        }
    }

    /// Admits the queued subscribers, and merges groups that have become equal. Returns false if there are no
    /// subscribers.
    fn admit(&mut self) -> bool {
        self.groups.retain(|group| !group.is_empty());
        let later = self.groups.split_off(self.groups.len().min(1));
        let queued = self.queue.subscribers.take().into_iter().map(Group::of);
        for group in later.into_iter().chain(queued) {
            match self.groups.iter_mut().find(|other| other.matches(&group)) {
                Some(other) => other.merge(group),
                None => self.groups.push(group),
            }
        }
        !self.groups.is_empty()
    }

    /// Writes one batch, from the position of the group that is furthest behind. Returns true if there may be more: a
    /// busy room always has more, so heartbeats, queued subscribers and a drain get their turn in between.
    async fn deliver(&mut self) -> bool {
        let from = self.groups.iter().map(Group::position).min().unwrap_or(Position::MAX);
        let batch = self.source.with_buffer(|buffer| Batch::next(buffer, from, from, self.source.order()));
        let Some(batch) = batch else {
            // The position was evicted. Each subscriber there looks its cursor up again.
            for group in self.groups.iter_mut().filter(|group| group.position() == from) {
                group.for_each(&self.on_lagging, |_, _| Ok(false)).await;
            }
            return true;
        };
        let status_is_known = self.groups.iter().all(|group| batch.live == Some(group.last_status()));
        if batch.bytes.is_empty() && status_is_known {
            return false;
        }
        for group in &mut self.groups {
            group.deliver(&batch, &self.context, &mut self.stats, &self.on_lagging).await;
        }
        self.stats.flush();
        true
    }

    async fn tick(&mut self) {
        for group in &mut self.groups {
            group.tick(&self.on_lagging).await;
        }
    }

    /// Ends the subscribers that are drawn to leave in this step.
    async fn drain_step(&mut self) {
        let now = Instant::now();
        let odds = self.drain.odds(self.last_drain_step.replace(now).unwrap_or(now - DRAIN_STEP));
        for group in &mut self.groups {
            let leave = |_: &mut Subscriber, _| {
                if rand::random::<f64>() < odds { Err(EndReason::Draining) } else { Ok(true) }
            };
            group.for_each(&self.on_lagging, leave).await;
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
