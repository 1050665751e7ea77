//! Resuming after a cursor: every later message, once and in order, then live (contract § 5).

use crate::support::{Bus, Node, Redis, Stream, halves, key, on_every_bus, on_every_form};

on_every_form!(resume_replays_after_the_cursor_and_then_goes_live);
on_every_bus!(
    cursor_is_accepted_in_the_header_or_the_query,
    resume_by_header_wins_over_the_query_and_over_history,
    cursor_0_0_replays_the_whole_log,
    cursor_at_the_end_replays_nothing,
    long_log_is_replayed_completely,
);

/// Opens a stream and checks that its first block has this cursor.
async fn open_at(node: &Node, query: &str, headers: &[(&str, &str)], cursor: &str) -> Stream {
    let mut stream = Stream::open(node, &format!("/subscribe/lobby{query}"), headers).await;
    assert_eq!(stream.first().await.id.as_deref(), Some(cursor));
    stream
}

async fn resume_replays_after_the_cursor_and_then_goes_live(bus: Bus) {
    let node = bus.node(&[]).await;
    let missed = node.fill("lobby", 10).await;
    let mut stream = open_at(&node, "", &[("Last-Event-ID", &missed[3])], &missed[3]).await;
    let live = node.fill("lobby", 3).await;
    assert_eq!(stream.next_ids(9).await, [&missed[4..], &live].concat());
}

async fn cursor_is_accepted_in_the_header_or_the_query(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    for query in [
        format!("?lastEventId={}", ids[1]),
        format!("?last_event_id={}", ids[1]),
        format!("?lastEventId={}&other=1", ids[1]),
        format!("?lastEventId=&last_event_id={}", ids[1]),
    ] {
        assert_eq!(open_at(&node, &query, &[], &ids[1]).await.next_message().await.id, ids[2], "{query}");
    }
    for name in ["Last-Event-ID", "last-event-id", "LAST-EVENT-ID"] {
        assert_eq!(open_at(&node, "", &[(name, &ids[1])], &ids[1]).await.next_message().await.id, ids[2], "{name}");
    }
}

async fn resume_by_header_wins_over_the_query_and_over_history(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 5).await;
    let query = format!("?lastEventId={}&history=5", ids[0]);
    let mut stream = open_at(&node, &query, &[("Last-Event-ID", &ids[3])], &ids[3]).await;
    assert_eq!(stream.next_message().await.id, ids[4]);
    let mut stream = open_at(&node, &query, &[], &ids[0]).await;
    assert_eq!(stream.next_ids(4).await, ids[1..]);
    let mut stream = open_at(&node, "?history=5", &[("Last-Event-ID", &ids[2])], &ids[2]).await;
    assert_eq!(stream.next_ids(2).await, ids[3..]);
}

async fn cursor_0_0_replays_the_whole_log(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut empty = open_at(&node, "?lastEventId=0-0", &[], "0-0").await;
    let ids = node.fill("lobby", 3).await;
    assert_eq!(empty.next_ids(3).await, ids);
    assert_eq!(open_at(&node, "?lastEventId=0-0", &[], "0-0").await.next_ids(3).await, ids);
}

async fn cursor_at_the_end_replays_nothing(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    let mut stream = open_at(&node, "", &[("Last-Event-ID", &ids[2])], &ids[2]).await;
    let next = node.post("lobby", "mason", "next").await;
    assert_eq!(stream.next_message().await.id, next);
}

/// More messages than one read of the log returns, and more than a socket buffer holds.
async fn long_log_is_replayed_completely(bus: Bus) {
    let node = bus.node(&[("HISTORY", "3000")]).await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        let writers = [node.fill("lobby", 50), node.fill("lobby", 50), node.fill("lobby", 50), node.fill("lobby", 50)];
        let [a, b, c, d] = writers;
        let (a, b, c, d) = tokio::join!(a, b, c, d);
        ids.extend([a, b, c, d].concat());
    }
    ids.sort_by_key(|id| halves(id).1);
    let mut stream = open_at(&node, "?lastEventId=0-0", &[], "0-0").await;
    assert_eq!(stream.next_ids(2000).await, ids);
}

/// A subscriber coming from the other node can know an id before this node has received it.
#[tokio::test]
async fn cursor_from_another_node_is_looked_up_in_the_log() {
    let redis = Redis::start().await;
    let (here, there) = (Node::on(&redis, &[]).await, Node::on(&redis, &[]).await);
    let _keeps_the_room = Stream::live(&here, "lobby").await;
    for _ in 0..20 {
        let ids = there.fill("lobby", 2).await;
        let mut stream = Stream::resume(&here, "lobby", &ids[0]).await;
        assert_eq!(stream.next_message().await.id, ids[1]);
    }
}

#[tokio::test]
async fn predecessor_of_the_first_retained_message_resumes() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 4).await;
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    let mut stream = open_at(&node, "", &[("Last-Event-ID", &ids[1])], &ids[1]).await;
    assert_eq!(stream.next_ids(2).await, ids[2..]);
}

/// Of messages that do not state their predecessor, the number is one less and the time is not later.
#[tokio::test]
async fn predecessor_of_a_message_of_the_version_before_resumes() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    for id in ["10-3", "20-4"] {
        redis.store_unannounced("lobby", id).await;
    }
    for asked in ["10-2", "1-2"] {
        let mut stream = open_at(&node, "", &[("Last-Event-ID", asked)], asked).await;
        assert_eq!(stream.next_ids(2).await, ["10-3", "20-4"], "{asked}");
    }
    let next = node.post("lobby", "mason", "of this version").await;
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "1"]).await;
    let mut stream = open_at(&node, "", &[("Last-Event-ID", "20-4")], "20-4").await;
    assert_eq!(stream.next_message().await.id, next);
}

/// The message of that id may have been deleted.
#[tokio::test]
async fn fresh_stream_starts_at_the_last_generated_id() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 3).await;
    let _: u64 = redis.cmd(&["XDEL", &key("lobby"), &ids[2]]).await;
    let mut fresh = open_at(&node, "", &[], &ids[2]).await;
    let next = node.post("lobby", "mason", "next").await;
    assert_eq!(fresh.next_message().await.id, next);
}
