//! Presence in large rooms: what is left out, and what it costs (contract § 5).

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future::join_all};
use serde_json::json;

use super::{
    HEARTBEAT, joins_and_leaves, read_until_data, read_until_joined, subscribe_as, subscribe_unread, user_joined,
    wait_for_presence,
};
use crate::support::{Bus, DEADLINE, Node, Redis, Stream, on_every_bus, within};

on_every_bus!(
    joins_are_not_sent_in_rooms_of_more_than_50,
    more_than_100_names_are_sent_as_a_count_only,
    two_hundred_joins_send_presence_once_a_second,
);

/// No limit of streams per address.
const NO_STREAM_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

async fn joins_are_not_sent_in_rooms_of_more_than_50(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    let mut streams = Vec::new();
    for number in 10..59 {
        streams.push(subscribe_as(&node, &format!("n{number}")).await);
    }
    let mut names: Vec<String> = (10..59).map(|number| format!("n{number}")).collect();
    let small = read_until_data(&mut watch, json!({ "count": 50, "names": names })).await;
    let first = subscribe_as(&node, "x1").await;
    names.push("x1".into());
    let mut large = read_until_data(&mut watch, json!({ "count": 51, "names": names })).await;
    let _second = subscribe_as(&node, "x2").await;
    names.push("x2".into());
    large.extend(read_until_data(&mut watch, json!({ "count": 52, "names": names })).await);
    drop(first);
    streams.truncate(10);
    names.retain(|name| name == "x2" || numbered_names(10).contains(name));
    large.extend(read_until_data(&mut watch, json!({ "count": 12, "names": names })).await);
    let _zoe = subscribe_as(&node, "zoe").await;
    let then = read_until_joined(&mut watch, "zoe").await;
    let mut joins = [joins_and_leaves(&small), joins_and_leaves(&large)].concat();
    joins.sort();
    let expected: Vec<_> = numbered_names(49).iter().map(|name| user_joined(name)).collect();
    assert_eq!(joins, expected, "only the joins while there were 50 or fewer");
    assert_eq!(then, [user_joined("zoe")], "joins while there were more are not sent later");
}

fn numbered_names(count: usize) -> Vec<String> {
    (10..10 + count).map(|number| format!("n{number}")).collect()
}

async fn more_than_100_names_are_sent_as_a_count_only(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    let names: Vec<String> = (100..200).map(|number| number.to_string()).collect();
    let _readers =
        join_all((100..200).map(async |name: u32| subscribe_unread(&node, &format!("lobby?name={name}")).await)).await;
    read_until_data(&mut watch, json!({ "count": 101, "names": names })).await;
    wait_for_presence(&node, json!({ "count": 101, "names": names })).await;
    let _one_more = subscribe_as(&node, "200").await;
    read_until_data(&mut watch, json!({ "count": 102 })).await;
    wait_for_presence(&node, json!({ "count": 102 })).await;
    if let Some(there) = bus.second_node(&[]).await {
        wait_for_presence(&there, json!({ "count": 102 })).await;
        let mut watch = subscribe_as(&there, "100").await;
        read_until_data(&mut watch, json!({ "count": 103 })).await;
    }
}

/// Joins every 40 ms for a while, each time under another name.
async fn join_one_by_one(nodes: &[&Node], duration: Duration) -> Vec<Stream> {
    let (mut streams, started) = (Vec::new(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(40));
    while started.elapsed() < duration {
        ticks.tick().await;
        let node = nodes[streams.len() % nodes.len()];
        streams.push(subscribe_unread(node, &format!("lobby?name=late{}", streams.len())).await);
    }
    streams
}

async fn two_hundred_joins_send_presence_once_a_second(bus: Bus) {
    let node = bus.node(&[NO_STREAM_LIMIT]).await;
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 1, "names": [] })).await;
    let started = Instant::now();
    let join = async |number: usize| subscribe_unread(&node, &format!("lobby?name=n{number}")).await;
    let at_once = join_all((0..200).map(join)).await;
    let later = join_one_by_one(&[&node], Duration::from_secs(4)).await;
    let all = at_once.len() + later.len() + 1;
    let seen = read_until_data(&mut watch, json!({ "count": all })).await;
    let presence = seen.iter().filter(|block| block.event.as_deref() == Some("presence")).count() as u64;
    assert!(presence <= started.elapsed().as_secs() + 1, "sent {presence} times in {:?}", started.elapsed());
}

/// The cost of a join must not grow with the size of the room.
#[tokio::test]
async fn five_hundred_joins_cost_few_announcements_a_second() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[NO_STREAM_LIMIT]).await, Node::on(&redis, &[NO_STREAM_LIMIT]).await];
    let mut pubsub = redis.subscribe("lobby").await;
    let mut watch = Stream::live(&nodes[0], "lobby").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 1, "names": [] })).await;
    let started = Instant::now();
    let join = async |number: usize| subscribe_unread(&nodes[number % 2], &format!("lobby?name=n{number}")).await;
    let at_once = join_all((0..500).map(join)).await;
    let later = join_one_by_one(&[&nodes[0], &nodes[1]], Duration::from_secs(4)).await;
    read_until_data(&mut watch, json!({ "count": at_once.len() + later.len() + 1 })).await;
    let last = nodes[0].post("lobby", "mason", "the end").await;
    let (mut announced, mut bytes) = (0, 0);
    let mut payloads = pubsub.on_message();
    loop {
        let payload = within(DEADLINE, "an announcement", payloads.next()).await.expect("a subscription");
        let payload = payload.get_payload_bytes();
        if payload.starts_with(format!("\x1e{last} ").as_bytes()) {
            break;
        }
        assert!(payload.starts_with(b"\x1e0-0 presence "), "{:?}", String::from_utf8_lossy(payload));
        (announced, bytes) = (announced + 1, bytes + payload.len());
    }
    let most = 2 * (started.elapsed().as_secs() + 2);
    assert!(announced <= most, "{announced} announcements of 2 nodes in {:?}", started.elapsed());
    assert!(bytes < 2000 * announced as usize, "{bytes} bytes in {announced} announcements");
}
