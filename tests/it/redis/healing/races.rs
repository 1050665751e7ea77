//! Nodes that find a server again at different times, and much to restore.

use std::{slice, time::Duration};

use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{
    HEARTBEAT, assert_goes_on, assert_resumes, fill_in_turn, restart, restored, start_behind, start_nodes, stored_ids,
};
use crate::{
    redis::post_until_accepted,
    support::{Gap, Node, Proxy, Redis, Stream, eventually, halves, key},
};

/// The pauses between the nodes' attempts to connect have grown by then.
const LONG_OUTAGE: Duration = Duration::from_secs(4);

/// Waits until so many entries of a room are back: half a second is too short for that on a busy machine.
async fn log_has(redis: &Redis, room: &str, entries: u64) {
    eventually("the log", async || (redis.cmd::<u64>(&["XLEN", &key(room)]).await >= entries).then_some(())).await;
}

#[tokio::test]
async fn rooms_come_back_after_a_long_outage() {
    for _ in 0..3 {
        let mut redis = Redis::start().await;
        let nodes: [Node; 3] = start_nodes(&redis).await;
        let of_all = [&nodes[0], &nodes[1], &nodes[2]];
        let mut reader = Stream::live(&nodes[0], "garden").await;
        let lobby = fill_in_turn(&of_all, "lobby", 30).await;
        let garden = fill_in_turn(&of_all, "garden", 9).await;
        assert_eq!(reader.next_ids(9).await, garden);
        redis.kill();
        sleep(LONG_OUTAGE).await;
        redis.restart().await;
        // A node that knows nothing of the room posts first.
        let next = post_until_accepted_in_any(&of_all, "garden").await;
        assert_eq!(halves(&next).1, 10);
        assert_eq!(reader.next_message().await.id, next);
        assert_goes_on(&nodes[2], "lobby", &lobby).await;
    }
}

async fn post_until_accepted_in_any(nodes: &[&Node], room: &str) -> String {
    eventually("an accepted message", async || {
        for node in nodes.iter().rev() {
            let answer = node.publish(room, json!({ "message": "first" })).await;
            if let Some(id) = answer.id_if_stored() {
                return Some(id);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn two_restarts_in_a_row_lose_nothing() {
    for pause in [0, 100, 300, 450, 600] {
        let mut redis = Redis::start().await;
        let nodes: [Node; 2] = start_nodes(&redis).await;
        let mut reader = Stream::live(&nodes[0], "lobby").await;
        let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 20).await;
        assert_eq!(reader.next_ids(20).await, ids);
        restart(&mut redis).await;
        sleep(Duration::from_millis(pause)).await;
        restart(&mut redis).await;
        let next = assert_goes_on(&nodes[1], "lobby", &ids).await;
        assert_eq!(reader.next_message().await.id, next, "{pause} ms");
    }
}

#[tokio::test]
async fn large_logs_come_back() {
    let mut redis = Redis::start().await;
    let environment = [HEARTBEAT, ("HISTORY", "10000")];
    let nodes = [Node::on(&redis, &environment).await, Node::on(&redis, &environment).await];
    let mut reader = Stream::live(&nodes[0], "lobby").await;
    let text = "x".repeat(1500);
    let mut ids = Vec::new();
    for number in 0..1200 {
        ids.push(nodes[number % 2].post("lobby", "mason", &text).await);
        assert_eq!(reader.next_message().await.id, ids[number]);
    }
    restart(&mut redis).await;
    log_has(&redis, "lobby", 1200).await;
    let next = post_until_accepted(&nodes[1], "after").await;
    assert_eq!(halves(&next).1, 1201);
    assert_eq!(reader.next_message().await.id, next);
    ids.push(next);
    assert_resumes(&nodes[1], "lobby", &ids).await;
}

#[tokio::test]
async fn many_rooms_come_back() {
    let mut redis = Redis::start().await;
    let nodes: [Node; 2] = start_nodes(&redis).await;
    let mut rooms = Vec::new();
    for number in 0..400 {
        let room = format!("room-{number}");
        let reader = Stream::live(&nodes[0], &room).await;
        let ids = nodes[1].fill(&room, 2).await;
        rooms.push((room, reader, ids));
    }
    for (_, reader, ids) in &mut rooms {
        assert_eq!(reader.next_ids(2).await, *ids);
    }
    restart(&mut redis).await;
    post_until_accepted(&nodes[0], "the server is back").await;
    for (room, reader, ids) in &mut rooms {
        log_has(&redis, room, 2).await;
        let next = nodes[1].post(room, "mason", "after").await;
        assert_eq!(halves(&next).1, 3, "{room}");
        assert_eq!(reader.next_message().await.id, next);
        assert_eq!(stored_ids(&nodes[1], room).await[..2], ids[..]);
    }
}

/// The node was away when the log was deleted, and finds the same run.
#[tokio::test]
async fn log_deleted_in_the_absence_of_its_node_stays_so() {
    let redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[HEARTBEAT]).await);
    let mut reader = Stream::live(&here, "lobby").await;
    let ids = fill_in_turn(&[&here, &there], "lobby", 6).await;
    assert_eq!(reader.next_ids(6).await, ids);
    proxy.cut();
    reader.expect_status(false).await;
    let _: u64 = redis.cmd(&["DEL", &key("lobby")]).await;
    proxy.restore();
    let gap = Gap::next(&mut reader).await;
    assert_eq!((gap.reason.as_str(), gap.resumed), ("reset", None));
    let next = post_until_accepted(&here, "after").await;
    assert_eq!(halves(&next).1, 1);
    assert_eq!(restored(&[&here, &there]).await, 0.0);
}

/// The deletion of the whole log is in the part that was lost.
#[tokio::test]
async fn lost_deletion_of_a_history_is_made_again() {
    const PASSWORD: &str = "correct horse battery staple";
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 4).await;
    let _: String = redis.cmd(&["SAVE"]).await;
    let request = node.request(Method::DELETE, "/history/lobby").basic_auth("me", Some(PASSWORD));
    node.send(request).await.expect(200);
    let after = node.post("lobby", "mason", "after").await;
    restart(&mut redis).await;
    let next = assert_goes_on(&node, "lobby", slice::from_ref(&after)).await;
    assert_eq!(reader.next_ids(4).await, ids);
    assert_eq!(reader.next_content().await.event.as_deref(), Some("delete"));
    assert_eq!(reader.next_ids(2).await, [after, next]);
    let log: String = format!("{:?}", redis.cmd::<redis::Value>(&["XRANGE", &key("lobby"), "-", "+"]).await);
    assert!(!log.contains("message 2"), "{log}");
}

/// Messages that were trimmed are gone as far as readers are concerned.
#[tokio::test]
async fn trimmed_logs_come_back_and_say_where_they_begin() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("HISTORY", "5")]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 350).await;
    assert_eq!(reader.next_ids(350).await, ids);
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(halves(&next).1, 351);
    assert_eq!(reader.next_message().await.id, next);
    let stored: u64 = redis.cmd(&["XLEN", &key("lobby")]).await;
    assert!((6..=205).contains(&stored), "{stored}");
    let mut old = Stream::resume(&node, "lobby", &ids[0]).await;
    assert_eq!(Gap::next(&mut old).await.reason, "trimmed");
    assert_resumes(&node, "lobby", &[&ids[346..], &[next]].concat()).await;
}
