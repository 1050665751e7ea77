//! Hand-made histories: one for each kind of failure, in which its count and no other becomes 1.

mod faults;
mod readers;
mod writers;

use super::{Kind, Verdict, judge};
use crate::{
    faults::{FaultRecord, Outcome as FaultOutcome},
    history::{
        At, Chain, Clock, Delivery, End, Entry, Event, FailedAttempt, FinalLog, FinalLogs, Gap, History,
        Kind as Reader, Outcome, Post, Reason, Room, RoomChain, Session,
    },
    sse::Id,
};

/// How many messages an untouched run has, and how many milliseconds lie between them.
const MESSAGES: u32 = 20;
const STEP: At = 100;

/// A run of one room that each test changes a little.
struct Run {
    history: History,
    logs: FinalLogs,
    faults: Vec<FaultRecord>,
}

/// Returns the id of the message with this number. Its own number is one more, since a log begins with 1.
fn id(message: u32) -> Id {
    Id { ms: 1_000_000 + u64::from(message * STEP), n: u64::from(message) + 1 }
}

/// Returns an id on another branch of the log: it has the number of that message, and a later time.
fn other_id(message: u32) -> Id {
    Id { ms: id(message).ms + 50_000, ..id(message) }
}

fn at(message: u32) -> At {
    message * STEP
}

fn delivery(message: u32) -> Delivery {
    Delivery { id: id(message), message, at: at(message) + 2 }
}

fn post(message: u32) -> Post {
    let (begun, ended) = (at(message), at(message) + 1);
    Post { room: 0, begun, ended, outcome: Outcome::Acknowledged(id(message)) }
}

fn log(entries: Vec<Entry>) -> FinalLog {
    FinalLog { streamed: entries.clone(), entries }
}

/// Returns a reader that gets all messages, and resumes once after the tenth.
fn reader(messages: u32) -> Chain {
    let mut room = RoomChain::new(0);
    room.mark(0, Event::Cursor(Id::START));
    room.deliveries = (0..messages).map(delivery).collect();
    let session = |ended, resumed| Session { ended, resumed, replayed: resumed, end: End::Left };
    let sessions = vec![session(at(10), false), session(at(messages), true)];
    Chain { kind: Reader::Staying, reads_to_end: true, sessions, rooms: vec![room] }
}

/// Returns a run in which everything went well, with two readers.
fn run() -> Run {
    let clock = Clock::start();
    let entries = (0..MESSAGES).map(|message| Entry { id: id(message), message }).collect();
    let history = History {
        clock,
        ended: at(MESSAGES),
        posts_per_second: 1000.0 / f64::from(STEP),
        rooms: vec![Room { name: "room".to_owned(), is_busy: true }],
        posts: (0..MESSAGES).map(post).collect(),
        failed_attempts: Vec::new(),
        chains: vec![reader(MESSAGES), reader(MESSAGES)],
    };
    let logs = FinalLogs { retention: 1_000, rooms: vec![log(entries)] };
    Run { history, logs, faults: Vec::new() }
}

impl Run {
    fn judge(&self) -> Verdict {
        judge(&self.history, &self.faults, &self.logs)
    }

    /// Returns what the first reader received.
    fn room(&mut self) -> &mut RoomChain {
        &mut self.history.chains[0].rooms[0]
    }

    fn entries(&mut self) -> &mut Vec<Entry> {
        &mut self.logs.rooms[0].entries
    }

    /// Makes both readings of the log equal again.
    fn same_stream(&mut self) {
        self.logs.rooms[0].streamed = self.logs.rooms[0].entries.clone();
    }

    /// Adds a gap to what the first reader received, before the delivery at a position.
    fn gap(&mut self, position: u32, asked: Id, resumed: Option<Id>, cursor: Option<Id>) {
        self.gap_of(Reason::Reset, position, asked, resumed, cursor);
    }

    fn gap_of(&mut self, reason: Reason, position: u32, asked: Id, resumed: Option<Id>, cursor: Option<Id>) {
        let event = Event::Gap(Gap { asked: Some(asked), resumed, cursor, reason });
        let mark = crate::history::Mark { position, at: at(position), event };
        self.room().marks.push(mark);
    }

    /// Adds a fault that lasts from one message to another.
    fn fault(&mut self, name: &'static str, loses: bool, begun: u32, ended: u32) {
        let instant = |message| self.history.clock.started + std::time::Duration::from_millis(at(message).into());
        let (begun, ended) = (instant(begun), instant(ended));
        self.faults
            .push(FaultRecord { name, begun, ended, loses, forgets_keys: false, outcome: FaultOutcome::Ran });
    }

    /// Has Redis lose the messages from a number on, as a failover does, and the later ones take their numbers.
    fn fail_over(&mut self, from: u32, lost: u32) {
        for message in from + lost..MESSAGES {
            let id = other_id(message - lost);
            self.history.posts[message as usize].outcome = Outcome::Acknowledged(id);
            for room in self.history.chains.iter_mut().flat_map(|chain| &mut chain.rooms) {
                room.deliveries[message as usize].id = id;
            }
        }
        let kept = (0..from).map(|message| Entry { id: id(message), message });
        let later = (from + lost..MESSAGES).map(|message| Entry { id: other_id(message - lost), message });
        *self.entries() = kept.chain(later).collect();
        self.same_stream();
    }
}

/// Asserts that there is one finding of a kind, and none of another; and that only false gaps let the run pass.
#[track_caller]
fn assert_only(run: &Run, expected: Kind) {
    assert_counts(run, &[(expected, 1)]);
}

#[track_caller]
fn assert_counts(run: &Run, expected: &[(Kind, usize)]) {
    let verdict = run.judge();
    for kind in Kind::ALL {
        let wanted = expected.iter().find(|(other, _)| *other == kind).map_or(0, |(_, count)| *count);
        assert_eq!(verdict.counts.of(kind), wanted, "{}: {:?}", kind.name(), verdict.texts);
    }
    let fails = expected.iter().any(|(kind, count)| kind.is_failure() && *count > 0);
    if fails {
        assert!(!verdict.is_passed());
    }
}

#[test]
fn a_run_in_which_all_went_well_passes() {
    let verdict = run().judge();
    assert_counts(&run(), &[]);
    assert!(verdict.is_passed(), "{verdict:?}");
    assert_eq!((verdict.posted, verdict.acknowledged, verdict.lost_acknowledged), (20, 20, 0));
    assert_eq!((verdict.deliveries, verdict.resumes, verdict.replays), (40, 2, 2));
}

#[test]
fn a_run_in_which_too_little_happened_is_void() {
    type Change = fn(&mut Run);
    let changes: [(&str, Change); 5] = [
        ("too few posts", |run| run.history.posts_per_second = 1e6),
        ("fewer deliveries", |run| run.history.chains.clear()),
        ("resumed", |run| run.history.chains.iter_mut().for_each(|chain| chain.sessions[1].resumed = false)),
        ("missed", |run| run.history.chains.iter_mut().for_each(|chain| chain.sessions[1].replayed = false)),
        ("no fault ran", |run| {
            run.fault("a", false, 1, 2);
            run.faults[0].outcome = FaultOutcome::NotRun("not permitted".to_owned());
        }),
    ];
    for (reason, change) in changes {
        let mut run = run();
        change(&mut run);
        let verdict = run.judge();
        assert!(verdict.void.iter().any(|text| text.contains(reason)), "{reason}: {:?}", verdict.void);
        assert!(!verdict.is_passed());
    }
}
