//! Frames that are written with one call, and what is counted about their delivery.

use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus::local::{LocalHistogram, LocalIntCounter};

use super::pass::Pass;
use super::room::buffer::{FrameBuffer, Position};
use super::source::ordered::Order;
use crate::chat::Cursor;
use crate::metrics::Metrics;
use crate::sse::Form;

/// The bytes of a batch, which its last frame may exceed: what a socket's buffer may take at once.
const BATCH_BYTES: usize = 64 << 10;

/// Frames that are ready at once.
#[derive(Debug)]
pub struct Batch {
    /// The encodings of the frames, one after the other.
    pub bytes: Bytes,
    /// The position after the frames.
    pub end: Position,
    /// The status to send after the frames, if these are the last of the buffer: the status becomes live again after
    /// everything that was missed.
    pub live: Option<bool>,
    frames: Vec<BatchedFrame>,
}

/// What a batch keeps of a frame beyond its bytes.
#[derive(Debug)]
struct BatchedFrame {
    position: Position,
    /// The offset in the batch at which the frame ends.
    end: usize,
    /// The encoding. What is left of a frame is kept without the rest of the batch.
    bytes: Bytes,
    cursor: Option<Cursor>,
    arrived: Instant,
}

impl Batch {
    /// Collects the frames from a position on, without ephemeral frames before `live_from`, in this form and with their
    /// cursors in this order. The batch is empty if there are none yet. Returns `None` if the position was evicted.
    pub fn next(
        buffer: &FrameBuffer,
        from: Position,
        live_from: Position,
        form: Form,
        order: Option<&Order>,
    ) -> Option<Self> {
        let (mut frames, mut size, mut end) = (Vec::new(), 0, from);
        for (position, frame) in buffer.frames_from(from, BATCH_BYTES)? {
            end = position + 1;
            if position >= live_from || frame.logged {
                let (bytes, cursor) = match order {
                    None => (buffer.encode(frame, form), frame.cursor.clone()),
                    Some(order) => order.encode(frame, form),
                };
                size += bytes.len();
                frames.push(BatchedFrame { position, end: size, bytes, cursor, arrived: frame.arrived });
            }
        }
        let live = (end == buffer.end()).then_some(buffer.live);
        Some(Self { bytes: concat(&frames, size), end, live, frames })
    }

    /// Returns what a subscriber at this position has not received.
    pub fn after(&self, position: Position) -> &[u8] {
        let skipped = self.frames.iter().take_while(|frame| frame.position < position).last();
        &self.bytes[skipped.map_or(0, |frame| frame.end)..]
    }

    /// Returns where a subscriber is that has yet to receive the last `unwritten` bytes.
    pub fn split_at_unwritten(&self, unwritten: usize) -> PartialWrite {
        let written = self.bytes.len() - unwritten;
        let whole = self.frames.partition_point(|frame| frame.end < written);
        let cursor = self.frames.iter().take(whole + 1).rev().find_map(|frame| frame.cursor.clone());
        match self.frames.get(whole) {
            Some(frame) => {
                let unsent = frame.bytes.slice(frame.bytes.len() - (frame.end - written)..);
                PartialWrite { position: frame.position + 1, unsent, cursor }
            }
            None => PartialWrite { position: self.end, unsent: Bytes::new(), cursor },
        }
    }

    /// Returns true if there was no frame to collect.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Returns true if the batch has frames, and none of them moves a cursor.
    pub fn is_ephemeral(&self) -> bool {
        !self.is_empty() && self.cursor().is_none()
    }

    /// Returns the cursor after the batch, if the batch moves it.
    pub fn cursor(&self) -> Option<&Cursor> {
        self.frames.iter().rev().find_map(|frame| frame.cursor.as_ref())
    }

    /// Counts the frames at these positions as delivered to a number of subscribers. Only those from `live_from` on are
    /// timed.
    pub fn count(
        &self,
        subscribers: u64,
        positions: Range<Position>,
        live_from: Position,
        now: Instant,
        stats: &DeliveryStats,
    ) {
        for frame in self.frames.iter().filter(|frame| positions.contains(&frame.position) && !frame.bytes.is_empty()) {
            stats.delivered.inc_by(subscribers);
            if let Some(delivered) = &stats.app_delivered {
                delivered.inc_by(subscribers);
            }
            if frame.position >= live_from {
                observe(&stats.delivery, subscribers, now - frame.arrived);
            }
        }
    }
}

/// Where a subscriber is that has received a part of a batch.
#[derive(Debug, PartialEq, Eq)]
pub struct PartialWrite {
    /// The position of the next whole frame.
    pub position: Position,
    /// The rest of the frame that was written in part.
    pub unsent: Bytes,
    /// The cursor after that rest, if the batch moves it.
    pub cursor: Option<Cursor>,
}

/// The delivery metrics of one worker. They are added to the node's after a batch, so that delivering writes no memory
/// that other threads share.
pub struct DeliveryStats {
    delivered: LocalIntCounter,
    /// What is delivered for the app of a socket.
    app_delivered: Option<LocalIntCounter>,
    delivery: LocalHistogram,
}

impl DeliveryStats {
    /// Creates empty metrics.
    pub fn new(metrics: &Metrics, pass: Option<&Pass>) -> Self {
        Self {
            delivered: metrics.delivered.local(),
            app_delivered: pass.map(|pass| pass.usage.delivered.local()),
            delivery: metrics.delivery.local(),
        }
    }

    /// Adds what was counted to the node's metrics.
    pub fn flush(&self) {
        self.delivered.flush();
        if let Some(delivered) = &self.app_delivered {
            delivered.flush();
        }
        self.delivery.flush();
    }
}

impl Drop for DeliveryStats {
    fn drop(&mut self) {
        self.flush();
    }
}

fn observe(histogram: &LocalHistogram, subscribers: u64, latency: Duration) {
    for _ in 0..subscribers {
        histogram.observe(latency.as_secs_f64());
    }
}

/// Concatenates the encodings. A single frame is shared as it is.
fn concat(frames: &[BatchedFrame], size: usize) -> Bytes {
    if let [frame] = frames {
        return frame.bytes.clone();
    }
    let mut bytes = Vec::with_capacity(size);
    for frame in frames {
        bytes.extend_from_slice(&frame.bytes);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::{Entry, LogPage};
    use crate::chat::{Id, TimeZone};
    use crate::hub::room::log_tail::LogTail;
    use crate::sse::{Event, Syntax, Text};

    const BARE: Form = Form { syntax: Syntax::EventStream(Text::Escaped), is_chunked: false };

    /// Returns the messages 1 to 3 with an ephemeral frame between them.
    fn log_tail() -> LogTail {
        let entry = |n| Entry { id: Id { ms: 1, n }, prev: None, kind: String::new(), data: n.to_string(), node: None };
        let mut log = LogTail::new(true, Arc::default());
        log.load(LogPage { first: None, last: Id::ZERO, entries: vec![], more: false, only_deleted: false });
        log.mark_in_sync(Instant::now());
        log.on_announcement(entry(1));
        log.push_ephemeral(Event::foreign(b"f", 1));
        log.on_announcement(entry(2));
        log.on_announcement(entry(3));
        log
    }

    #[test]
    fn a_batch_has_whole_frames_and_replays_only_logged_ones() {
        let all = Batch::next(log_tail().buffer(), 0, 0, BARE, None).unwrap();
        assert_eq!(&all.bytes[..], b"id: 1-1\ndata: 1\n\ndata: f\n\nid: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
        assert_eq!((all.end, all.live, all.cursor()), (4, Some(true), Some(&Id { ms: 1, n: 3 }.into())));
        let replayed = Batch::next(log_tail().buffer(), 0, 2, BARE, None).unwrap();
        assert_eq!(&replayed.bytes[..], b"id: 1-1\ndata: 1\n\nid: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
        assert_eq!(replayed.after(2), b"id: 1-2\ndata: 2\n\nid: 1-3\ndata: 3\n\n");
    }

    #[test]
    fn a_partial_write_continues_without_loss_at_every_byte() {
        let syntaxes = [
            Syntax::EventStream(Text::Escaped),
            Syntax::Chats,
            Syntax::Heartbeats,
            Syntax::Socket,
            Syntax::TextLines(TimeZone::UTC),
            Syntax::JsonLines(Text::Plain),
        ];
        for (syntax, is_chunked) in syntaxes.into_iter().flat_map(|syntax| [(syntax, true), (syntax, false)]) {
            let (log, form) = (log_tail(), Form { syntax, is_chunked });
            let all = Batch::next(log.buffer(), 0, 0, form, None).unwrap();
            assert_eq!(all.bytes.is_empty(), syntax == Syntax::Heartbeats);
            for written in 1..=all.bytes.len() {
                let partial = all.split_at_unwritten(all.bytes.len() - written);
                let rest = Batch::next(log.buffer(), partial.position, 0, form, None).unwrap();
                assert_eq!([&all.bytes[..written], &partial.unsent, &rest.bytes].concat(), all.bytes, "{form:?}");
            }
        }
    }

    #[test]
    fn a_frame_is_encoded_once_for_each_syntax() {
        let log = log_tail();
        let address = |is_chunked, syntax| {
            let (_, frame) = log.buffer().frames_from(0, 1).unwrap().next().unwrap();
            log.buffer().encode(frame, Form { syntax, is_chunked }).as_ptr() as usize
        };
        let (stream, json) = (Syntax::EventStream(Text::Escaped), Syntax::JsonLines(Text::Escaped));
        let (chunk, line) = (address(true, stream), address(true, json));
        assert_ne!(chunk, line);
        for _ in 0..2 {
            assert_eq!((address(true, stream), address(true, json)), (chunk, line));
            assert!((1..8).contains(&(address(false, stream) - chunk)), "a slice of the chunk");
        }
    }
}
