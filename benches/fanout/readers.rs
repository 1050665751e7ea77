//! Thousands of readers in one thread, with a socket each and one epoll. They record the numbers of the messages that
//! they receive, and their latency.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    rc::Rc,
    sync::LazyLock,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    Failure,
    hubs::{dialect, kind::Kind, position::Position},
    received::{Faults, Mark, ReceivedNumbers, parse_marks},
};

/// How many readers open their streams at a time, so that filling a server does not become a storm.
const MAX_PENDING_STREAMS: usize = 200;

/// The longest wait for an event before the condition of `read_until` is checked again.
const POLL_TIMEOUT: Duration = Duration::from_millis(5);

/// What a heartbeat of tiny-chat contains.
const HEARTBEAT: &[u8] = b"event: heartbeat";

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns the nanoseconds since the benchmark began, the clock of all messages.
pub fn nanos() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A request for a stream.
#[derive(Clone)]
pub struct StreamRequest {
    pub address: SocketAddr,
    pub bytes: Vec<u8>,
    hello: Vec<u8>,
}

impl StreamRequest {
    /// Asks a node for a room, from a position on.
    pub fn new(kind: Kind, address: SocketAddr, room: &str, position: &Position) -> Self {
        let (bytes, hello) = (dialect::subscription(kind, room, position), dialect::hello(kind, position));
        Self { address, bytes, hello }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits until it may connect.
    Waiting,
    Connecting,
    /// Has sent its request, and waits for the head of the response.
    Opening,
    Live,
    /// Its stream was closed by the server.
    Cut,
}

struct Reader {
    request: Rc<StreamRequest>,
    /// The group of lanes that it reads.
    group: usize,
    stream: Option<TcpStream>,
    state: State,
    /// Whether it has received a warm-up message.
    warm: bool,
    /// The delay before a reconnect, as its stream set it.
    retry: Duration,
    /// Bytes that may begin a mark, or an incomplete head of the response.
    tail: Vec<u8>,
    received: ReceivedNumbers,
}

/// All readers of one trial.
pub struct Readers {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    kind: Kind,
    readers: Vec<Reader>,
    /// When which reader connects, the next one last.
    due: Vec<(Instant, usize)>,
    /// Readers that are connecting or opening, and how many of them there may be.
    pending: usize,
    max_pending: usize,
    /// The delay before a reconnect of streams that set none.
    default_retry: Duration,
    progress: Progress,
}

/// What all readers have received so far.
pub struct Progress {
    pub live: usize,
    /// Readers that have received a warm-up message.
    pub warm: usize,
    pub received: u64,
    pub heartbeats: u64,
    pub bytes: u64,
    /// Time from publish to receipt, in microseconds.
    pub latency: Histogram<u64>,
}

impl Readers {
    /// Creates an empty set of readers of one kind of server.
    pub fn new(kind: Kind) -> Result<Self, Failure> {
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 256 * 1024],
            kind,
            readers: Vec::new(),
            due: Vec::new(),
            pending: 0,
            max_pending: MAX_PENDING_STREAMS,
            default_retry: Duration::ZERO,
            progress: Progress { live: 0, warm: 0, received: 0, heartbeats: 0, bytes: 0, latency },
        })
    }

    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Returns the number of readers in a group.
    pub fn group_len(&self, group: usize) -> usize {
        self.readers.iter().filter(|reader| reader.group == group).count()
    }

    /// Adds readers that connect now, `MAX_PENDING_STREAMS` at a time.
    pub fn add(&mut self, count: usize, group: usize, request: StreamRequest) {
        let (request, now) = (Rc::new(request), Instant::now());
        for _ in 0..count {
            self.due.push((now, self.readers.len()));
            self.readers.push(Reader {
                request: Rc::clone(&request),
                group,
                stream: None,
                state: State::Waiting,
                warm: false,
                retry: self.default_retry,
                tail: Vec::new(),
                received: ReceivedNumbers::default(),
            });
        }
    }

    /// Adds readers that connect now, all of them at once.
    pub fn add_at_once(&mut self, count: usize, group: usize, request: StreamRequest) {
        self.max_pending = usize::MAX;
        self.add(count, group, request);
    }

    /// Sets the delay before a reconnect of streams that set none. To be called before readers are added.
    pub fn set_default_retry(&mut self, retry: Duration) {
        self.default_retry = retry;
    }

    /// Closes all streams, and lets each reader reconnect after the delay that its stream set, however many at a time.
    /// Returns when the last one will connect.
    pub fn reconnect(&mut self, request: StreamRequest) -> Instant {
        let (request, now) = (Rc::new(request), Instant::now());
        self.due.clear();
        for (number, reader) in self.readers.iter_mut().enumerate() {
            reader.stream = None;
            reader.request = Rc::clone(&request);
            reader.state = State::Waiting;
            self.due.push((now + reader.retry, number));
        }
        self.due.sort_unstable_by_key(|(due, _)| std::cmp::Reverse(*due));
        (self.pending, self.max_pending) = (0, usize::MAX);
        self.progress.live = 0;
        self.due.first().map_or(now, |(due, _)| *due)
    }

    /// Reads until `done` returns true.
    ///
    /// # Errors
    /// When that takes longer than `limit`; the error names `what`.
    pub fn read_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Progress) -> bool,
    ) -> Result<(), Failure> {
        let end = Instant::now() + limit;
        while !done(&self.progress) {
            if Instant::now() > end {
                let Progress { live, warm, received, .. } = self.progress;
                let all = self.len();
                return Err(format!(
                    "{what}: not done in time ({live} of {all} live, {warm} warm, {received} received)"
                )
                .into());
            }
            self.connect_due()?;
            self.poll_once()?;
        }
        Ok(())
    }

    /// Reads for `time`.
    pub fn read_for(&mut self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        self.read_until("reading", time * 2, |_| Instant::now() >= end)
    }

    /// Reads until nothing has come for `pause`.
    pub fn read_until_silent(&mut self, pause: Duration, limit: Duration) -> Result<(), Failure> {
        let (mut bytes, mut since) = (self.progress.bytes, Instant::now());
        self.read_until("silence", limit, |progress| {
            if progress.bytes != bytes {
                (bytes, since) = (progress.bytes, Instant::now());
            }
            since.elapsed() >= pause
        })
    }

    fn connect_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        while self.pending < self.max_pending && self.due.last().is_some_and(|(due, _)| *due <= now) {
            let Some((_, number)) = self.due.pop() else { break };
            let reader = &mut self.readers[number];
            let mut stream = TcpStream::connect(reader.request.address)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), both)?;
            reader.stream = Some(stream);
            reader.state = State::Connecting;
            reader.tail.clear();
            self.pending += 1;
        }
        Ok(())
    }

    fn poll_once(&mut self) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(POLL_TIMEOUT)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let Token(number) = event.token();
            let reader = &mut self.readers[number];
            let was_pending = reader.is_pending();
            if reader.state == State::Connecting && event.is_writable() {
                reader.send_request();
            }
            if event.is_readable() {
                reader.receive(&mut self.buffer, self.kind, event.is_read_closed(), &mut self.progress);
            }
            self.pending -= usize::from(was_pending && !reader.is_pending());
        }
        Ok(())
    }

    /// Returns the faults, given the last number that was sent on each lane of each group. A reader whose stream was
    /// closed counts only as cut off: it does not resume, so what it missed is not lost by the server.
    pub fn faults(&self, sent: &[Vec<u32>]) -> Faults {
        let mut faults = Faults::default();
        let (cut, whole): (Vec<&Reader>, Vec<&Reader>) =
            self.readers.iter().partition(|reader| reader.state == State::Cut);
        faults.cut = cut.len() as u64;
        for reader in whole {
            let lanes = sent.get(reader.group).map(Vec::as_slice).unwrap_or_default();
            reader.received.add_faults(lanes, &mut faults);
        }
        faults
    }

    /// Discards the latencies recorded so far.
    pub fn reset_latency(&mut self) {
        self.progress.latency.reset();
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }
}

impl Reader {
    fn is_pending(&self) -> bool {
        matches!(self.state, State::Connecting | State::Opening)
    }

    /// Sends the request with one write: it is short, and a new socket accepts it whole.
    fn send_request(&mut self) {
        let request = &self.request.bytes;
        let sent = self.stream.as_mut().map(|stream| stream.write(request));
        self.state = if matches!(sent, Some(Ok(length)) if length == request.len()) {
            State::Opening
        } else {
            State::Cut
        };
    }

    /// Reads until the socket is empty, or to the end of the stream if the server has closed it.
    fn receive(&mut self, buffer: &mut [u8], kind: Kind, closed: bool, progress: &mut Progress) {
        loop {
            let Some(stream) = &mut self.stream else { return };
            match stream.read(buffer) {
                Ok(length) if length > 0 => {
                    progress.bytes += length as u64;
                    if let Some(reply) =
                        dialect::reply(kind, &self.request.hello, &buffer[..length], self.state == State::Live)
                    {
                        let _ = stream.write(reply); // a few bytes to a socket that is rarely written to
                    }
                    self.handle(&buffer[..length], dialect::opening(kind), progress);
                    if length < buffer.len() && !closed {
                        return; // edge-triggered: more data is a new event
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.close(progress),
            }
        }
    }

    fn close(&mut self, progress: &mut Progress) {
        progress.live -= usize::from(self.state == State::Live);
        (self.stream, self.state) = (None, State::Cut);
    }

    fn handle(&mut self, bytes: &[u8], opening: &[u8], progress: &mut Progress) {
        if self.state == State::Live && self.tail.is_empty() {
            let done = self.record_marks(bytes, progress);
            self.tail.extend_from_slice(&bytes[done..]);
            return;
        }
        self.tail.extend_from_slice(bytes);
        if self.state != State::Live && !self.finish_head(opening, progress) {
            return;
        }
        let tail = std::mem::take(&mut self.tail);
        let done = self.record_marks(&tail, progress);
        self.tail.extend_from_slice(&tail[done..]);
    }

    /// Removes the head of the response from `tail` and goes live. Returns false if the head is incomplete.
    fn finish_head(&mut self, opening: &[u8], progress: &mut Progress) -> bool {
        let Some(at) = memchr::memmem::find(&self.tail, opening) else {
            return false;
        };
        if let Some(retry) = memchr::memmem::find(&self.tail, b"retry:") {
            let digits = self.tail[retry + 6..].iter().take_while(|byte| byte.is_ascii_digit());
            self.retry = Duration::from_millis(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        }
        self.tail.drain(..at + opening.len());
        self.state = State::Live;
        progress.live += 1;
        true
    }

    /// Records the marks in the bytes, and returns how many bytes are consumed.
    fn record_marks(&mut self, bytes: &[u8], progress: &mut Progress) -> usize {
        let now = nanos();
        if memchr::memchr(b'#', bytes).is_none() {
            progress.heartbeats += u64::from(memchr::memmem::find(bytes, HEARTBEAT).is_some());
            return bytes.len();
        }
        parse_marks(bytes, |mark| match mark {
            Mark::WarmUp => {
                progress.warm += usize::from(!self.warm);
                self.warm = true;
            }
            Mark::Numbered { lane, number, nanos } => {
                if self.received.record(lane, number) {
                    progress.received += 1;
                    progress.latency.saturating_record(now.saturating_sub(nanos) / 1000);
                }
            }
        })
    }
}
