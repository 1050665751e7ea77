//! Wakes the fan-outs of a source when it has new frames. Each room has one, so it takes less memory than tokio's `watch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Notifies its receivers of changes.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// The number of changes so far.
    count: AtomicU64,
    changed: Notify,
}

/// Is notified of changes. A clone has seen the same ones.
#[derive(Clone, Debug)]
pub struct ChangeReceiver {
    shared: Arc<Shared>,
    seen: u64,
}

impl Changes {
    /// Notifies all receivers.
    pub fn notify(&self) {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
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
