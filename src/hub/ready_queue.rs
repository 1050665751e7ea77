//! Which fan-outs of a worker have something to do. Any thread can signal that, and only the worker takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Wake;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::chat::Rooms;
use crate::sse::Form;

/// There may be new frames, a new status, or subscribers that join.
const CHANGE: u8 = 1;

/// One of the subscribers has sent something.
const INPUT: u8 = 2;

/// The fan-outs of one worker that have something to do, by their numbers, in the order of their signals.
#[derive(Debug, Default)]
pub struct ReadyQueue {
    numbers: Mutex<Vec<u64>>,
    filled: Notify,
}

impl ReadyQueue {
    /// Waits until there are fan-outs with something to do, or until [`interrupt`](Self::interrupt) was called, and takes
    /// them all.
    pub async fn take(&self) -> Vec<u64> {
        self.filled.notified().await;
        std::mem::take(&mut self.numbers.lock())
    }

    /// Has the worker look at the clock.
    pub fn interrupt(&self) {
        self.filled.notify_one();
    }

    fn push(&self, number: u64) {
        let mut numbers = self.numbers.lock();
        numbers.push(number);
        if numbers.len() == 1 {
            drop(numbers);
            self.filled.notify_one();
        }
    }
}

/// Signals a worker that one of its fan-outs has something to do, and says which one it is.
///
/// As a waker it signals input: subscribers have nothing to send, so it is the end of a connection nearly always.
#[derive(Debug)]
pub struct Signal {
    queue: Arc<ReadyQueue>,
    /// The number of the fan-out on its worker.
    pub number: u64,
    /// What its subscribers have in common.
    pub key: FanoutKey,
    reasons: AtomicU8,
}

/// What the subscribers of a fan-out have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanoutKey {
    /// The rooms, in the order of their ids in a cursor.
    pub rooms: Rooms,
    /// The form of their streams.
    pub form: Form,
    /// The key of the app that lets them have their streams; `None` if every client may have them.
    pub app: Option<Arc<str>>,
}

impl Signal {
    /// Creates the signal of a fan-out of the worker with this queue.
    pub fn new(queue: Arc<ReadyQueue>, number: u64, key: FanoutKey) -> Arc<Self> {
        Arc::new(Self { queue, number, key, reasons: AtomicU8::new(0) })
    }

    /// Returns true if the fan-out is of the worker with this queue, and its subscribers have this in common.
    pub fn is_of(&self, queue: &Arc<ReadyQueue>, key: &FanoutKey) -> bool {
        Arc::ptr_eq(&self.queue, queue) && self.key == *key
    }

    /// Signals that there may be new frames, a new status, or subscribers that join.
    pub fn on_change(&self) {
        self.set(CHANGE);
    }

    /// Takes what was signalled: `None` if nothing was, else whether there was input.
    pub fn take(&self) -> Option<bool> {
        let reasons = self.reasons.swap(0, Ordering::SeqCst);
        (reasons != 0).then_some(reasons & INPUT != 0)
    }

    /// Signals again what was not taken when its turn came.
    pub fn repeat(&self) {
        if self.reasons.load(Ordering::SeqCst) != 0 {
            self.queue.push(self.number);
        }
    }

    fn set(&self, reason: u8) {
        // A fan-out is queued once, whatever it has to do.
        if self.reasons.fetch_or(reason, Ordering::SeqCst) == 0 {
            self.queue.push(self.number);
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set(INPUT);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set(INPUT);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::FutureExt;

    use super::*;

    fn signals() -> (Arc<ReadyQueue>, [Arc<Signal>; 2]) {
        let queue = Arc::<ReadyQueue>::default();
        let rooms = Rooms::from_path("a,b").unwrap();
        let key = FanoutKey { rooms, form: Form::default(), app: None };
        let signal = |number| Signal::new(queue.clone(), number, key.clone());
        let signals = [signal(1), signal(2)];
        (queue, signals)
    }

    #[test]
    fn a_fanout_is_queued_once_until_it_is_served() {
        let (queue, [first, second]) = signals();
        assert_eq!(queue.take().now_or_never(), None);
        second.on_change();
        first.on_change();
        first.on_change();
        Waker::from(first.clone()).wake();
        assert_eq!(queue.take().now_or_never(), Some(vec![2, 1]));
        first.on_change();
        assert_eq!(queue.take().now_or_never(), None, "its turn has not come");
        assert_eq!((first.take(), first.take(), second.take()), (Some(true), None, Some(false)));
        first.on_change();
        assert_eq!(queue.take().now_or_never(), Some(vec![1]));
    }

    #[test]
    fn a_fanout_is_found_by_what_its_subscribers_have_in_common() {
        let (queue, [signal, _]) = signals();
        let key = signal.key.clone();
        assert!(signal.is_of(&queue, &key) && !signal.is_of(&Arc::default(), &key));
        let form = Form { is_chunked: !key.form.is_chunked, ..key.form };
        let others = [
            FanoutKey { rooms: Rooms::from_path("b,a").unwrap(), ..key.clone() },
            FanoutKey { form, ..key.clone() },
            FanoutKey { app: Some("shop".into()), ..key.clone() },
        ];
        assert!(others.iter().all(|other| !signal.is_of(&queue, other)));
    }

    #[test]
    fn what_could_not_be_served_is_repeated() {
        let (queue, [first, second]) = signals();
        first.on_change();
        second.on_change();
        assert_eq!(queue.take().now_or_never(), Some(vec![1, 2]));
        second.take();
        first.repeat();
        second.repeat();
        assert_eq!(queue.take().now_or_never(), Some(vec![1]));
        queue.interrupt();
        assert_eq!(queue.take().now_or_never(), Some(vec![]));
    }
}
