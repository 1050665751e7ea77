//! The workloads, one function each: a trial of one server, and what it showed.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failure,
    publisher::{Channel, Leash, Pace, Plan, Sent, Until},
    readers::{Call, Crowd},
    servers::{Kind, Server},
    table::{self, Measure, Trial},
};

/// How long anything may take that should take moments.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// After the last number has come: the time in which one that came twice would show.
const SETTLE: Duration = Duration::from_millis(100);

/// How large everything is.
#[derive(Clone, Copy)]
pub struct Size {
    /// Small, to see that the harness works.
    pub quick: bool,
    /// The most readers that the limit of open files allows.
    pub most: usize,
}

impl Size {
    pub fn count(self, full: usize) -> usize {
        if self.quick { (full / 40).max(2) } else { full.min(self.most) }
    }

    pub fn time(self, seconds: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { seconds / 10.0 } else { seconds })
    }
}

/// One room, a channel for each of its publishers.
fn one_room(publishers: usize) -> Vec<Channel> {
    (0..publishers).map(|lane| Channel { room: "bench".into(), group: 0, lane }).collect()
}

/// A server and its readers, everybody in place.
pub struct Stage {
    pub server: Server,
    pub crowd: Crowd,
    pub channels: Vec<Channel>,
    pub connections: usize,
    /// Where all posts go, if not to every node in turn; what they cost there is not counted.
    pub desk: Option<usize>,
    /// What holds the publishers back, if anything.
    leash: Option<Leash>,
}

impl Stage {
    pub fn new(kind: Kind, nodes: usize, connections: usize, channels: Vec<Channel>) -> Result<Self, Failure> {
        let server = Server::start(kind, nodes)?;
        Ok(Self { server, crowd: Crowd::new(kind.opening())?, channels, connections, desk: None, leash: None })
    }

    /// Some readers of a room, or of several with commas between, at one node.
    pub fn invite(&mut self, readers: usize, node: usize, group: usize, rooms: &str) {
        let path = self.server.kind.subscribe(rooms);
        self.crowd
            .add(readers, group, Call { address: self.server.address(node), path, last_event_id: None });
    }

    /// Waits until everybody has a stream.
    pub fn open(&mut self) -> Result<(), Failure> {
        let all = self.crowd.len();
        self.crowd.read("opening", PATIENCE, |seen| seen.live == all)
    }

    /// Waits until everybody has a stream through which messages come.
    pub fn warm(&mut self) -> Result<(), Failure> {
        self.open()?;
        let (all, end) = (self.crowd.len(), Instant::now() + PATIENCE);
        while self.crowd.seen().warm < all && Instant::now() < end {
            let plan = Plan { warm: true, ..self.plan(Pace::AsAcknowledged, Until::Posts(self.channels.len() as u64)) };
            plan.post()?;
            let soon = Instant::now() + Duration::from_millis(500);
            self.crowd.read("warming", PATIENCE, |seen| seen.warm == all || Instant::now() > soon)?;
        }
        self.crowd.read("warming", Duration::ZERO, |seen| seen.warm == all)?;
        self.crowd.rest(Duration::from_millis(200))
    }

    pub fn plan(&self, pace: Pace, until: Until) -> Plan {
        Plan {
            kind: self.server.kind,
            addresses: (0..self.connections).map(|number| self.server.address(self.desk.unwrap_or(number))).collect(),
            connections: self.connections,
            channels: self.channels.clone(),
            pace,
            leash: self.leash.clone(),
            until,
            warm: false,
        }
    }

    /// How many messages are to come to all readers together.
    fn due(&self, sent: &Sent) -> u64 {
        let of_group = |(group, lanes): (usize, &Vec<u32>)| {
            let messages: u64 = lanes.iter().map(|last| u64::from(*last)).sum();
            messages * self.crowd.group(group) as u64
        };
        sent.lanes.iter().enumerate().map(of_group).sum()
    }

    /// Posts while the readers read, and until they have it all; what it cost.
    pub fn play(&mut self, pace: Pace, until: Until) -> Result<Played, Failure> {
        let (plan, leash) = (self.plan(pace, until), self.leash.clone());
        self.crowd.forget_latency();
        let (began, before) = (Instant::now(), self.server.spent_but(self.desk));
        let sent = thread::scope(|scope| -> Result<Sent, Failure> {
            let publisher = scope.spawn(|| plan.post());
            self.crowd.read("publishing", PATIENCE * 2, |seen| {
                leash.iter().for_each(|leash| leash.received.store(seen.received, Ordering::Relaxed));
                publisher.is_finished()
            })?;
            publisher.join().map_err(|_| "a publisher panicked")?
        })?;
        if sent.acknowledged == 0 {
            return Err("nothing was posted, so nothing is shown".into());
        }
        let due = self.due(&sent);
        // What has not come by then is lost, and the verdict says so.
        let _ = self.crowd.read("receiving", PATIENCE, |seen| seen.received >= due);
        let (took, cpu) = (began.elapsed(), self.server.spent_but(self.desk).saturating_sub(before));
        self.crowd.rest(SETTLE)?;
        Ok(Played { sent, due, took, cpu })
    }

    /// A trial that is void if anything was lost.
    pub fn trial(&self, subject: &str, sent: &Sent, values: &[(Measure, f64)]) -> Trial {
        let mut faults = self.crowd.judge(&sent.lanes);
        faults.refused += sent.refused;
        Trial {
            subject: subject.to_owned(),
            values: BTreeMap::from_iter(values.to_vec()),
            void: faults.verdict(),
        }
    }
}

/// What a play came to.
pub struct Played {
    pub sent: Sent,
    pub due: u64,
    pub took: Duration,
    pub cpu: Duration,
}

impl Played {
    /// Microseconds of the servers' CPU.
    pub fn per_delivery(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.due.max(1) as f64
    }

    pub fn per_second(&self) -> f64 {
        self.due as f64 / self.took.as_secs_f64()
    }
}

/// Milliseconds from publish to receive.
fn latency(crowd: &Crowd, quantile: f64) -> f64 {
    crowd.seen().latency.value_at_quantile(quantile) as f64 / 1000.0
}

/// What a paced play shows.
fn paced_trial(stage: &mut Stage, rate: f64, time: Duration, subject: &str) -> Result<Trial, Failure> {
    stage.warm()?;
    let played = stage.play(Pace::PerSecond(rate), Until::Over(time))?;
    let (p50, p99) = (latency(&stage.crowd, 0.5), latency(&stage.crowd, 0.99));
    let values = [(table::CPU, played.per_delivery()), (table::P50, p50), (table::P99, p99)];
    Ok(stage.trial(subject, &played.sent, &values))
}

/// 800 readers of one room, 50 messages a second.
pub fn paced(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut stage = Stage::new(kind, 1, 1, one_room(1))?;
    stage.invite(size.count(800), 0, 0, "bench");
    Ok(vec![paced_trial(&mut stage, 50.0, size.time(5.0), kind.name())?])
}

/// 1,000 readers of one room, 4 publishers as fast as they are acknowledged.
pub fn saturated(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut stage = Stage::new(kind, 1, 4, one_room(4))?;
    stage.invite(size.count(1000), 0, 0, "bench");
    stage.warm()?;
    let played = stage.play(Pace::AsAcknowledged, Until::Over(size.time(3.0)))?;
    let values = [
        (table::RATE, played.per_second()),
        (table::CPU, played.per_delivery()),
        (table::P99, latency(&stage.crowd, 0.99)),
    ];
    Ok(vec![stage.trial(kind.name(), &played.sent, &values)])
}

/// 1,000 rooms of 5 readers, 2,000 messages a second over all.
pub fn many_rooms(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let stage = Stage::new(kind, 1, 8, room_each(size.count(1000)))?;
    let mut trials = vec![rooms_trial(stage, size, kind.name())?];
    if kind == Kind::Ours {
        trials.push(many_rooms_heard(size)?);
    }
    Ok(trials)
}

/// The same, posted at a second node: what delivering alone costs, where 5 deliveries do not pay for a post.
fn many_rooms_heard(size: Size) -> Result<Trial, Failure> {
    let mut stage = Stage::new(Kind::Ours, 2, 8, room_each(size.count(1000)))?;
    stage.desk = Some(1);
    rooms_trial(stage, size, "tiny-chat, posts elsewhere")
}

fn room_each(rooms: usize) -> Vec<Channel> {
    (0..rooms).map(|group| Channel { room: format!("room-{group}"), group, lane: 0 }).collect()
}

fn rooms_trial(mut stage: Stage, size: Size, subject: &str) -> Result<Trial, Failure> {
    let rooms = stage.channels.len();
    for group in 0..rooms {
        stage.invite(5, 0, group, &format!("room-{group}"));
    }
    paced_trial(&mut stage, 2.0 * rooms as f64, size.time(4.0), subject)
}

/// 800 readers of the same 8 rooms in one stream, 50 messages a second over all: what only tiny-chat has.
pub fn several_rooms(size: Size) -> Result<Vec<Trial>, Failure> {
    let rooms: Vec<String> = (0..8).map(|room| format!("room-{room}")).collect();
    let channels = rooms
        .iter()
        .enumerate()
        .map(|(lane, room)| Channel { room: room.clone(), group: 0, lane })
        .collect();
    let mut stage = Stage::new(Kind::Ours, 1, 1, channels)?;
    stage.invite(size.count(800), 0, 0, &rooms.join(","));
    Ok(vec![paced_trial(&mut stage, 50.0, size.time(5.0), Kind::Ours.name())?])
}

/// 8,000 readers to whom nothing is said.
pub fn idle(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    let mut stage = Stage::new(kind, 1, 1, one_room(1))?;
    let readers = size.count(8000);
    // The first reader makes a server do what it does once.
    stage.invite(1, 0, 0, "bench");
    stage.warm()?;
    let before = stage.server.memory();
    stage.invite(readers, 0, 0, "bench");
    stage.open()?;
    stage.crowd.rest(size.time(2.0))?;
    let grown = stage.server.memory().saturating_sub(before) as f64 / readers as f64;
    let (began, spent) = (Instant::now(), stage.server.spent());
    stage.crowd.rest(size.time(3.0))?;
    let busy = (stage.server.spent() - spent).as_secs_f64() / began.elapsed().as_secs_f64();
    Ok(vec![stage.trial(
        kind.name(),
        &Sent::default(),
        &[(table::MEMORY, grown), (table::BUSY, busy * 100.0)],
    )])
}

/// 900 readers of one room over 1, 2, 3 nodes on one Redis: 4 publishers as fast as they are acknowledged and readers can
/// follow, and 50 messages a second, with which batches are as small on one node as on three.
pub fn scale(size: Size) -> Result<Vec<Trial>, Failure> {
    let crowd = |nodes: usize, publishers| -> Result<Stage, Failure> {
        let mut stage = Stage::new(Kind::Ours, nodes, publishers, one_room(publishers))?;
        (0..nodes).for_each(|node| stage.invite(size.count(900) / nodes, node, 0, "bench"));
        Ok(stage)
    };
    let mut trials = Vec::new();
    for nodes in 1..=3 {
        let mut stage = crowd(nodes, 4)?;
        stage.warm()?;
        let (received, readers) = (Arc::default(), stage.crowd.len() as u64);
        stage.leash = Some(Leash { received, readers, length: 500 });
        let played = stage.play(Pace::AsAcknowledged, Until::Over(size.time(2.5)))?;
        let subject = format!("{nodes} node{}", if nodes == 1 { "" } else { "s" });
        let values = [(table::RATE, played.per_second()), (table::CPU, played.per_delivery())];
        trials.push(stage.trial(&subject, &played.sent, &values));
        drop(stage);
        let paced = paced_trial(&mut crowd(nodes, 1)?, 50.0, size.time(3.0), &format!("{subject}, 50 messages/s"))?;
        trials.push(paced);
    }
    Ok(trials)
}

/// 100, 1,000 and 10,000 readers of one room, with as many deliveries a second.
pub fn growth(kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
    [(100, 200.0), (1000, 20.0), (10_000, 2.0)]
        .into_iter()
        .map(|(readers, rate)| {
            let mut stage = Stage::new(kind, 1, 1, one_room(1))?;
            let readers = size.count(readers);
            stage.invite(readers, 0, 0, "bench");
            paced_trial(
                &mut stage,
                rate,
                Duration::max(size.time(4.0), Duration::from_secs_f64(1.5 / rate)),
                &format!("{}, {} readers", kind.name(), table::grouped(readers as f64, 0)),
            )
        })
        .collect()
}
