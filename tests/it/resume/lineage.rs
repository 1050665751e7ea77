//! Continuity is shown by the predecessor that an entry states, not by its number: a log that was lost and refilled is a
//! gap even where the numbers fit (contract § 5 and § 7).

use crate::support::{Bus, Gap, Node, Redis, Stream, halves, key, on_every_bus};

on_every_bus!(gap_cursor_is_the_predecessor_of_what_follows, every_cursor_of_the_history_resumes_without_a_gap);

/// Publishes messages and trims the log to the last of them. Returns the ids of those that are retained.
async fn fill_and_keep(redis: &Redis, node: &Node, count: usize, kept: usize) -> Vec<String> {
    let ids = node.fill("lobby", count).await;
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", &kept.to_string()]).await;
    ids[count - kept..].to_vec()
}

/// Checks that a stream which resumes after a lost id gets a gap and these messages, on a node that has the room in
/// memory and on one that does not.
async fn assert_gap(redis: &Redis, warm: &Node, asked: &str, following: &[String]) {
    for node in [warm, &Node::on(redis, &[]).await] {
        let mut stream = Stream::resume(node, "lobby", asked).await;
        assert_eq!(Gap::next(&mut stream).await.asked, asked);
        assert_eq!(stream.next_ids(following.len()).await, following);
    }
}

#[tokio::test]
async fn refilled_log_that_begins_with_the_next_number_is_a_gap() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let lost = node.fill("lobby", 3).await;
    let mut connected = Stream::resume(&node, "lobby", &lost[2]).await;
    let _: u64 = redis.cmd(&["DEL", &key("lobby")]).await;
    let other = Node::on(&redis, &[]).await;
    let kept = fill_and_keep(&redis, &other, 5, 2).await;
    assert_eq!(halves(&kept[0]).1, halves(&lost[2]).1 + 1);
    assert_eq!(Gap::next(&mut connected).await.asked, lost[2]);
    assert_gap(&redis, &node, &lost[2], &kept).await;
}

/// The number fits and the time is earlier, as with an old cursor, or after Redis lost the end of the log and its clock was
/// set back.
#[tokio::test]
async fn number_before_the_first_retained_message_is_no_proof() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 22).await;
    // A client has a message with the number before the retained ones, of a millisecond before any of this log.
    let lost = format!("{}-20", halves(&ids[0]).0 - 1);
    let _: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "2"]).await;
    assert_gap(&redis, &node, &lost, &ids[20..]).await;
}

async fn gap_cursor_is_the_predecessor_of_what_follows(bus: Bus) {
    let node = bus.node(&[("HISTORY", "1")]).await;
    let ids = node.fill("lobby", 250).await;
    let kept = node.stored("lobby").await.len();
    let mut stream = Stream::resume(&node, "lobby", "0-0").await;
    let gap = Gap::next(&mut stream).await;
    assert_eq!((&gap.cursor, gap.resumed.as_ref()), (&ids[249 - kept], Some(&ids[250 - kept])));
    let mut again = Stream::resume(&node, "lobby", &gap.cursor).await;
    assert_eq!(again.next_ids(kept).await, ids[250 - kept..]);
}

/// Also those before the first message of a log of which the beginning was trimmed.
async fn every_cursor_of_the_history_resumes_without_a_gap(bus: Bus) {
    let node = bus.node(&[("HISTORY", "1")]).await;
    let ids = node.fill("lobby", 250).await;
    let kept = &ids[250 - node.stored("lobby").await.len()..];
    for (query, following) in [
        (format!("?before={}", kept[0]), kept),
        ("?before=0-0".to_owned(), kept),
        ("?after=0-0&limit=1".to_owned(), &kept[1..]),
        ("?limit=1".to_owned(), &[]),
    ] {
        let last = node.history("lobby", &query).await["last"].as_str().expect("last").to_owned();
        let mut stream = Stream::resume(&node, "lobby", &last).await;
        assert_eq!(stream.next_ids(following.len()).await, following, "{query}");
    }
    let mut stream = Stream::open(&node, "/subscribe/lobby?history=1000", &[]).await;
    let opening = stream.first().await.id.expect("a cursor");
    assert_eq!(opening, ids[249 - kept.len()]);
}

/// The connection of the node does not break, and the next announcement seems to follow.
#[tokio::test]
async fn log_replaced_by_one_of_equal_length_is_a_gap_after_a_message() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let mut connected = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    let lost = nodes[0].fill("lobby", 3).await;
    let other = nodes[0].fill("garden", 3).await;
    let copy: Vec<u8> = redis.cmd(&["DUMP", &key("garden")]).await;
    let _: String = redis.cmd(&[b"RESTORE", key("lobby").as_bytes(), b"0", &copy, b"REPLACE"]).await;
    let next = nodes[1].post("lobby", "mason", "the fourth of both").await;
    for stream in &mut connected {
        assert_eq!(stream.next_ids(4).await, [&lost[..], std::slice::from_ref(&next)].concat());
        let gap = Gap::next(stream).await;
        assert_eq!((&gap.asked, gap.resumed, &gap.cursor), (&next, None, &next));
    }
    let mut resumed = Stream::resume(&nodes[0], "lobby", &lost[2]).await;
    assert_eq!(Gap::next(&mut resumed).await.asked, lost[2]);
    let mut resumed = Stream::resume(&nodes[0], "lobby", &other[2]).await;
    assert_eq!(resumed.next_message().await.id, next);
}
