//! Writes the frames of one source, in one form, to its live subscribers on one worker.

pub mod group;

use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::batch::{Batch, DeliveryStats};
use super::context::StreamContext;
use super::drain::{DRAIN_STEP, Drain};
use super::ready_queue::Signal;
use super::source::Source;
use super::subscriber::Subscriber;
use super::subscriber::end_reason::EndReason;
use group::Group;

/// The live subscribers of one source on one worker whose streams have one form. New frames are written to all of them in
/// turn, with one call each. A subscriber whose socket is full is passed to `on_lagging` and catches up on its own, so the
/// others never wait.
///
/// Between its turns it is no task, only what it has to remember.
pub struct Fanout {
    source: Source,
    signal: Arc<Signal>,
    /// Usually one group. A subscriber that joins is a group of its own until it has received what the others have.
    groups: Vec<Group>,
    /// Whether there was input since the last tick.
    has_input: bool,
    /// When the next tick is.
    tick_at: Instant,
    stats: Rc<DeliveryStats>,
    last_drain_step: Option<Instant>,
}

/// What a fan-out has to do in its turn, beside writing what is new.
pub struct Turn {
    /// The subscribers that join. They are live.
    pub joining: Vec<Subscriber>,
    /// Whether there was input from one of its subscribers.
    pub has_input: bool,
    /// The time, if something may be due.
    pub now: Option<Instant>,
}

/// What the fan-outs of a worker share.
pub struct Surroundings<F> {
    /// The timing of streams.
    pub context: Arc<StreamContext>,
    /// Whether the streams have to end.
    pub drain: Arc<Drain>,
    /// Takes the subscribers whose sockets are full.
    pub on_lagging: F,
}

impl Fanout {
    /// Creates a fan-out without subscribers, whose deliveries `stats` counts. The source signals its changes from now on,
    /// until it is dropped.
    pub fn new(source: Source, signal: Arc<Signal>, stats: Rc<DeliveryStats>, tick_at: Instant) -> Self {
        source.changes().add_fanout(signal.clone());
        Self {
            source,
            signal,
            groups: Vec::new(),
            has_input: false,
            tick_at,
            stats,
            last_drain_step: None,
        }
    }

    /// Returns the number of its subscribers.
    pub fn len(&self) -> usize {
        self.groups.iter().map(Group::len).sum()
    }

    /// Returns when something may be due.
    pub fn tick_at(&self) -> Instant {
        self.tick_at
    }

    /// Returns what signals that this fan-out has something to do.
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Does what there is to do, and writes at most one batch: a busy room always has more. Returns the fan-out, unless all
    /// its subscribers have left.
    pub async fn serve<F: Fn(Subscriber)>(
        mut self: Box<Self>,
        turn: Turn,
        around: &Surroundings<F>,
    ) -> Option<Box<Self>> {
        self.admit(turn.joining, &around.context);
        if self.deliver(around).await {
            self.signal.on_change();
        }
        if turn.has_input {
            // At the next tick, not at once: many clients may leave together.
            self.has_input = true;
            self.tick_before(Some(Instant::now()), &around.context);
        }
        if let Some(now) = turn.now {
            if self.tick_at <= now {
                self.tick(now, around).await;
            }
            self.drain_step(now, around).await;
        }
        self.groups.retain(|group| !group.is_empty());
        (!self.groups.is_empty()).then_some(self)
    }

    /// Admits subscribers, and merges groups that have become equal.
    fn admit(&mut self, joining: Vec<Subscriber>, context: &StreamContext) {
        self.groups.retain(|group| !group.is_empty());
        let mut later = self.groups.split_off(self.groups.len().min(1));
        let input_waker = self.input_waker();
        for subscriber in joining {
            match subscriber.writer.check_input(&input_waker) {
                Ok(()) => later.push(Group::of(subscriber)),
                Err(reason) => subscriber.end(reason),
            }
        }
        for group in later {
            self.tick_before(group.due_at(), context);
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
    }

    fn input_waker(&self) -> Waker {
        self.signal.clone().into()
    }

    /// Writes one batch, from the position of the group that is furthest behind. Returns true if there may be more: what
    /// comes after the end of the frames is signalled.
    async fn deliver<F: Fn(Subscriber)>(&mut self, around: &Surroundings<F>) -> bool {
        let Some(from) = self.groups.iter().map(Group::position).min() else {
            return false;
        };
        let form = self.signal.key.form;
        let batch = self.source.with_buffer(|buffer| Batch::next(buffer, from, from, form, self.source.order()));
        let Some(batch) = batch else {
            // The position was evicted. Each subscriber there looks its cursor up again.
            for group in self.groups.iter_mut().filter(|group| group.position() == from) {
                group.for_each(&around.on_lagging, |_, _| Ok(false)).await;
            }
            return true;
        };
        let status_is_known = self.groups.iter().all(|group| batch.live == Some(group.last_status()));
        if batch.end > from || !status_is_known {
            for group in &mut self.groups {
                group.deliver(&batch, form, &around.context, &self.stats, &around.on_lagging).await;
            }
            self.stats.flush();
        }
        if batch.live.is_some() && batch.is_ephemeral() && self.has_all_subscribers() {
            self.source.forget_ephemeral(batch.end);
        }
        batch.live.is_none()
    }

    /// Returns true if no subscriber of the source is elsewhere: on another worker, in another form, or catching up.
    fn has_all_subscribers(&self) -> bool {
        let own_guard = 1;
        self.source.subscribers() == self.len() + own_guard
    }

    /// Looks after the subscribers that have something to do, and after all of them if there was input. Between ticks idle
    /// subscribers cost nothing.
    async fn tick<F: Fn(Subscriber)>(&mut self, now: Instant, around: &Surroundings<F>) {
        let (has_input, input_waker) = (std::mem::take(&mut self.has_input), self.input_waker());
        self.tick_at = around.context.tick_from(now + around.context.pace.heartbeat);
        for index in 0..self.groups.len() {
            let group = &mut self.groups[index];
            if has_input {
                group.check_input(&input_waker, &around.on_lagging).await;
            }
            group.tick(now, &around.on_lagging).await;
            let due_at = group.due_at();
            self.tick_before(due_at, &around.context);
        }
    }

    /// Moves the next tick forward if something is due before it.
    fn tick_before(&mut self, due_at: Option<Instant>, context: &StreamContext) {
        if let Some(due_at) = due_at.filter(|due_at| *due_at < self.tick_at) {
            self.tick_at = context.tick_from(due_at);
        }
    }

    /// Ends the subscribers that are drawn to leave, once the drain has started.
    async fn drain_step<F: Fn(Subscriber)>(&mut self, now: Instant, around: &Surroundings<F>) {
        if !around.drain.has_started() {
            return;
        }
        let odds = around.drain.odds(self.last_drain_step.replace(now).unwrap_or(now - DRAIN_STEP));
        for group in &mut self.groups {
            let leave = |_: &mut Subscriber, _| {
                if rand::random::<f64>() < odds { Err(EndReason::Draining) } else { Ok(true) }
            };
            group.for_each(&around.on_lagging, leave).await;
        }
    }
}

impl Drop for Fanout {
    fn drop(&mut self) {
        self.source.changes().remove_fanout(&self.signal);
    }
}
