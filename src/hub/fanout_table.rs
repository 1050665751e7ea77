//! The fan-outs of one worker, by their numbers.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::batch::DeliveryStats;
use super::fanout::{Fanout, Turn};
use super::ready_queue::{FanoutKey, ReadyQueue, Signal};
use super::subscriber::Subscriber;
use crate::shrink::Shrink;

/// The fan-outs of one worker.
#[derive(Default)]
pub struct FanoutTable {
    queue: Arc<ReadyQueue>,
    fanouts: HashMap<u64, Entry>,
    /// The subscribers that are about to join a fan-out.
    joining: HashMap<u64, Vec<Subscriber>>,
    next_number: u64,
    /// When something may be due at the earliest.
    next_tick: Option<Instant>,
}

/// A fan-out between its turns, and when its next tick is. `None` while it is being served.
type Entry = Option<(Instant, Box<Fanout>)>;

impl FanoutTable {
    /// Returns which fan-outs have something to do.
    pub fn queue(&self) -> &Arc<ReadyQueue> {
        &self.queue
    }

    /// Returns when something may be due at the earliest; `None` if there is no fan-out.
    pub fn next_tick(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Has a subscriber join the fan-out of its source. If there is none yet, `stats` counts its deliveries, and its first
    /// tick is at `tick_at` or earlier.
    pub fn join(&mut self, subscriber: Subscriber, stats: impl FnOnce() -> Rc<DeliveryStats>, tick_at: Instant) {
        let source = subscriber.source();
        let key = FanoutKey {
            rooms: source.names().clone(),
            form: subscriber.writer.form,
            app: subscriber.writer.pass.as_ref().map(|pass| pass.key.clone()),
        };
        let found = source.changes().find_fanout(|signal| signal.is_of(&self.queue, &key));
        let signal = found.unwrap_or_else(|| {
            let signal = Signal::new(self.queue.clone(), self.next_number, key);
            self.next_number += 1;
            let fanout = Fanout::new(source.clone(), signal.clone(), stats(), tick_at);
            self.fanouts.insert(signal.number, Some((tick_at, Box::new(fanout))));
            signal
        });
        self.joining.entry(signal.number).or_default().push(subscriber);
        signal.on_change();
    }

    /// Takes a fan-out that has something to do, to be served. With a time, something may be due.
    pub fn take(&mut self, number: u64, now: Option<Instant>) -> Option<(Box<Fanout>, Turn)> {
        let entry = self.fanouts.get_mut(&number)?;
        let signalled = entry.as_ref()?.1.signal().take();
        if signalled.is_none() && now.is_none() {
            return None;
        }
        let (_, fanout) = entry.take()?;
        Some((fanout, Turn { joining: self.take_joining(number), has_input: signalled.unwrap_or_default(), now }))
    }

    /// Takes a fan-out back that was served. What was signalled meanwhile gets another turn.
    pub fn put_back(&mut self, fanout: Box<Fanout>) {
        let tick_at = fanout.tick_at();
        if self.next_tick.is_none_or(|next| tick_at < next) {
            self.next_tick = Some(tick_at);
            self.queue.interrupt();
        }
        fanout.signal().repeat();
        if let Some(entry) = self.fanouts.get_mut(&fanout.signal().number) {
            *entry = Some((tick_at, fanout));
        }
    }

    /// Removes a fan-out that has ended, and returns the subscribers that were about to join it.
    pub fn remove(&mut self, number: u64) -> Vec<Subscriber> {
        self.fanouts.remove(&number);
        self.fanouts.shrink_if_sparse();
        self.take_joining(number)
    }

    fn take_joining(&mut self, number: u64) -> Vec<Subscriber> {
        if self.joining.is_empty() {
            return Vec::new(); // as in most turns
        }
        let joining = self.joining.remove(&number).unwrap_or_default();
        self.joining.shrink_if_sparse();
        joining
    }

    /// Returns the fan-outs for which something may be due. Those that are being served come later.
    pub fn due(&mut self, now: Instant) -> Vec<u64> {
        let (mut due, mut next) = (Vec::new(), None::<Instant>);
        for (number, entry) in &self.fanouts {
            match entry {
                Some((tick_at, _)) if *tick_at <= now => due.push(*number),
                Some((tick_at, _)) => next = Some(next.map_or(*tick_at, |next| next.min(*tick_at))),
                None => {}
            }
        }
        self.next_tick = next;
        due
    }

    /// Returns all fan-outs.
    pub fn all(&self) -> Vec<u64> {
        self.fanouts.keys().copied().collect()
    }

    /// Gives all fan-outs a turn, since some of those that were taken from the queue may not have been served.
    pub fn signal_all(&self) {
        for (_, fanout) in self.fanouts.values().flatten() {
            fanout.signal().on_change();
            fanout.signal().repeat();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::hub::catch_ups::CatchUps;
    use crate::hub::test_node::Node;
    use crate::metrics::Metrics;

    #[tokio::test]
    async fn what_was_taken_and_not_served_gets_a_turn_again() {
        let (node, metrics) = (Node::new(), Metrics::new().unwrap());
        let catch_ups = Rc::new(CatchUps::new(&metrics));
        let mut table = FanoutTable::default();
        let mut clients = Vec::new();
        for source in node.enter_many(3).await {
            let (subscriber, client) = node.subscriber(source, catch_ups.clone()).await;
            clients.push(client);
            table.join(subscriber, || catch_ups.stats(&metrics, None), Instant::now() + Duration::from_secs(9));
        }
        let queue = table.queue().clone();
        assert_eq!(queue.take().now_or_never().as_deref(), Some(&[0, 1, 2][..]));
        assert!(table.take(0, None).is_some(), "it is being served");
        // Here the task of the worker panics.
        table.signal_all();
        assert_eq!(queue.take().now_or_never().map(|taken| taken.len()), Some(2));
        assert!((1..3).all(|number| table.take(number, None).is_some_and(|(_, turn)| turn.joining.len() == 1)));
    }
}
