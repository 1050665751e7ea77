//! The clients of a run: writers and readers in many rooms, which behave as a seed says.
//!
//! - `http`, `message`: what they speak and say
//! - `writer`, `reader`: the clients; `stream`: what a stream means for a reader
//! - `shared`: what they are told to do, and what they count
//! - `logs`: reads the final logs

mod http;
mod logs;
mod message;
mod reader;
mod shared;
mod stream;
mod writer;

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use self::{
    reader::Reader,
    shared::{Orders, Phase, Shared},
    writer::{Writer, Written},
};
use crate::{
    Failure,
    history::{At, Chain, FOREIGN, History, Kind, Outcome, Post, Room},
};

/// How often a writer posts, in messages per second.
const RATE_OF_A_WRITER: f64 = 4.0;

/// The shares of the kinds of readers; the others hop.
const SHARES: [(Kind, f64); 4] = [(Kind::Staying, 0.45), (Kind::Several, 0.1), (Kind::Slow, 0.05), (Kind::Old, 0.04)];

/// How many rooms are quiet: two with readers of all kinds, one with a single reader, and one that is only written.
const QUIET_ROOMS: usize = 4;

#[derive(Debug, Clone, Copy)]
pub struct LoadOptions {
    /// The balancer.
    pub front: SocketAddr,
    pub seed: u64,
    pub rooms: usize,
    pub posts_per_second: f64,
    pub readers: usize,
}

pub struct Load {
    options: LoadOptions,
    shared: Arc<Shared>,
    orders: watch::Sender<Orders>,
    writers: JoinSet<Written>,
    readers: JoinSet<Vec<Chain>>,
    written: Vec<Written>,
    /// When the readers had caught up.
    caught_up_at: Option<At>,
}

/// Tells how far a load is.
pub struct Monitor(Arc<Shared>);

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    pub seconds: f64,
    pub acknowledged: u64,
    /// Attempts to post that were refused, and those without an answer.
    pub refused: u64,
    pub unanswered: u64,
    pub deliveries: u64,
    pub resumes: u64,
    pub gaps: u64,
    /// Streams that ended without their reader's doing.
    pub broken: u64,
    /// Streams that are open now.
    pub streams: u64,
}

impl Load {
    /// Starts all clients.
    ///
    /// # Errors
    /// When there are too few rooms for the load.
    pub fn start(options: LoadOptions) -> Result<Self, Failure> {
        if options.rooms <= QUIET_ROOMS {
            return Err(format!("a load needs more than {QUIET_ROOMS} rooms").into());
        }
        let mut random = StdRng::seed_from_u64(options.seed);
        let rooms = rooms(options.rooms);
        let plan = reader_plan(&options, &mut random);
        let is_measured = |(kind, of): &&(Kind, Vec<u16>)| *kind == Kind::Staying && rooms[usize::from(of[0])].is_busy;
        let staying = plan.iter().filter(is_measured).count();
        let tag = format!("f{:x}", random.random_range(0..u32::MAX));
        let shared = Arc::new(Shared::new(options.front, rooms, tag, staying));
        let orders = watch::Sender::new(Orders { phase: Phase::Running, storms: 0, vanishings: (0, 0.0) });
        let (writers, readers, written) = (JoinSet::new(), JoinSet::new(), Vec::new());
        let mut load = Self { options, shared, orders, writers, readers, written, caught_up_at: None };
        load.start_readers(plan, &mut random);
        load.start_writers(&mut random);
        Ok(load)
    }

    fn start_readers(&mut self, plan: Vec<(Kind, Vec<u16>)>, random: &mut StdRng) {
        let mut indexes = 0..self.shared.newest.len();
        for (kind, rooms) in plan {
            let is_busy = self.shared.rooms[usize::from(rooms[0])].is_busy;
            let mut reader = Reader::new(&self.shared, self.orders.subscribe(), fork(random), kind, rooms);
            reader.index = (kind == Kind::Staying && is_busy).then(|| indexes.next()).flatten();
            self.readers.spawn(reader.run());
        }
    }

    fn start_writers(&mut self, random: &mut StdRng) {
        let number = (self.options.posts_per_second / RATE_OF_A_WRITER).ceil().max(1.0);
        let pause = Duration::from_secs_f64(number / self.options.posts_per_second);
        for number in 0..number as usize {
            self.writers
                .spawn(Writer::new(&self.shared, self.orders.subscribe(), fork(random), number).run(pause));
        }
    }

    /// Has all readers reconnect at once.
    pub fn storm(&self) {
        self.orders.send_modify(|orders| orders.storms += 1);
    }

    /// Has a share of the readers leave without closing their streams, and resume over others.
    pub fn vanish(&self, share: f64) {
        self.orders.send_modify(|orders| orders.vanishings = (orders.vanishings.0 + 1, share));
    }

    /// Returns what tells how far the load is.
    pub fn monitor(&self) -> Monitor {
        Monitor(Arc::clone(&self.shared))
    }

    /// Returns true if every staying reader of a busy room has received a message that was posted after a time.
    pub fn recovered_since(&self, time: Instant) -> bool {
        self.shared.all_have_newer_than(self.shared.clock.at(time))
    }

    /// Ends the posting, posts one last message to each room once every reader will receive it, and waits until they
    /// have. To be called once, when everything is healed.
    ///
    /// # Errors
    /// What is missing at the deadline.
    pub async fn all_caught_up(&mut self, deadline: Instant) -> Result<(), Failure> {
        self.set_phase(Phase::Closing);
        let ended = async {
            while let Some(written) = self.writers.join_next().await {
                self.written.extend(written);
            }
        };
        timeout_at(deadline, ended).await.map_err(|_| "not all posts were answered")?;
        let readers = self.readers.len();
        // A stream that begins live after the last messages would never have them.
        wait_for(readers, &self.shared.resumable, "have a cursor", deadline).await?;
        let first = self.shared.next_number();
        let mut random = StdRng::seed_from_u64(self.options.seed);
        let mut last = Writer::new(&self.shared, self.orders.subscribe(), fork(&mut random), 0);
        for room in 0..self.shared.rooms.len() {
            timeout_at(deadline, last.post(room)).await.map_err(|_| "not all of the last posts were answered")?;
        }
        self.written.push(last.written);
        self.set_phase(Phase::Finishing(first));
        let caught_up = wait_for(readers, &self.shared.caught_up, "have caught up", deadline).await;
        self.caught_up_at = Some(self.shared.clock.now());
        caught_up
    }

    /// Ends all clients, and returns what they did and saw.
    ///
    /// # Errors
    /// When a client has panicked.
    pub async fn finish(mut self) -> Result<History, Failure> {
        self.set_phase(Phase::Over);
        let ended = self.caught_up_at.unwrap_or_else(|| self.shared.clock.now());
        while let Some(written) = self.writers.join_next().await {
            self.written.push(written?);
        }
        let mut chains = Vec::new();
        while let Some(read) = self.readers.join_next().await {
            chains.extend(read?);
        }
        Ok(History {
            clock: self.shared.clock,
            ended,
            posts_per_second: self.options.posts_per_second,
            rooms: self.shared.rooms.clone(),
            posts: posts(&self.written, self.shared.next_number()),
            failed_attempts: self.written.iter().flat_map(|written| written.failed_attempts.iter().copied()).collect(),
            chains,
        })
    }

    fn set_phase(&self, phase: Phase) {
        self.orders.send_modify(|orders| orders.phase = phase);
    }
}

impl Monitor {
    pub fn progress(&self) -> Progress {
        let counters = &self.0.counters;
        let [acknowledged, refused, unanswered, deliveries, resumes, gaps, broken, streams] = [
            &counters.acknowledged,
            &counters.refused,
            &counters.unanswered,
            &counters.deliveries,
            &counters.resumes,
            &counters.gaps,
            &counters.broken,
            &counters.streams,
        ]
        .map(|counter| counter.load(Ordering::Relaxed));
        let seconds = f64::from(self.0.clock.now()) / 1000.0;
        Progress { seconds, acknowledged, refused, unanswered, deliveries, resumes, gaps, broken, streams }
    }
}

/// Waits until all readers are counted.
async fn wait_for(readers: usize, count: &watch::Sender<usize>, what: &str, deadline: Instant) -> Result<(), Failure> {
    let mut changes = count.subscribe();
    let all = timeout_at(deadline, changes.wait_for(|number| *number == readers)).await.is_ok();
    let counted = *count.borrow();
    if all {
        Ok(())
    } else {
        Err(format!("{counted} of {readers} readers {what}").into())
    }
}

/// Returns a generator for one client, so that what it does depends on the seed alone.
fn fork(random: &mut StdRng) -> StdRng {
    StdRng::seed_from_u64(random.random())
}

fn rooms(number: usize) -> Vec<Room> {
    let room = |index: usize| Room { name: format!("room-{}", index + 1), is_busy: index + QUIET_ROOMS < number };
    (0..number).map(room).collect()
}

/// Draws the kinds of the readers and their rooms. The first one is alone in its room.
fn reader_plan(options: &LoadOptions, random: &mut StdRng) -> Vec<(Kind, Vec<u16>)> {
    let room = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
    let with_readers = options.rooms - 2;
    let mut plan = vec![(Kind::Hopping, vec![room(with_readers)])];
    let mut kinds: Vec<Kind> = Vec::new();
    for (kind, share) in SHARES {
        kinds.resize(kinds.len() + (share * options.readers as f64).ceil() as usize, kind);
    }
    kinds.resize(options.readers.saturating_sub(1), Kind::Hopping);
    for (number, kind) in kinds.into_iter().enumerate() {
        let rooms = match kind {
            Kind::Several => {
                let first = random.random_range(0..with_readers);
                (0..random.random_range(2..=5)).map(|step| room((first + step) % with_readers)).collect()
            }
            _ => vec![room(number % with_readers)],
        };
        plan.push((kind, rooms));
    }
    plan
}

/// Puts the posts in the order of their numbers. One that was not finished has an unknown outcome.
fn posts(written: &[Written], number: u32) -> Vec<Post> {
    let unfinished = Post { room: u16::MAX, begun: 0, ended: FOREIGN, outcome: Outcome::Unknown };
    let mut posts = vec![unfinished; number as usize];
    for (number, post) in written.iter().flat_map(|written| &written.posts) {
        posts[*number as usize] = *post;
    }
    posts
}
