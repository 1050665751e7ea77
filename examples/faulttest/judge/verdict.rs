//! The result of a run.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::{
    content::LostMessage,
    findings::{Counts, Findings, Kind},
    rows::Row,
};
use crate::{
    faults::{FaultRecord, Outcome as FaultOutcome},
    history::{Chain, History, Kind as Reader, Outcome},
};

/// The share of the posts that the writers were to make, below which a run shows nothing.
const MIN_POSTED_SHARE: f64 = 0.2;

#[derive(Debug)]
pub struct Verdict {
    pub seconds: f64,
    pub posted: usize,
    pub acknowledged: usize,
    pub unknown: usize,
    pub refused: usize,
    /// Attempts to post that had to be repeated, by their status; `None` is no answer.
    pub failed_attempts: BTreeMap<Option<u16>, usize>,
    pub deliveries: usize,
    pub readers: usize,
    pub resumes: usize,
    /// Resumes that brought a message posted before.
    pub replays: usize,
    pub gaps: usize,
    pub lost_acknowledged: usize,
    /// Of these, the ones that a fault explains, and of which each reader that had them was told.
    pub explained: usize,
    pub told: usize,
    /// How many were in rooms with readers.
    pub lost_where_read: usize,
    pub counts: Counts,
    /// The first findings of each kind in words.
    pub texts: Vec<(Kind, String)>,
    pub rows: Vec<Row>,
    /// How long after a post its message came to a staying reader, in milliseconds.
    pub latency: Histogram<u64>,
    /// Why the run shows nothing, if it does not.
    pub void: Vec<String>,
}

impl Verdict {
    pub(super) fn new(
        history: &History,
        faults: &[FaultRecord],
        findings: Findings,
        lost: &[LostMessage],
        rows: Vec<Row>,
    ) -> Self {
        let outcomes = |is: fn(Outcome) -> bool| history.posts.iter().filter(|post| is(post.outcome)).count();
        let sessions = || history.chains.iter().flat_map(|chain| &chain.sessions);
        let mut failed_attempts = BTreeMap::new();
        for attempt in &history.failed_attempts {
            *failed_attempts.entry(attempt.status).or_default() += 1;
        }
        let unexplained = rows.first().map_or(0, |calm| calm.lost_acknowledged);
        let mut verdict = Self {
            seconds: f64::from(history.ended) / 1000.0,
            posted: history.posts.len(),
            acknowledged: outcomes(|outcome| matches!(outcome, Outcome::Acknowledged(_))),
            unknown: outcomes(|outcome| outcome == Outcome::Unknown),
            refused: outcomes(|outcome| outcome == Outcome::Refused),
            failed_attempts,
            deliveries: history.chains.iter().map(Chain::deliveries).sum(),
            readers: history.chains.len(),
            resumes: sessions().filter(|session| session.resumed).count(),
            replays: sessions().filter(|session| session.resumed && session.replayed).count(),
            gaps: history.chains.iter().map(Chain::gaps).sum(),
            lost_acknowledged: lost.len(),
            explained: lost.len() - unexplained,
            told: lost.iter().filter(|message| message.is_told).count(),
            lost_where_read: lost.iter().filter(|message| message.is_read).count(),
            counts: findings.counts,
            texts: findings.texts,
            rows,
            latency: latency(history),
            void: Vec::new(),
        };
        verdict.void = verdict.reasons_to_doubt(history, faults);
        verdict
    }

    /// Returns why the run shows nothing: too little was posted, read or resumed, or no fault ran.
    fn reasons_to_doubt(&self, history: &History, faults: &[FaultRecord]) -> Vec<String> {
        let planned = history.posts_per_second * self.seconds * MIN_POSTED_SHARE;
        let ran = faults.iter().any(|fault| fault.outcome == FaultOutcome::Ran);
        let checks = [
            ((self.acknowledged as f64) < planned.max(1.0), "too few posts were acknowledged"),
            (self.deliveries < self.acknowledged, "there were fewer deliveries than messages"),
            (self.resumes == 0, "no stream was resumed"),
            (self.replays == 0, "no resume brought a message that was missed"),
            (self.unknown * 10 > self.posted, "the outcome of too many posts is unknown"),
            (!faults.is_empty() && !ran, "no fault ran"),
        ];
        checks.into_iter().filter(|(is_true, _)| *is_true).map(|(_, reason)| reason.to_owned()).collect()
    }

    /// Returns the number of acknowledged messages that are lost without a fault that may lose any.
    pub fn unexplained(&self) -> usize {
        self.lost_acknowledged - self.explained
    }

    /// Returns true if nothing was lost silently, doubled or reordered, and all readers recovered.
    pub fn is_passed(&self) -> bool {
        let is_clean = Kind::ALL.into_iter().all(|kind| !kind.is_failure() || self.counts.of(kind) == 0);
        let has_recovered = self.rows.iter().all(|row| row.not_recovered == 0);
        is_clean && self.unexplained() == 0 && has_recovered && self.void.is_empty()
    }
}

/// Returns how long messages took from the first attempt to post them to a staying reader.
fn latency(history: &History) -> Histogram<u64> {
    let mut latency = Histogram::new_with_max(u32::MAX.into(), 2).unwrap_or_else(|_| unreachable!("2 digits"));
    let staying = history.chains.iter().filter(|chain| chain.kind == Reader::Staying);
    for delivery in staying.flat_map(|chain| &chain.rooms).flat_map(|room| &room.deliveries) {
        if let Some(post) = history.posts.get(delivery.message as usize) {
            latency.saturating_record(delivery.at.saturating_sub(post.begun).into());
        }
    }
    latency
}
