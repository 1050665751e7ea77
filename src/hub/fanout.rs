//! The loop that writes the frames of one source, in one form, to its live subscribers on one worker.

pub mod group;

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep_until};

use super::batch::{Batch, DeliveryStats};
use super::context::StreamContext;
use super::drain::{DRAIN_STEP, Drain};
use super::room::buffer::Position;
use super::source::Source;
use super::subscriber::Subscriber;
use super::subscriber::end_reason::EndReason;
use crate::sse::Form;
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

/// Wakes a fan-out when there is input from one of its subscribers. They have nothing to send, so it is the end of a
/// connection nearly always.
#[derive(Default)]
struct InputSignal(Notify);

impl Wake for InputSignal {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

/// The live subscribers of one source on one worker whose streams have one form. New frames are written to all of them in turn, with one call each.
/// A subscriber whose socket is full is passed to `on_lagging` and catches up on its own, so the others never wait.
pub struct Fanout<F> {
    context: Arc<StreamContext>,
    drain: Arc<Drain>,
    source: Source,
    form: Form,
    queue: Rc<JoinQueue>,
    /// Usually one group. A subscriber that joins is a group of its own until it has received what the others have.
    groups: Vec<Group>,
    input: Arc<InputSignal>,
    /// The waker of `input`.
    input_waker: Waker,
    /// Whether there was input since the last tick.
    has_input: bool,
    /// When the next tick is.
    tick_at: Instant,
    stats: Rc<DeliveryStats>,
    last_drain_step: Option<Instant>,
    on_lagging: F,
}

impl<F: Fn(Subscriber)> Fanout<F> {
    /// Creates a fan-out to the subscribers that arrive in the queue, whose deliveries `stats` counts.
    pub fn new(
        context: Arc<StreamContext>,
        drain: Arc<Drain>,
        source: Source,
        form: Form,
        stats: Rc<DeliveryStats>,
        queue: Rc<JoinQueue>,
        on_lagging: F,
    ) -> Self {
        let (input, tick_at) = (Arc::<InputSignal>::default(), Instant::now() + context.pace.heartbeat);
        Self {
            context,
            drain,
            source,
            form,
            queue,
            groups: Vec::new(),
            input_waker: input.clone().into(),
            input,
            has_input: false,
            tick_at,
            stats,
            last_drain_step: None,
            on_lagging,
        }
    }

    /// Runs until there are no subscribers. When this returns, the queue is empty.
    pub fn run(mut self) -> impl Future<Output = ()> {
        let (mut changes, mut drain) = (self.source.changes(), self.drain.changes());
        // An `async fn` would keep the fan-out twice.
        async move {
            let mut tick = pin!(sleep_until(self.tick_at.into()));
            let mut drain_steps = None;
            while self.admit() {
                let more = self.deliver().await;
                if self.groups.iter().all(Group::is_empty) {
                    continue;
                }
                if tick.deadline() != self.tick_at.into() {
                    tick.as_mut().reset(self.tick_at.into());
                }
                if drain.borrow_and_update().is_some() {
                    drain_steps.get_or_insert_with(draw_steps);
                }
                tokio::select! {
                    () = changes.changed() => {}
                    () = self.queue.added.notified() => {}
                    _ = drain.changed() => {}
                    () = self.input.0.notified() => self.on_input(),
                    () = &mut tick => self.tick().await,
                    () = tick_of(&mut drain_steps) => self.drain_step().await,
                    () = yield_now(), if more => {}
                }
            }
        }
    }

    /// Admits the queued subscribers, and merges groups that have become equal. Returns false if there are no
    /// subscribers.
    fn admit(&mut self) -> bool {
        self.groups.retain(|group| !group.is_empty());
        let mut later = self.groups.split_off(self.groups.len().min(1));
        for subscriber in self.queue.subscribers.take() {
            match subscriber.writer.check_input(&self.input_waker) {
                Ok(()) => later.push(Group::of(subscriber)),
                Err(reason) => subscriber.end(reason),
            }
        }
        for group in later {
            self.tick_before(group.due_at());
            match self.groups.iter_mut().find(|other| other.matches(&group)) {
                Some(other) => other.merge(group),
                None => {
                    if self.groups.is_empty() {
                        self.groups.reserve_exact(1); // usually there is no other
                    }
                    self.groups.push(group);
                }
            }
        }
        !self.groups.is_empty()
    }

    /// Writes one batch, from the position of the group that is furthest behind. Returns true if there may be more: a
    /// busy room always has more, so heartbeats, queued subscribers and a drain get their turn in between.
    async fn deliver(&mut self) -> bool {
        let from = self.groups.iter().map(Group::position).min().unwrap_or(Position::MAX);
        let batch = self.source.with_buffer(|buffer| Batch::next(buffer, from, from, self.form, self.source.order()));
        let Some(batch) = batch else {
            // The position was evicted. Each subscriber there looks its cursor up again.
            for group in self.groups.iter_mut().filter(|group| group.position() == from) {
                group.for_each(&self.on_lagging, |_, _| Ok(false)).await;
            }
            return true;
        };
        let status_is_known = self.groups.iter().all(|group| batch.live == Some(group.last_status()));
        if batch.end == from && status_is_known {
            return false;
        }
        for group in &mut self.groups {
            group.deliver(&batch, self.form, &self.context, &self.stats, &self.on_lagging).await;
        }
        self.stats.flush();
        true
    }

    /// Looks after the subscribers that have something to do, and after all of them if there was input. Between ticks idle
    /// subscribers cost nothing.
    async fn tick(&mut self) {
        let now = Instant::now();
        let has_input = std::mem::take(&mut self.has_input);
        self.tick_at = self.context.tick_from(now + self.context.pace.heartbeat);
        for index in 0..self.groups.len() {
            let group = &mut self.groups[index];
            if has_input {
                group.check_input(&self.input_waker, &self.on_lagging).await;
            }
            group.tick(now, &self.on_lagging).await;
            let due_at = group.due_at();
            self.tick_before(due_at);
        }
    }

    /// Moves the next tick forward if something is due before it.
    fn tick_before(&mut self, due_at: Option<Instant>) {
        if let Some(due_at) = due_at.filter(|due_at| *due_at < self.tick_at) {
            self.tick_at = self.context.tick_from(due_at);
        }
    }

    /// Has the next tick look at the input: not at once, since many clients may leave together.
    fn on_input(&mut self) {
        self.has_input = true;
        self.tick_before(Some(Instant::now()));
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

/// Returns when the fan-out draws which subscribers leave, once the drain has started.
fn draw_steps() -> Interval {
    let mut steps = interval(DRAIN_STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    steps
}

async fn tick_of(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => pending().await,
    }
}
