//! Subscribers at the same position with the same status. What they have in common is kept once, so that writing to one
//! of them touches its socket and nothing else of it.

use std::task::Waker;
use std::time::Instant;

use tokio::task::yield_now;

use crate::chat::Cursor;
use crate::hub::batch::{Batch, DeliveryStats};
use crate::hub::context::StreamContext;
use crate::hub::room::buffer::Position;
use crate::hub::subscriber::Subscriber;
use crate::hub::subscriber::end_reason::EndReason;
use crate::sse::Form;

/// Subscribers that are served before a task yields, so that the worker handles requests as well.
pub const SUBSCRIBERS_PER_YIELD: usize = 48;

/// Subscribers that are written to between two readings of the clock: about 0.05 ms.
const SUBSCRIBERS_PER_CLOCK_READING: usize = 16;

/// Live subscribers of one source that receive the same bytes next.
pub struct Group {
    subscribers: Vec<Subscriber>,
    /// When each subscriber has something to do at the earliest: a heartbeat, or the end at its maximum age. Apart from
    /// the subscribers, so that looking for those that are due touches few cache lines.
    due: Vec<Instant>,
    position: Position,
    /// The cursor of each; `None` if the group has received no batch that moves it.
    cursor: Option<Cursor>,
    last_status: bool,
    /// When the group last wrote to its subscribers.
    last_write: Instant,
}

impl Group {
    /// Creates a group of one subscriber, which is live.
    pub fn of(subscriber: Subscriber) -> Self {
        Self {
            position: subscriber.position,
            cursor: None,
            last_status: subscriber.writer.last_status,
            last_write: subscriber.writer.last_write(),
            due: vec![subscriber.writer.due_at(subscriber.writer.last_write())],
            subscribers: vec![subscriber],
        }
    }

    /// Returns the position of the next frame.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Returns the status that was sent last.
    pub fn last_status(&self) -> bool {
        self.last_status
    }

    /// Returns the number of subscribers.
    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Returns true if all subscribers have left.
    pub fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Returns true if the subscribers of both receive the same bytes next.
    pub fn matches(&self, other: &Self) -> bool {
        (self.position, self.last_status) == (other.position, other.last_status)
    }

    /// Returns when the first subscriber has something to do, or `None` if there are no subscribers.
    pub fn due_at(&self) -> Option<Instant> {
        self.due.iter().min().copied()
    }

    /// Moves the subscribers of a matching group into this one.
    pub fn merge(&mut self, mut other: Self) {
        self.due.append(&mut other.due);
        for mut subscriber in std::mem::take(&mut other.subscribers) {
            other.copy_shared_state(&mut subscriber);
            self.subscribers.push(subscriber);
        }
    }

    /// Writes what the group has not received of a batch, with one call for each subscriber, and the status if it has
    /// changed. A subscriber whose socket is full is passed to `on_lagging`.
    pub async fn deliver(
        &mut self,
        batch: &Batch,
        form: Form,
        context: &StreamContext,
        stats: &DeliveryStats,
        on_lagging: &impl Fn(Subscriber),
    ) {
        if self.position > batch.end {
            return;
        }
        self.write(batch, stats, on_lagging).await;
        self.position = batch.end;
        if let Some(cursor) = batch.cursor() {
            self.cursor = Some(cursor.clone());
        }
        if let Some(live) = batch.live.filter(|live| *live != self.last_status) {
            self.last_status = live;
            let (status, now) = (form.encode_event(&context.status(live, form.syntax)), Instant::now());
            self.for_each(on_lagging, |subscriber, _| subscriber.writer.send_now(status.clone(), now)).await;
        }
    }

    async fn write(&mut self, batch: &Batch, stats: &DeliveryStats, on_lagging: &impl Fn(Subscriber)) {
        let bytes = batch.after(self.position);
        let mut left = self.subscribers.len();
        if bytes.is_empty() {
            return;
        }
        for round in 1.. {
            let share = left.saturating_sub(SUBSCRIBERS_PER_CLOCK_READING)..left;
            left = share.start;
            let mut complete = 0;
            for index in share.rev() {
                match self.subscribers[index].writer.try_write(bytes) {
                    Ok(written) if written == bytes.len() => complete += 1,
                    Ok(written) => {
                        let mut subscriber = self.remove(index);
                        if written > 0 {
                            subscriber.advance_within(batch, bytes.len() - written);
                        }
                        on_lagging(subscriber);
                    }
                    Err(reason) => self.remove(index).end(reason),
                }
            }
            self.last_write = Instant::now();
            batch.count(complete, self.position..batch.end, 0, self.last_write, stats);
            if left == 0 {
                return;
            }
            if round % (SUBSCRIBERS_PER_YIELD / SUBSCRIBERS_PER_CLOCK_READING) == 0 {
                yield_now().await;
            }
        }
    }

    /// Sends the heartbeats that are due, and ends subscribers that have reached their maximum age.
    pub async fn tick(&mut self, now: Instant, on_lagging: &impl Fn(Subscriber)) {
        let (mut end, mut served) = (self.due.len(), 0);
        while let Some(index) = self.due[..end].iter().rposition(|due| *due <= now) {
            end = index;
            match self.subscribers[index].writer.tick(now, self.last_write) {
                Ok(true) => self.due[index] = self.subscribers[index].writer.due_at(self.last_write),
                Ok(false) => on_lagging(self.remove(index)),
                Err(reason) => self.remove(index).end(reason),
            }
            served += 1;
            if served % SUBSCRIBERS_PER_YIELD == 0 {
                yield_now().await;
            }
        }
    }

    /// Ends subscribers that have left. The waker is woken when there is input from one of the others.
    pub async fn check_input(&mut self, waker: &Waker, on_lagging: &impl Fn(Subscriber)) {
        self.for_each(on_lagging, |subscriber, _| subscriber.writer.check_input(waker).map(|()| true)).await;
    }

    /// Calls a function with every subscriber and the time of the group's last write. A subscriber for which it returns
    /// false is passed to `on_lagging`; one for which it returns an error is ended.
    pub async fn for_each(
        &mut self,
        on_lagging: &impl Fn(Subscriber),
        mut function: impl FnMut(&mut Subscriber, Instant) -> Result<bool, EndReason>,
    ) {
        for index in (0..self.subscribers.len()).rev() {
            match function(&mut self.subscribers[index], self.last_write) {
                Ok(true) => {}
                Ok(false) => on_lagging(self.remove(index)),
                Err(reason) => self.remove(index).end(reason),
            }
            if index % SUBSCRIBERS_PER_YIELD == SUBSCRIBERS_PER_YIELD - 1 {
                yield_now().await;
            }
        }
    }

    fn remove(&mut self, index: usize) -> Subscriber {
        self.due.swap_remove(index);
        let mut subscriber = self.subscribers.swap_remove(index);
        self.copy_shared_state(&mut subscriber);
        subscriber
    }

    fn copy_shared_state(&self, subscriber: &mut Subscriber) {
        subscriber.advance_to(self.position, self.cursor.as_ref());
        subscriber.writer.last_status = self.last_status;
        subscriber.writer.note_write(self.last_write);
    }
}
