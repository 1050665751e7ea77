//! One subscriber: a connection, a cursor in its source, and a position among the frames.
//!
//! A subscriber is *starting* until [`Subscriber::start`] has returned, *catching up* until [`Subscriber::catch_up`]
//! has, *live* while it is in a group of its source's fan-out, and *ended* after [`Subscriber::end`]. A live subscriber
//! whose socket is full catches up again.

pub mod connection;
pub mod end_reason;
pub mod start;
pub mod stream_writer;

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, DeliveryStats};
use super::catch_ups::CatchUps;
use super::context::{OUTAGE_GRACE, StreamContext, StreamGauge};
use super::read_budget::{MAX_PAGE_BYTES, PagePermit};
use super::room::Room;
use super::room::buffer::{Position, event_of};
use super::room::gap::continue_after;
use super::room::shared_presence::PresenceGuard;
use super::source::Source;
use super::source::lookup::{Lookup, NotBuffered};
use crate::bus::{Entry, LogPage, PageLimit, Unavailable};
use crate::chat::{Cursor, Id};
use crate::sse::{Event, Syntax};
use end_reason::EndReason;
use start::{PresenceRequest, Start, StartPlan, plan};
use stream_writer::StreamWriter;

/// The most frames that a subscriber may lag behind once it was live.
const MAX_LAG_FRAMES: usize = 1000;

/// The most bytes that a subscriber may lag behind once it was live.
const MAX_LAG_BYTES: usize = 1 << 20;

/// The most entries of a page that is read for one subscriber.
const SUBSCRIBER_PAGE_ENTRIES: usize = 250;

/// The bytes of the first page that is read for one subscriber, and of the next one after its socket did not take a
/// whole page: what the socket's buffer may take at once. As long as it takes whole pages, they double.
const MIN_PAGE_BYTES: usize = 64 << 10;

/// The pause before a failed read for one subscriber is repeated.
const SUBSCRIBER_READ_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A subscriber of one source.
pub struct Subscriber {
    /// Writes to the socket.
    pub writer: StreamWriter,
    source: Source,
    context: Arc<StreamContext>,
    /// The cursor after everything that was sent.
    cursor: Cursor,
    /// The position of the next frame.
    pub position: Position,
    /// The position from which on ephemeral frames are sent as well.
    live_from: Position,
    /// Whether the client waits for a ping, which shows that its stream works. An entry that comes first does so, too.
    owes_ping: bool,
    /// The bytes of the next page that is read for the subscriber.
    page_bytes: usize,
    catch_ups: Rc<CatchUps>,
    /// Knows whether the subscriber was ever live. Its lag is limited only from then on.
    gauge: StreamGauge,
    _permit: Box<dyn Send>,
    _presence: Box<[PresenceGuard]>,
}

impl Subscriber {
    /// Creates a subscriber to which nothing was sent yet.
    pub fn new(
        context: Arc<StreamContext>,
        catch_ups: Rc<CatchUps>,
        source: Source,
        writer: StreamWriter,
        permit: Box<dyn Send>,
    ) -> Self {
        Self {
            cursor: Cursor::zero(source.names().len()),
            source,
            position: 0,
            live_from: 0,
            owes_ping: writer.form.syntax == Syntax::Socket,
            page_bytes: MIN_PAGE_BYTES,
            catch_ups,
            gauge: StreamGauge::new(&context.metrics, writer.pass.as_deref().map(|pass| &pass.usage)),
            _permit: permit,
            _presence: Box::default(),
            writer,
            context,
        }
    }

    /// Returns what the subscriber reads.
    pub fn source(&self) -> &Source {
        &self.source
    }

    // Starting.

    /// Sends the opening, gaps and replays with which the stream begins. The opening is sent within [`OUTAGE_GRACE`]: if
    /// a log cannot be read by then, the status is not live, and a cursor that only the log can tell follows later.
    pub async fn start(&mut self, start: &Start, presence: &PresenceRequest) -> Result<(), EndReason> {
        let source = self.source.clone();
        let grace = if source.with_buffer(|buffer| buffer.live) {
            OUTAGE_GRACE
        } else {
            Duration::ZERO
        };
        let mut planning = pin!(plan(&source, start));
        let planned = timeout(grace, &mut planning).await;
        // Not earlier: what is told of its joining then comes after the place where it begins.
        self._presence = presence.join(self.source.rooms());
        if let Ok(plan) = planned {
            self.writer.queue_opening(plan.opening_cursor().as_ref(), true);
            return self.follow(plan).await;
        }
        let known = start.known_cursor();
        self.writer.queue_opening(known.as_ref(), false);
        self.flush().await?;
        let plan = self.writer.wait_for_log(planning).await?;
        if let (None, Some(cursor)) = (known, plan.opening_cursor()) {
            self.writer.queue_late_cursor(&cursor);
            self.flush().await?;
        }
        self.follow(plan).await
    }

    /// Queues the gaps of a plan, and continues as it says.
    async fn follow(&mut self, plan: StartPlan) -> Result<(), EndReason> {
        self.cursor = plan.cursor();
        // All gaps come before all replays, and only the last one moves the cursor: an id is that of every room, and a
        // client that resumes from it would never receive the gap of another room.
        let gaps = plan.rooms.iter().enumerate().filter_map(|(index, room)| Some((index, room.gap.as_ref()?)));
        let mut gaps = gaps.peekable();
        while let Some((index, gap)) = gaps.next() {
            let cursor = gaps.peek().is_none().then_some(&self.cursor);
            self.writer.queue(self.encode(index, gap, cursor));
        }
        match plan.lookup {
            Some(lookup) => self.apply_lookup(lookup).map(drop),
            None => self.look_up().await,
        }
    }

    // Catching up.

    /// Sends everything up to the end of the source's frames, and the status if it has changed. Nothing but the rest of a
    /// frame is held while the socket takes nothing: what follows is read again. What waits to be sent goes out with it.
    pub async fn catch_up(&mut self) -> Result<(), EndReason> {
        let catch_ups = self.catch_ups.clone();
        let stats = catch_ups.stats(&self.context.metrics, self.writer.pass.as_deref());
        loop {
            let batch = catch_ups.batch(&self.source, self.position, self.live_from, self.writer.form);
            match batch.as_deref() {
                None if self.gauge.was_live() && is_too_slow(&self.source, self.position) => {
                    return Err(EndReason::Slow);
                }
                None => self.look_up().await?,
                Some(newer) if newer.end > self.position => {
                    self.write_batch(newer, &stats)?;
                    drop(batch);
                    self.flush().await?;
                    yield_now().await;
                }
                Some(Batch { live: Some(live), .. }) if *live != self.writer.last_status => {
                    self.send_status(*live).await?;
                }
                Some(_) if !self.writer.is_flushed() => self.flush().await?,
                Some(_) if self.owes_ping => {
                    self.owes_ping = false;
                    self.writer.queue(self.writer.form.heartbeat());
                    self.flush().await?;
                }
                Some(_) => {
                    self.gauge.set_live(&self.context.metrics);
                    return Ok(());
                }
            }
        }
    }

    /// Writes as much of a batch as the socket takes now, and continues after it.
    fn write_batch(&mut self, batch: &Batch, stats: &DeliveryStats) -> Result<(), EndReason> {
        let (from, now) = (self.position, Instant::now());
        let written = self.writer.write_next(&batch.bytes, now)?;
        self.owes_ping &= written == 0;
        match batch.bytes.len() - written {
            0 => self.advance_to(batch.end, batch.cursor()),
            _ if !self.writer.is_flushed() => return Ok(()),
            unwritten => self.advance_within(batch, unwritten),
        }
        batch.count(1, from..self.position, self.live_from, now, stats);
        stats.flush();
        Ok(())
    }

    /// Finds the position after the cursor. If the frames do not reach back to it, replays from the log first.
    async fn look_up(&mut self) -> Result<(), EndReason> {
        self.flush().await?;
        loop {
            match self.source.look_up(&self.cursor) {
                Err(NotBuffered(index)) => self.replay_page(index).await?,
                Ok(lookup) => {
                    if self.apply_lookup(lookup)? {
                        return Ok(());
                    }
                    self.flush().await?;
                    yield_now().await;
                }
            }
        }
    }

    /// Writes the missed frames of a lookup, as far as the socket takes them now. Returns true if there are no more, and
    /// the position is known.
    fn apply_lookup(&mut self, lookup: Lookup) -> Result<bool, EndReason> {
        let mut cursor = self.cursor.clone();
        let mut frames = Vec::with_capacity(lookup.missed.len());
        for missed in &lookup.missed {
            cursor.set(missed.room, missed.id);
            frames.push(self.encode_entry(missed.room, missed.event.as_deref(), &cursor));
        }
        let taken = self.writer.write_frames(&frames)?;
        for missed in &lookup.missed[..taken] {
            self.cursor.set(missed.room, missed.id);
        }
        self.owes_ping &= taken == 0;
        let Some(position) = lookup.position.filter(|_| taken == frames.len()) else {
            return Ok(false);
        };
        (self.position, self.live_from) = (position, lookup.live_from);
        for room in self.source.rooms() {
            room.presence().request_snapshot();
        }
        Ok(true)
    }

    /// Replays a page of a room's log after the cursor, as far as the socket takes it now. The gap rule applies to each
    /// page, since the log may be trimmed or lost between two of them.
    async fn replay_page(&mut self, index: usize) -> Result<(), EndReason> {
        let asked = self.cursor.of(index);
        let (page, permit) = self.read_page(index, asked).await?;
        let (more, last) = (page.more, page.last);
        let continuation = continue_after(asked, page);
        if let Some(reason) = continuation.gap {
            self.source.room(index).context().count_gap(reason);
            let gap = Event::gap(&asked.to_string(), continuation.resumed(), reason);
            self.cursor.set(index, continuation.cursor);
            self.writer.write_frames(&[self.encode(index, &gap, Some(&self.cursor))])?;
        }
        let is_empty = continuation.entries.is_empty();
        let is_whole = self.writer.is_flushed() && self.write_entries(index, continuation.entries)?;
        if is_whole && (!more || is_empty) {
            // Not the id of the last entry: later messages may have been deleted.
            self.cursor.set(index, last);
        }
        self.page_bytes = if is_whole { MAX_PAGE_BYTES.min(2 * self.page_bytes) } else { MIN_PAGE_BYTES };
        drop(permit);
        self.flush().await?;
        let room = self.source.room(index).clone();
        if more && room.log().position_after(self.cursor.of(index)).is_none() {
            return Ok(());
        }
        // Before the cursor is looked up among the frames, these have to be those of the log that was read.
        self.writer.wait_for_log(async move { room.in_sync_since(room.reads_started()).await }).await
    }

    /// Reads a page of a room's log after an id, when the subscriber's turn has come and its socket takes bytes. Repeats
    /// the read until it succeeds.
    async fn read_page(&mut self, index: usize, after: Id) -> Result<(LogPage, PagePermit), EndReason> {
        let room = self.source.room(index).clone();
        let mut failing_since = None;
        loop {
            self.flush().await?;
            let permit = self.page_permit(&room).await?;
            if !self.writer.is_flushed() {
                continue;
            }
            let limit = PageLimit { entries: SUBSCRIBER_PAGE_ENTRIES, bytes: self.page_bytes };
            let started = Instant::now();
            if let (Ok(permit), Ok(page)) = (permit, room.logs().subscriber_page(room.name(), after, limit).await) {
                return Ok((page, permit));
            }
            if failing_since.get_or_insert(started).elapsed() >= OUTAGE_GRACE {
                self.writer.report_outage()?;
            }
            self.writer.wait(sleep(SUBSCRIBER_READ_RETRY_PAUSE)).await?;
        }
    }

    /// Waits for the subscriber's turn. If the room is lost meanwhile, sends the status.
    async fn page_permit(&mut self, room: &Room) -> Result<Result<PagePermit, Unavailable>, EndReason> {
        let mut permit = pin!(room.logs().subscriber_permit());
        loop {
            match self.writer.wait(timeout(OUTAGE_GRACE, &mut permit)).await? {
                Ok(permit) => return Ok(permit),
                Err(_) if self.source.with_buffer(|buffer| buffer.live) => {}
                Err(_) => self.writer.report_outage()?,
            }
        }
    }

    /// Writes entries that were read from a room's log, as far as the socket takes them now. Returns true if it took
    /// all of them.
    fn write_entries(&mut self, index: usize, entries: Vec<Entry>) -> Result<bool, EndReason> {
        let mut cursor = self.cursor.clone();
        let (mut ids, mut frames) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for entry in entries {
            cursor.set(index, entry.id);
            ids.push(entry.id);
            frames.push(self.encode_entry(index, event_of(entry).as_ref(), &cursor));
        }
        let taken = self.writer.write_frames(&frames)?;
        self.owes_ping &= taken == 0;
        if let Some(id) = ids[..taken].last() {
            self.cursor.set(index, *id);
        }
        Ok(taken == ids.len() && self.writer.is_flushed())
    }

    /// Encodes an entry of a room's log for this subscriber alone: nothing, if it has no data.
    fn encode_entry(&self, index: usize, event: Option<&Event>, cursor: &Cursor) -> Bytes {
        event.map(|event| self.encode(index, event, Some(cursor))).unwrap_or_default()
    }

    fn encode(&self, index: usize, event: &Event, cursor: Option<&Cursor>) -> Bytes {
        self.source.encode(index, event, cursor, self.writer.form)
    }

    async fn send_status(&mut self, live: bool) -> Result<(), EndReason> {
        self.writer.queue_status(live);
        self.flush().await
    }

    /// Sends what waits to be sent.
    pub async fn flush(&mut self) -> Result<(), EndReason> {
        let is_too_slow = || self.gauge.was_live() && is_too_slow(&self.source, self.position);
        self.writer.flush(is_too_slow).await
    }

    // Live.

    /// Continues with the frame at this position, and with this cursor if it was moved.
    pub fn advance_to(&mut self, position: Position, cursor: Option<&Cursor>) {
        self.position = position;
        if let Some(cursor) = cursor {
            self.cursor.clone_from(cursor);
        }
    }

    /// Continues in the middle of a batch, of which the last `unwritten` bytes were not written.
    pub fn advance_within(&mut self, batch: &Batch, unwritten: usize) {
        let partial = batch.split_at_unwritten(unwritten);
        self.advance_to(partial.position, partial.cursor.as_ref());
        self.writer.set_unsent(partial.unsent);
    }

    // Ended.

    /// Ends the stream, with a backoff event unless the client has closed it.
    pub fn end(self, reason: EndReason) {
        self.writer.end(reason);
    }
}

/// Returns true if a subscriber that was live lags too far behind since then, and this node did not cause it.
fn is_too_slow(source: &Source, position: Position) -> bool {
    let (frames, bytes) = source.with_buffer(|buffer| buffer.lag(position));
    let is_lagging = frames > MAX_LAG_FRAMES || bytes > MAX_LAG_BYTES;
    is_lagging && !source.is_node_lag(position)
}

#[cfg(test)]
mod tests;
