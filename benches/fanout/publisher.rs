//! Publishers: keep-alive connections in one thread that post numbered messages, at a pace or as fast as each is
//! acknowledged.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    Failure,
    readers::nanos,
    servers::Kind,
    tally::{WARM, mark},
};

/// How long the last answers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes a message as long as people's are.
const WORDS: &str = "it is about as long as what people write to each other in a room on a working day";

/// Where messages of one row of numbers go: the posts of a channel are sent one after the other.
#[derive(Clone)]
pub struct Channel {
    pub room: String,
    /// Who reads it.
    pub group: usize,
    /// By what its readers tell its numbers from others.
    pub lane: usize,
}

#[derive(Clone, Copy)]
pub enum Pace {
    PerSecond(f64),
    AsAcknowledged,
}

/// Holds publishers back where readers cannot follow: what falls too far behind is cut off, and shows nothing.
#[derive(Clone)]
pub struct Leash {
    /// Messages that the readers together have.
    pub received: Arc<AtomicU64>,
    pub readers: u64,
    /// How many messages a publisher may be ahead of the readers.
    pub length: u64,
}

#[derive(Clone, Copy)]
pub enum Until {
    Over(Duration),
    Posts(u64),
}

/// What is to be posted, where, how fast and for how long.
pub struct Plan {
    pub kind: Kind,
    /// Connections are made to these in turn.
    pub addresses: Vec<SocketAddr>,
    pub connections: usize,
    pub channels: Vec<Channel>,
    pub pace: Pace,
    pub leash: Option<Leash>,
    pub until: Until,
    /// Messages without numbers, to open the way.
    pub warm: bool,
}

/// What was posted.
#[derive(Default)]
pub struct Sent {
    /// The last number of each lane of each group.
    pub lanes: Vec<Vec<u32>>,
    /// The last number of each channel.
    numbers: Vec<u32>,
    pub posts: u64,
    pub acknowledged: u64,
    pub refused: u64,
    pub took: Duration,
    /// The last answer's body.
    pub answer: String,
}

struct Connection {
    stream: TcpStream,
    queue: VecDeque<usize>,
    /// This connection's own channels, and whose turn it is.
    own: Vec<usize>,
    turn: usize,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    busy: bool,
}

impl Plan {
    /// Posts; ends by itself even when nobody answers.
    pub fn post(&self) -> Result<Sent, Failure> {
        self.post_after(Sent::default())
    }

    /// Posts on where an earlier plan with the same channels ended.
    pub fn post_after(&self, earlier: Sent) -> Result<Sent, Failure> {
        let sent = Sent { lanes: earlier.lanes, numbers: earlier.numbers, ..Sent::default() };
        let mut desk = Desk::open(self, sent)?;
        desk.run()?;
        let Desk { mut sent, started, .. } = desk;
        sent.took = started.elapsed();
        sent.refused += sent.posts - sent.acknowledged - sent.refused;
        Ok(sent)
    }
}

/// A plan under way.
struct Desk<'a> {
    plan: &'a Plan,
    poll: Poll,
    connections: Vec<Connection>,
    sent: Sent,
    /// Messages of a paced plan that were handed out.
    queued: u64,
    started: Instant,
}

impl<'a> Desk<'a> {
    fn open(plan: &'a Plan, mut sent: Sent) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..plan.connections {
            let stream = std::net::TcpStream::connect(plan.addresses[number % plan.addresses.len()])?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            let own = (0..plan.channels.len()).filter(|channel| channel % plan.connections == number).collect();
            let (queue, outbox, inbox) = (VecDeque::new(), Vec::new(), Vec::new());
            connections.push(Connection { stream, queue, own, turn: 0, outbox, inbox, busy: false });
        }
        sent.numbers.resize(plan.channels.len(), 0);
        Ok(Self { plan, poll, connections, sent, queued: 0, started: Instant::now() })
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(64);
        loop {
            let over = self.hand_out();
            for number in 0..self.connections.len() {
                self.begin(number);
            }
            let idle = self.connections.iter().all(|connection| !connection.busy && connection.queue.is_empty());
            if over && (idle || self.too_late()) {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(self.nap())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                let Token(number) = event.token();
                self.connections[number].flush()?;
                if event.is_readable() {
                    self.hear(number)?;
                }
            }
        }
    }

    /// Queues what is due; true when nothing more will be.
    fn hand_out(&mut self) -> bool {
        let elapsed = self.started.elapsed();
        if let Pace::PerSecond(rate) = self.plan.pace {
            let due = (elapsed.as_secs_f64() * rate) as u64 + 1;
            let due = match self.plan.until {
                Until::Over(time) => due.min((time.as_secs_f64() * rate) as u64),
                Until::Posts(posts) => due.min(posts),
            };
            for number in self.queued..due {
                let channel = usize::try_from(number).unwrap_or_default() % self.plan.channels.len();
                self.connections[channel % self.plan.connections].queue.push_back(channel);
            }
            self.queued = due.max(self.queued);
        }
        self.over()
    }

    fn over(&self) -> bool {
        let posted = match self.plan.pace {
            Pace::PerSecond(_) => self.queued,
            Pace::AsAcknowledged => self.sent.posts,
        };
        match self.plan.until {
            Until::Over(time) => self.started.elapsed() >= time,
            Until::Posts(posts) => posted >= posts,
        }
    }

    fn too_late(&self) -> bool {
        let planned = match self.plan.until {
            Until::Over(time) => time,
            Until::Posts(_) => Duration::from_secs(10),
        };
        self.started.elapsed() > planned + PATIENCE
    }

    /// Until the next message is due, at most.
    fn nap(&self) -> Duration {
        match self.plan.pace {
            Pace::PerSecond(rate) => {
                let next = Duration::from_secs_f64(self.queued as f64 / rate);
                next.saturating_sub(self.started.elapsed()).min(Duration::from_millis(20))
            }
            Pace::AsAcknowledged if self.plan.leash.is_some() => Duration::from_millis(1),
            Pace::AsAcknowledged => Duration::from_millis(20),
        }
    }

    fn is_too_far_ahead(&self) -> bool {
        self.plan.leash.as_ref().is_some_and(|Leash { received, readers, length }| {
            self.sent.posts > received.load(Ordering::Relaxed) / readers + length
        })
    }

    /// Sends the connection's next message, if it is free and has one.
    fn begin(&mut self, number: usize) {
        let over = self.over() || self.is_too_far_ahead();
        let connection = &mut self.connections[number];
        if connection.busy {
            return;
        }
        let channel = match self.plan.pace {
            Pace::PerSecond(_) => connection.queue.pop_front(),
            Pace::AsAcknowledged if over => None,
            Pace::AsAcknowledged => connection.next_own(),
        };
        let Some(channel) = channel else { return };
        let text = self.text(channel);
        let connection = &mut self.connections[number];
        connection.busy = true;
        write_request(&mut connection.outbox, self.plan, &self.plan.channels[channel].room, self.sent.posts, &text);
        self.sent.posts += 1;
        let _ = connection.flush(); // a broken connection shows when the answer is read
    }

    /// The message's text; its number is counted.
    fn text(&mut self, channel: usize) -> String {
        if self.plan.warm {
            return WARM.to_owned();
        }
        let Channel { group, lane, .. } = self.plan.channels[channel];
        self.sent.numbers[channel] += 1;
        let number = self.sent.numbers[channel];
        let lanes = &mut self.sent.lanes;
        lanes.resize(lanes.len().max(group + 1), Vec::new());
        let length = lanes[group].len().max(lane + 1);
        lanes[group].resize(length, 0);
        lanes[group][lane] = number;
        mark(lane, number, nanos()) + " " + WORDS
    }

    fn hear(&mut self, number: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[number];
        connection.fill()?;
        while let Some((status, body)) = next_answer(&mut self.connections[number].inbox) {
            self.connections[number].busy = false;
            match status {
                200..=299 => self.sent.acknowledged += 1,
                _ => self.sent.refused += 1,
            }
            self.sent.answer = body;
            self.begin(number);
        }
        Ok(())
    }
}

impl Connection {
    fn next_own(&mut self) -> Option<usize> {
        let channel = self.own.get(self.turn % self.own.len().max(1)).copied();
        self.turn += 1;
        channel
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(length) => drop(self.outbox.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), Failure> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a publisher's connection".into()),
                Ok(length) => self.inbox.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn write_request(outbox: &mut Vec<u8>, plan: &Plan, room: &str, number: u64, text: &str) {
    let json = format!(r#"{{"sender":"bench","message":"{text}"}}"#);
    let (path, body) = (plan.kind.publish(room), plan.kind.body(number, &json));
    let head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length:";
    let request = format!("POST {path} HTTP/1.1\r\n{head} {}\r\n\r\n{body}", body.len());
    outbox.extend_from_slice(request.as_bytes());
}

/// Takes the next whole answer out of the bytes: its status and its body.
fn next_answer(inbox: &mut Vec<u8>) -> Option<(u16, String)> {
    let end = memchr::memmem::find(inbox, b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&inbox[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let whole = end + length.and_then(|length| length.trim().parse::<usize>().ok()).unwrap_or_default();
    let body = String::from_utf8_lossy(inbox.get(end..whole)?).into_owned();
    inbox.drain(..whole);
    Some((status, body))
}
