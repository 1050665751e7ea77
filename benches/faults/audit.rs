//! Compares what a reader received with what was posted in its room. Free of I/O, so that the tests can show that it
//! finds each fault.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// A numbered message. Numbers of a room grow in the order of its posts, each of which waited for the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    pub number: u32,
    /// When it was acknowledged, since the start of the trial; `None` if its outcome is unknown.
    pub acknowledged: Option<Duration>,
}

/// A message that a reader received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub number: u32,
    pub at: Duration,
}

/// For how long a reader was behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interruption {
    For(Duration),
    /// Until the end of the trial: nothing came after it.
    ForGood,
}

/// What one reader's stream comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged messages of its room.
    pub expected: usize,
    /// Acknowledged messages that it never received.
    pub lost: usize,
    /// Repetitions of messages, acknowledged or not.
    pub twice: usize,
    /// Acknowledged messages that came after a later one.
    pub out_of_order: usize,
    /// The longest time from an acknowledgement until the reader had that message or a later one.
    pub interruption: Interruption,
}

/// Audits a reader, which was kept away on purpose until `present_from`: what it has to wait before is no interruption.
pub fn audit(posted: &[Posted], received: &[Received], present_from: Duration) -> Findings {
    let acknowledged: HashMap<u32, Duration> =
        posted.iter().filter_map(|post| Some((post.number, post.acknowledged?))).collect();
    let (mut seen, mut newest) = (HashSet::new(), 0);
    let (mut twice, mut out_of_order) = (0, 0);
    for message in received {
        if !seen.insert(message.number) {
            twice += 1;
        } else if acknowledged.contains_key(&message.number) {
            out_of_order += usize::from(message.number < newest);
            newest = newest.max(message.number);
        }
    }
    let lost = acknowledged.keys().filter(|number| !seen.contains(number)).count();
    let behind = acknowledged.iter().map(|(number, at)| behind(received, *number, (*at).max(present_from)));
    let interruption = behind.max().unwrap_or(Interruption::For(Duration::ZERO));
    Findings { expected: acknowledged.len(), lost, twice, out_of_order, interruption }
}

/// Returns how long after `since` a reader had a message or a later one.
fn behind(received: &[Received], number: u32, since: Duration) -> Interruption {
    let arrival = received.iter().filter(|message| message.number >= number).map(|message| message.at).min();
    arrival.map_or(Interruption::ForGood, |at| Interruption::For(at.saturating_sub(since)))
}
