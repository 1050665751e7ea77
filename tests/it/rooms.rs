//! Room names, and streams that merge several rooms.

mod merged;
mod merged_frames;
mod merged_gaps;
mod merged_outages;
mod names;

use serde_json::json;

use crate::support::{IdsByRoom, Node, eventually};

/// Publishes a message and returns its id. Until it is accepted it is repeated with its key, since a busy node may
/// answer 503 for a moment.
async fn post_until_accepted(node: &Node, room: &str, message: &str) -> String {
    let key = format!("{:x}", rand::random::<u64>());
    let fields = json!({ "sender": "mason", "message": message, "key": key });
    eventually("an accepted message", async || {
        let answer = node.publish(room, fields.clone()).await;
        (answer.status == 200).then(|| answer.id())
    })
    .await
}

/// Publishes `count` messages that alternate between these rooms and nodes, and returns their ids.
async fn fill_rooms(nodes: &[impl AsRef<Node>], rooms: &[&str], count: usize) -> IdsByRoom {
    let mut ids = IdsByRoom::new();
    for number in 0..count {
        let (node, room) = (&nodes[number / 3 % nodes.len()], rooms[number * 7 % 5 % rooms.len()]);
        let id = post_until_accepted(node.as_ref(), room, &format!("message {number}")).await;
        ids.entry(room.to_owned()).or_default().push(id);
    }
    ids
}
