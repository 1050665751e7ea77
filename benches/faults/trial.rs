//! A trial: readers and writers at a server, a fault in the middle, and the audit of what was received.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{
    Failure,
    audit::{Findings, Interruption, audit},
    fault::{FAILING_NODE, Fault, Stage, Times},
    hubs::{
        kind::Kind,
        server::{Server, ServerOptions},
    },
    reader::{Reader, Reading, silence},
    relay::Relay,
    room_name,
    writer::{Writer, Writing},
};

const NODES: usize = 2;
pub const ROOMS: usize = 4;
pub const READERS: usize = 40;

/// Messages per second, over all rooms.
pub const RATE: u32 = 50;

/// How long readers may take to be live in the beginning.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long the writers go on for readers that are still away after a fault.
const RETURN_LIMIT: Duration = Duration::from_secs(15);

/// How long a server has after the last post until every reader is current; it ends earlier when all are live, and nothing
/// has come for a while. That is longer than the time between Centrifugo's checks of positions.
const RECOVERY_LIMIT: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(7);

/// How long doubles may come after everything else.
const AFTERMATH: Duration = Duration::from_millis(500);

/// What a fault did to a server.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What each reader's stream comes to, and whether the reader was told of a loss.
    pub readers: Vec<(Findings, bool)>,
    /// The interruptions of the readers that the fault was meant for.
    pub interruptions: Vec<Interruption>,
    /// Streams that a status ended for good.
    pub ended: Vec<u16>,
    pub posts: usize,
    /// Posts whose outcome is unknown.
    pub unknown: usize,
    pub longest_post: Duration,
}

/// A running trial.
struct Trial {
    server: Server,
    relay: Relay,
    started: Instant,
    readings: Vec<Arc<Mutex<Reading>>>,
    writings: Vec<Arc<Mutex<Writing>>>,
    readers: JoinSet<()>,
    writers: JoinSet<()>,
    stop: watch::Sender<bool>,
}

/// Runs a trial.
pub async fn run(kind: Kind, fault: Fault, times: Times) -> Result<Outcome, Failure> {
    let mut trial = Trial::start(kind).await?;
    trial.add_readers().await?;
    trial.add_writers();
    sleep(times.around).await;
    let (server, relay, started) = (&mut trial.server, &trial.relay, trial.started);
    let present_from = fault.happen(Stage { server, relay, times, started }).await?;
    trial.wait_for_readers().await;
    sleep(times.around).await;
    trial.finish(present_from).await;
    Ok(trial.outcome(fault, present_from))
}

impl Trial {
    async fn start(kind: Kind) -> Result<Self, Failure> {
        let options = ServerOptions { nodes: NODES, is_persistent: true, ..ServerOptions::default() };
        let server = Server::start(kind, options)?;
        let rooms: Vec<String> = (0..ROOMS).map(room_name).collect();
        server.create_rooms(rooms.iter().map(String::as_str))?;
        let addresses: Vec<_> = server.nodes.iter().map(|node| node.address).collect();
        Ok(Self {
            server,
            relay: Relay::start(&addresses).await?,
            started: Instant::now(),
            readings: (0..READERS).map(|_| Arc::default()).collect(),
            writings: (0..ROOMS).map(|_| Arc::default()).collect(),
            readers: JoinSet::new(),
            writers: JoinSet::new(),
            stop: watch::Sender::new(false),
        })
    }

    /// Starts the readers, and waits until all are live.
    async fn add_readers(&mut self) -> Result<(), Failure> {
        for (number, reading) in self.readings.iter().enumerate() {
            let reader = Reader {
                kind: self.server.kind,
                room: room_of(number),
                address: self.relay.addresses[self.node_of(number)],
                started: self.started,
                reading: Arc::clone(reading),
            };
            self.readers.spawn(reader.run());
        }
        let end = Instant::now() + START_LIMIT;
        while !self.readings.iter().all(|reading| reading.lock().is_live) {
            if Instant::now() > end {
                return Err("its readers are not live in time".into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        sleep(Duration::from_millis(300)).await; // a hub may confirm before it has subscribed to Redis
        Ok(())
    }

    fn add_writers(&mut self) {
        for (room, writing) in self.writings.iter().enumerate() {
            let writer = Writer {
                kind: self.server.kind,
                room,
                addresses: self.server.nodes.iter().map(|node| node.post_address).collect(),
                interval: Duration::from_secs(1) * u32::try_from(ROOMS).unwrap_or(u32::MAX) / RATE,
                started: self.started,
                writing: Arc::clone(writing),
                is_stopped: self.stop.subscribe(),
            };
            self.writers.spawn(writer.run());
        }
    }

    /// Waits until every reader is live again or has ended, so that posts follow by which all can be current.
    async fn wait_for_readers(&self) {
        let end = Instant::now() + RETURN_LIMIT;
        while Instant::now() < end && !self.are_settled() {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns true if every reader is live or has ended.
    fn are_settled(&self) -> bool {
        self.readings.iter().all(|reading| {
            let reading = reading.lock();
            reading.is_live || reading.ended_by.is_some()
        })
    }

    /// Returns the node of a reader.
    fn node_of(&self, reader: usize) -> usize {
        (reader / ROOMS) % self.server.nodes.len()
    }

    /// Stops the writers, and waits until all is quiet.
    async fn finish(&mut self, present_from: Duration) {
        self.stop.send_replace(true);
        let end = Instant::now() + RECOVERY_LIMIT;
        let writers = &mut self.writers;
        let _ = timeout(RECOVERY_LIMIT, async { while writers.join_next().await.is_some() {} }).await;
        writers.shutdown().await;
        while Instant::now() < end && !self.is_current(present_from) && !self.is_silent() {
            sleep(Duration::from_millis(200)).await;
        }
        sleep(AFTERMATH).await;
        self.readers.shutdown().await;
    }

    /// Returns true if no reader lacks a message.
    fn is_current(&self, present_from: Duration) -> bool {
        (0..READERS).all(|reader| self.findings(reader, present_from).lost == 0)
    }

    /// Returns true if all readers are live or ended, and none has received anything for a while.
    fn is_silent(&self) -> bool {
        self.are_settled() && silence(&self.readings, self.started) > SILENCE
    }

    fn findings(&self, reader: usize, present_from: Duration) -> Findings {
        let writing = self.writings[room_of(reader)].lock();
        audit(&writing.posted, &self.readings[reader].lock().received, present_from)
    }

    fn outcome(&self, fault: Fault, present_from: Duration) -> Outcome {
        let findings = |reader| (self.findings(reader, present_from), self.readings[reader].lock().is_told);
        let readers: Vec<(Findings, bool)> = (0..READERS).map(findings).collect();
        let is_meant = |reader: &usize| !fault.is_of_node() || self.node_of(*reader) == FAILING_NODE;
        let mut outcome = Outcome {
            interruptions: (0..READERS).filter(is_meant).map(|reader| readers[reader].0.interruption).collect(),
            ended: self.readings.iter().filter_map(|reading| reading.lock().ended_by).collect(),
            readers,
            ..Outcome::default()
        };
        for writing in &self.writings {
            let writing = writing.lock();
            outcome.posts += writing.posted.len();
            outcome.unknown += writing.posted.iter().filter(|post| post.acknowledged.is_none()).count();
            outcome.longest_post = outcome.longest_post.max(writing.longest);
        }
        outcome
    }
}

/// Returns the room of a reader.
fn room_of(reader: usize) -> usize {
    reader % ROOMS
}

impl Outcome {
    /// Adds what another round found.
    pub fn merge(&mut self, other: Self) {
        self.readers.extend(other.readers);
        self.interruptions.extend(other.interruptions);
        self.ended.extend(other.ended);
        self.posts += other.posts;
        self.unknown += other.unknown;
        self.longest_post = self.longest_post.max(other.longest_post);
    }

    /// Returns the sum of a number over all readers.
    pub fn sum(&self, of: fn(&Findings) -> usize) -> usize {
        self.readers.iter().map(|(findings, _)| of(findings)).sum()
    }

    /// Returns how many readers lost something, and how many of these were told.
    pub fn losers(&self) -> (usize, usize) {
        let losers = self.readers.iter().filter(|(findings, _)| findings.lost > 0);
        (losers.clone().count(), losers.filter(|(_, is_told)| *is_told).count())
    }

    /// Returns how many readers were told of a loss and lost nothing.
    pub fn told_needlessly(&self) -> usize {
        self.readers.iter().filter(|(findings, is_told)| *is_told && findings.lost == 0).count()
    }

    /// Returns the median of the interruptions of the readers that the fault was meant for.
    pub fn median_interruption(&self) -> Option<Interruption> {
        let mut sorted = self.interruptions.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    /// Returns the longest interruption of any reader.
    pub fn worst_interruption(&self) -> Option<Interruption> {
        self.readers.iter().map(|(findings, _)| findings.interruption).max()
    }
}
