//! Presence in a room: the events `presence`, `userJoined` and `userLeft`, and `GET /presence/{room}`.

mod events;
mod failures;
mod large_rooms;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Block, DEADLINE, Node, Stream, in_time};

/// A heartbeat of 1 s, within which a closed stream is noticed.
pub const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// Subscribes to `lobby` under a name and waits until the stream is live. It does not skip presence events.
pub async fn subscribe_as(node: &Node, name: &str) -> Stream {
    Stream::live(node, &format!("lobby?name={name}")).await.with_presence()
}

/// Subscribes to a room without reading a block, so hundreds can subscribe at once without waiting for their first one.
async fn subscribe_unread(node: &Node, room: &str) -> Stream {
    let stream = Stream::open(node, &format!("/subscribe/{room}"), &[]).await;
    assert_eq!(stream.head.status, 200);
    stream
}

/// Reads until an event with this data arrives, and returns all presence events up to and including it.
async fn read_until_data(stream: &mut Stream, data: Value) -> Vec<Block> {
    let mut seen: Vec<Block> = Vec::new();
    let reading = async {
        while seen.last().is_none_or(|block| block.json() != data) {
            let block = stream.next_content().await;
            assert!(block.id.is_none(), "{block:?} has an id");
            seen.push(block);
        }
    };
    if in_time(DEADLINE, reading).await.is_none() {
        panic!("{data} did not arrive, but {seen:?}");
    }
    seen
}

/// Reads until this name has joined, and returns the joins and leaves up to and including it.
async fn read_until_joined(stream: &mut Stream, name: &str) -> Vec<(String, String)> {
    joins_and_leaves(&read_until_data(stream, json!({ "username": name })).await)
}

/// Returns the event and the name of each `userJoined` and `userLeft`.
fn joins_and_leaves(blocks: &[Block]) -> Vec<(String, String)> {
    let moves = blocks.iter().filter(|block| block.event.as_deref() != Some("presence"));
    moves
        .map(|block| (block.event.clone().unwrap(), block.json()["username"].as_str().unwrap().to_owned()))
        .collect()
}

fn user_joined(name: &str) -> (String, String) {
    ("userJoined".to_owned(), name.to_owned())
}

/// Waits until `GET /presence/lobby` returns this. What other nodes announce takes a moment.
pub async fn wait_for_presence(node: &Node, presence: Value) {
    let mut last = Value::Null;
    let polling = async {
        while last != presence {
            // 503 until the node has reached its store again.
            let answer = node.get("/presence/lobby").await;
            last = if answer.status == 503 { Value::Null } else { answer.expect(200).json() };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if in_time(DEADLINE, polling).await.is_none() {
        panic!("{presence} is not returned, but {last}");
    }
}
