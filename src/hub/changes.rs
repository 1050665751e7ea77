//! Tells the fan-outs of a source, and tasks that wait, when it has new frames. Each room has one, so it takes less memory
//! than tokio's `watch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::ready_queue::Signal;

/// Notifies its receivers and fan-outs of changes.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The number of changes so far.
    count: AtomicU64,
    changed: Notify,
    /// Usually one: few rooms have subscribers on several workers, or in several forms.
    fanouts: Mutex<Vec<Arc<Signal>>>,
}

/// Is notified of changes. A clone has seen the same ones.
#[derive(Clone, Debug)]
pub struct ChangeReceiver {
    shared: Arc<Shared>,
    seen: u64,
}

impl Changes {
    /// Notifies all receivers and fan-outs.
    pub fn notify(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
        self.0.fanouts.lock().iter().for_each(|signal| signal.on_change());
    }

    /// Adds a fan-out.
    pub fn add_fanout(&self, signal: Arc<Signal>) {
        let mut fanouts = self.0.fanouts.lock();
        fanouts.reserve_exact(1);
        fanouts.push(signal);
    }

    /// Removes a fan-out.
    pub fn remove_fanout(&self, signal: &Arc<Signal>) {
        let mut fanouts = self.0.fanouts.lock();
        fanouts.retain(|other| !Arc::ptr_eq(other, signal));
        fanouts.shrink_to_fit();
    }

    /// Returns the first fan-out of which this is true.
    pub fn find_fanout(&self, mut predicate: impl FnMut(&Signal) -> bool) -> Option<Arc<Signal>> {
        self.0.fanouts.lock().iter().find(|signal| predicate(signal)).cloned()
    }

    /// Returns a receiver that has seen all changes so far.
    pub fn receiver(&self) -> ChangeReceiver {
        ChangeReceiver { shared: self.0.clone(), seen: self.0.count.load(Ordering::SeqCst) }
    }
}

impl ChangeReceiver {
    /// Waits for a change that was not seen yet. Several of them are one.
    pub async fn changed(&mut self) {
        loop {
            // It is notified from now on, so that no change after the next line is missed.
            let notified = self.shared.changed.notified();
            let count = self.shared.count.load(Ordering::SeqCst);
            if std::mem::replace(&mut self.seen, count) != count {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::chat::RoomName;
    use crate::hub::ready_queue::{FanoutKey, ReadyQueue};
    use crate::sse::Form;

    #[test]
    fn fanouts_are_notified_until_they_are_removed() {
        let (changes, queue) = (Changes::default(), Arc::<ReadyQueue>::default());
        let rooms = RoomName::from_path("room").unwrap().into();
        let key = FanoutKey { rooms, form: Form::default(), app: None };
        let signals = [1, 2].map(|number| Signal::new(queue.clone(), number, key.clone()));
        signals.iter().for_each(|signal| changes.add_fanout(signal.clone()));
        changes.notify();
        assert_eq!(queue.take().now_or_never(), Some(vec![1, 2]));
        assert_eq!(changes.find_fanout(|signal| signal.number == 2).map(|signal| signal.take()), Some(Some(false)));
        signals[0].take();
        changes.remove_fanout(&signals[0]);
        changes.notify();
        assert_eq!(queue.take().now_or_never(), Some(vec![2]));
    }

    #[test]
    fn changes_since_the_last_look_are_one() {
        let changes = Changes::default();
        changes.notify();
        let mut receiver = changes.receiver();
        assert_eq!(receiver.changed().now_or_never(), None, "it was before");
        let mut clone = receiver.clone();
        changes.notify();
        changes.notify();
        for receiver in [&mut receiver, &mut clone] {
            assert_eq!(receiver.changed().now_or_never(), Some(()));
            assert_eq!(receiver.changed().now_or_never(), None);
        }
    }

    #[tokio::test]
    async fn a_waiting_receiver_is_woken() {
        let changes = Changes::default();
        let mut receivers = [changes.receiver(), changes.receiver()];
        let waiting = receivers.iter_mut().map(ChangeReceiver::changed);
        let waiting = futures_util::future::join_all(waiting);
        tokio::join!(waiting, async { changes.notify() });
    }
}
