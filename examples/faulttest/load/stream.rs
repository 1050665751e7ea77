//! Turns the blocks of a stream into records of a chain: which message of which room came with which id.

use std::time::Duration;

use serde::Deserialize;

use super::message::{self, Seen};
use crate::{
    history::{At, Chain, Delivery, Event, FOREIGN, Gap, Kind, Reason, RoomChain},
    sse::{Block, GapData, Id, StatusData},
};

/// The part of a message's data that tells which post it came from.
#[derive(Deserialize)]
struct MessageData<'a> {
    key: Option<&'a str>,
    message: &'a str,
    room: Option<&'a str>,
}

/// What a block means for the session.
#[derive(Debug, Default)]
pub struct Effect {
    pub message: Option<Seen>,
    pub is_gap: bool,
    pub heartbeat: Option<Duration>,
    pub is_sent_away: bool,
}

/// A chain that is being recorded.
pub struct Recorder {
    pub chain: Chain,
    /// The names of the rooms, in the order of the stream.
    names: Vec<String>,
    /// What `Last-Event-ID` will be.
    pub cursor: Option<String>,
    /// The greatest number of a message in each room.
    pub newest: Vec<Option<u32>>,
    /// Whether the current stream has told of its state.
    is_open: bool,
}

impl Recorder {
    pub fn new(kind: Kind, rooms: &[u16], names: Vec<String>, cursor: Option<String>) -> Self {
        let rooms: Vec<_> = rooms.iter().map(|room| RoomChain::new(*room)).collect();
        let newest = vec![None; rooms.len()];
        let chain = Chain { kind, reads_to_end: true, sessions: Vec::new(), rooms };
        Self { chain, names, cursor, newest, is_open: false }
    }

    /// Prepares for the next stream.
    pub fn begin_session(&mut self) {
        self.is_open = false;
    }

    /// Records a block.
    pub fn on_block(&mut self, block: &Block, tag: &str, at: At) -> Effect {
        let ids = self.ids(block);
        let mut effect = Effect::default();
        match block.event.as_str() {
            "" if !block.data.is_empty() => effect.message = Some(self.on_message(block, &ids, tag, at)),
            "status" => effect.heartbeat = self.on_status(block, &ids, at),
            "gap" => {
                effect.is_gap = true;
                self.on_gap(block, &ids, at);
            }
            "backoff" => effect.is_sent_away = true,
            _ => {}
        }
        if let Some(id) = &block.id {
            self.cursor = Some(id.clone());
            self.complete_gaps(&ids);
        }
        effect
    }

    /// Returns the id of each room that a block states.
    fn ids(&self, block: &Block) -> Vec<Option<Id>> {
        let mut ids: Vec<_> = block.id.iter().flat_map(|list| list.split(',')).map(Id::parse).collect();
        ids.resize(self.names.len(), None);
        ids
    }

    /// Returns the place of a room in the stream; a block of a stream of one room does not name it.
    fn slot(&self, room: Option<&str>) -> Option<usize> {
        match room {
            None => (self.names.len() == 1).then_some(0),
            Some(room) => self.names.iter().position(|name| name == room),
        }
    }

    fn on_message(&mut self, block: &Block, ids: &[Option<Id>], tag: &str, at: At) -> Seen {
        let data: Option<MessageData> = serde_json::from_str(&block.data).ok();
        let slot = data.as_ref().and_then(|data| self.slot(data.room));
        let foreign = Seen { number: FOREIGN, posted_at: 0 };
        let seen = data.map_or(foreign, |data| message::read(tag, data.key, data.message));
        let (slot, seen) = slot.map_or((0, foreign), |slot| (slot, seen));
        let id = ids[slot].unwrap_or(Id::START);
        self.chain.rooms[slot].deliveries.push(Delivery { id, message: seen.number, at });
        self.newest[slot] = self.newest[slot].max(Some(seen.number).filter(|number| *number != FOREIGN));
        seen
    }

    fn on_status(&mut self, block: &Block, ids: &[Option<Id>], at: At) -> Option<Duration> {
        let StatusData { live, heartbeat, .. } = serde_json::from_str(&block.data).ok()?;
        let is_opening = !std::mem::replace(&mut self.is_open, true);
        for (room, id) in self.chain.rooms.iter_mut().zip(ids) {
            match id {
                Some(id) => room.mark(at, Event::Cursor(*id)),
                None if is_opening && live => room.mark(at, Event::OpenedWithoutCursor),
                None => {}
            }
        }
        Some(Duration::from_secs(heartbeat))
    }

    fn on_gap(&mut self, block: &Block, ids: &[Option<Id>], at: At) {
        let Ok(GapData { asked, resumed, reason, room }) = serde_json::from_str(&block.data) else {
            return;
        };
        if let Some(slot) = self.slot(room.as_deref()) {
            let resumed = resumed.as_deref().and_then(Id::parse);
            let gap = Gap { asked: Id::parse(&asked), resumed, cursor: ids[slot], reason: Reason::parse(&reason) };
            self.chain.rooms[slot].mark(at, Event::Gap(gap));
        }
    }

    /// Of several gaps that are told together only the last has a cursor: that of all rooms.
    fn complete_gaps(&mut self, ids: &[Option<Id>]) {
        for (room, id) in self.chain.rooms.iter_mut().zip(ids) {
            if let Some(mark) = room.marks.last_mut()
                && let Event::Gap(Gap { cursor: cursor @ None, .. }) = &mut mark.event
                && mark.position as usize == room.deliveries.len()
            {
                *cursor = *id;
            }
        }
    }
}
