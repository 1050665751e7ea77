use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use rustix::net::SendFlags;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::batch::{Batch, Tally};
use super::continuity::judge;
use super::feed::{Feed, Found, NotHeld};
use super::presence::Here;
use super::tape::Position;
use super::{Hub, PATIENCE};
use crate::bus::{Entry, LogPage, Span};
use crate::chat::{Cursor, Id};
use crate::sse::{self, BackoffReason};

/// A reader that has caught up may fall behind by so many frames, and by so many bytes.
const LAG: (usize, usize) = (1000, 1 << 20);

/// A reader whose socket takes no byte for so long is ended.
const STALL: Duration = Duration::from_secs(30);

/// How often a reader that waits for its socket is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Entries per reading for one reader. Few, since each of many readers may hold as many.
const PAGE: usize = 250;

/// One subscriber: a socket and a place in a feed.
pub struct Reader {
    socket: TcpStream,
    feed: Feed,
    hub: Arc<Hub>,
    /// What goes before anything else: the rest of a frame of which the socket took a part.
    unsent: Bytes,
    /// The position of the next frame.
    pub at: Position,
    /// The position from which on it gets what is not in the log, too.
    joined: Position,
    /// The place that it has with what it was sent.
    place: Cursor,
    /// What it was told last about the bus.
    pub told: bool,
    /// Whether it ever came to the end of the log: only then it can be too slow.
    caught_up: bool,
    /// When the socket last took a byte, as far as that was written to it alone or it has left a cohort.
    pub wrote: Instant,
    /// When it is sent away for its age.
    pub farewell: Option<Instant>,
    _open: Open,
    _here: Box<[Here]>,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The reader closed it, or vanished.
    Left,
    /// The reader fell too far behind.
    Slow,
    /// The node is about to end.
    Draining,
    /// The stream has lasted long enough, so that other nodes get their share.
    Aged,
}

/// What an open stream holds: its part in the count of streams, and its seat.
struct Open {
    hub: Arc<Hub>,
    _seat: Box<dyn Send>,
}

impl Reader {
    /// A reader that has been sent nothing yet; the head of the response goes first. `seat` is given
    /// back when its stream ends, and it is `here` for as long.
    pub fn new(
        hub: Arc<Hub>,
        feed: Feed,
        here: Box<[Here]>,
        socket: TcpStream,
        head: Bytes,
        permit: Box<dyn Send>,
    ) -> Self {
        hub.metrics.streams.inc();
        let open = Open { hub: hub.clone(), _seat: permit };
        let farewell = hub.pace.farewell();
        Self {
            socket,
            place: Cursor::zero(feed.names().len()),
            feed,
            hub,
            unsent: head,
            at: 0,
            joined: 0,
            told: true,
            caught_up: false,
            wrote: Instant::now(),
            farewell,
            _open: open,
            _here: here,
        }
    }

    /// What it reads.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// The node's hub.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Sets the place from which it goes on.
    pub fn begin_after(&mut self, place: Cursor) {
        self.place = place;
    }

    /// Sends, and waits for as long as the socket takes bytes.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), End> {
        let bytes = bytes.into();
        self.unsent = match self.unsent.is_empty() {
            true => bytes,
            false => [std::mem::take(&mut self.unsent), bytes].concat().into(),
        };
        self.flush().await
    }

    /// Says whether the bus is heard.
    pub async fn tell(&mut self, live: bool) -> Result<(), End> {
        self.told = live;
        self.send(self.hub.status(live)).await
    }

    /// Waits for the bus. A long wait is told to the reader, and heartbeats go on meanwhile.
    pub async fn wait_for<T>(&mut self, bus: impl Future<Output = T>) -> Result<T, End> {
        let mut bus = pin!(bus);
        if let Ok(done) = timeout(PATIENCE, &mut bus).await {
            return Ok(done);
        }
        if self.told {
            self.tell(false).await?;
        }
        loop {
            if let Ok(done) = timeout(self.hub.pace.round(), &mut bus).await {
                return Ok(done);
            }
            if !self.look_after(Instant::now(), self.wrote)? {
                self.flush().await?;
            }
        }
    }

    /// Sends everything up to the end of the room's frames, and the status where it has changed.
    pub async fn catch_up(&mut self) -> Result<(), End> {
        let mut tally = Tally::new(&self.hub.metrics);
        self.flush().await?;
        loop {
            let batch = self.feed.tape(|tape| Batch::next(tape, self.at, self.joined));
            match batch {
                None if self.is_too_far_behind() => return Err(End::Slow),
                None => self.find_place().await?,
                Some(batch) if batch.end > self.at => {
                    self.send(batch.bytes.clone()).await?;
                    batch.count(1, self.at, self.joined, self.wrote, &mut tally);
                    self.go_on_from(batch.end, batch.place());
                }
                Some(Batch { live: Some(live), .. }) if live != self.told => self.tell(live).await?,
                Some(_) => {
                    self.caught_up = true;
                    return Ok(());
                }
            }
        }
    }

    /// Looks for its place among the frames; where they do not reach back to it, the log is read
    /// first.
    pub async fn find_place(&mut self) -> Result<(), End> {
        loop {
            match self.feed.find(&self.place) {
                Err(NotHeld(member)) => self.read_on(member).await?,
                Ok(found) => {
                    if self.go_to(found).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Sends what is lacking before a place, and goes there. `false` where even more is lacking.
    pub async fn go_to(&mut self, found: Found) -> Result<bool, End> {
        self.hub.metrics.delivered.inc_by(found.lacking.len() as u64);
        self.place = found.place;
        if let Some(at) = found.at {
            (self.at, self.joined) = (at, found.joined);
            // What was told before of who is here is in no log.
            self.feed.rooms().iter().for_each(|room| room.presence().ask());
        }
        self.send(found.lacking.concat()).await?;
        Ok(found.at.is_some())
    }

    /// Replays what one room's log has after its place, a page of it. Each reading is judged: the log
    /// may be trimmed or lost on the way.
    async fn read_on(&mut self, member: usize) -> Result<(), End> {
        let asked = self.place.of(member);
        let reading = self.read(member, asked).await?;
        let (more, end) = (reading.more, reading.last);
        let continuation = judge(asked, reading);
        if let Some(reason) = continuation.gap {
            self.feed.room(member).count_gap(reason);
            let gap = sse::gap(&asked.to_string(), continuation.resumed(), reason, continuation.place);
            self.place.set(member, continuation.place);
            self.send(self.feed.frame(member, gap, &self.place)).await?;
        }
        self.replay(member, &continuation.entries).await?;
        if !more || continuation.entries.is_empty() {
            self.place.set(member, end);
        }
        let room = self.feed.room(member).clone();
        self.wait_for(async move { room.current_since(room.ticket()).await }).await
    }

    /// Sends entries that were read from a room's log.
    pub async fn replay(&mut self, member: usize, entries: &[Entry]) -> Result<(), End> {
        let mut frames = Vec::with_capacity(entries.len());
        for entry in entries {
            self.place.set(member, entry.id);
            let frame = sse::entry(entry.id, &entry.kind, &entry.data);
            frames.push(self.feed.frame(member, frame, &self.place));
        }
        self.hub.metrics.delivered.inc_by(frames.len() as u64);
        self.send(frames.concat()).await
    }

    /// It goes on in the middle of a batch, of which so many bytes are not written.
    pub fn go_on_within(&mut self, batch: &Batch, unwritten: usize) {
        let within = batch.place_within(unwritten);
        self.go_on_from(within.at, within.last.as_ref());
        self.unsent = within.unsent;
    }

    /// It goes on with the frame at this position, and has this place, where it was moved.
    pub fn go_on_from(&mut self, at: Position, place: Option<&Cursor>) {
        self.at = at;
        place.into_iter().for_each(|place| self.place.clone_from(place));
    }

    /// Says the heartbeat where it is due after what was written last, by itself or with others, and
    /// notices who has left or is old enough. `false` as in [`Reader::offer`].
    pub fn look_after(&mut self, now: Instant, wrote: Instant) -> Result<bool, End> {
        self.notice_leaving()?;
        if self.farewell.is_some_and(|farewell| farewell <= now) {
            return Err(End::Aged);
        }
        match now.saturating_duration_since(self.wrote.max(wrote)) >= self.hub.pace.heartbeat {
            true => self.offer(sse::heartbeat(), now),
            false => Ok(true),
        }
    }

    /// Ends the stream: with the rest of what was begun and then a word, as far as the socket takes
    /// them now.
    pub fn end(mut self, end: End) {
        let (label, reason) = match end {
            End::Left => ("closed", None),
            End::Slow => ("slow", Some(BackoffReason::Slow)),
            End::Draining => ("draining", Some(BackoffReason::Draining)),
            End::Aged => ("max_age", Some(BackoffReason::Draining)),
        };
        self.hub.metrics.streams_ended.with_label_values(&[label]).inc();
        if let Some(reason) = reason {
            let last_words = [std::mem::take(&mut self.unsent), sse::backoff(reason)].concat();
            let _ = self.socket.try_write(&last_words);
        }
        let _ = SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write);
    }

    /// Reads from a room's log after an id, for as long as it takes.
    async fn read(&mut self, member: usize, after: Id) -> Result<LogPage, End> {
        let room = self.feed.room(member).clone();
        self.wait_for(async move {
            loop {
                match room.read(Span::From(after), PAGE).await {
                    Ok(reading) => return reading,
                    Err(_) => tokio::time::sleep(PATIENCE / 4).await,
                }
            }
        })
        .await
    }

    /// Writes the rest of what was begun.
    async fn flush(&mut self) -> Result<(), End> {
        while !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let written = self.try_write(&unsent);
            self.unsent = unsent;
            let written = written?;
            self.unsent.advance(written);
            self.note(written, Instant::now());
            if !self.unsent.is_empty() {
                self.wait_for_socket(Instant::now()).await?;
            }
        }
        Ok(())
    }

    async fn wait_for_socket(&self, since: Instant) -> Result<(), End> {
        while since.elapsed() < STALL && !self.is_too_far_behind() {
            if let Ok(ready) = timeout(LOOK, self.socket.writable()).await {
                return ready.map_err(|_| End::Left);
            }
            self.notice_leaving()?;
        }
        Err(End::Slow)
    }

    fn is_too_far_behind(&self) -> bool {
        let (frames, bytes) = self.feed.tape(|tape| tape.lag(self.at));
        (frames > LAG.0 || bytes > LAG.1) && self.is_to_blame()
    }

    /// Whether it had all there was, and has been too slow for what came since.
    fn is_to_blame(&self) -> bool {
        self.caught_up && !self.feed.excuses(self.at)
    }

    /// Writes something small that does not belong to the log. `false` where the socket did not take all:
    /// the reader then goes on by itself, with [`Reader::catch_up`].
    pub fn offer(&mut self, bytes: Bytes, now: Instant) -> Result<bool, End> {
        let written = self.try_write(&bytes)?;
        self.note(written, now);
        self.unsent = bytes.slice(written..);
        Ok(self.unsent.is_empty())
    }

    fn note(&mut self, written: usize, now: Instant) {
        if written > 0 {
            self.wrote = now;
        }
    }

    /// How many of these bytes, one at least, the socket takes now.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, End> {
        // Straight to the kernel; only a socket that is full is the reactor's business.
        let written = rustix::net::send(&self.socket, bytes, SendFlags::empty()).map_err(io::Error::from);
        match written.or_else(|_| self.socket.try_write(bytes)) {
            Ok(0) => Err(End::Left),
            Ok(written) => Ok(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(End::Left),
        }
    }

    /// A reader has nothing more to say; what it sends is thrown away, and its end is noticed.
    fn notice_leaving(&self) -> Result<(), End> {
        let mut unread = [0; 512];
        match self.socket.try_read(&mut unread) {
            Ok(0) => Err(End::Left),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(_) => Err(End::Left),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.hub.metrics.streams.dec();
    }
}
