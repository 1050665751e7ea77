//! The workloads in which readers stay connected, one function each. Each returns the trials of one server.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    hubs::{
        kind::Kind,
        position::Position,
        server::{Server, ServerOptions},
    },
    publisher::{Backpressure, Channel, Plan, PublishRate, Sent, Until},
    readers::{Readers, StreamRequest},
    table::{self, Measure, Trial},
};

/// How long a step of a trial may take, which usually takes moments.
pub const STEP_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to read on after the last number was received, so that duplicates are found.
const DUPLICATE_GRACE: Duration = Duration::from_millis(100);

/// The size of all trials.
#[derive(Clone, Copy)]
pub struct Size {
    /// Whether to run small and short, only to see that the benchmark works.
    pub quick: bool,
    /// The number of readers that the limit of open files allows.
    pub max_readers: usize,
}

impl Size {
    /// Returns how many readers or rooms to use instead of the full number.
    pub fn count(self, full: usize) -> usize {
        if self.quick { (full / 40).max(2) } else { full.min(self.max_readers) }
    }

    /// Returns how long to publish instead of the full time.
    pub fn time(self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds / 10.0 } else { seconds })
    }
}

/// Returns a channel for each publisher of one room.
fn one_room(publishers: usize) -> Vec<Channel> {
    (0..publishers).map(|lane| Channel { room: "bench".into(), group: 0, lane }).collect()
}

/// A server with its readers and the channels to publish to.
pub struct Setup {
    pub server: Server,
    pub readers: Readers,
    pub channels: Vec<Channel>,
    pub connections: usize,
    /// The node that gets all posts, if not all nodes in turn. Its CPU time is not counted.
    pub publish_node: Option<usize>,
    backpressure: Option<Backpressure>,
}

impl Setup {
    pub fn new(kind: Kind, nodes: usize, connections: usize, channels: Vec<Channel>) -> Result<Self, Failure> {
        let server = Server::start(kind, ServerOptions { nodes, ..ServerOptions::default() })?;
        server.create_rooms(channels.iter().map(|channel| &*channel.room))?;
        Ok(Self {
            server,
            readers: Readers::new(kind)?,
            channels,
            connections,
            publish_node: None,
            backpressure: None,
        })
    }

    /// Adds readers of a room, or of rooms separated by commas, at one node.
    pub fn add_readers(&mut self, count: usize, node: usize, group: usize, rooms: &str) {
        let (kind, address) = (self.server.kind, self.server.address(node));
        self.readers.add(count, group, StreamRequest::new(kind, address, rooms, &Position::default()));
    }

    /// Waits until all readers are live.
    pub fn wait_until_live(&mut self) -> Result<(), Failure> {
        let all = self.readers.len();
        self.readers.read_until("opening", STEP_TIMEOUT, |progress| progress.live == all)
    }

    /// Waits until all readers are live and have received a message.
    pub fn warm_up(&mut self) -> Result<(), Failure> {
        self.wait_until_live()?;
        let (all, end) = (self.readers.len(), Instant::now() + STEP_TIMEOUT);
        while self.readers.progress().warm < all && Instant::now() < end {
            let plan = Plan {
                is_warm_up: true,
                ..self.plan(PublishRate::AsAcknowledged, Until::Posts(self.channels.len() as u64))
            };
            plan.post()?;
            let soon = Instant::now() + Duration::from_millis(500);
            self.readers
                .read_until("warming up", STEP_TIMEOUT, |progress| progress.warm == all || Instant::now() > soon)?;
        }
        self.readers.read_until("warming up", Duration::ZERO, |progress| progress.warm == all)?;
        self.readers.read_for(Duration::from_millis(200))
    }

    pub fn plan(&self, rate: PublishRate, until: Until) -> Plan {
        Plan {
            kind: self.server.kind,
            addresses: (0..self.connections)
                .map(|number| self.server.post_address(self.publish_node.unwrap_or(number)))
                .collect(),
            connections: self.connections,
            channels: self.channels.clone(),
            rate,
            backpressure: self.backpressure.clone(),
            until,
            is_warm_up: false,
        }
    }

    /// Returns how many messages all readers together are to receive.
    fn expected(&self, sent: &Sent) -> u64 {
        let of_group = |(group, lanes): (usize, &Vec<u32>)| {
            let messages: u64 = lanes.iter().map(|last| u64::from(*last)).sum();
            messages * self.readers.group_len(group) as u64
        };
        sent.lanes.iter().enumerate().map(of_group).sum()
    }

    /// Publishes until the readers have received everything, and measures what that took.
    pub fn run(&mut self, rate: PublishRate, until: Until) -> Result<Run, Failure> {
        let (plan, backpressure) = (self.plan(rate, until), self.backpressure.clone());
        self.readers.reset_latency();
        let (began, before) = (Instant::now(), self.server.cpu_time_except(self.publish_node));
        let sent = thread::scope(|scope| -> Result<Sent, Failure> {
            let publisher = scope.spawn(|| plan.post());
            self.readers.read_until("publishing", STEP_TIMEOUT * 2, |progress| {
                if let Some(backpressure) = &backpressure {
                    backpressure.received.store(progress.received, Ordering::Relaxed);
                }
                publisher.is_finished()
            })?;
            publisher.join().map_err(|_| "a publisher panicked")?
        })?;
        if sent.acknowledged == 0 {
            return Err("nothing was published, so nothing was measured".into());
        }
        let expected = self.expected(&sent);
        // Messages that are not received in time count as lost.
        let _ = self.readers.read_until("receiving", STEP_TIMEOUT, |progress| progress.received >= expected);
        let (took, cpu) = (began.elapsed(), self.server.cpu_time_except(self.publish_node).saturating_sub(before));
        self.readers.read_for(DUPLICATE_GRACE)?;
        Ok(Run { sent, expected, took, cpu })
    }

    /// Returns the trial with these values, void if there was any fault.
    pub fn trial(&self, subject: &str, sent: &Sent, values: &[(Measure, f64)]) -> Trial {
        let mut faults = self.readers.faults(&sent.lanes);
        faults.refused += sent.refused;
        Trial {
            subject: subject.to_owned(),
            values: BTreeMap::from_iter(values.to_vec()),
            void: faults.verdict(),
        }
    }
}

/// What a run sent and took.
pub struct Run {
    pub sent: Sent,
    /// Deliveries to all readers.
    pub expected: u64,
    pub took: Duration,
    /// CPU time of the nodes.
    pub cpu: Duration,
}

impl Run {
    /// Returns the CPU time per delivery, in microseconds.
    pub fn per_delivery(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.expected.max(1) as f64
    }

    /// Returns the deliveries per second.
    pub fn per_second(&self) -> f64 {
        self.expected as f64 / self.took.as_secs_f64()
    }
}

/// Returns a quantile of the time from publish to receipt, in milliseconds.
fn latency(readers: &Readers, quantile: f64) -> f64 {
    readers.progress().latency.value_at_quantile(quantile) as f64 / 1000.0
}

/// Runs a trial that publishes at a rate.
fn paced_trial(setup: &mut Setup, rate: f64, time: Duration, subject: &str) -> Result<Trial, Failure> {
    setup.warm_up()?;
    let run = setup.run(PublishRate::PerSecond(rate), Until::Over(time))?;
    let (p50, p99) = (latency(&setup.readers, 0.5), latency(&setup.readers, 0.99));
    let values = [(table::CPU, run.per_delivery()), (table::P50, p50), (table::P99, p99)];
    Ok(setup.trial(subject, &run.sent, &values))
}

/// 800 readers of one room, 50 messages a second.
pub fn paced(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
    setup.add_readers(size.count(800), 0, 0, "bench");
    Ok(vec![paced_trial(&mut setup, 50.0, size.time(5.0), kind.name())?])
}

/// 1,000 readers of one room, 4 publishers as fast as they are acknowledged.
pub fn saturated(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 1, 4, one_room(4))?;
    setup.add_readers(size.count(1000), 0, 0, "bench");
    setup.warm_up()?;
    let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(3.0)))?;
    let values = [
        (table::RATE, run.per_second()),
        (table::CPU, run.per_delivery()),
        (table::P99, latency(&setup.readers, 0.99)),
    ];
    Ok(vec![setup.trial(kind.name(), &run.sent, &values)])
}

/// 1,000 rooms of 5 readers, 2,000 messages a second over all.
pub fn many_rooms(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let setup = Setup::new(kind, 1, 8, channel_per_room(size.count(1000)))?;
    let mut trials = vec![rooms_trial(setup, size, kind.name())?];
    if kind == Kind::Ours {
        trials.push(many_rooms_published_elsewhere(size)?);
    }
    Ok(trials)
}

/// The same, but published at a second node, since with 5 deliveries per post the post costs more than they do.
fn many_rooms_published_elsewhere(size: Size) -> Result<Trial, Failure> {
    let mut setup = Setup::new(Kind::Ours, 2, 8, channel_per_room(size.count(1000)))?;
    setup.publish_node = Some(1);
    rooms_trial(setup, size, "tiny-chat, posts elsewhere")
}

fn channel_per_room(rooms: usize) -> Vec<Channel> {
    (0..rooms).map(|group| Channel { room: format!("room-{group}"), group, lane: 0 }).collect()
}

fn rooms_trial(mut setup: Setup, size: Size, subject: &str) -> Result<Trial, Failure> {
    let rooms = setup.channels.len();
    for group in 0..rooms {
        setup.add_readers(5, 0, group, &format!("room-{group}"));
    }
    paced_trial(&mut setup, 2.0 * rooms as f64, size.time(4.0), subject)
}

/// 800 readers of the same 8 rooms in one stream, 50 messages a second over all, which only tiny-chat can do.
pub fn merged_rooms(size: Size) -> Result<Vec<Trial>, Failure> {
    let rooms: Vec<String> = (0..8).map(|room| format!("room-{room}")).collect();
    let channels = rooms
        .iter()
        .enumerate()
        .map(|(lane, room)| Channel { room: room.clone(), group: 0, lane })
        .collect();
    let mut setup = Setup::new(Kind::Ours, 1, 1, channels)?;
    setup.add_readers(size.count(800), 0, 0, &rooms.join(","));
    Ok(vec![paced_trial(&mut setup, 50.0, size.time(5.0), Kind::Ours.name())?])
}

/// 8,000 readers of a room without messages.
pub fn idle(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
    let readers = size.count(8000);
    // With the first reader, a server allocates what it needs only once.
    setup.add_readers(1, 0, 0, "bench");
    setup.warm_up()?;
    let before = setup.server.memory_kib();
    setup.add_readers(readers, 0, 0, "bench");
    setup.wait_until_live()?;
    setup.readers.read_for(size.time(2.0))?;
    let memory_per_reader = setup.server.memory_kib().saturating_sub(before) as f64 / readers as f64;
    let (began, spent) = (Instant::now(), setup.server.cpu_time());
    setup.readers.read_for(size.time(3.0))?;
    let busy = (setup.server.cpu_time() - spent).as_secs_f64() / began.elapsed().as_secs_f64();
    Ok(vec![setup.trial(
        kind.name(),
        &Sent::default(),
        &[(table::MEMORY, memory_per_reader), (table::BUSY, busy * 100.0)],
    )])
}

/// 900 readers of one room over 1, 2, 3 nodes on one Redis: 4 publishers as fast as they are acknowledged and readers
/// can follow; then 50 messages a second, a rate at which batches are as small on one node as on three.
pub fn scale(size: Size) -> Result<Vec<Trial>, Failure> {
    let new_setup = |nodes: usize, publishers| -> Result<Setup, Failure> {
        let mut setup = Setup::new(Kind::Ours, nodes, publishers, one_room(publishers))?;
        for node in 0..nodes {
            setup.add_readers(size.count(900) / nodes, node, 0, "bench");
        }
        Ok(setup)
    };
    let mut trials = Vec::new();
    for nodes in 1..=3 {
        let mut setup = new_setup(nodes, 4)?;
        setup.warm_up()?;
        let (received, readers) = (Arc::default(), setup.readers.len() as u64);
        setup.backpressure = Some(Backpressure { received, readers, max_lead: 500 });
        let run = setup.run(PublishRate::AsAcknowledged, Until::Over(size.time(2.5)))?;
        let subject = format!("{nodes} node{}", if nodes == 1 { "" } else { "s" });
        let values = [(table::RATE, run.per_second()), (table::CPU, run.per_delivery())];
        trials.push(setup.trial(&subject, &run.sent, &values));
        drop(setup);
        let paced = paced_trial(&mut new_setup(nodes, 1)?, 50.0, size.time(3.0), &format!("{subject}, 50 messages/s"))?;
        trials.push(paced);
    }
    Ok(trials)
}

/// 100, 1,000 and 10,000 readers of one room, with the same number of deliveries a second.
pub fn growth(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    [(100, 200.0), (1000, 20.0), (10_000, 2.0)]
        .into_iter()
        .map(|(readers, rate)| {
            let mut setup = Setup::new(kind, 1, 1, one_room(1))?;
            let readers = size.count(readers);
            setup.add_readers(readers, 0, 0, "bench");
            paced_trial(
                &mut setup,
                rate,
                Duration::max(size.time(4.0), Duration::from_secs_f64(1.5 / rate)),
                &format!("{}, {} readers", kind.name(), table::with_commas(readers as f64, 0)),
            )
        })
        .collect()
}
