//! What the clients of a run did and saw: every post with its outcome, and every session, delivery and gap of every
//! reader, on one clock. Compact, since a run has millions of deliveries.

use tokio::time::Instant;

use crate::sse::Id;

/// Milliseconds since the start of the run.
pub type At = u32;

/// The number of a message that none of our writers posted.
pub const FOREIGN: u32 = u32::MAX;

/// The clock of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub started: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    pub fn now(self) -> At {
        self.at(Instant::now())
    }

    pub fn at(self, instant: Instant) -> At {
        instant.saturating_duration_since(self.started).as_millis().try_into().unwrap_or(At::MAX)
    }
}

/// Everything that happened in a run.
#[derive(Debug)]
pub struct History {
    pub clock: Clock,
    pub ended: At,
    /// The rate at which the writers were to post.
    pub posts_per_second: f64,
    pub rooms: Vec<Room>,
    /// The messages; the number of a message is its index.
    pub posts: Vec<Post>,
    pub failed_attempts: Vec<FailedAttempt>,
    pub chains: Vec<Chain>,
}

#[derive(Debug, Clone)]
pub struct Room {
    pub name: String,
    /// Whether it gets messages often enough to measure recovery by them.
    pub is_busy: bool,
}

/// A message and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Post {
    pub room: u16,
    /// The time just before the first attempt.
    pub begun: At,
    /// The time just after the last answer.
    pub ended: At,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Acknowledged(Id),
    /// Every attempt got a 4xx.
    Refused,
    Unknown,
}

/// An attempt to post that has to be repeated.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt {
    pub at: At,
    /// The status of the answer, or `None` without one.
    pub status: Option<u16>,
}

/// The sessions of one reader, each of which resumes the one before.
#[derive(Debug)]
pub struct Chain {
    pub kind: Kind,
    /// Whether it was to read to the end of the run.
    pub reads_to_end: bool,
    pub sessions: Vec<Session>,
    pub rooms: Vec<RoomChain>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stays for the whole run.
    Staying,
    /// Stays a second or two, and resumes soon.
    Hopping,
    /// Reads several rooms in one stream.
    Several,
    /// Reads a few KB/s.
    Slow,
    /// Begins again and again with a cursor that it had a while ago.
    Old,
}

#[derive(Debug, Clone, Copy)]
pub struct Session {
    pub ended: At,
    /// Whether it began with a cursor.
    pub resumed: bool,
    /// Whether it got a message that was posted before it began.
    pub replayed: bool,
    pub end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The reader left.
    Left,
    /// The node sent the reader away with a `backoff`.
    SentAway,
    /// The stream ended, was silent for too long, or did not open.
    Broken,
}

/// What a chain received of one room.
#[derive(Debug, Default)]
pub struct RoomChain {
    pub room: u16,
    pub deliveries: Vec<Delivery>,
    pub marks: Vec<Mark>,
}

#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    pub id: Id,
    /// The number of the message, or `FOREIGN`.
    pub message: u32,
    pub at: At,
}

/// An event between two deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    /// The number of deliveries before it.
    pub position: u32,
    pub at: At,
    pub event: Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A stream opened, live and without a cursor.
    OpenedWithoutCursor,
    /// The stream stated the cursor of the reader.
    Cursor(Id),
    Gap(Gap),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub asked: Option<Id>,
    pub resumed: Option<Id>,
    /// The `id:` of the event.
    pub cursor: Option<Id>,
    pub reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Invalid,
    Trimmed,
    Reset,
    Unknown,
}

impl Chain {
    pub fn deliveries(&self) -> usize {
        self.rooms.iter().map(|room| room.deliveries.len()).sum()
    }

    pub fn gaps(&self) -> usize {
        let marks = self.rooms.iter().flat_map(|room| &room.marks);
        marks.filter(|mark| matches!(mark.event, Event::Gap(_))).count()
    }
}

impl RoomChain {
    pub fn new(room: u16) -> Self {
        Self { room, ..Self::default() }
    }

    pub fn mark(&mut self, at: At, event: Event) {
        let position = self.deliveries.len().try_into().unwrap_or(u32::MAX);
        self.marks.push(Mark { position, at, event });
    }
}

impl Reason {
    pub fn parse(text: &str) -> Self {
        match text {
            "invalid" => Self::Invalid,
            "trimmed" => Self::Trimmed,
            "reset" => Self::Reset,
            _ => Self::Unknown,
        }
    }
}

/// The logs of all rooms after everything was healed.
#[derive(Debug)]
pub struct FinalLogs {
    /// How many messages a log keeps at least.
    pub retention: usize,
    pub rooms: Vec<FinalLog>,
}

#[derive(Debug, Default)]
pub struct FinalLog {
    /// The entries as `/history` has them.
    pub entries: Vec<Entry>,
    /// The entries as a new subscriber gets them who asks for all.
    pub streamed: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub id: Id,
    pub message: u32,
}
