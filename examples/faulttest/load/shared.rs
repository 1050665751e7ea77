//! What all clients of a load share: the clock, the rooms, the counters, and what they are told to do.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use tokio::sync::watch;

use crate::history::{At, Clock, Room};

pub struct Shared {
    pub front: SocketAddr,
    pub clock: Clock,
    pub rooms: Vec<Room>,
    /// The beginning of all keys, which tells our messages from others.
    pub tag: String,
    next_message: AtomicU32,
    pub counters: Counters,
    /// For each staying reader in a busy room, when the newest message that it has was posted.
    pub newest: Vec<AtomicU32>,
    /// How many readers have a cursor, so that they get whatever is posted from now on.
    pub resumable: watch::Sender<usize>,
    /// How many readers have the last message of each of their rooms.
    pub caught_up: watch::Sender<usize>,
}

#[derive(Default)]
pub struct Counters {
    pub acknowledged: AtomicU64,
    pub refused: AtomicU64,
    pub unanswered: AtomicU64,
    pub deliveries: AtomicU64,
    pub resumes: AtomicU64,
    pub gaps: AtomicU64,
    pub broken: AtomicU64,
    pub streams: AtomicU64,
}

/// What the clients are to do.
#[derive(Debug, Clone, Copy)]
pub struct Orders {
    pub phase: Phase,
    /// How often all readers were told to reconnect at once.
    pub storms: u32,
    /// How often readers were told to vanish, and the share of them that is to.
    pub vanishings: (u32, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Running,
    /// Writers finish what they have begun; readers do not leave any more.
    Closing,
    /// Readers read up to the last message of each room: those from this number on.
    Finishing(u32),
    Over,
}

impl Shared {
    pub fn new(front: SocketAddr, rooms: Vec<Room>, tag: String, staying: usize) -> Self {
        Self {
            front,
            clock: Clock::start(),
            rooms,
            tag,
            next_message: AtomicU32::new(0),
            counters: Counters::default(),
            newest: (0..staying).map(|_| AtomicU32::new(0)).collect(),
            resumable: watch::Sender::new(0),
            caught_up: watch::Sender::new(0),
        }
    }

    /// Returns the number of the next message.
    pub fn take_number(&self) -> u32 {
        self.next_message.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the number that the next message will have.
    pub fn next_number(&self) -> u32 {
        self.next_message.load(Ordering::Relaxed)
    }

    /// Returns true if every staying reader of a busy room has a message that was posted after a time.
    pub fn all_have_newer_than(&self, at: At) -> bool {
        self.newest.iter().all(|newest| newest.load(Ordering::Relaxed) > at)
    }
}

pub fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
