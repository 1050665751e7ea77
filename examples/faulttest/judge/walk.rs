//! Follows one chain through one room: holds every delivery against the one before it and against the final log.
//!
//! Two rules find what is missing. As long as a log lives, each number is one more than the last: so a number that is
//! left out is a silent gap, whether or not Redis has lost the messages since. And the final log tells which messages
//! had to come, and whether the reader was on a branch that is gone.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    findings::{Findings, Kind},
    log::{Log, Position},
};
use crate::{
    history::{At, Delivery, Event, Gap, Post, Reason, RoomChain},
    sse::Id,
};

/// A message that Redis has lost and readers had received.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vanished {
    /// When the last message was posted with which the log continued from it.
    pub last_seen: At,
    /// How many readers had received it.
    pub readers: usize,
}

/// What all walks through a room share.
pub struct RoomCase<'a> {
    pub name: &'a str,
    pub log: Log<'a>,
    pub posts: &'a [Post],
    /// The messages that Redis has lost and readers had received.
    pub vanished: HashMap<u32, Vanished>,
    /// Of these, the ones that a reader had received and was not told of.
    pub untold: HashSet<u32>,
}

/// The cursor of a reader. `is_exact` is false if only the number of the id is known.
#[derive(Clone, Copy)]
struct Cursor {
    id: Id,
    is_exact: bool,
}

pub struct Walk<'a, 'b> {
    case: &'b mut RoomCase<'a>,
    findings: &'b mut Findings,
    /// The number of the chain, for findings in words.
    chain: usize,
    cursor: Option<Cursor>,
    has_begun: bool,
    /// Whether a gap did not say where the stream continues.
    is_anywhere: bool,
    /// The index of the first entry of the log that is not accounted for.
    next: usize,
    /// Which entries of the log were received.
    received: Vec<bool>,
    /// The other ids that were received.
    elsewhere: HashSet<Id>,
    /// Entries that were skipped, with the time.
    owed: Vec<(Range<usize>, At)>,
    /// Received messages that Redis has lost and that no gap has told of yet.
    vanished: Vec<Delivery>,
}

impl<'a, 'b> Walk<'a, 'b> {
    pub fn new(case: &'b mut RoomCase<'a>, findings: &'b mut Findings, chain: usize) -> Self {
        let received = vec![false; case.log.entries().len()];
        Self {
            case,
            findings,
            chain,
            cursor: None,
            has_begun: false,
            is_anywhere: false,
            next: 0,
            received,
            elsewhere: HashSet::new(),
            owed: Vec::new(),
            vanished: Vec::new(),
        }
    }

    /// Follows the chain to its end. If it `reads_to_end`, it had to receive the whole log.
    pub fn follow(mut self, room: &RoomChain, reads_to_end: bool, ended: At) {
        let mut marks = room.marks.iter().peekable();
        for (position, delivery) in room.deliveries.iter().enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.position as usize <= position) {
                self.on_event(mark.event, mark.at);
            }
            self.on_delivery(*delivery);
        }
        for mark in marks {
            self.on_event(mark.event, mark.at);
        }
        if reads_to_end && self.has_begun {
            self.owe(self.next..self.received.len(), ended);
            self.report_untold(ended, "the end");
        }
        self.settle();
    }

    fn on_event(&mut self, event: Event, at: At) {
        match event {
            Event::OpenedWithoutCursor if !self.has_begun => {
                self.has_begun = true;
                self.next = self.case.log.posted_after(at, self.case.posts);
            }
            Event::Cursor(id) if !self.has_begun => {
                self.has_begun = true;
                self.cursor = Some(Cursor { id, is_exact: true });
                self.next = self.case.log.after(id);
            }
            Event::OpenedWithoutCursor | Event::Cursor(_) => {}
            Event::Gap(gap) => self.on_gap(gap, at),
        }
    }

    fn on_delivery(&mut self, delivery: Delivery) {
        let Delivery { id, at, .. } = delivery;
        let index = self.case.log.index(id);
        let is_first = match index {
            Some(index) => !std::mem::replace(&mut self.received[index], true),
            None => self.elsewhere.insert(id),
        };
        if self.cursor.is_some_and(|cursor| id <= cursor.id) {
            let kind = if is_first { Kind::Reordered } else { Kind::DoubledDelivery };
            self.report(kind, at, |cursor| format!("{id} came after {cursor}"));
            return;
        }
        if std::mem::take(&mut self.is_anywhere) || !self.has_begun {
            self.next = index.unwrap_or(self.next);
        } else {
            self.check_continuity(id, index, at);
        }
        match index {
            Some(index) => {
                self.owe(self.next..index, at);
                self.next = self.next.max(index + 1);
            }
            None if self.case.log.has_lost(id) => self.vanished.push(delivery),
            None => {}
        }
        (self.has_begun, self.cursor) = (true, Some(Cursor { id, is_exact: true }));
    }

    /// Reports a delivery that does not follow the one before it.
    fn check_continuity(&mut self, id: Id, index: Option<usize>, at: At) {
        let Some(cursor) = self.cursor else {
            if index.is_some_and(|index| index > self.next) {
                self.report(Kind::SilentGap, at, |_| format!("{id} is not the first since the stream opened"));
            }
            return;
        };
        if id.n != cursor.id.n + 1 {
            if !self.has_received_all_before(index) {
                self.report(Kind::SilentGap, at, |cursor| format!("{id} came after {cursor}"));
            }
            self.owe_common_ancestors(id, index, at);
        } else if index.is_some_and(|index| index > 0)
            && cursor.is_exact
            && self.case.log.position(cursor.id) == Position::Vanished
        {
            self.report(Kind::SilentGap, at, |cursor| format!("{id} came after {cursor}, which Redis has lost"));
        }
        match index {
            Some(_) if self.is_before_first() => self.tell(),
            Some(_) => self.untold(),
            None => {}
        }
    }

    /// Returns true if the reader had everything that the log has before an entry: a gap has set it back.
    fn has_received_all_before(&self, index: Option<usize>) -> bool {
        index.is_some_and(|index| index > self.next && self.received[self.next..index].iter().all(|received| *received))
    }

    /// Of a delivery that Redis has lost: what was left out before it can still be in the log.
    fn owe_common_ancestors(&mut self, id: Id, index: Option<usize>, at: At) {
        if index.is_none() {
            let entries = &self.case.log.entries()[self.next..];
            let end = self.next + entries.iter().take_while(|entry| entry.id < id && entry.id.n < id.n).count();
            self.owe(self.next..end, at);
            self.next = end;
        }
    }

    /// Returns true if the reader is directly before the first entry: what is gone, it did not miss.
    fn is_before_first(&self) -> bool {
        self.cursor.is_some_and(|cursor| self.case.log.position(cursor.id) == Position::BeforeFirst)
    }

    fn on_gap(&mut self, gap: Gap, at: At) {
        self.tell();
        let asked = gap.asked.or(self.cursor.map(|cursor| cursor.id));
        if let Some(asked) = asked {
            self.check_gap(asked, &gap, at);
        }
        let log = &self.case.log;
        let before = |id: Id| Id { ms: id.ms, n: id.n.saturating_sub(1) };
        self.cursor = match (gap.cursor, gap.resumed) {
            (Some(id), _) => Some(Cursor { id, is_exact: true }),
            (None, Some(resumed)) => Some(Cursor { id: before(resumed), is_exact: false }),
            (None, None) => None,
        };
        let (next, is_certain) = match (gap.resumed, gap.cursor) {
            (Some(id), _) => (log.index(id).unwrap_or_else(|| log.after(id)), log.index(id).is_some()),
            (None, Some(id)) => (log.after(id), log.index(id).is_some()),
            (None, None) => (self.next, false),
        };
        // All that is retained and later than the requested id has to follow, whatever the gap says.
        if let (true, Some(asked), false) = (is_certain, asked, gap.reason == Reason::Invalid) {
            self.owe(self.next.max(log.after(asked))..next, at);
        }
        (self.has_begun, self.next) = (true, next);
        self.is_anywhere = self.cursor.is_none();
    }

    /// Reports a gap after a cursor from which the final log continues.
    fn check_gap(&mut self, asked: Id, gap: &Gap, at: At) {
        let log = &self.case.log;
        let continues = match log.position(asked) {
            Position::Retained(_) => true,
            Position::BeforeFirst => gap.resumed.is_some_and(|resumed| log.index(resumed) == Some(0)),
            Position::Trimmed | Position::Vanished => false,
        };
        if continues {
            let gap = *gap;
            self.report(Kind::FalseGap, at, |_| format!("{gap:?}, but the log continues from {asked}"));
        }
    }

    /// Notes that the reader was told of what has vanished, or did not have to be.
    fn tell(&mut self) {
        let posted_at = |delivery: &Delivery| self.case.posts.get(delivery.message as usize).map(|post| post.begun);
        let last = self.vanished.iter().filter_map(posted_at).max().unwrap_or_default();
        for delivery in self.vanished.drain(..) {
            let vanished = self.case.vanished.entry(delivery.message).or_default();
            vanished.last_seen = vanished.last_seen.max(last);
            vanished.readers += 1;
        }
    }

    fn untold(&mut self) {
        self.case.untold.extend(self.vanished.iter().map(|delivery| delivery.message));
        self.tell();
    }

    fn report_untold(&mut self, at: At, place: &str) {
        if !self.vanished.is_empty() {
            let place = place.to_owned();
            self.report(Kind::SilentGap, at, |cursor| format!("{place} came after {cursor}, which Redis has lost"));
            self.untold();
        }
    }

    fn owe(&mut self, entries: Range<usize>, at: At) {
        if !entries.is_empty() {
            self.owed.push((entries, at));
        }
    }

    /// Reports what is owed and never came.
    fn settle(mut self) {
        self.tell();
        for (entries, at) in std::mem::take(&mut self.owed) {
            for index in entries {
                if !std::mem::replace(&mut self.received[index], true) {
                    let id = self.case.log.entries()[index].id;
                    self.report(Kind::LostDelivery, at, |_| format!("{id} is in the log, and did not come"));
                }
            }
        }
    }

    fn report(&mut self, kind: Kind, at: At, text: impl FnOnce(String) -> String) {
        let cursor = self.cursor.map_or_else(|| "the opening".to_owned(), |cursor| cursor.id.to_string());
        let (room, chain) = (self.case.name, self.chain);
        self.findings.add(kind, at, || format!("{room}, reader {chain}: {}", text(cursor)));
    }
}
