//! Writes to one subscriber's stream: frames, the status of the node, and heartbeats.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::Connection;
use super::end_reason::EndReason;
use crate::chat::Cursor;
use crate::hub::context::{OUTAGE_GRACE, StreamContext};
use crate::hub::pass::Pass;
use crate::hub::retry;
use crate::sse::{Block, Event, Form, Syntax};

/// How long a socket may take no byte before its stream is ended.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a subscriber that waits for its socket is checked.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The connection of one subscriber, and what was sent on it beside messages.
pub struct StreamWriter {
    connection: Connection,
    context: Arc<StreamContext>,
    /// How the stream is written.
    pub form: Form,
    /// The cursor that was asked for, until the opening is written. A stream that ends before has to repeat it.
    asked: Option<Box<Cursor>>,
    /// The status that was sent last.
    pub last_status: bool,
    /// When the stream ends because of its age; `None` if its age is not limited.
    pub expires_at: Option<Instant>,
    /// What lets the client have the stream; `None` if every client may have it.
    pub pass: Option<Arc<Pass>>,
}

impl StreamWriter {
    /// Takes a socket over. `head` is written before anything else.
    pub fn new(
        context: Arc<StreamContext>,
        form: Form,
        asked: Option<Cursor>,
        pass: Option<Arc<Pass>>,
        socket: TcpStream,
        head: Bytes,
    ) -> Self {
        let (connection, expires_at) = (Connection::new(socket, head), context.pace.draw_expiry());
        Self { connection, context, form, asked: asked.map(Box::new), last_status: true, expires_at, pass }
    }

    /// Returns when the socket last took a byte, as far as the subscriber knows: its group keeps its own time.
    pub fn last_write(&self) -> Instant {
        self.connection.last_write
    }

    /// Notes when the socket took bytes.
    pub fn note_write(&mut self, at: Instant) {
        self.connection.last_write = self.connection.last_write.max(at);
    }

    /// Returns true if the socket took everything so far.
    pub fn is_flushed(&self) -> bool {
        self.connection.is_flushed()
    }

    /// Writes as much as the socket takes now. Returns the number of bytes: 0 if the socket is full.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, EndReason> {
        self.connection.try_write(bytes)
    }

    /// Writes what has to be written, and then as much of these bytes as the socket takes now. Returns how many of them it
    /// took.
    pub fn write_next(&mut self, bytes: &[u8], now: Instant) -> Result<usize, EndReason> {
        self.connection.write_next(bytes, now)
    }

    /// Replaces what has to be written next, after a batch was written in part.
    pub fn set_unsent(&mut self, unsent: Bytes) {
        self.connection.set_unsent(unsent);
    }

    /// Writes frames as far as the socket takes them now, and returns how many it took. The rest of the last of them is
    /// written by [`flush`](Self::flush).
    pub fn write_frames(&mut self, frames: &[Bytes]) -> Result<usize, EndReason> {
        let taken = self.connection.write_frames(frames, Instant::now())?;
        self.context.metrics.delivered.inc_by(taken as u64);
        if let Some(pass) = &self.pass {
            pass.usage.delivered.inc_by(taken as u64);
        }
        Ok(taken)
    }

    /// Appends bytes to what has to be written.
    pub fn queue(&mut self, bytes: impl Into<Bytes>) {
        self.connection.queue(bytes.into());
    }

    /// Appends the opening of the stream: the milliseconds after which the client reconnects, the cursor it begins with, if
    /// that is known, and the status.
    pub fn queue_opening(&mut self, cursor: Option<&Cursor>, live: bool) {
        (self.asked, self.last_status) = (None, live);
        let event = match self.form.syntax {
            Syntax::Heartbeats => Event::heartbeat(),
            syntax => self.context.status(live, syntax),
        };
        let block = Block { retry_ms: Some(retry::opening_ms()), cursor, ..Block::of(&event) };
        self.queue(self.form.encode(&block));
    }

    /// Appends the status, changed or not, with the cursor that the opening lacked.
    pub fn queue_late_cursor(&mut self, cursor: &Cursor) {
        let event = self.context.status(self.last_status, self.form.syntax);
        self.queue(self.form.encode(&Block { cursor: Some(cursor), ..Block::of(&event) }));
    }

    /// Appends the status.
    pub fn queue_status(&mut self, live: bool) {
        self.last_status = live;
        self.queue(self.form.encode_event(&self.context.status(live, self.form.syntax)));
    }

    /// Writes what has to be written, waiting for the socket for as long as the subscriber is not too slow.
    pub async fn flush(&mut self, is_too_slow: impl Fn() -> bool) -> Result<(), EndReason> {
        while !self.connection.is_flushed() {
            self.connection.try_flush(Instant::now())?;
            if !self.connection.is_flushed() {
                self.wait_for_socket(&is_too_slow).await?;
            }
        }
        Ok(())
    }

    async fn wait_for_socket(&self, is_too_slow: &impl Fn() -> bool) -> Result<(), EndReason> {
        let since = Instant::now();
        while since.elapsed() < STALL_TIMEOUT && !is_too_slow() {
            if let Ok(ready) = timeout(STALL_CHECK_INTERVAL, self.connection.writable()).await {
                return ready;
            }
            self.connection.check_closed()?;
        }
        Err(EndReason::Slow)
    }

    /// Waits for a read of the log. If it takes longer than [`OUTAGE_GRACE`], sends the status and goes on with
    /// heartbeats.
    pub async fn wait_for_log<T>(&mut self, read: impl Future<Output = T>) -> Result<T, EndReason> {
        let mut read = pin!(read);
        if let Ok(result) = timeout(OUTAGE_GRACE, &mut read).await {
            return Ok(result);
        }
        self.report_outage()?;
        self.wait(read).await
    }

    /// Waits for a result, and sends heartbeats meanwhile. It never waits for the socket: others may be waiting for what
    /// this result holds.
    pub async fn wait<T>(&mut self, result: impl Future<Output = T>) -> Result<T, EndReason> {
        let mut result = pin!(result);
        loop {
            if let Ok(result) = timeout(self.context.pace.tick_interval(), &mut result).await {
                return Ok(result);
            }
            let now = Instant::now();
            if self.connection.is_flushed() {
                self.tick(now, self.last_write())?;
            } else {
                self.connection.check_closed()?;
                self.connection.try_flush(now)?;
            }
        }
    }

    /// Changes the status to not live, without waiting for the socket.
    pub fn report_outage(&mut self) -> Result<(), EndReason> {
        if self.last_status {
            self.queue_status(false);
        }
        self.connection.try_flush(Instant::now())
    }

    /// Returns when [`tick`](Self::tick) has something to do, unless more is written until then.
    pub fn due_at(&self, last_group_write: Instant) -> Instant {
        let heartbeat_at = self.last_write().max(last_group_write) + self.heartbeat();
        let ends = [self.expires_at, self.pass.as_ref().map(|pass| pass.expires_at)];
        ends.into_iter().flatten().fold(heartbeat_at, Instant::min)
    }

    /// Notices a closed connection. While there is no input, the waker is woken when some comes.
    pub fn check_input(&self, waker: &Waker) -> Result<(), EndReason> {
        self.connection.check_input(waker)
    }

    fn heartbeat(&self) -> Duration {
        self.context.pace.heartbeat_in(self.form.syntax)
    }

    /// Sends a heartbeat if nothing was written for long enough, by the subscriber itself or its group, and notices a
    /// closed connection, the maximum age and the end of a pass. Returns false as [`send_now`](Self::send_now) does.
    pub fn tick(&mut self, now: Instant, last_group_write: Instant) -> Result<bool, EndReason> {
        self.connection.check_closed()?;
        if self.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(EndReason::MaxAge);
        }
        if self.pass.as_ref().is_some_and(|pass| pass.is_over(now)) {
            return Err(EndReason::Expired);
        }
        let silence = now.saturating_duration_since(self.last_write().max(last_group_write));
        if silence < self.heartbeat() {
            return Ok(true);
        }
        self.send_now(self.form.heartbeat(), now)
    }

    /// Sends a small ephemeral frame without waiting. Returns false if the socket did not take all of it: the subscriber
    /// then has to catch up on its own.
    pub fn send_now(&mut self, bytes: Bytes, now: Instant) -> Result<bool, EndReason> {
        self.connection.set_unsent(bytes);
        self.connection.try_flush(now)?;
        Ok(self.connection.is_flushed())
    }

    /// Ends the stream, with a backoff event unless the client has closed it.
    pub fn end(self, reason: EndReason) {
        self.context.metrics.streams_ended.with_label_values(&[reason.label()]).inc();
        let asked = self.asked.as_deref();
        self.connection.close(reason.backoff().map(|reason| retry::backoff(reason, asked, self.form)));
    }
}
