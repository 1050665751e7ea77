//! What the subscribers of one worker share while they catch up. Many that come back together have missed the same
//! frames, so the batch that was made for one of them serves the others.

use std::cell::RefCell;
use std::rc::Rc;

use super::batch::{Batch, DeliveryStats};
use super::pass::Pass;
use super::room::buffer::{BufferVersion, FrameBuffer, Position};
use super::source::Source;
use super::source::ordered::Order;
use crate::chat::Rooms;
use crate::metrics::Metrics;
use crate::sse::Form;

/// What the subscribers of one worker share.
pub struct CatchUps {
    stats: Rc<DeliveryStats>,
    last_batch: RefCell<Option<(BatchKey, Rc<Batch>)>>,
}

/// What a batch is made of: with the same key it is the same.
#[derive(PartialEq, Eq)]
struct BatchKey {
    version: BufferVersion,
    from: Position,
    live_from: Position,
    form: Form,
    names: Rooms,
}

impl CatchUps {
    /// Creates what the subscribers of one worker share.
    pub fn new(metrics: &Metrics) -> Self {
        Self { stats: Rc::new(DeliveryStats::new(metrics, None)), last_batch: RefCell::default() }
    }

    /// Returns what counts deliveries of this worker: those for an app separately.
    pub fn stats(&self, metrics: &Metrics, pass: Option<&Pass>) -> Rc<DeliveryStats> {
        match pass {
            None => self.stats.clone(),
            Some(_) => Rc::new(DeliveryStats::new(metrics, pass)),
        }
    }

    /// Collects the frames of a source from a position on, as [`Batch::next`] does.
    pub fn batch(&self, source: &Source, from: Position, live_from: Position, form: Form) -> Option<Rc<Batch>> {
        source.with_buffer(|buffer| {
            let (version, names) = (buffer.version(), source.names().clone());
            let key = BatchKey { version, from, live_from, form, names };
            self.batch_of(buffer, key, source.order())
        })
    }

    fn batch_of(&self, buffer: &FrameBuffer, key: BatchKey, order: Option<&Order>) -> Option<Rc<Batch>> {
        let mut last_batch = self.last_batch.borrow_mut();
        if let Some((_, batch)) = last_batch.as_ref().filter(|(last, _)| *last == key) {
            buffer.note_read();
            return Some(batch.clone());
        }
        let batch = Rc::new(Batch::next(buffer, key.from, key.live_from, key.form, order)?);
        // A batch of no frames would take the place of one that others may need.
        if !batch.is_empty() {
            *last_batch = Some((key, batch.clone()));
        }
        Some(batch)
    }

    /// Returns by how many the last batch is held.
    #[cfg(test)]
    pub fn last_batch_holders(&self) -> usize {
        self.last_batch.borrow().as_ref().map_or(0, |(_, batch)| Rc::strong_count(batch))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;
    use crate::bus::{Entry, LogPage};
    use crate::chat::{Id, RoomName};
    use crate::hub::room::log_tail::LogTail;
    use crate::sse::Event;

    fn entry(n: u64, kind: &str, data: &str) -> Entry {
        Entry { id: Id { ms: 1, n }, prev: None, kind: kind.into(), data: data.into(), node: None }
    }

    /// Returns a log of the messages 1 to 3.
    fn log_tail() -> LogTail {
        let mut log = LogTail::new(true, Arc::default());
        log.load(LogPage { first: None, last: Id::ZERO, entries: vec![], more: false, only_deleted: false });
        log.mark_in_sync(Instant::now());
        for n in 1..=3 {
            log.on_announcement(entry(n, "", "hello"));
        }
        log
    }

    fn batch(catch_ups: &CatchUps, log: &LogTail, from: Position) -> Rc<Batch> {
        let names = RoomName::from_path("room").unwrap().into();
        let (version, form) = (log.buffer().version(), Form::default());
        catch_ups
            .batch_of(log.buffer(), BatchKey { version, from, live_from: 3, form, names }, None)
            .unwrap()
    }

    #[test]
    fn subscribers_at_one_position_share_a_batch() {
        let (catch_ups, log) = (CatchUps::new(&Metrics::new().unwrap()), log_tail());
        let first = batch(&catch_ups, &log, 0);
        for _ in 0..3 {
            assert!(batch(&catch_ups, &log, 3).is_empty(), "one that is live in between");
            assert!(Rc::ptr_eq(&batch(&catch_ups, &log, 0), &first));
        }
        assert_eq!(batch(&catch_ups, &log, 1).end, 3);
        assert_ne!(batch(&catch_ups, &log, 1).bytes, first.bytes, "another position");
    }

    #[test]
    fn a_batch_is_not_shared_once_the_frames_have_changed() {
        let (catch_ups, mut log) = (CatchUps::new(&Metrics::new().unwrap()), log_tail());
        let mut bytes = vec![batch(&catch_ups, &log, 0).bytes.clone()];
        log.push_ephemeral(Event::foreign(b"f", 1));
        bytes.push(batch(&catch_ups, &log, 0).bytes.clone());
        log.on_announcement(entry(4, "delete", r#"{"id":"1-2"}"#));
        bytes.push(batch(&catch_ups, &log, 0).bytes.clone());
        bytes.push(batch(&catch_ups, &log_tail(), 0).bytes.clone());
        assert!(bytes.windows(2).all(|pair| pair[0] != pair[1]), "{bytes:?}");
        assert_eq!(bytes[0], bytes[3], "another buffer of the same frames");
    }
}
