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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sse::Parser;

    /// Records a stream of these rooms, and returns the recorder.
    fn record(rooms: &[&str], stream: &str) -> Recorder {
        let numbers: Vec<u16> = (0..).take(rooms.len()).collect();
        let names = rooms.iter().map(|name| (*name).to_owned()).collect();
        let mut recorder = Recorder::new(Kind::Several, &numbers, names, None);
        recorder.begin_session();
        for block in Parser::default().feed(stream.as_bytes()) {
            recorder.on_block(&block, "t", 7);
        }
        recorder
    }

    fn events(recorder: &Recorder, room: usize) -> Vec<Event> {
        recorder.chain.rooms[room].marks.iter().map(|mark| mark.event).collect()
    }

    fn message(number: u32, room: &str) -> String {
        let (key, text) = (message::key("t", number), message::text(number, 5));
        format!("data: {{\"sender\":\"a\",\"message\":\"{text}\",\"key\":\"{key}\"{room}}}\n\n")
    }

    const STATUS: &str = "event: status\ndata: {\"live\":true,\"node\":\"a\",\"heartbeat\":1}\n\n";

    #[test]
    fn a_stream_of_one_room_is_recorded() {
        let stream = format!("retry:2000\nid: 8-1\n{STATUS}id: 9-2\n{}event: heartbeat\ndata: OK\n\n", message(3, ""));
        let recorder = record(&["a"], &stream);
        assert_eq!(events(&recorder, 0), [Event::Cursor(Id { ms: 8, n: 1 })]);
        let deliveries = &recorder.chain.rooms[0].deliveries;
        assert_eq!(deliveries.len(), 1);
        assert_eq!((deliveries[0].id, deliveries[0].message), (Id { ms: 9, n: 2 }, 3));
        assert_eq!(recorder.cursor.as_deref(), Some("9-2"));
    }

    #[test]
    fn an_opening_without_a_cursor_is_noted_if_it_is_live() {
        assert_eq!(events(&record(&["a"], STATUS), 0), [Event::OpenedWithoutCursor]);
        assert_eq!(events(&record(&["a"], &STATUS.replace("true", "false")), 0), []);
        assert_eq!(events(&record(&["a"], &format!("{STATUS}{STATUS}")), 0).len(), 1);
    }

    #[test]
    fn messages_of_several_rooms_have_the_ids_of_their_rooms() {
        let stream = format!("id: 8-1,9-2\n{}", message(3, ",\"room\":\"b\""));
        let recorder = record(&["a", "b"], &stream);
        assert!(recorder.chain.rooms[0].deliveries.is_empty());
        assert_eq!(recorder.chain.rooms[1].deliveries[0].id, Id { ms: 9, n: 2 });
        assert_eq!(recorder.cursor.as_deref(), Some("8-1,9-2"));
    }

    #[test]
    fn gaps_that_are_told_together_share_the_last_cursor() {
        let gap = |room: &str| {
            format!(
                "event: gap\ndata: {{\"asked\":\"5-1\",\"resumed\":null,\"reason\":\"reset\",\"room\":\"{room}\"}}\n\n"
            )
        };
        let recorder = record(&["a", "b"], &format!("{}id: 8-1,9-2\n{}", gap("a"), gap("b")));
        for (room, cursor) in [(0, Id { ms: 8, n: 1 }), (1, Id { ms: 9, n: 2 })] {
            let asked = Some(Id { ms: 5, n: 1 });
            let gap = Gap { asked, resumed: None, cursor: Some(cursor), reason: Reason::Reset };
            assert_eq!(events(&recorder, room), [Event::Gap(gap)]);
        }
    }

    #[test]
    fn a_message_that_cannot_be_placed_is_foreign() {
        for data in ["data: no JSON\n\n".to_owned(), message(3, ",\"room\":\"c\"")] {
            let recorder = record(&["a", "b"], &format!("id: 8-1,9-2\n{data}"));
            assert_eq!(recorder.chain.rooms[0].deliveries[0].message, FOREIGN);
        }
    }
}
