//! Publishes numbered messages over keep-alive connections in one thread, at a rate or as fast as they are
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
    hubs::{
        dialect::{self, Post},
        kind::Kind,
        response::take_response,
    },
    readers::nanos,
    received::{WARM_UP_MARK, format_mark},
};

/// How long a plan waits for the last responses.
const LAST_RESPONSES_TIMEOUT: Duration = Duration::from_secs(10);

/// The text of a message after its mark, which gives it a typical length.
const MESSAGE_TEXT: &str = "it is about as long as what people write to each other in a room on a working day";

/// A sequence of numbered messages in one room. Its posts are sent one after the other, so that they arrive in order.
#[derive(Clone)]
pub struct Channel {
    pub room: String,
    /// The group of readers of the room.
    pub group: usize,
    /// The lane of its numbers among those of the group.
    pub lane: usize,
}

#[derive(Clone, Copy)]
pub enum PublishRate {
    PerSecond(f64),
    AsAcknowledged,
}

/// Holds publishers back while readers cannot follow: a server closes streams that lag too far, which voids a trial.
#[derive(Clone)]
pub struct Backpressure {
    /// Messages received, summed over all readers.
    pub received: Arc<AtomicU64>,
    pub readers: u64,
    /// How many messages the publishers may be ahead of the average reader.
    pub max_lead: u64,
}

#[derive(Clone, Copy)]
pub enum Until {
    Over(Duration),
    Posts(u64),
}

/// What a plan requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Post,
    /// The page of the room. It has to contain the room's message with this number.
    Page {
        number: u32,
    },
}

/// What to publish, where, how fast and for how long.
pub struct Plan {
    pub kind: Kind,
    pub request: Request,
    /// Connections go to these in turn.
    pub addresses: Vec<SocketAddr>,
    pub connections: usize,
    pub channels: Vec<Channel>,
    pub rate: PublishRate,
    pub backpressure: Option<Backpressure>,
    pub until: Until,
    /// Whether to send warm-up messages, which have no number.
    pub is_warm_up: bool,
    /// How many clients the posts come from, as a proxy names them, or 0 if none is named.
    pub clients: u32,
}

/// What was published.
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
    /// How long each response took, in microseconds.
    response_micros: Vec<u32>,
}

impl Sent {
    /// Returns a quantile of the time that a response took, in milliseconds.
    pub fn response_time(&self, quantile: f64) -> f64 {
        let mut sorted = self.response_micros.clone();
        sorted.sort_unstable();
        let index = (sorted.len().saturating_sub(1) as f64 * quantile).round() as usize;
        f64::from(sorted.get(index).copied().unwrap_or_default()) / 1000.0
    }
}

struct Connection {
    stream: TcpStream,
    queue: VecDeque<usize>,
    /// The channels of this connection, and which of them comes next, counted on without end.
    channels: Vec<usize>,
    next_channel: usize,
    outbox: Vec<u8>,
    inbox: Vec<u8>,
    /// The request that waits for a response: since when, and its channel.
    waiting: Option<(Instant, usize)>,
}

impl Plan {
    /// Publishes, and returns even if the server does not respond.
    pub fn post(&self) -> Result<Sent, Failure> {
        self.post_after(Sent::default())
    }

    /// Publishes with numbers that continue those of an earlier plan with the same channels.
    pub fn post_after(&self, earlier: Sent) -> Result<Sent, Failure> {
        let sent = Sent { lanes: earlier.lanes, numbers: earlier.numbers, ..Sent::default() };
        let mut publisher = Publisher::connect(self, sent)?;
        publisher.run()?;
        let Publisher { mut sent, started, .. } = publisher;
        sent.took = started.elapsed();
        sent.refused += sent.posts - sent.acknowledged - sent.refused;
        Ok(sent)
    }
}

/// A plan in progress.
struct Publisher<'a> {
    plan: &'a Plan,
    poll: Poll,
    connections: Vec<Connection>,
    sent: Sent,
    /// Messages of a plan with a rate that were queued.
    queued: u64,
    started: Instant,
}

impl<'a> Publisher<'a> {
    fn connect(plan: &'a Plan, mut sent: Sent) -> Result<Self, Failure> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for number in 0..plan.connections {
            let stream = std::net::TcpStream::connect(plan.addresses[number % plan.addresses.len()])?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
            let channels = (0..plan.channels.len()).filter(|channel| channel % plan.connections == number).collect();
            let (queue, outbox, inbox) = (VecDeque::new(), Vec::new(), Vec::new());
            connections.push(Connection { stream, queue, channels, next_channel: 0, outbox, inbox, waiting: None });
        }
        sent.numbers.resize(plan.channels.len(), 0);
        Ok(Self { plan, poll, connections, sent, queued: 0, started: Instant::now() })
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut events = Events::with_capacity(64);
        loop {
            let is_over = self.queue_due();
            for number in 0..self.connections.len() {
                self.send_next(number);
            }
            let idle = self
                .connections
                .iter()
                .all(|connection| connection.waiting.is_none() && connection.queue.is_empty());
            if is_over && (idle || self.is_overdue()) {
                return Ok(());
            }
            match self.poll.poll(&mut events, Some(self.poll_timeout())) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => other?,
            }
            for event in &events {
                let Token(number) = event.token();
                self.connections[number].flush()?;
                if event.is_readable() {
                    self.receive(number)?;
                }
            }
        }
    }

    /// Queues the messages that are due, and returns true if there will be no more.
    fn queue_due(&mut self) -> bool {
        let elapsed = self.started.elapsed();
        if let PublishRate::PerSecond(rate) = self.plan.rate {
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
        self.is_over()
    }

    fn is_over(&self) -> bool {
        let posted = match self.plan.rate {
            PublishRate::PerSecond(_) => self.queued,
            PublishRate::AsAcknowledged => self.sent.posts,
        };
        match self.plan.until {
            Until::Over(time) => self.started.elapsed() >= time,
            Until::Posts(posts) => posted >= posts,
        }
    }

    fn is_overdue(&self) -> bool {
        let planned = match (self.plan.until, self.plan.rate) {
            (Until::Over(time), _) => time,
            (Until::Posts(posts), PublishRate::PerSecond(rate)) => Duration::from_secs_f64(posts as f64 / rate),
            (Until::Posts(_), PublishRate::AsAcknowledged) => Duration::from_secs(10),
        };
        self.started.elapsed() > planned + LAST_RESPONSES_TIMEOUT
    }

    /// Returns how long to wait for an event: at most until the next message is due.
    fn poll_timeout(&self) -> Duration {
        match self.plan.rate {
            PublishRate::PerSecond(rate) => {
                let next = Duration::from_secs_f64(self.queued as f64 / rate);
                next.saturating_sub(self.started.elapsed()).min(Duration::from_millis(20))
            }
            PublishRate::AsAcknowledged if self.plan.backpressure.is_some() => Duration::from_millis(1),
            PublishRate::AsAcknowledged => Duration::from_millis(20),
        }
    }

    fn is_too_far_ahead(&self) -> bool {
        self.plan.backpressure.as_ref().is_some_and(|Backpressure { received, readers, max_lead }| {
            self.sent.posts > received.load(Ordering::Relaxed) / readers + max_lead
        })
    }

    /// Sends the next message of a connection, unless it has none or waits for a response.
    fn send_next(&mut self, number: usize) {
        let must_wait = self.is_over() || self.is_too_far_ahead();
        let connection = &mut self.connections[number];
        if connection.waiting.is_some() {
            return;
        }
        let channel = match self.plan.rate {
            PublishRate::PerSecond(_) => connection.queue.pop_front(),
            PublishRate::AsAcknowledged if must_wait => None,
            PublishRate::AsAcknowledged => connection.take_turn(),
        };
        let Some(channel) = channel else { return };
        let text = if self.plan.request == Request::Post {
            self.next_text(channel)
        } else {
            String::new()
        };
        let connection = &mut self.connections[number];
        connection.waiting = Some((Instant::now(), channel));
        let room = &self.plan.channels[channel].room;
        if self.plan.request == Request::Post {
            let number = self.sent.posts;
            let client = (self.plan.clients > 0).then(|| u32::try_from(number).unwrap_or_default() % self.plan.clients);
            let post = Post { room, text: &text, number, client, ..Post::default() };
            dialect::encode_post(self.plan.kind, &mut connection.outbox, post);
        } else {
            let request = format!("GET /{room} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n");
            connection.outbox.extend_from_slice(request.as_bytes());
        }
        self.sent.posts += 1;
        let _ = connection.flush(); // a broken connection shows when the response is read
    }

    /// Returns the text of the next message of a channel.
    fn next_text(&mut self, channel: usize) -> String {
        if self.plan.is_warm_up {
            return WARM_UP_MARK.to_owned();
        }
        let Channel { group, lane, .. } = self.plan.channels[channel];
        self.sent.numbers[channel] += 1;
        let number = self.sent.numbers[channel];
        let lanes = &mut self.sent.lanes;
        lanes.resize(lanes.len().max(group + 1), Vec::new());
        let length = lanes[group].len().max(lane + 1);
        lanes[group].resize(length, 0);
        lanes[group][lane] = number;
        format_mark(lane, number, nanos()) + " " + MESSAGE_TEXT
    }

    /// Returns whether a response says that a post was taken, or is the page of its room.
    fn is_accepted(&self, channel: usize, status: u16, body: &str) -> bool {
        let Channel { room, lane, .. } = &self.plan.channels[channel];
        match self.plan.request {
            Request::Post => dialect::is_acknowledged(self.plan.kind, status, body.as_bytes()),
            Request::Page { number } => {
                status == 200 && body.contains(room.as_str()) && body.contains(&format!("#{lane}-{number}@"))
            }
        }
    }

    fn receive(&mut self, number: usize) -> Result<(), Failure> {
        let connection = &mut self.connections[number];
        connection.fill()?;
        while let Some((status, body)) = take_response(&mut self.connections[number].inbox) {
            let waiting = self.connections[number].waiting.take();
            let Some((since, channel)) = waiting else {
                return Err("a response without a request".into());
            };
            self.sent.response_micros.push(u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX));
            if self.is_accepted(channel, status, &body) {
                self.sent.acknowledged += 1;
            } else {
                self.sent.refused += 1;
            }
            self.send_next(number);
        }
        Ok(())
    }
}

impl Connection {
    /// Returns the channels of this connection in turn.
    fn take_turn(&mut self) -> Option<usize> {
        let channel = self.channels.get(self.next_channel % self.channels.len().max(1)).copied();
        self.next_channel += 1;
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
