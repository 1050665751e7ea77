use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::feed::{Found, NotHeld};
use super::log::Log;
use super::room::Stay;
use super::tape::{Frame, Position, Tape};
use crate::chat::{Cursor, Rooms};
use crate::sse;

/// Frames that are encoded at once for a reader that lacks them.
const PAGE: usize = 250;

/// Several rooms as one: their frames in the order in which they came here, each encoded once with the
/// places in all rooms, and shared by all who read the same rooms.
///
/// The rooms remain the truth. A reader that comes is brought by their own frames to where the merging
/// is; where merging falls behind a room, it begins anew and its readers come again.
pub struct Several {
    names: Rooms,
    rooms: Vec<Stay>,
    merged: Mutex<Merged>,
    changed: watch::Sender<()>,
    _followers: JoinSet<()>,
}

/// What was merged so far.
pub struct Merged {
    tape: Tape,
    /// The place after the last frame.
    place: Cursor,
    members: Vec<Member>,
}

/// How far one room is merged.
#[derive(Clone)]
struct Member {
    /// The position of its next frame; `None` until its log was read.
    at: Option<Position>,
    live: bool,
    is_current: bool,
}

impl Several {
    /// Begins to merge rooms that somebody is about to read.
    pub fn new(names: Rooms, rooms: Vec<Stay>, node_bytes: Arc<AtomicUsize>) -> Arc<Self> {
        let live = rooms.iter().all(|room| room.log().tape().live);
        let members = vec![Member { at: None, live, is_current: false }; rooms.len()];
        let merged = Merged { tape: Tape::new(live, node_bytes), place: Cursor::zero(rooms.len()), members };
        Arc::new_cyclic(|several: &Weak<Self>| {
            let follow = |(member, room): (usize, &Stay)| follow(several.clone(), member, room.changes());
            let followers = rooms.iter().enumerate().map(follow).collect();
            let merged = Mutex::new(merged);
            Self { names, rooms, merged, changed: watch::Sender::new(()), _followers: followers }
        })
    }

    /// The names of the rooms, in the order of the places.
    pub fn names(&self) -> &Rooms {
        &self.names
    }

    /// The rooms.
    pub fn rooms(&self) -> &[Stay] {
        &self.rooms
    }

    /// Wakes whenever there may be new frames or a new status.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The frames. Held for moments only, and never across an await. A room's log may be locked under
    /// it, never the other way round.
    pub fn merged(&self) -> MutexGuard<'_, Merged> {
        self.merged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a reader's place: what it lacks of each room, up to where the merging is.
    ///
    /// # Errors
    /// When a room's frames do not reach back to it.
    pub fn find(&self, place: &Cursor) -> Result<Found, NotHeld> {
        loop {
            let (marks, at) = self.merge_all();
            let Some(frames) = self.lacking(place, &marks)? else {
                continue;
            };
            let (mut place, mut lacking) = (place.clone(), Vec::with_capacity(PAGE.min(frames.len())));
            for (member, frame) in frames.iter().take(PAGE) {
                follow_frame(&mut place, *member, frame);
                lacking.push(sse::of_several(&frame.bytes, &self.names[*member], &place));
            }
            return Ok(Found { lacking, place, at: (frames.len() <= PAGE).then_some(at), joined: at });
        }
    }

    /// The frames between a place and these positions of the rooms, in the order of their time: all, or
    /// more than a page of them. `None` where the place is later than a position.
    fn lacking(&self, place: &Cursor, marks: &[Option<Position>]) -> Result<Option<Vec<(usize, Frame)>>, NotHeld> {
        let mut frames = Vec::new();
        for (member, (room, mark)) in self.rooms.iter().zip(marks).enumerate() {
            let log = room.log();
            let from = log.position_after(place.of(member)).ok_or(NotHeld(member))?;
            let mark = mark.ok_or(NotHeld(member))?;
            if from > mark {
                return Ok(None);
            }
            let after = log.tape().since(from, usize::MAX).ok_or(NotHeld(member))?;
            let logged = after.take_while(|(position, _)| *position < mark).filter(|(_, frame)| frame.logged);
            frames.extend(logged.take(PAGE + 1).map(|(_, frame)| (member, frame.clone())));
        }
        frames.sort_by_key(|(_, frame)| frame.place.as_ref().map(|place| place.of(0).ms));
        Ok(Some(frames))
    }

    /// Merges what there is; gives the position in each room and in what is merged.
    fn merge_all(&self) -> (Vec<Option<Position>>, Position) {
        let mut merged = self.merged();
        let before = merged.tape.end();
        for (member, room) in self.rooms.iter().enumerate() {
            merged.take(member, &self.names, &room.log());
        }
        let marks = merged.members.iter().map(|member| member.at).collect();
        let end = merged.tape.end();
        drop(merged);
        if end > before {
            self.wake();
        }
        (marks, end)
    }

    fn merge(&self, member: usize) {
        self.merged().take(member, &self.names, &self.rooms[member].log());
        self.wake();
    }

    fn wake(&self) {
        self.changed.send_replace(());
    }
}

impl Merged {
    /// The frames.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Whether a reader at this position is behind through no fault of its own.
    pub fn excuses(&self, position: Position) -> bool {
        self.tape.leaps_over(position) || !self.members.iter().all(|member| member.is_current)
    }

    /// Takes what is new in a room. That the bus is heard again comes after everything that was missed
    /// in any room.
    fn take(&mut self, member: usize, names: &Rooms, log: &Log) {
        let at = self.members[member].at;
        match at.and_then(|at| log.tape().since(at, usize::MAX)) {
            Some(fresh) => {
                fresh.for_each(|(_, frame)| self.append(member, names, frame));
                if at.is_some_and(|at| log.tape().leaps_over(at)) {
                    self.tape.leap();
                }
                self.members[member].at = Some(log.tape().end());
            }
            None => self.begin(member, log),
        }
        let state = &mut self.members[member];
        let settled = log.is_current() && !state.is_current;
        (state.live, state.is_current) = (log.tape().live, log.is_current());
        if settled {
            self.tape.leap(); // what it missed was taken before, page by page
        }
        self.tape.live = self.members.iter().all(|member| member.live);
    }

    /// Begins with what comes from now on. Readers of before have missed something, and come again.
    fn begin(&mut self, member: usize, log: &Log) {
        let Some(last) = log.last() else { return };
        if self.members[member].at.replace(log.tape().end()).is_some() {
            self.tape.break_off();
        }
        self.place.set(member, last);
    }

    fn append(&mut self, member: usize, names: &Rooms, frame: &Frame) {
        follow_frame(&mut self.place, member, frame);
        let bytes: Bytes = sse::of_several(&frame.bytes, &names[member], &self.place);
        let place = frame.place.as_ref().map(|_| self.place.clone());
        self.tape.push(Frame { bytes, place, ..frame.clone() });
        while self.tape.forget().is_some() {}
    }
}

/// Moves the place in one room to where its frame does.
fn follow_frame(place: &mut Cursor, member: usize, frame: &Frame) {
    if let Some(own) = &frame.place {
        place.set(member, own.of(0));
    }
}

/// Merges a room's frames as they come, for as long as somebody reads.
async fn follow(several: Weak<Several>, member: usize, mut changes: watch::Receiver<()>) {
    while changes.changed().await.is_ok() {
        let Some(several) = several.upgrade() else { return };
        several.merge(member);
    }
}

#[cfg(test)]
mod tests;
