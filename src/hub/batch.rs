use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::local::{LocalHistogram, LocalIntCounter};

use super::tape::{Frame, Position, Tape};
use crate::chat::Cursor;
use crate::metrics::Metrics;

/// A batch has at most about this many bytes: what a socket's buffer may take at once.
const LIMIT: usize = 64 << 10;

/// Frames that are ready at once, to be written with one call.
#[derive(Debug)]
pub struct Batch {
    /// The frames, one after the other.
    pub bytes: Bytes,
    /// The position after them.
    pub end: Position,
    /// What to tell of the bus, where this is the end of the room's frames: that the bus is heard
    /// again comes after everything that was missed.
    pub live: Option<bool>,
    stamps: Vec<Stamp>,
}

/// What is remembered of a frame in a batch.
#[derive(Debug)]
struct Stamp {
    position: Position,
    /// Where the frame ends in the batch.
    end: usize,
    place: Option<Cursor>,
    arrived: Instant,
    posted: Option<Instant>,
}

impl Batch {
    /// The frames from a position on; empty where there is none yet, `None` where the position is
    /// not held any more. Before `joined`, only what is in the log is replayed.
    pub fn next(tape: &Tape, from: Position, joined: Position) -> Option<Self> {
        let (mut frames, mut stamps, mut size, mut end) = (Vec::new(), Vec::new(), 0, from);
        for (position, frame) in tape.since(from, LIMIT)? {
            end = position + 1;
            if position >= joined || frame.logged {
                size += frame.bytes.len();
                let (place, arrived, posted) = (frame.place.clone(), frame.arrived, frame.posted);
                stamps.push(Stamp { position, end: size, place, arrived, posted });
                frames.push(frame);
            }
        }
        let live = (end == tape.end()).then_some(tape.live);
        Some(Self { bytes: joined_bytes(&frames, size), end, live, stamps })
    }

    /// What a reader at this position still lacks of the batch.
    pub fn after(&self, position: Position) -> &[u8] {
        let skipped = self.stamps.iter().take_while(|stamp| stamp.position < position).last();
        &self.bytes[skipped.map_or(0, |stamp| stamp.end)..]
    }

    /// The place of a reader of whose rest only `unwritten` bytes are left to write.
    pub fn place_within(&self, unwritten: usize) -> PlaceWithin {
        let written = self.bytes.len() - unwritten;
        let begun = self.stamps.partition_point(|stamp| stamp.end < written);
        let last = self.stamps.iter().take(begun + 1).rev().find_map(|stamp| stamp.place.clone());
        match self.stamps.get(begun) {
            Some(stamp) => PlaceWithin { at: stamp.position + 1, unsent: self.bytes.slice(written..stamp.end), last },
            None => PlaceWithin { at: self.end, unsent: Bytes::new(), last },
        }
    }

    /// The place after the batch, where it moves it.
    pub fn place(&self) -> Option<&Cursor> {
        self.stamps.iter().rev().find_map(|stamp| stamp.place.as_ref())
    }

    /// Counts the batch as delivered to so many readers that came from `position` and joined at `joined`.
    pub fn count(&self, readers: u64, position: Position, joined: Position, now: Instant, tally: &mut Tally) {
        for stamp in self.stamps.iter().filter(|stamp| stamp.position >= position) {
            tally.delivered.inc_by(readers);
            if stamp.position >= joined {
                observe(&tally.delivery, readers, now - stamp.arrived);
                stamp.posted.into_iter().for_each(|posted| observe(&tally.post_to_socket, readers, now - posted));
            }
        }
    }
}

/// Where a reader is that took a part of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct PlaceWithin {
    /// The position of the next whole frame.
    pub at: Position,
    /// The rest of the frame that it is in.
    pub unsent: Bytes,
    /// The place that it has, or will have with that rest.
    pub last: Option<Cursor>,
}

/// Counts of one task, added to the node's now and then: a delivery costs no shared write.
pub struct Tally {
    delivered: LocalIntCounter,
    delivery: LocalHistogram,
    post_to_socket: LocalHistogram,
}

impl Tally {
    /// Nothing counted yet. What was counted is added when it is dropped.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            delivered: metrics.delivered.local(),
            delivery: metrics.delivery.local(),
            post_to_socket: metrics.post_to_socket.local(),
        }
    }

    /// Adds what was counted to the node's metrics.
    pub fn flush(&mut self) {
        self.delivered.flush();
        self.delivery.flush();
        self.post_to_socket.flush();
    }
}

fn observe(histogram: &LocalHistogram, readers: u64, latency: Duration) {
    (0..readers).for_each(|_| histogram.observe(latency.as_secs_f64()));
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.flush();
    }
}

/// One frame is shared as it is; several are copied once for all readers.
fn joined_bytes(frames: &[&Frame], size: usize) -> Bytes {
    match frames {
        [one] => one.bytes.clone(),
        many => {
            let mut all = Vec::with_capacity(size);
            many.iter().for_each(|frame| all.extend_from_slice(&frame.bytes));
            all.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::{Entry, LogPage};
    use crate::chat::Id;
    use crate::hub::log::Log;

    /// A room with the messages 1 to 3 and something foreign in between.
    fn log() -> Log {
        let entry = |n| Entry { id: Id { ms: 1, n }, kind: String::new(), data: n.to_string(), node: None };
        let mut log = Log::new(true, Arc::default());
        log.begin(LogPage { first: None, last: Id::ZERO, entries: vec![], more: false });
        log.settle();
        log.hear(entry(1), None);
        log.hear_beside(Bytes::from_static(b"data: f\n\n"));
        log.hear(entry(2), None);
        log.hear(entry(3), None);
        log
    }

    #[test]
    fn a_batch_holds_whole_frames_and_replays_only_what_is_in_the_log() {
        let all = Batch::next(log().tape(), 0, 0).unwrap();
        assert_eq!(&all.bytes[..], b"id: 1-1\ndata: 1\n\ndata: f\n\nid: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
        assert_eq!((all.end, all.live, all.place()), (4, Some(true), Some(&Id { ms: 1, n: 3 }.into())));
        let replayed = Batch::next(log().tape(), 0, 2).unwrap();
        assert_eq!(&replayed.bytes[..], b"id: 1-1\ndata: 1\n\nid: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
        assert_eq!(replayed.after(2), b"id: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
    }

    #[test]
    fn wherever_a_write_stops_the_rest_of_the_frame_and_the_next_position_make_the_whole() {
        let log = log();
        let all = Batch::next(log.tape(), 0, 0).unwrap();
        for written in 1..=all.bytes.len() {
            let place = all.place_within(all.bytes.len() - written);
            let rest = Batch::next(log.tape(), place.at, 0).unwrap();
            assert_eq!([&all.bytes[..written], &place.unsent, &rest.bytes].concat(), all.bytes);
        }
    }
}
