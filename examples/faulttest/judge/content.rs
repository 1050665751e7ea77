//! What can be said of messages without following their readers: which are lost, twice, out of order or not ours.

use std::{collections::HashMap, ops::RangeInclusive};

use super::{
    findings::{Findings, Kind},
    walk::{RoomCase, Vanished},
};
use crate::{
    history::{At, Entry, FOREIGN, FinalLog, History, Outcome, Post, RoomChain},
    sse::Id,
};

/// An acknowledged message that is not in the final log.
#[derive(Debug, Clone)]
pub struct LostMessage {
    /// The room, the id and when it was acknowledged.
    pub text: String,
    /// Whether the room has readers: then its nodes can have restored it.
    pub is_read: bool,
    /// The last time at which it was known to be in the log.
    pub last_seen: At,
    /// Whether each reader that had received it was told.
    pub is_told: bool,
}

/// Checks the messages of a room: phantoms, divergences, doubled publishes, and the order of posts in real time.
pub fn check(
    history: &History,
    room: usize,
    log: &FinalLog,
    forgetful: &[RangeInclusive<At>],
    findings: &mut Findings,
) {
    let mut messages = Messages { history, room, known: HashMap::new() };
    for entry in &log.entries {
        messages.check(*entry, history.ended, findings);
    }
    if let Some(entry) = first_difference(log) {
        let text = || format!("{}: history and stream differ at {entry}", messages.name());
        findings.add(Kind::Divergence, history.ended, text);
    }
    for delivery in parts(history, room).flat_map(|part| &part.deliveries) {
        messages.check(Entry { id: delivery.id, message: delivery.message }, delivery.at, findings);
    }
    for (number, post) in posts(history, room) {
        if let Outcome::Acknowledged(id) = post.outcome {
            messages.check(Entry { id, message: number }, post.ended, findings);
        }
    }
    check_order(history, log, findings);
    check_doubled(history, log, forgetful, findings);
}

/// The messages of a room by their ids.
struct Messages<'a> {
    history: &'a History,
    room: usize,
    known: HashMap<Id, u32>,
}

impl Messages<'_> {
    fn name(&self) -> &str {
        &self.history.rooms[self.room].name
    }

    /// Reports a message that was not posted to this room, and one whose id another message has.
    fn check(&mut self, Entry { id, message }: Entry, at: At, findings: &mut Findings) {
        match self.known.get(&id).copied() {
            Some(before) if before == message => return,
            Some(before) => {
                let text = || format!("{}: {id} is message {before} and {message}", self.name());
                findings.add(Kind::Divergence, at, text);
            }
            None => drop(self.known.insert(id, message)),
        }
        let post = (message != FOREIGN).then(|| self.history.posts.get(message as usize)).flatten();
        if !post.is_some_and(|post| usize::from(post.room) == self.room && post.outcome != Outcome::Refused) {
            findings.add(Kind::Phantom, at, || format!("{}: {id} was not posted: {post:?}", self.name()));
        }
    }
}

/// Returns the first id at which the two readings of a final log differ.
fn first_difference(log: &FinalLog) -> Option<Id> {
    let pairs = log.entries.iter().zip(&log.streamed);
    let differing = pairs.filter(|(entry, streamed)| entry != streamed).map(|(entry, _)| entry.id).next();
    let shorter = log.entries.len().min(log.streamed.len());
    differing.or_else(|| log.entries.get(shorter).or(log.streamed.get(shorter)).map(|entry| entry.id))
}

/// Reports messages that the log has after one that was posted when they were acknowledged already; and a log that has
/// a hole.
fn check_order(history: &History, log: &FinalLog, findings: &mut Findings) {
    let (mut newest, mut before): (Option<(At, Id)>, Option<Id>) = (None, None);
    for Entry { id, message } in log.entries.iter().copied() {
        if before.is_some_and(|before| id <= before || id.n != before.n + 1) {
            findings.add(Kind::Divergence, history.ended, || format!("{id} follows {before:?} in the log"));
        }
        before = Some(id);
        let Some(post) = history.posts.get(message as usize) else {
            continue;
        };
        // What was posted again after a loss has another id than the one that was acknowledged then.
        if let (Outcome::Acknowledged(acknowledged), Some((begun, other))) = (post.outcome, newest)
            && acknowledged == id
            && post.ended < begun
        {
            findings.add(Kind::Reordered, post.ended, || format!("{id} was acknowledged before {other} was posted"));
        }
        newest = newest.max(Some((post.begun, id)));
    }
}

/// Reports messages that the log has twice, except those that were posted while Redis forgot their keys.
fn check_doubled(history: &History, log: &FinalLog, forgetful: &[RangeInclusive<At>], findings: &mut Findings) {
    let is_forgotten =
        |post: &Post| forgetful.iter().any(|span| post.begun <= *span.end() && post.ended >= *span.start());
    let mut ids: HashMap<u32, Id> = HashMap::new();
    for Entry { id, message } in log.entries.iter().copied().filter(|entry| entry.message != FOREIGN) {
        if let Some(other) = ids.insert(message, id) {
            let post = history.posts.get(message as usize);
            let kind = if post.is_some_and(is_forgotten) {
                Kind::Forgotten
            } else {
                Kind::DoubledPublish
            };
            let at = post.map_or(history.ended, |post| post.ended);
            findings.add(kind, at, || format!("message {message} is {other} and {id}"));
        }
    }
}

/// Returns the acknowledged messages of a room that its log has lost.
pub fn lost_acknowledged(history: &History, room: usize, log: &FinalLog, case: &RoomCase) -> Vec<LostMessage> {
    let mut retained = vec![false; history.posts.len()];
    for entry in &log.entries {
        if let Some(retained) = retained.get_mut(entry.message as usize) {
            *retained = true;
        }
    }
    let (mut lost, is_read) = (Vec::new(), parts(history, room).next().is_some());
    for (number, post) in posts(history, room).filter(|(number, _)| !retained[*number as usize]) {
        if let Outcome::Acknowledged(id) = post.outcome
            && case.log.has_lost(id)
        {
            let Vanished { last_seen, readers } = case.vanished.get(&number).copied().unwrap_or_default();
            let at = f64::from(post.ended) / 1000.0;
            let text = format!("{at:.1} s: {} {id}, received by {readers} readers", case.name);
            let (last_seen, is_told) = (last_seen.max(post.ended), !case.untold.contains(&number));
            lost.push(LostMessage { text, is_read, last_seen, is_told });
        }
    }
    lost
}

fn parts(history: &History, room: usize) -> impl Iterator<Item = &RoomChain> {
    let parts = history.chains.iter().flat_map(|chain| &chain.rooms);
    parts.filter(move |part| usize::from(part.room) == room)
}

fn posts(history: &History, room: usize) -> impl Iterator<Item = (u32, &Post)> {
    let numbered = (0..).zip(&history.posts);
    numbered.filter(move |(_, post)| usize::from(post.room) == room)
}
