//! Thousands of readers in one thread: real sockets and one epoll. They count what they see and how old it is.

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
    tally::{Faults, Mark, Tally, marks},
};

/// Readers that wait for their streams at a time: who comes to stay is no storm.
const AT_ONCE: usize = 200;

/// How often whoever waits is asked.
const TICK: Duration = Duration::from_millis(5);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the benchmark began: the clock of all messages.
pub fn nanos() -> u64 {
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Where a reader goes and what it says there.
#[derive(Clone)]
pub struct Call {
    pub address: SocketAddr,
    pub path: String,
    pub last_event_id: Option<String>,
}

impl Call {
    fn request(&self) -> Vec<u8> {
        let Self { address, path, last_event_id } = self;
        let id = last_event_id.as_ref().map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{id}\r\n").into_bytes()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Waits for its turn.
    Away,
    Connecting,
    /// Has asked and is not answered yet.
    Opening,
    Live,
    /// Was cut off by the server.
    Cut,
}

struct Reader {
    call: Rc<Call>,
    /// Which lanes it reads: those of its group.
    group: usize,
    stream: Option<TcpStream>,
    state: State,
    warm: bool,
    /// What its stream said about coming back.
    retry: Duration,
    /// Half a mark, or the head of the answer.
    tail: Vec<u8>,
    tally: Tally,
}

/// All readers of one trial.
pub struct Crowd {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    opening: &'static [u8],
    readers: Vec<Reader>,
    /// Who comes when, the next one last.
    due: Vec<(Instant, usize)>,
    /// Readers that have come and are not answered yet, and how many of them there may be.
    coming: usize,
    at_once: usize,
    seen: Seen,
}

/// What the crowd has seen so far.
pub struct Seen {
    pub live: usize,
    /// Readers that have had a warm-up message.
    pub warm: usize,
    pub received: u64,
    /// Publish to receive, in microseconds.
    pub latency: Histogram<u64>,
}

impl Crowd {
    /// A crowd of nobody, for servers that open a stream with these bytes.
    pub fn new(opening: &'static [u8]) -> Result<Self, Failure> {
        let latency = Histogram::new_with_bounds(1, 600_000_000, 3)?;
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 256 * 1024],
            opening,
            readers: Vec::new(),
            due: Vec::new(),
            coming: 0,
            at_once: AT_ONCE,
            seen: Seen { live: 0, warm: 0, received: 0, latency },
        })
    }

    pub fn len(&self) -> usize {
        self.readers.len()
    }

    /// Readers in this group.
    pub fn group(&self, group: usize) -> usize {
        self.readers.iter().filter(|reader| reader.group == group).count()
    }

    /// Some more readers, who come now.
    pub fn add(&mut self, count: usize, group: usize, call: Call) {
        let (call, now) = (Rc::new(call), Instant::now());
        for _ in 0..count {
            self.due.push((now, self.readers.len()));
            self.readers.push(Reader {
                call: Rc::clone(&call),
                group,
                stream: None,
                state: State::Away,
                warm: false,
                retry: Duration::ZERO,
                tail: Vec::new(),
                tally: Tally::default(),
            });
        }
    }

    /// Everybody is cut off at this moment and comes back elsewhere, each after the time it was told, however many
    /// come at once. The moment when the last one comes.
    pub fn scatter(&mut self, call: Call) -> Instant {
        let (call, now) = (Rc::new(call), Instant::now());
        self.due.clear();
        for (number, reader) in self.readers.iter_mut().enumerate() {
            reader.stream = None;
            reader.call = Rc::clone(&call);
            reader.state = State::Away;
            self.due.push((now + reader.retry, number));
        }
        self.due.sort_unstable_by_key(|(due, _)| std::cmp::Reverse(*due));
        (self.coming, self.at_once) = (0, usize::MAX);
        self.seen.live = 0;
        self.due.first().map_or(now, |(due, _)| *due)
    }

    /// Reads until `done` says so; an error after the deadline.
    pub fn read(&mut self, what: &str, patience: Duration, mut done: impl FnMut(&Seen) -> bool) -> Result<(), Failure> {
        let end = Instant::now() + patience;
        while !done(&self.seen) {
            if Instant::now() > end {
                let Seen { live, warm, received, .. } = self.seen;
                let all = self.len();
                return Err(format!("{what}: too late ({live} of {all} live, {warm} warm, {received} received)").into());
            }
            self.connect_due()?;
            self.turn()?;
        }
        Ok(())
    }

    /// Reads for a while, whatever comes.
    pub fn rest(&mut self, time: Duration) -> Result<(), Failure> {
        let end = Instant::now() + time;
        self.read("rest", time * 2, |_| Instant::now() >= end)
    }

    fn connect_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        while self.coming < self.at_once && self.due.last().is_some_and(|(due, _)| *due <= now) {
            let Some((_, number)) = self.due.pop() else { break };
            let reader = &mut self.readers[number];
            let mut stream = TcpStream::connect(reader.call.address)?;
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut stream, Token(number), both)?;
            reader.stream = Some(stream);
            reader.state = State::Connecting;
            reader.tail.clear();
            self.coming += 1;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Failure> {
        match self.poll.poll(&mut self.events, Some(TICK)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let Token(number) = event.token();
            let reader = &mut self.readers[number];
            let came = reader.is_coming();
            if reader.state == State::Connecting && event.is_writable() {
                reader.ask();
            }
            if event.is_readable() {
                reader.hear(&mut self.buffer, self.opening, event.is_read_closed(), &mut self.seen);
            }
            self.coming -= usize::from(came && !reader.is_coming());
        }
        Ok(())
    }

    /// What went wrong, measured by the last number sent on each lane of each group. Who was cut off is counted as that;
    /// readers do not resume here, so what would have come is not lost.
    pub fn judge(&self, sent: &[Vec<u32>]) -> Faults {
        let mut faults = Faults::default();
        let (cut, whole): (Vec<&Reader>, Vec<&Reader>) =
            self.readers.iter().partition(|reader| reader.state == State::Cut);
        faults.cut = cut.len() as u64;
        for reader in whole {
            let lanes = sent.get(reader.group).map(Vec::as_slice).unwrap_or_default();
            reader.tally.judge(lanes, &mut faults);
        }
        faults
    }

    /// Forgets the latencies of what came before.
    pub fn forget_latency(&mut self) {
        self.seen.latency.reset();
    }

    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Reader {
    fn is_coming(&self) -> bool {
        matches!(self.state, State::Connecting | State::Opening)
    }

    /// Sends the request: a few hundred bytes, which every new socket takes.
    fn ask(&mut self) {
        let request = self.call.request();
        let sent = self.stream.as_mut().map(|stream| stream.write(&request));
        self.state = if matches!(sent, Some(Ok(length)) if length == request.len()) {
            State::Opening
        } else {
            State::Cut
        };
    }

    /// Reads until the socket has no more; to the end, where the other side has closed it.
    fn hear(&mut self, buffer: &mut [u8], opening: &[u8], closed: bool, seen: &mut Seen) {
        loop {
            let Some(stream) = &mut self.stream else { return };
            match stream.read(buffer) {
                Ok(length) if length > 0 => {
                    self.take(&buffer[..length], opening, seen);
                    if length < buffer.len() && !closed {
                        return; // edge-triggered: what comes later is told
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                _ => return self.lose(seen),
            }
        }
    }

    fn lose(&mut self, seen: &mut Seen) {
        seen.live -= usize::from(self.state == State::Live);
        (self.stream, self.state) = (None, State::Cut);
    }

    fn take(&mut self, bytes: &[u8], opening: &[u8], seen: &mut Seen) {
        if self.state == State::Live && self.tail.is_empty() {
            let done = self.look(bytes, seen);
            self.tail.extend_from_slice(&bytes[done..]);
            return;
        }
        self.tail.extend_from_slice(bytes);
        if self.state != State::Live && !self.opened(opening, seen) {
            return;
        }
        let tail = std::mem::take(&mut self.tail);
        let done = self.look(&tail, seen);
        self.tail.extend_from_slice(&tail[done..]);
    }

    /// Whether the head has come; what follows it stays.
    fn opened(&mut self, opening: &[u8], seen: &mut Seen) -> bool {
        let Some(at) = memchr::memmem::find(&self.tail, opening) else {
            return false;
        };
        if let Some(retry) = memchr::memmem::find(&self.tail, b"retry: ") {
            let digits = self.tail[retry + 7..].iter().take_while(|byte| byte.is_ascii_digit());
            self.retry = Duration::from_millis(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
        }
        self.tail.drain(..at + opening.len());
        self.state = State::Live;
        seen.live += 1;
        true
    }

    fn look(&mut self, bytes: &[u8], seen: &mut Seen) -> usize {
        let now = nanos();
        marks(bytes, |mark| match mark {
            Mark::Warm => {
                seen.warm += usize::from(!self.warm);
                self.warm = true;
            }
            Mark::Numbered { lane, number, nanos } => {
                if self.tally.see(lane, number) {
                    seen.received += 1;
                    seen.latency.saturating_record(now.saturating_sub(nanos) / 1000);
                }
            }
        })
    }
}
