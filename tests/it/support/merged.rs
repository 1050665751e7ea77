//! A client of a stream that merges several rooms. It checks every block against the one before it: the room is the
//! last member of the data, and a message moves the cursor of its own room only.

use std::collections::BTreeMap;

use super::{Block, Node, Stream, halves};

/// The ids of messages, in the order of the log, by room.
pub type IdsByRoom = BTreeMap<String, Vec<String>>;

pub struct MergedStream {
    pub stream: Stream,
    rooms: Vec<String>,
    /// One cursor for each of the rooms, as the stream sent them last.
    cursors: Option<Vec<String>>,
    /// Whether the first block was live.
    pub is_live: bool,
}

/// A gap in one of the merged rooms.
#[derive(Debug, PartialEq)]
pub struct RoomGap {
    pub room: String,
    pub asked: String,
    pub resumed: Option<String>,
    pub reason: String,
}

impl MergedStream {
    /// Subscribes to rooms separated by commas, with a query or headers, and reads the first block.
    pub async fn open(node: &Node, rooms: &str, query: &str, headers: &[(&str, &str)]) -> MergedStream {
        let mut stream = Stream::open(node, &format!("/subscribe/{rooms}{query}"), headers).await;
        assert_eq!(stream.head.status, 200);
        let first = stream.first().await;
        let (is_live, cursors) = (first.is_live(), first.id.map(|list| split(&list)));
        let rooms = split(rooms);
        assert!(
            cursors.as_ref().is_none_or(|cursors| cursors.len() == rooms.len()),
            "{cursors:?} are not cursors of {rooms:?}"
        );
        MergedStream { stream, rooms, cursors, is_live }
    }

    /// Reads on to the cursors if the stream began without them, as it does if the logs cannot be read within a second.
    pub async fn until_cursors(mut self) -> MergedStream {
        if self.cursors.is_none() {
            self.cursors = Some(split(&self.stream.late_cursor().await));
        }
        self
    }

    /// Subscribes without cursors to rooms that can be read.
    pub async fn live(node: &Node, rooms: &str) -> MergedStream {
        let merged = MergedStream::open(node, rooms, "", &[]).await;
        assert!(merged.is_live);
        merged
    }

    /// Subscribes with a list of cursors, which the first block must repeat.
    pub async fn resume(node: &Node, rooms: &str, cursors: &str) -> MergedStream {
        let merged = MergedStream::open(node, rooms, "", &[("Last-Event-ID", cursors)]).await;
        assert_eq!(merged.cursors(), cursors);
        merged
    }

    /// Returns the list of cursors that the stream sent last.
    #[track_caller]
    pub fn cursors(&self) -> String {
        self.cursors.as_ref().expect("the cursors are known").join(",")
    }

    /// Returns true if the stream has sent cursors yet.
    pub fn has_cursors(&self) -> bool {
        self.cursors.is_some()
    }

    /// Returns the cursor of a room that the stream sent last.
    #[track_caller]
    pub fn cursor_of(&self, room: &str) -> String {
        self.cursors.as_ref().expect("the cursors are known")[self.index_of(room)].clone()
    }

    /// Returns the room and the id of the next message.
    pub async fn next(&mut self) -> (String, String) {
        let block = self.stream.next_content().await;
        self.accept_message(&block)
    }

    /// Checks the message that was received last and returns its room and its id.
    #[track_caller]
    pub fn accept_message(&mut self, block: &Block) -> (String, String) {
        let cursors = block.message().id;
        let room = room_of(block);
        self.advance(&cursors, &room);
        let id = self.cursor_of(&room);
        (room, id)
    }

    /// Returns the next message, or the next gap as an error.
    pub async fn next_or_gap(&mut self) -> Result<(String, String), RoomGap> {
        let block = self.stream.next_content().await;
        match block.event {
            None => Ok(self.accept_message(&block)),
            Some(_) => Err(self.accept_gap(&block)),
        }
    }

    /// Returns the ids of the next `count` messages.
    pub async fn next_ids(&mut self, count: usize) -> IdsByRoom {
        let mut ids = IdsByRoom::new();
        for _ in 0..count {
            let (room, id) = self.next().await;
            ids.entry(room).or_default().push(id);
        }
        ids
    }

    /// Reads a gap, which must be next.
    pub async fn next_gap(&mut self) -> RoomGap {
        let block = self.stream.next_content().await;
        self.accept_gap(&block)
    }

    /// Takes a gap. Of several that are told together only the last has the cursors after them.
    fn accept_gap(&mut self, block: &Block) -> RoomGap {
        assert_eq!(block.event.as_deref(), Some("gap"), "{block:?}");
        let room = room_of(block);
        if let Some(cursors) = &block.id {
            self.advance(cursors, &room);
        }
        let gap = block.json();
        let text = |member: &str| gap[member].as_str().map(str::to_owned);
        RoomGap {
            room,
            asked: text("asked").expect("asked"),
            resumed: text("resumed"),
            reason: text("reason").expect("reason"),
        }
    }

    fn index_of(&self, room: &str) -> usize {
        let index = self.rooms.iter().position(|name| name == room);
        index.unwrap_or_else(|| panic!("{room} is none of {:?}", self.rooms))
    }

    /// Takes over new cursors, of which only that of the room `moved` may differ from the last ones.
    #[track_caller]
    fn advance(&mut self, cursors: &str, moved: &str) {
        let now = split(cursors);
        assert_eq!(now.len(), self.rooms.len(), "{cursors} are not cursors of {:?}", self.rooms);
        let before = self.cursors.get_or_insert_with(|| now.clone());
        for ((room, before), now) in self.rooms.iter().zip(before).zip(now) {
            assert!(room == moved || *before == now, "a block of {moved} moved {room} from {before}: {cursors}");
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

/// Returns the room of a block, which must be the last member of its data.
#[track_caller]
pub fn room_of(block: &Block) -> String {
    let room = block.json()["room"].as_str().unwrap_or_else(|| panic!("no room in {block:?}")).to_owned();
    let data = block.data.as_deref().unwrap_or_default();
    assert!(data.ends_with(&format!(",\"room\":\"{room}\"}}")), "the room is not last in {block:?}");
    room
}

/// Returns the ids after these cursors, where `all` holds every message that was ever published.
pub fn ids_after(all: &IdsByRoom, rooms: &str, cursors: &str) -> IdsByRoom {
    let cursors = rooms.split(',').zip(cursors.split(','));
    let later = cursors.filter_map(|(room, cursor)| {
        let later = all.get(room)?.get(usize::try_from(halves(cursor).1).ok()?..)?;
        (!later.is_empty()).then(|| (room.to_owned(), later.to_vec()))
    });
    later.collect()
}

/// Returns the number of ids in all rooms.
pub fn count_ids(ids: &IdsByRoom) -> usize {
    ids.values().map(Vec::len).sum()
}

fn split(list: &str) -> Vec<String> {
    list.split(',').map(str::to_owned).collect()
}
