//! Nodes bring back what a server has lost, under the same ids, and never what was deleted or has expired (contract § 7).

mod branches;
mod cluster;
mod deletions;
mod failovers;
mod older_copies;
mod races;
mod restarts;

use std::slice;

use serde_json::{Value, json};

use super::{HEARTBEAT, post_until_accepted_in, start_behind};
use crate::support::{Node, Redis, Stream, halves};

/// The metric that counts what a node restored.
const RESTORED: &str = "tiny_chat_restored_entries_total";

const HEAL_OFF: (&str, &str) = ("HEAL", "off");

/// Starts nodes on the same Redis.
async fn start_nodes<const N: usize>(redis: &Redis) -> [Node; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(Node::on(redis, &[HEARTBEAT]).await);
    }
    nodes.try_into().unwrap_or_else(|_| panic!("{N} nodes"))
}

/// Posts numbered messages to each of the nodes in turn, each with a key of its own, and returns their ids.
async fn fill_in_turn(nodes: &[&Node], room: &str, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 1..=count {
        ids.push(nodes[number % nodes.len()].publish(room, numbered(number)).await.id());
    }
    ids
}

/// Returns the fields of a numbered message.
fn numbered(number: usize) -> Value {
    json!({ "sender": "mason", "message": format!("message {number}"), "key": format!("key-{number}") })
}

/// Returns the ids of the messages that `/history` has, oldest first.
async fn stored_ids(node: &Node, room: &str) -> Vec<String> {
    let stored = node.stored(room).await;
    stored.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect()
}

/// Checks that a room has these messages and that its ids go on after them. Returns the id of one more message.
async fn assert_goes_on(node: &Node, room: &str, ids: &[String]) -> String {
    let next = post_until_accepted_in(room, node, "one more").await;
    assert_eq!(stored_ids(node, room).await, [ids, slice::from_ref(&next)].concat(), "{}", node.log());
    assert_eq!(halves(&next).1, halves(ids.last().expect("an id")).1 + 1, "a number is neither reused nor left out");
    next
}

/// Checks that a subscriber that resumes after the first of these messages gets the others, without a gap.
async fn assert_resumes(node: &Node, room: &str, ids: &[String]) {
    let mut stream = Stream::resume(node, room, &ids[0]).await;
    assert_eq!(stream.next_ids(ids.len() - 1).await, ids[1..]);
}

/// Returns how many entries the nodes have restored.
async fn restored(nodes: &[&Node]) -> f64 {
    let mut sum = 0.0;
    for node in nodes {
        sum += node.metric(RESTORED).await.unwrap_or_default();
    }
    sum
}

/// Kills the server and starts it again, empty or with what it has on disk.
async fn restart(redis: &mut Redis) {
    redis.kill();
    redis.restart().await;
}
