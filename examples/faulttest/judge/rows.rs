//! What happened, fault by fault.

use std::ops::RangeInclusive;

use super::{
    content::LostMessage,
    findings::{Counts, Findings},
    recovery::{self, Acknowledgements},
};
use crate::{
    faults::{FaultRecord, Outcome},
    history::{At, End, History, Kind},
};

/// How long after its end a fault still has effects, in milliseconds.
const AFTERMATH: At = 10_000;

/// How long after the end of a fault an answer can still speak of what it has taken away, in milliseconds.
const ANSWER_DELAY: At = 2_000;

/// How many lost messages of a fault are kept in words.
const MAX_TEXTS: usize = 5;

/// A delay that a client notices, in milliseconds.
const NOTICEABLE: At = 500;

/// The row of what no fault explains.
pub const CALM: &str = "no fault";

/// All occurrences of a fault in numbers.
#[derive(Debug, Default)]
pub struct Row {
    pub name: String,
    pub times: usize,
    /// Why it did not run, if it did not.
    pub not_run: Option<String>,
    /// Attempts to post that were refused, and those without an answer.
    pub refused: usize,
    pub unanswered: usize,
    /// Streams that ended without their reader's doing.
    pub broken: usize,
    pub lost_acknowledged: usize,
    /// Of these, the ones of which every reader that had them was told.
    pub told: usize,
    /// How many of them were in rooms with readers.
    pub lost_where_read: usize,
    /// The first few of them in words.
    pub lost_texts: Vec<String>,
    pub counts: Counts,
    /// How long each staying reader took each time to recover, in order.
    pub recoveries: Vec<At>,
    /// How often a staying reader did not recover.
    pub not_recovered: usize,
    /// The longest time from a post to its delivery to a staying reader, in milliseconds.
    pub longest_delay: At,
}

impl Row {
    /// Returns the recovery time that this share of the readers did not exceed, in milliseconds.
    pub fn recovery(&self, share: f64) -> Option<At> {
        let last = self.recoveries.len().checked_sub(1)?;
        let index = (share * self.recoveries.len() as f64).ceil() as usize;
        self.recoveries.get(index.saturating_sub(1).min(last)).copied()
    }

    /// Returns true if the fault had an effect that a client could notice.
    pub fn is_felt(&self) -> bool {
        self.refused + self.unanswered + self.broken + self.lost_acknowledged > 0
            || self.recovery(1.0).is_some_and(|worst| worst > NOTICEABLE)
            || self.longest_delay > NOTICEABLE
    }
}

/// A fault that ran, on the clock of the history.
struct Span {
    row: usize,
    begun: At,
    ended: At,
    loses: bool,
}

/// Returns a row for each fault in the order of their first occurrence, after one for what no fault explains.
pub fn rows(history: &History, faults: &[FaultRecord], findings: &Findings, lost: &[LostMessage]) -> Vec<Row> {
    let mut rows = vec![Row { name: CALM.to_owned(), ..Row::default() }];
    let spans = spans(history, faults, &mut rows);
    for attempt in &history.failed_attempts {
        let row = &mut rows[row_at(&spans, attempt.at)];
        *(if attempt.status.is_some() { &mut row.refused } else { &mut row.unanswered }) += 1;
    }
    for session in history.chains.iter().flat_map(|chain| &chain.sessions).filter(|session| session.end != End::Left) {
        rows[row_at(&spans, session.ended)].broken += 1;
    }
    for (kind, at) in &findings.all {
        rows[row_at(&spans, *at)].counts.add(*kind);
    }
    for message in lost {
        let row = &mut rows[row_that_loses(&spans, message.last_seen)];
        row.lost_acknowledged += 1;
        row.told += usize::from(message.is_told);
        row.lost_where_read += usize::from(message.is_read);
        if row.lost_texts.len() < MAX_TEXTS {
            row.lost_texts.push(message.text.clone());
        }
    }
    add_recoveries(history, &spans, &mut rows);
    add_delays(history, &spans, &mut rows);
    rows
}

/// Returns when Redis may have forgotten idempotency keys.
pub fn forgetful(history: &History, faults: &[FaultRecord]) -> Vec<RangeInclusive<At>> {
    let ran = faults.iter().filter(|fault| fault.forgets_keys && fault.outcome == Outcome::Ran);
    ran.map(|fault| history.clock.at(fault.begun)..=history.clock.at(fault.ended).saturating_add(ANSWER_DELAY))
        .collect()
}

/// Adds the rows of the faults, and returns those that ran in the order of their beginning.
fn spans(history: &History, faults: &[FaultRecord], rows: &mut Vec<Row>) -> Vec<Span> {
    let mut spans = Vec::new();
    for fault in faults {
        let row = rows.iter().position(|row| row.name == fault.name).unwrap_or_else(|| {
            rows.push(Row { name: fault.name.to_owned(), ..Row::default() });
            rows.len() - 1
        });
        match &fault.outcome {
            Outcome::NotRun(why) => rows[row].not_run = Some(why.clone()),
            Outcome::Ran => {
                rows[row].times += 1;
                let (begun, ended) = (history.clock.at(fault.begun), history.clock.at(fault.ended));
                spans.push(Span { row, begun, ended, loses: fault.loses });
            }
        }
    }
    spans.sort_by_key(|span| span.begun);
    spans
}

/// Returns the row of the fault that began last before a time, if its effects can last so long.
fn row_at(spans: &[Span], at: At) -> usize {
    let acts = |span: &&Span| span.begun <= at && at <= span.ended.saturating_add(AFTERMATH);
    spans.iter().rev().find(acts).map_or(0, |span| span.row)
}

/// Returns the row of the first fault that can have taken away a message after it was last seen.
fn row_that_loses(spans: &[Span], last_seen: At) -> usize {
    let can_lose = |span: &&Span| span.loses && last_seen <= span.ended.saturating_add(ANSWER_DELAY);
    spans.iter().find(can_lose).map_or(0, |span| span.row)
}

fn add_recoveries(history: &History, spans: &[Span], rows: &mut [Row]) {
    let acknowledgements = Acknowledgements::of(history);
    for span in spans {
        let samples = recovery::samples(history, &acknowledgements, span.ended);
        let row = &mut rows[span.row];
        row.not_recovered += samples.iter().filter(|sample| sample.is_none()).count();
        row.recoveries.extend(samples.into_iter().flatten());
    }
    rows.iter_mut().for_each(|row| row.recoveries.sort_unstable());
}

fn add_delays(history: &History, spans: &[Span], rows: &mut [Row]) {
    let staying = history.chains.iter().filter(|chain| chain.kind == Kind::Staying);
    for delivery in staying.flat_map(|chain| &chain.rooms).flat_map(|room| &room.deliveries) {
        if let Some(post) = history.posts.get(delivery.message as usize) {
            let row = &mut rows[row_at(spans, delivery.at)];
            row.longest_delay = row.longest_delay.max(delivery.at.saturating_sub(post.begun));
        }
    }
}
