//! A reader of several rooms in one stream. It holds every block against what it was sent before: the room stands
//! last in the data, and a message moves the place in its own room only.

use std::collections::BTreeMap;

use super::{Block, Node, Stream};

pub struct Several {
    pub stream: Stream,
    rooms: Vec<String>,
    place: Option<Vec<String>>,
}

/// A gap in one of the rooms.
#[derive(Debug, PartialEq)]
pub struct RoomGap {
    pub room: String,
    pub asked: String,
    pub resumed: Option<String>,
    pub reason: String,
}

impl Several {
    /// Asks for rooms, separated by commas, with a query or a header; the first block is read.
    pub async fn open(node: &Node, rooms: &str, query: &str, headers: &[(&str, &str)]) -> Several {
        let mut stream = Stream::open(node, &format!("/subscribe/{rooms}{query}"), headers).await;
        assert_eq!(stream.head.status, 200);
        let place = stream.first().await.id.map(|vector| split(&vector));
        let rooms = split(rooms);
        assert!(place.as_ref().is_none_or(|place| place.len() == rooms.len()), "{place:?} is no place in {rooms:?}");
        Several { stream, rooms, place }
    }

    /// The same reader when it knows its place: where the logs cannot be read within a second, the stream begins without.
    pub async fn placed(mut self) -> Several {
        if self.place.is_none() {
            let block = self.stream.said().await;
            let vector = block.id.clone().unwrap_or_default();
            assert_eq!(block.raw, format!("id: {vector}\n\n"), "a block with only the place");
            self.place = Some(split(&vector));
        }
        self
    }

    /// A fresh reader that is live.
    pub async fn live(node: &Node, rooms: &str) -> Several {
        let mut several = Several::open(node, rooms, "", &[]).await;
        assert_eq!(several.stream.event("status").await["live"], true);
        several
    }

    /// A reader that comes back with its place in all rooms, which it is told first.
    pub async fn resume(node: &Node, rooms: &str, vector: &str) -> Several {
        let several = Several::open(node, rooms, "", &[("Last-Event-ID", vector)]).await;
        assert_eq!(several.vector(), vector);
        several
    }

    /// Its place as it was sent last.
    #[track_caller]
    pub fn vector(&self) -> String {
        self.place.as_ref().expect("a known place").join(",")
    }

    /// Whether it was told a place yet.
    pub fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// The next message: its room and its id there.
    pub async fn next(&mut self) -> (String, String) {
        let block = self.stream.said().await;
        self.message(&block)
    }

    /// The room and the id of a message that came just now.
    #[track_caller]
    pub fn message(&mut self, block: &Block) -> (String, String) {
        let vector = block.message().id;
        let room = room_of(block);
        self.come_to(&vector, &room);
        let id = self.place_in(&room);
        (room, id)
    }

    /// The next message, or the next gap.
    pub async fn next_or_gap(&mut self) -> Result<(String, String), RoomGap> {
        let block = self.stream.said().await;
        match block.event {
            None => Ok(self.message(&block)),
            Some(_) => Err(self.gap_in(&block).await),
        }
    }

    /// The ids of the next `count` messages by room.
    pub async fn ids(&mut self, count: usize) -> BTreeMap<String, Vec<String>> {
        let mut ids: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for _ in 0..count {
            let (room, id) = self.next().await;
            ids.entry(room).or_default().push(id);
        }
        ids
    }

    /// The gap that must be the next thing the stream says, and the place in all rooms that must follow it.
    pub async fn gap(&mut self) -> RoomGap {
        let block = self.stream.said().await;
        self.gap_in(&block).await
    }

    async fn gap_in(&mut self, block: &Block) -> RoomGap {
        assert_eq!((block.event.as_deref(), &block.id), (Some("gap"), &None), "{block:?}");
        let place = self.stream.said().await;
        let vector = place.id.clone().unwrap_or_default();
        assert_eq!(place.raw, format!("id: {vector}\n\n"), "a block with only an id follows the gap");
        let room = room_of(block);
        self.come_to(&vector, &room);
        let gap = block.json();
        let text = |member: &str| gap[member].as_str().map(str::to_owned);
        RoomGap {
            room,
            asked: text("asked").expect("asked"),
            resumed: text("resumed"),
            reason: text("reason").expect("reason"),
        }
    }

    /// The place in a room, as it was sent last.
    #[track_caller]
    pub fn place_in(&self, room: &str) -> String {
        self.place.as_ref().expect("a known place")[self.member(room)].clone()
    }

    fn member(&self, room: &str) -> usize {
        let at = self.rooms.iter().position(|name| name == room);
        at.unwrap_or_else(|| panic!("{room} is none of {:?}", self.rooms))
    }

    #[track_caller]
    fn come_to(&mut self, vector: &str, moved: &str) {
        let now = split(vector);
        assert_eq!(now.len(), self.rooms.len(), "{vector} is no place in {:?}", self.rooms);
        let before = self.place.get_or_insert_with(|| now.clone());
        for ((room, before), now) in self.rooms.iter().zip(before).zip(now) {
            assert!(room == moved || *before == now, "what came in {moved} moved {room} from {before}: {vector}");
            *before = now;
        }
    }
}

impl RoomGap {
    pub fn new(room: &str, asked: &str, resumed: Option<&str>, reason: &str) -> RoomGap {
        RoomGap {
            room: room.into(),
            asked: asked.into(),
            resumed: resumed.map(str::to_owned),
            reason: reason.into(),
        }
    }
}

/// The room of a block, which must be the last member of its data.
#[track_caller]
pub fn room_of(block: &Block) -> String {
    let room = block.json()["room"].as_str().unwrap_or_else(|| panic!("no room in {block:?}")).to_owned();
    let data = block.data.as_deref().unwrap_or_default();
    assert!(data.ends_with(&format!(",\"room\":\"{room}\"}}")), "the room is not last in {block:?}");
    room
}

fn split(vector: &str) -> Vec<String> {
    vector.split(',').map(str::to_owned).collect()
}
