//! Holds what readers received against what writers posted and what the logs have in the end. Free of I/O.
//!
//! - `log`: the final log of a room; `walk`: one chain in one room
//! - `content`: what can be said of messages without their readers
//! - `findings`: what is wrong, counted; `recovery`, `rows`: the same for each fault
//! - `verdict`: the result, and whether the run passed

mod content;
mod findings;
mod log;
mod recovery;
mod rows;
#[cfg(test)]
mod tests;
mod verdict;
mod walk;

use std::collections::{HashMap, HashSet};

use self::{
    findings::Findings,
    log::Log,
    walk::{RoomCase, Walk},
};
pub use self::{findings::Kind, rows::Row, verdict::Verdict};
use crate::{
    faults::FaultRecord,
    history::{FinalLogs, History},
};

/// Judges a run.
pub fn judge(history: &History, faults: &[FaultRecord], logs: &FinalLogs) -> Verdict {
    let mut findings = Findings::default();
    let mut lost = Vec::new();
    let forgetful = rows::forgetful(history, faults);
    for (room, log) in logs.rooms.iter().enumerate() {
        let mut case = RoomCase {
            name: history.rooms.get(room).map_or("a room", |room| &room.name),
            log: Log::new(log, logs.retention),
            posts: &history.posts,
            vanished: HashMap::new(),
            untold: HashSet::new(),
        };
        content::check(history, room, log, &forgetful, &mut findings);
        follow_chains(history, room, &mut case, &mut findings);
        lost.extend(content::lost_acknowledged(history, room, log, &case));
    }
    let rows = rows::rows(history, faults, &findings, &lost);
    Verdict::new(history, faults, findings, &lost, rows)
}

fn follow_chains(history: &History, room: usize, case: &mut RoomCase, findings: &mut Findings) {
    for (number, chain) in history.chains.iter().enumerate() {
        for part in chain.rooms.iter().filter(|part| usize::from(part.room) == room) {
            Walk::new(case, findings, number).follow(part, chain.reads_to_end, history.ended);
        }
    }
}
