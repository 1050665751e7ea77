use std::time::{Duration, Instant};

use super::*;
use crate::bus::{self, Entry, Listener, LogPage, Retention};
use crate::chat::{Draft, Fields, Id, RoomName};
use crate::hub::feed::Feed;
use crate::hub::{Hub, Pace};
use crate::metrics::Metrics;

/// A node of its own, where nothing runs by itself: a test's runtime does other work only when it waits.
struct Node {
    hub: Arc<Hub>,
    _listener: Arc<dyn Listener>,
}

impl Node {
    fn new() -> Self {
        let metrics = Arc::new(Metrics::new().unwrap());
        let retention = Retention { messages: 5000, seconds: 60 };
        let bus = bus::open(None, "chat", "node", retention, metrics.clone()).unwrap();
        let hub = Hub::new(bus.clone(), "node", Pace { heartbeat: Duration::from_secs(15), max_age: None }, metrics);
        let listener: Arc<dyn Listener> = hub.clone();
        bus.attach(Arc::downgrade(&listener));
        Self { hub, _listener: listener }
    }

    async fn post(&self, room: &str, message: &str) -> Id {
        let fields = Fields { message: Some(message.into()), ..Fields::default() };
        let room = RoomName::parse(room).unwrap();
        self.hub.publish(&room, &Draft::new(&fields).unwrap(), Instant::now()).await.unwrap().id
    }

    /// The rooms as one, known and with nothing merged yet.
    async fn several(&self, rooms: &str) -> Arc<Several> {
        let Feed::Several(several) = self.hub.enter(&Rooms::from_path(rooms).unwrap()) else {
            panic!("{rooms} are not several");
        };
        for room in several.rooms() {
            room.current_since(room.ticket()).await;
        }
        several
    }
}

fn found(several: &Several, ids: &[Id]) -> (Vec<String>, Option<Position>) {
    let found = several
        .find(&ids.iter().copied().collect())
        .unwrap_or_else(|NotHeld(at)| panic!("{at} is not held"));
    let first_line = |frame: &Bytes| String::from_utf8_lossy(frame).lines().next().unwrap().to_owned();
    (found.lacking.iter().map(first_line).collect(), found.at)
}

fn frames(several: &Several, from: Position) -> Option<usize> {
    several.merged().tape().since(from, usize::MAX).map(Iterator::count)
}

#[tokio::test]
async fn a_reader_lacks_what_came_in_each_room_after_its_own_place_up_to_where_the_merging_is() {
    let node = Node::new();
    let several = node.several("a,b").await;
    let (a1, b1) = (node.post("a", "1").await, node.post("b", "1").await);
    let a2 = node.post("a", "2").await;
    assert_eq!(
        found(&several, &[Id::ZERO, b1]),
        (vec![format!("id: {a1},{b1}"), format!("id: {a2},{b1}")], Some(3))
    );
    let b2 = node.post("b", "2").await;
    assert_eq!(found(&several, &[a1, b1]), (vec![format!("id: {a2},{b1}"), format!("id: {a2},{b2}")], Some(4)));
    assert_eq!(found(&several, &[a2, b2]), (vec![], Some(4)));
    assert_eq!(frames(&several, 0), Some(4));
}

#[tokio::test]
async fn more_than_a_page_comes_in_parts_that_leave_nothing_out() {
    let node = Node::new();
    let several = node.several("a,b").await;
    for number in 0..PAGE {
        node.post(["a", "b"][number % 2], "x").await;
        node.post("a", "y").await;
    }
    let mut place = Cursor::zero(2);
    let mut parts = Vec::new();
    loop {
        let found = several.find(&place).ok().unwrap();
        parts.push(found.lacking.len());
        place = found.place;
        if found.at.is_some() {
            break;
        }
    }
    assert_eq!(parts, [PAGE, PAGE]);
    assert_eq!((place.of(0).n, place.of(1).n), (3 * PAGE as u64 / 2, PAGE as u64 / 2));
}

#[tokio::test]
async fn merging_that_falls_too_far_behind_a_room_breaks_off_and_every_reader_comes_again() {
    let node = Node::new();
    let several = node.several("a,b").await;
    let (_, at) = found(&several, &[Id::ZERO, Id::ZERO]);
    let long = "x".repeat(4000);
    let mut last = Id::ZERO;
    for _ in 0..1200 {
        last = node.post("a", &long).await;
    }
    assert_eq!(found(&several, &[last, Id::ZERO]).0, [""; 0]);
    assert_eq!(frames(&several, at.unwrap()), None, "the position of before is not held any more");
    assert!(several.merged().excuses(at.unwrap()), "it was not the reader that was too slow");
    assert_eq!(several.find(&Cursor::zero(2)).err(), Some(NotHeld(0)), "its log has to be read");
}

#[tokio::test]
async fn what_comes_while_a_place_is_looked_for_is_left_to_the_merging() {
    let node = Node::new();
    let several = node.several("a,b").await;
    node.post("a", "1").await;
    let (marks, _) = several.merge_all();
    let a2 = node.post("a", "2").await;
    let lacking = |place: Cursor| several.lacking(&place, &marks).ok().flatten().map(|frames| frames.len());
    assert_eq!(lacking(Cursor::zero(2)), Some(1), "the second comes with what is merged");
    assert_eq!(lacking([a2, Id::ZERO].into_iter().collect()), None, "a place that merging has not come to");
}

/// A room reads what it missed page by page, and each page is merged before the room is known again.
#[tokio::test]
async fn who_waits_while_a_room_catches_up_is_excused_though_its_pages_were_merged_before_the_end() {
    let node = Node::new();
    let several = node.several("a,b").await;
    let (_, at) = several.merge_all();
    assert!(!several.merged().excuses(at));
    several.rooms()[1].log().fall_behind(Instant::now());
    let entry = |n| Entry { id: Id { ms: 1, n }, kind: String::new(), data: "{}".into(), node: None };
    let reading = LogPage {
        first: Some(entry(1).id),
        last: entry(3).id,
        entries: (1..=3).map(entry).collect(),
        more: false,
    };
    several.rooms()[1].log().catch_up(Id::ZERO, reading).unwrap();
    several.merge_all();
    assert!(several.merged().excuses(at), "the room is not known yet");
    several.rooms()[1].log().settle();
    several.merge_all();
    assert!(several.merged().excuses(at), "what came at once");
    assert!(!several.merged().excuses(at + 3));
}
