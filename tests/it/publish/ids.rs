//! Ids: a timestamp and a sequence number, assigned once by the bus (contract § 3).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{Bus, Node, Redis, Stream, halves, key, on_every_bus, on_every_form};

on_every_form!(ids_are_consecutive_under_concurrent_writes);
on_every_bus!(an_id_is_the_time_and_the_sequence_number_in_its_room, expired_log_restarts_numbering_at_1,);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

async fn an_id_is_the_time_and_the_sequence_number_in_its_room(bus: Bus) {
    let node = bus.node(&[]).await;
    let before = now();
    let ids = node.fill("lobby", 5).await;
    for (id, number) in ids.iter().zip(1..) {
        let (ms, n) = halves(id);
        assert_eq!((id.as_str(), n), (format!("{ms}-{number}").as_str(), number));
        assert!((before..=now()).contains(&ms), "{id} is not a time between {before} and {}", now());
    }
    assert!(ids.is_sorted_by_key(|id| halves(id).0), "{ids:?}");
    assert_eq!(halves(&node.post("garden", "mason", "hi").await).1, 1, "each room has its own numbers");
}

async fn ids_are_consecutive_under_concurrent_writes(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let mut subscribers = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    let (a, b, c, d) = tokio::join!(
        nodes[0].fill("lobby", 50),
        nodes[0].fill("lobby", 50),
        nodes[1].fill("lobby", 50),
        nodes[1].fill("lobby", 50),
    );
    let mut ids = [a, b, c, d].concat();
    ids.sort_by_key(|id| halves(id).1);
    assert!(ids.iter().map(|id| halves(id).1).eq(1..=200), "numbers are missing or repeated: {ids:?}");
    assert!(ids.is_sorted_by_key(|id| halves(id).0), "time decreases: {ids:?}");
    for subscriber in &mut subscribers {
        assert_eq!(subscriber.next_ids(200).await, ids, "every subscriber sees the same order");
    }
}

async fn expired_log_restarts_numbering_at_1(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let first = node.fill("lobby", 3).await;
    node.wait_until_expired("lobby").await;
    let again = node.post("lobby", "mason", "hi").await;
    assert_eq!(halves(&again).1, 1);
    assert!(halves(&again).0 > halves(&first[2]).0);
}

/// The time of an id is `max(now, time of the last id)`.
#[tokio::test]
async fn ids_stay_monotonic_when_the_clock_moves_back() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ahead = now() + 3_600_000;
    redis.store_unannounced("lobby", &format!("{ahead}-7")).await;
    assert_eq!(node.fill("lobby", 2).await, [format!("{ahead}-8"), format!("{ahead}-9")]);
}

/// The next id follows `last-generated-id`, not the last entry: a number used twice would be a lost message.
#[tokio::test]
async fn number_of_a_deleted_message_is_not_reused() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let ids = node.fill("lobby", 3).await;
    let deleted: u64 = redis.cmd(&["XDEL", &key("lobby"), &ids[1], &ids[2]]).await;
    assert_eq!(deleted, 2);
    assert_eq!(halves(&node.post("lobby", "mason", "hi").await).1, 4);
    let trimmed: u64 = redis.cmd(&["XTRIM", &key("lobby"), "MAXLEN", "0"]).await;
    assert_eq!(trimmed, 2);
    assert_eq!(halves(&node.post("lobby", "mason", "hi").await).1, 5);
}
