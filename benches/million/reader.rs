//! A process with thousands of readers in one thread, which keep the rules of EventSource: a stream that ends is opened
//! again after its `retry`, with the id that was last received.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use clap::Args;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{
    Failure, ROOM,
    crowd::Tally,
    machine::{port_range, unix_micros},
    received::{Mark, parse_marks},
};

/// How many readers of a process open their streams at a time.
const MAX_PENDING: usize = 100;

/// How often a process reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(20);

/// The delay of EventSource until a stream says another.
const DEFAULT_RETRY_MS: u32 = 3000;

/// The readers of one process.
#[derive(Args)]
pub struct Share {
    /// Number of the process, which makes its source address
    #[arg(long)]
    process: u32,
    /// Number of its first reader
    #[arg(long)]
    first: usize,
    /// Number of its readers
    #[arg(long)]
    count: usize,
    /// The nodes
    nodes: Vec<SocketAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Connecting,
    Opening,
    Live,
}

struct Reader {
    stream: Option<TcpStream>,
    state: State,
    retry_ms: u32,
    /// How often it has connected, which decides the node.
    attempts: u16,
    /// The last id, empty until one has come.
    cursor: Box<str>,
    /// The beginning of an event that is not complete.
    rest: Vec<u8>,
    /// A bit for each message that it has, and the last of them.
    received: u64,
    last: u32,
}

struct Readers<'a> {
    share: &'a Share,
    poll: Poll,
    ports: Ports,
    readers: Vec<Reader>,
    /// Which reader connects when.
    due: BinaryHeap<(Reverse<Instant>, usize)>,
    pending: usize,
    tally: Tally,
}

/// Holds the readers until the parent ends this process.
pub fn run(share: &Share) -> Result<(), Failure> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    io::stdin().read_line(&mut String::new())?;
    let now = Instant::now();
    let new_reader = |_| Reader {
        stream: None,
        state: State::Waiting,
        retry_ms: DEFAULT_RETRY_MS,
        attempts: 0,
        cursor: "".into(),
        rest: Vec::new(),
        received: 0,
        last: 0,
    };
    let mut readers = Readers {
        share,
        poll: Poll::new()?,
        ports: Ports::of_process(share.process),
        readers: (0..share.count).map(new_reader).collect(),
        due: (0..share.count).map(|number| (Reverse(now), number)).collect(),
        pending: 0,
        tally: Tally::default(),
    };
    let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 64 << 10]);
    let (mut reported, mut line) = (now, String::new());
    loop {
        readers.connect_due()?;
        match readers.poll.poll(&mut events, Some(REPORT_INTERVAL)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            readers.on_event(event.token().0, event.is_writable(), event.is_readable(), &mut buffer);
        }
        if reported.elapsed() >= REPORT_INTERVAL {
            reported = Instant::now();
            let now = readers.tally.line();
            if now != line {
                let mut out = io::stdout().lock();
                writeln!(out, "{now}").and(out.flush())?;
                line = now;
            }
        }
    }
}

impl Readers<'_> {
    fn connect_due(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        while self.pending < MAX_PENDING && self.due.peek().is_some_and(|(Reverse(due), _)| *due <= now) {
            let Some((_, number)) = self.due.pop() else { break };
            let reader = &mut self.readers[number];
            let node = node_of(self.share.first + number, reader.attempts, self.share.nodes.len());
            reader.attempts += 1;
            let mut stream = self.ports.connect(self.share.nodes[node])?;
            self.poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            (reader.stream, reader.state) = (Some(stream), State::Connecting);
            self.pending += 1;
        }
        Ok(())
    }

    fn on_event(&mut self, number: usize, is_writable: bool, is_readable: bool, buffer: &mut [u8]) {
        let reader = &mut self.readers[number];
        let before = reader.state;
        let mut goes_on = true;
        if reader.state == State::Connecting && is_writable {
            goes_on = reader.send_request(self.share.nodes[0]);
        }
        if goes_on && is_readable {
            goes_on = reader.receive(buffer, &mut self.tally);
        }
        let is_pending = |state: State| matches!(state, State::Connecting | State::Opening);
        if !goes_on {
            self.tally.ended += usize::from(before == State::Live);
            let reader = &mut self.readers[number];
            (reader.stream, reader.state, reader.rest) = (None, State::Waiting, Vec::new());
            self.due.push((Reverse(Instant::now() + Duration::from_millis(reader.retry_ms.into())), number));
        }
        let after = self.readers[number].state;
        self.pending -= usize::from(is_pending(before) && !is_pending(after));
        self.tally.live += usize::from(before != State::Live && after == State::Live);
        self.tally.live -= usize::from(before == State::Live && after != State::Live);
    }
}

/// Returns the node of a reader. When one is gone, its readers spread over all others.
fn node_of(reader: usize, attempt: u16, nodes: usize) -> usize {
    let step = 1 + (reader / nodes) % (nodes - 1).max(1);
    (reader + usize::from(attempt) * step) % nodes
}

/// The source ports of a process, in turn. The kernel's own choice takes the longer, the more of them are in use.
struct Ports {
    source: Ipv4Addr,
    first: u16,
    count: u16,
    next: u16,
}

impl Ports {
    /// Returns those of a process, which has an address of its own: one has ports for fewer than 30,000 readers.
    fn of_process(process: u32) -> Self {
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 1)) + process);
        let (first, count) = port_range();
        Self { source, first, count, next: 0 }
    }

    /// Begins to connect from the next port that is free.
    fn connect(&mut self, node: SocketAddr) -> Result<TcpStream, Failure> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        for _ in 0..self.count {
            let port = self.first + self.next;
            self.next = (self.next + 1) % self.count;
            if socket.bind(&SockAddr::from(SocketAddr::from((self.source, port)))).is_ok() {
                return match socket.connect(&SockAddr::from(node)) {
                    Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => Err(error.into()),
                    _ => Ok(TcpStream::from_std(socket.into())),
                };
            }
        }
        Err("no source port is free".into())
    }
}

impl Reader {
    fn send_request(&mut self, host: SocketAddr) -> bool {
        let id = if self.cursor.is_empty() {
            String::new()
        } else {
            format!("Last-Event-ID: {}\r\n", self.cursor)
        };
        let request =
            format!("GET /subscribe/{ROOM} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n{id}\r\n");
        let sent = self.stream.as_mut().map(|stream| stream.write(request.as_bytes()));
        self.state = State::Opening;
        matches!(sent, Some(Ok(length)) if length == request.len())
    }

    /// Reads until the socket is empty. Returns false if the stream has ended.
    fn receive(&mut self, buffer: &mut [u8], tally: &mut Tally) -> bool {
        loop {
            let Some(stream) = &mut self.stream else { return false };
            match stream.read(buffer) {
                Ok(length) if length > 0 => self.handle(&buffer[..length], tally),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                _ => return false,
            }
        }
    }

    fn handle(&mut self, bytes: &[u8], tally: &mut Tally) {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let Some(end) = memchr::memmem::rfind(&all, b"\n\n") else {
            self.rest = all;
            return;
        };
        let (complete, rest) = all.split_at(end + 2);
        self.rest = rest.to_vec();
        for line in complete.split(|byte| *byte == b'\n') {
            self.handle_line(line, tally);
        }
    }

    fn handle_line(&mut self, line: &[u8], tally: &mut Tally) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if let Some(id) = line.strip_prefix(b"id:") {
            self.cursor = text(id).into();
        } else if let Some(retry) = line.strip_prefix(b"retry:") {
            self.retry_ms = text(retry).parse().unwrap_or(DEFAULT_RETRY_MS);
        } else if line.starts_with(b"event: gap") {
            tally.gaps += 1;
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if memchr::memmem::find(data, br#""live":true"#).is_some() {
                self.state = State::Live;
            }
            let marks = [data, b" "].concat();
            parse_marks(&marks, |mark| {
                if let Mark::Numbered { number, .. } = mark {
                    self.record(number, tally);
                }
            });
        }
    }

    fn record(&mut self, number: u32, tally: &mut Tally) {
        let bit = 1_u64.checked_shl(number).unwrap_or(0);
        if self.received & bit != 0 {
            tally.twice += 1;
            return;
        }
        self.received |= bit;
        tally.disordered += usize::from(number < self.last);
        self.last = self.last.max(number);
        tally.receive(number, unix_micros());
    }
}
