//! What all workloads need: their size, a server with its readers and publishers, and a run of messages.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    hubs::{
        kind::Kind,
        position::Position,
        process::own_cpu_time,
        server::{Server, ServerOptions},
    },
    proxy::Proxy,
    publisher::{Backpressure, Channel, Plan, PublishRate, Request, Sent, Until},
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
pub fn one_room(publishers: usize) -> Vec<Channel> {
    (0..publishers).map(|lane| Channel { room: "bench".into(), group: 0, lane }).collect()
}

/// Returns a channel for each of as many rooms, which have a group of readers each.
pub fn channel_per_room(rooms: usize) -> Vec<Channel> {
    (0..rooms).map(|group| Channel { room: format!("room-{group}"), group, lane: 0 }).collect()
}

/// A server with its readers and the channels to publish to.
pub struct Setup {
    pub server: Server,
    /// Where all readers connect, if not to the nodes.
    pub proxy: Option<Proxy>,
    pub readers: Readers,
    pub channels: Vec<Channel>,
    pub connections: usize,
    /// The node that gets all posts, if not all nodes in turn. Its CPU time is not counted.
    pub publish_node: Option<usize>,
    /// How many clients the posts come from, as a proxy names them, or 0 if none is named.
    pub clients: u32,
    pub backpressure: Option<Backpressure>,
}

impl Setup {
    pub fn new(kind: Kind, nodes: usize, connections: usize, channels: Vec<Channel>) -> Result<Self, Failure> {
        Self::with_options(kind, ServerOptions { nodes, ..ServerOptions::default() }, connections, channels)
    }

    pub fn with_options(
        kind: Kind,
        options: ServerOptions,
        connections: usize,
        channels: Vec<Channel>,
    ) -> Result<Self, Failure> {
        let server = Server::start(kind, options)?;
        server.create_rooms(channels.iter().map(|channel| &*channel.room))?;
        Ok(Self {
            server,
            proxy: None,
            readers: Readers::new(kind)?,
            channels,
            connections,
            publish_node: None,
            clients: 0,
            backpressure: None,
        })
    }

    /// Adds readers of a room, or of rooms separated by commas, at one node or at the proxy.
    pub fn add_readers(&mut self, count: usize, node: usize, group: usize, rooms: &str) {
        let kind = self.server.kind;
        let address = self.proxy.as_ref().map_or_else(|| self.server.address(node), |proxy| proxy.address);
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
            request: Request::Post,
            addresses: (0..self.connections)
                .map(|number| self.server.post_address(self.publish_node.unwrap_or(number)))
                .collect(),
            connections: self.connections,
            channels: self.channels.clone(),
            rate,
            backpressure: self.backpressure.clone(),
            until,
            is_warm_up: false,
            clients: self.clients,
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
        let (redis_before, own_before) = (self.server.redis_cpu_time(), own_cpu_time());
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
        let (redis_cpu, own_cpu) = (self.server.redis_cpu_time() - redis_before, own_cpu_time() - own_before);
        self.readers.read_for(DUPLICATE_GRACE)?;
        Ok(Run { sent, expected, took, cpu, redis_cpu, own_cpu })
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
    pub redis_cpu: Duration,
    /// CPU time of the readers and the publishers.
    pub own_cpu: Duration,
}

impl Run {
    /// Returns the CPU time per delivery, in microseconds.
    pub fn per_delivery(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.expected.max(1) as f64
    }

    /// Returns the CPU time per post of the nodes and of Redis, in microseconds.
    pub fn per_post(&self) -> (f64, f64) {
        let posts = self.sent.acknowledged.max(1) as f64;
        (self.cpu.as_secs_f64() * 1e6 / posts, self.redis_cpu.as_secs_f64() * 1e6 / posts)
    }

    /// Returns what the readers and the publishers needed, in percent of a core.
    pub fn generator(&self) -> f64 {
        self.own_cpu.as_secs_f64() * 100.0 / self.took.as_secs_f64()
    }

    /// Returns the deliveries per second.
    pub fn per_second(&self) -> f64 {
        self.expected as f64 / self.took.as_secs_f64()
    }
}

/// Returns a quantile of the time from publish to receipt, in milliseconds.
pub fn latency(readers: &Readers, quantile: f64) -> f64 {
    readers.progress().latency.value_at_quantile(quantile) as f64 / 1000.0
}

/// Runs a trial that publishes at a rate.
pub fn paced_trial(setup: &mut Setup, rate: f64, time: Duration, subject: &str) -> Result<Trial, Failure> {
    setup.warm_up()?;
    let run = setup.run(PublishRate::PerSecond(rate), Until::Over(time))?;
    let (p50, p99) = (latency(&setup.readers, 0.5), latency(&setup.readers, 0.99));
    let mut values = vec![
        (table::CPU, run.per_delivery()),
        (table::P50, p50),
        (table::P99, p99),
        (table::GENERATOR, run.generator()),
    ];
    if setup.server.kind.uses_redis() {
        values.push((table::REDIS_CPU, run.redis_cpu.as_secs_f64() * 1e6 / run.expected.max(1) as f64));
    }
    Ok(setup.trial(subject, &run.sent, &values))
}
