//! One subscriber: a connection, a cursor in its source, and a position among the frames.
//!
//! A subscriber is *starting* until [`Subscriber::start`] has returned, *catching up* until [`Subscriber::catch_up`]
//! has, *live* while it is in a group of its source's fan-out, and *ended* after [`Subscriber::end`]. A live subscriber
//! whose socket is full catches up again.

pub mod connection;
pub mod end_reason;
pub mod start;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::batch::{Batch, DeliveryStats};
use super::context::{OUTAGE_GRACE, StreamContext, StreamGauge};
use super::retry;
use super::room::PresenceGuard;
use super::room::buffer::Position;
use super::room::gap::continue_after;
use super::source::Source;
use super::source::lookup::{Lookup, NotBuffered};
use crate::bus::{Entry, LogPage, Span};
use crate::chat::{Cursor, Id};
use crate::sse;
use connection::Connection;
use end_reason::EndReason;
use start::{Start, StartPlan, plan};

/// The most frames that a subscriber may lag behind once it was live.
const MAX_LAG_FRAMES: usize = 1000;

/// The most bytes that a subscriber may lag behind once it was live.
const MAX_LAG_BYTES: usize = 1 << 20;

/// How long a socket may take no byte before its stream is ended.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a subscriber that waits for its socket is checked.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Entries per page that is read for one subscriber. Few, since many subscribers may hold a page at once.
const SUBSCRIBER_PAGE_ENTRIES: usize = 250;

/// The pause before a failed read for one subscriber is repeated.
const SUBSCRIBER_READ_RETRY_PAUSE: Duration = Duration::from_millis(250);

/// A subscriber of one source.
pub struct Subscriber {
    connection: Connection,
    source: Source,
    context: Arc<StreamContext>,
    /// The cursor after everything that was sent.
    cursor: Cursor,
    /// The position of the next frame.
    pub position: Position,
    /// The position from which on ephemeral frames are sent as well.
    live_from: Position,
    /// The status that was sent last.
    pub last_status: bool,
    /// Whether the subscriber was ever live. Its lag is limited only from then on.
    was_live: bool,
    /// When the stream ends because of its age; `None` if its age is not limited.
    pub expires_at: Option<Instant>,
    _gauge: StreamGauge,
    _permit: Box<dyn Send>,
    _presence: Box<[PresenceGuard]>,
}

impl Subscriber {
    /// Creates a subscriber to which nothing was sent yet. `head` is written first.
    pub fn new(
        context: Arc<StreamContext>,
        source: Source,
        presence: Box<[PresenceGuard]>,
        socket: TcpStream,
        head: Bytes,
        permit: Box<dyn Send>,
    ) -> Self {
        Self {
            connection: Connection::new(socket, head),
            cursor: Cursor::zero(source.names().len()),
            source,
            position: 0,
            live_from: 0,
            last_status: true,
            was_live: false,
            expires_at: context.pace.draw_expiry(),
            _gauge: StreamGauge::new(context.clone()),
            _permit: permit,
            _presence: presence,
            context,
        }
    }

    /// Returns what the subscriber reads.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns when the socket last took a byte, as far as the subscriber knows: its group keeps its own time.
    pub fn last_write(&self) -> Instant {
        self.connection.last_write
    }

    // Starting.

    /// Sends the opening, gaps and replays with which the stream begins. The opening is sent within [`OUTAGE_GRACE`]: if
    /// a log cannot be read by then, the status is not live, and a cursor that only the log can tell follows later.
    pub async fn start(&mut self, start: &Start) -> Result<(), EndReason> {
        let source = self.source.clone();
        let grace = if source.with_buffer(|buffer| buffer.live) {
            OUTAGE_GRACE
        } else {
            Duration::ZERO
        };
        let mut planning = pin!(plan(&source, start));
        if let Ok(plan) = timeout(grace, &mut planning).await {
            self.send_opening(plan.opening_cursor().as_ref(), true).await?;
            return self.follow(plan).await;
        }
        let known = start.known_cursor();
        self.send_opening(known.as_ref(), false).await?;
        let plan = self.wait_for_log(planning).await?;
        if let (None, Some(cursor)) = (known, plan.opening_cursor()) {
            self.send(sse::cursor(&cursor)).await?;
        }
        self.follow(plan).await
    }

    async fn send_opening(&mut self, cursor: Option<&Cursor>, live: bool) -> Result<(), EndReason> {
        self.last_status = live;
        let opening = sse::opening(retry::opening_ms(), cursor);
        self.send([opening.into(), self.context.status(live)].concat()).await
    }

    /// Sends the gaps and replays of a plan, and moves to the position after them.
    async fn follow(&mut self, plan: StartPlan) -> Result<(), EndReason> {
        let cursor = plan.cursor_before_replay();
        // All gaps come before all replays: a replayed message carries the cursor of every room, and a client that
        // resumes from it would never receive the gap of another room.
        let mut gaps = Vec::new();
        for (index, room) in plan.rooms.iter().enumerate() {
            if let Some(gap) = &room.gap {
                gaps.extend_from_slice(&self.source.encode(index, gap.clone(), &cursor));
            }
        }
        self.cursor = cursor;
        self.send(gaps).await?;
        for (index, room) in plan.rooms.iter().enumerate() {
            self.send_entries(index, &room.replay).await?;
        }
        if let Some(lookup) = plan.lookup
            && self.apply_lookup(lookup).await?
        {
            return Ok(());
        }
        self.look_up().await
    }

    // Catching up.

    /// Sends everything up to the end of the source's frames, and the status if it has changed.
    pub async fn catch_up(&mut self) -> Result<(), EndReason> {
        let mut stats = DeliveryStats::new(&self.context.metrics);
        self.flush().await?;
        loop {
            let batch = self.source.with_buffer(|buffer| Batch::next(buffer, self.position, self.live_from));
            match batch {
                None if self.is_too_slow() => return Err(EndReason::Slow),
                None => self.look_up().await?,
                Some(batch) if batch.end > self.position => {
                    self.send(batch.bytes.clone()).await?;
                    batch.count(1, self.position, self.live_from, self.last_write(), &mut stats);
                    self.advance_to(batch.end, batch.cursor());
                }
                Some(Batch { live: Some(live), .. }) if live != self.last_status => self.send_status(live).await?,
                Some(_) => {
                    self.was_live = true;
                    return Ok(());
                }
            }
        }
    }

    /// Finds the position after the cursor. If the frames do not reach back to it, replays from the log first.
    async fn look_up(&mut self) -> Result<(), EndReason> {
        loop {
            match self.source.look_up(&self.cursor) {
                Err(NotBuffered(index)) => self.replay_page(index).await?,
                Ok(lookup) => {
                    if self.apply_lookup(lookup).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends the missed frames of a lookup. Returns true if there are no more, and the position is known.
    async fn apply_lookup(&mut self, lookup: Lookup) -> Result<bool, EndReason> {
        self.context.metrics.delivered.inc_by(lookup.missed.len() as u64);
        self.cursor = lookup.cursor;
        if let Some(position) = lookup.position {
            (self.position, self.live_from) = (position, lookup.live_from);
            for room in self.source.rooms() {
                room.presence().request_snapshot();
            }
        }
        self.send(lookup.missed.concat()).await?;
        Ok(lookup.position.is_some())
    }

    /// Replays one page of a room's log after the cursor. The gap rule applies to each page, since the log may be
    /// trimmed or lost between two of them.
    async fn replay_page(&mut self, index: usize) -> Result<(), EndReason> {
        let asked = self.cursor.of(index);
        let page = self.read_page(index, asked).await?;
        let (more, last) = (page.more, page.last);
        let continuation = continue_after(asked, page);
        if let Some(reason) = continuation.gap {
            self.source.room(index).count_gap(reason);
            let gap = sse::gap(&asked.to_string(), continuation.resumed(), reason, continuation.cursor);
            self.cursor.set(index, continuation.cursor);
            self.send(self.source.encode(index, gap, &self.cursor)).await?;
        }
        self.send_entries(index, &continuation.entries).await?;
        if !more || continuation.entries.is_empty() {
            // Not the id of the last entry: later messages may have been deleted.
            self.cursor.set(index, last);
        }
        let room = self.source.room(index).clone();
        self.wait_for_log(async move { room.in_sync_since(room.reads_started()).await }).await
    }

    /// Reads a page of a room's log after an id, repeating the read until it succeeds.
    async fn read_page(&mut self, index: usize, after: Id) -> Result<LogPage, EndReason> {
        let room = self.source.room(index).clone();
        self.wait_for_log(async move {
            loop {
                match room.read_for_subscriber(Span::From(after), SUBSCRIBER_PAGE_ENTRIES).await {
                    Ok(page) => return page,
                    Err(_) => sleep(SUBSCRIBER_READ_RETRY_PAUSE).await,
                }
            }
        })
        .await
    }

    /// Sends entries that were read from a room's log.
    async fn send_entries(&mut self, index: usize, entries: &[Entry]) -> Result<(), EndReason> {
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            self.cursor.set(index, entry.id);
            let frame = sse::entry(entry.id, &entry.kind, &entry.data);
            frames.push(self.source.encode(index, frame, &self.cursor));
        }
        self.context.metrics.delivered.inc_by(frames.len() as u64);
        self.send(frames.concat()).await
    }

    /// Waits for a read of the log. If it takes longer than [`OUTAGE_GRACE`], sends the status and goes on with
    /// heartbeats.
    async fn wait_for_log<T>(&mut self, read: impl Future<Output = T>) -> Result<T, EndReason> {
        let mut read = pin!(read);
        if let Ok(result) = timeout(OUTAGE_GRACE, &mut read).await {
            return Ok(result);
        }
        if self.last_status {
            self.send_status(false).await?;
        }
        loop {
            if let Ok(result) = timeout(self.context.pace.tick_interval(), &mut read).await {
                return Ok(result);
            }
            if !self.tick(Instant::now(), self.last_write())? {
                self.flush().await?;
            }
        }
    }

    async fn send_status(&mut self, live: bool) -> Result<(), EndReason> {
        self.last_status = live;
        self.send(self.context.status(live)).await
    }

    /// Sends bytes, waiting until the socket has taken all of them.
    async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), EndReason> {
        self.connection.queue(bytes.into());
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), EndReason> {
        while !self.connection.is_flushed() {
            self.connection.try_flush(Instant::now())?;
            if !self.connection.is_flushed() {
                self.wait_for_socket().await?;
            }
        }
        Ok(())
    }

    async fn wait_for_socket(&self) -> Result<(), EndReason> {
        let since = Instant::now();
        while since.elapsed() < STALL_TIMEOUT && !self.is_too_slow() {
            if let Ok(ready) = timeout(STALL_CHECK_INTERVAL, self.connection.writable()).await {
                return ready;
            }
            self.connection.check_closed()?;
        }
        Err(EndReason::Slow)
    }

    /// Returns true if the subscriber was live, lags too far behind since then, and this node did not cause it.
    fn is_too_slow(&self) -> bool {
        let (frames, bytes) = self.source.with_buffer(|buffer| buffer.lag(self.position));
        let is_lagging = frames > MAX_LAG_FRAMES || bytes > MAX_LAG_BYTES;
        is_lagging && self.was_live && !self.source.is_node_lag(self.position)
    }

    // Live.

    /// Writes as much of a batch as the socket takes now. Returns the number of bytes: 0 if the socket is full.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, EndReason> {
        self.connection.try_write(bytes)
    }

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
        self.connection.set_unsent(partial.unsent);
    }

    /// Notes when the group last wrote to the subscriber.
    pub fn note_write(&mut self, at: Instant) {
        self.connection.last_write = self.connection.last_write.max(at);
    }

    /// Sends a heartbeat if nothing was written for long enough, by the subscriber itself or its group, and notices a
    /// closed connection and the maximum age. Returns false as [`send_now`](Self::send_now) does.
    pub fn tick(&mut self, now: Instant, last_group_write: Instant) -> Result<bool, EndReason> {
        self.connection.check_closed()?;
        if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(EndReason::MaxAge);
        }
        let silence = now.saturating_duration_since(self.last_write().max(last_group_write));
        if silence < self.context.pace.heartbeat {
            return Ok(true);
        }
        self.send_now(sse::heartbeat(), now)
    }

    /// Sends a small ephemeral frame without waiting. Returns false if the socket did not take all of it: the subscriber
    /// then has to catch up on its own.
    pub fn send_now(&mut self, bytes: Bytes, now: Instant) -> Result<bool, EndReason> {
        self.connection.set_unsent(bytes);
        self.connection.try_flush(now)?;
        Ok(self.connection.is_flushed())
    }

    // Ended.

    /// Ends the stream, with a backoff event unless the client has closed it.
    pub fn end(self, reason: EndReason) {
        self.context.metrics.streams_ended.with_label_values(&[reason.label()]).inc();
        self.connection.close(reason.backoff().map(retry::backoff));
    }
}
