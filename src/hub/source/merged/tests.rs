use std::time::Instant;

use super::*;
use crate::bus::{Deletion, Entry, LogPage};
use crate::chat::{Draft, Fields, Id, RoomName};
use crate::hub::source::Source;
use crate::hub::test_node::Node;

async fn post(node: &Node, room: &str, message: &str) -> Id {
    let fields = Fields { message: Some(message.into()), ..Fields::default() };
    let room = RoomName::parse(room).unwrap();
    node.hub.publish(&room, &Draft::new(&fields).unwrap(), None, Instant::now()).await.unwrap().id
}

/// Returns merged rooms that are in sync and of which nothing was merged yet.
async fn merged_rooms(node: &Node, rooms: &str) -> Arc<MergedRooms> {
    match node.enter(rooms).await {
        Source::Merged(merged) => merged.merged().clone(),
        Source::Room(_) => panic!("{rooms} is a single room"),
    }
}

/// Looks up a cursor. Returns the cursors after the missed frames, and the position.
fn look_up(merged: &MergedRooms, ids: &[Id]) -> (Vec<String>, Option<Position>) {
    let lookup = merged
        .look_up(&ids.iter().copied().collect())
        .unwrap_or_else(|NotBuffered(index)| panic!("room {index} is not buffered"));
    let mut cursor: Cursor = ids.iter().copied().collect();
    let after = |missed: &Missed| {
        cursor.set(missed.room, missed.id);
        cursor.to_string()
    };
    (lookup.missed.iter().map(after).collect(), lookup.position)
}

fn count_frames(merged: &MergedRooms, from: Position) -> Option<usize> {
    merged.frames().buffer().frames_from(from, usize::MAX).map(Iterator::count)
}

#[tokio::test]
async fn a_lookup_has_what_was_missed_in_each_room_until_merged() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    let (a1, b1) = (post(&node, "a", "1").await, post(&node, "b", "1").await);
    let a2 = post(&node, "a", "2").await;
    assert_eq!(look_up(&merged, &[Id::ZERO, b1]), (vec![format!("{a1},{b1}"), format!("{a2},{b1}")], Some(3)));
    let b2 = post(&node, "b", "2").await;
    assert_eq!(look_up(&merged, &[a1, b1]), (vec![format!("{a2},{b1}"), format!("{a2},{b2}")], Some(4)));
    assert_eq!(look_up(&merged, &[a2, b2]), (vec![], Some(4)));
    assert_eq!(count_frames(&merged, 0), Some(4));
}

#[tokio::test]
async fn many_missed_frames_come_in_parts_without_a_hole() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    for number in 0..MISSED_PER_LOOKUP {
        post(&node, ["a", "b"][number % 2], "x").await;
        post(&node, "a", "y").await;
    }
    let mut cursor = Cursor::zero(2);
    let mut parts = Vec::new();
    loop {
        let lookup = merged.look_up(&cursor).ok().unwrap();
        parts.push(lookup.missed.len());
        lookup.missed.iter().for_each(|missed| cursor.set(missed.room, missed.id));
        if lookup.position.is_some() {
            break;
        }
    }
    assert_eq!(parts, [MISSED_PER_LOOKUP, MISSED_PER_LOOKUP]);
    assert_eq!((cursor.of(0).n, cursor.of(1).n), (3 * MISSED_PER_LOOKUP as u64 / 2, MISSED_PER_LOOKUP as u64 / 2));
}

#[tokio::test]
async fn merging_that_falls_behind_invalidates_all_positions() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    let (_, at) = look_up(&merged, &[Id::ZERO, Id::ZERO]);
    let long = "x".repeat(4000);
    let mut last = Id::ZERO;
    for _ in 0..1200 {
        last = post(&node, "a", &long).await;
    }
    assert_eq!(look_up(&merged, &[last, Id::ZERO]).0, [""; 0]);
    assert_eq!(count_frames(&merged, at.unwrap()), None, "earlier positions are invalid");
    assert!(merged.frames().is_node_lag(at.unwrap()), "the subscriber was not too slow");
    assert_eq!(merged.look_up(&Cursor::zero(2)).err(), Some(NotBuffered(0)), "its log has to be read");
}

#[tokio::test]
async fn frames_that_arrive_during_a_lookup_are_left_to_merging() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    post(&node, "a", "1").await;
    let (next, _) = merged.merge_all();
    let a2 = post(&node, "a", "2").await;
    let missed = |cursor: Cursor| merged.missed_frames(&cursor, &next).ok().flatten().map(|(frames, _)| frames.len());
    assert_eq!(missed(Cursor::zero(2)), Some(1), "the second frame is merged later");
    assert_eq!(missed([a2, Id::ZERO].into_iter().collect()), None, "the cursor is after what was merged");
}

/// A room reads what it missed page by page, and each page is merged before the room is in sync again.
#[tokio::test]
async fn lag_while_a_room_catches_up_page_by_page_is_the_nodes() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    let (_, at) = merged.merge_all();
    assert!(!merged.frames().is_node_lag(at));
    merged.rooms[1].log().start_catching_up(Instant::now());
    let entry = |n| Entry { id: Id { ms: 1, n }, prev: None, kind: String::new(), data: "{}".into(), node: None };
    let page = LogPage {
        first: Some(entry(1).id),
        last: entry(3).id,
        entries: (1..=3).map(entry).collect(),
        more: false,
        only_deleted: false,
    };
    merged.rooms[1].log().apply_page(Id::ZERO, page).unwrap();
    merged.merge_all();
    assert!(merged.frames().is_node_lag(at), "the room is not in sync yet");
    merged.rooms[1].log().mark_in_sync(Instant::now());
    merged.merge_all();
    assert!(merged.frames().is_node_lag(at), "a catch-up burst");
    assert!(!merged.frames().is_node_lag(at + 3));
}

#[tokio::test]
async fn deleted_entry_is_dropped_from_the_merged_frames() {
    let node = Node::new();
    let merged = merged_rooms(&node, "a,b").await;
    let (_, at) = merged.merge_all();
    let [first, second] = [post(&node, "a", "one").await, post(&node, "b", "two").await];
    post(&node, "a", "three").await;
    merged.merge_all();
    let texts = |merged: &MergedRooms| {
        let frames = merged.frames();
        let frames = frames.buffer().frames_from(at, usize::MAX).unwrap();
        let data = frames.map(|(_, frame)| frame.event.as_ref().map_or("-".to_owned(), |event| event.data.clone()));
        data.collect::<String>()
    };
    let delete = async |room: &str, deletion| {
        node.hub.delete(&RoomName::parse(room).unwrap(), deletion, None).await.unwrap();
        merged.merge_all();
        texts(&merged)
    };
    let data = delete("a", Deletion::Entry(first)).await;
    assert!(!data.contains("one") && data.contains("two") && data.contains("three"), "{data}");
    let data = delete("b", Deletion::All).await;
    assert!(!data.contains("two") && data.contains("three"), "{data}");
    assert!(look_up(&merged, &[first, second]).1.is_some(), "its cursors are still good");
}
