//! What was deleted or has expired is never brought back.

use std::slice;

use reqwest::Method;
use serde_json::json;

use super::{HEARTBEAT, assert_resumes, fill_in_turn, restart, restored, start_nodes, stored_ids};
use crate::{
    redis::{post_until_accepted, post_until_accepted_in},
    support::{Gap, Node, Proxy, Redis, Stream, eventually, halves, key},
};

const PASSWORD: &str = "correct horse battery staple";

const SECRET: &str = "0123456789abcdef";

/// Deletes a path of the history as the operator.
async fn delete(node: &Node, path: &str) {
    let request = node.request(Method::DELETE, &format!("/history/{path}")).basic_auth("me", Some(PASSWORD));
    node.send(request).await.expect(200);
}

/// Breaks every connection of this kind, and waits until the nodes are subscribed again. The server stays the same run.
async fn kill_connections(redis: &Redis, kind: &[&str]) {
    let _: u64 = redis.cmd(&[&["CLIENT", "KILL"], kind].concat()).await;
    redis.wait_for_subscriber("lobby").await;
}

/// Checks that a log stays lost that this command deletes, whichever connections break after it.
async fn assert_stays_deleted(command: &[&str]) {
    for kind in [&["TYPE", "pubsub"][..], &["TYPE", "normal"], &["SKIPME", "yes"]] {
        let redis = Redis::start().await;
        let nodes: [Node; 2] = start_nodes(&redis).await;
        let mut reader = Stream::live(&nodes[0], "lobby").await;
        let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 5).await;
        assert_eq!(reader.next_ids(5).await, ids);
        let _: redis::Value = redis.cmd(command).await;
        let gone = async || (redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await == 0).then_some(());
        eventually("the end of the log", gone).await;
        kill_connections(&redis, kind).await;
        // Each node has read it, and one of them posts, before which it would heal.
        for node in &nodes {
            let mut returning = Stream::resume(node, "lobby", &ids[2]).await;
            assert_eq!(Gap::next(&mut returning).await.reason, "reset", "{command:?}, {kind:?}");
        }
        assert_eq!(redis.cmd::<u64>(&["EXISTS", &key("lobby")]).await, 0, "{command:?}, {kind:?}");
        let next = post_until_accepted(&nodes[1], "after").await;
        assert_eq!(halves(&next).1, 1, "{command:?}, {kind:?}");
        let gap = Gap::next(&mut reader).await;
        assert_eq!((&gap.asked, gap.reason.as_str()), (&ids[4], "reset"));
        assert_eq!(reader.next_message().await.id, next);
        assert_eq!(stored_ids(&nodes[0], "lobby").await, [next]);
        assert_eq!(restored(&[&nodes[0], &nodes[1]]).await, 0.0);
    }
}

#[tokio::test]
async fn deleted_logs_stay_deleted() {
    assert_stays_deleted(&["DEL", &key("lobby")]).await;
}

#[tokio::test]
async fn flushed_logs_stay_deleted() {
    assert_stays_deleted(&["FLUSHALL"]).await;
}

#[tokio::test]
async fn expired_logs_stay_deleted() {
    assert_stays_deleted(&["PEXPIRE", &key("lobby"), "1"]).await;
}

/// The room has readers, and its node has its messages in memory for longer than they are to be kept.
#[tokio::test]
async fn expired_messages_do_not_come_back_after_a_restart() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("HISTORY_TTL", "1")]).await;
    let _reader = Stream::live(&node, "lobby").await;
    node.fill("lobby", 3).await;
    node.wait_until_expired("lobby").await;
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(stored_ids(&node, "lobby").await, [next]);
    assert_eq!(restored(&[&node]).await, 0.0);
}

/// A log that the nodes saw deleted stays so after a restart, too.
#[tokio::test]
async fn deleted_logs_stay_deleted_after_a_restart() {
    let mut redis = Redis::durable().await;
    let nodes: [Node; 2] = start_nodes(&redis).await;
    let mut reader = Stream::live(&nodes[0], "lobby").await;
    let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, ids);
    let _: u64 = redis.cmd(&["DEL", &key("lobby")]).await;
    let new = nodes[1].post("lobby", "mason", "on a new log").await;
    assert_eq!(Gap::next(&mut reader).await.reason, "reset");
    assert_eq!(reader.next_message().await.id, new);
    restart(&mut redis).await;
    let next = post_until_accepted(&nodes[0], "after").await;
    assert_eq!(reader.next_message().await.id, next);
    for node in &nodes {
        assert_eq!(stored_ids(node, "lobby").await, [new.clone(), next.clone()]);
    }
}

/// `DELETE /history/{room}`: the ids go on, and nothing that was deleted is read again.
#[tokio::test]
async fn deleted_history_does_not_come_back() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, ids);
    delete(&node, "lobby").await;
    let told = reader.next_content().await;
    assert_eq!(told.event.as_deref(), Some("delete"));
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(halves(&next).1, 7);
    assert_eq!(reader.next_message().await.id, next, "no gap");
    assert_eq!(stored_ids(&node, "lobby").await, slice::from_ref(&next));
    assert_nowhere(&redis, "message ").await;
    let mut returning = Stream::resume(&node, "lobby", &ids[4]).await;
    assert_eq!(returning.next_content().await.id, told.id);
    assert_eq!(returning.next_message().await.id, next);
}

/// Checks that no entry of the log holds this text.
async fn assert_nowhere(redis: &Redis, text: &str) {
    let entries: Vec<(String, Vec<String>)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    assert!(!entries.iter().any(|(_, fields)| fields.iter().any(|field| field.contains(text))), "{entries:?}");
}

/// It is remembered as deleted: who asks for it gets no gap.
#[tokio::test]
async fn deleted_message_does_not_come_back() {
    let mut redis = Redis::start().await;
    let nodes = [
        Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await,
        Node::on(&redis, &[HEARTBEAT]).await,
    ];
    let mut reader = Stream::live(&nodes[1], "lobby").await;
    let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, ids);
    delete(&nodes[0], &format!("lobby/{}", ids[2])).await;
    assert_eq!(reader.next_content().await.event.as_deref(), Some("delete"));
    restart(&mut redis).await;
    let next = post_until_accepted(&nodes[1], "after").await;
    assert_eq!(halves(&next).1, 7);
    assert_eq!(reader.next_message().await.id, next);
    for node in &nodes {
        assert_eq!(stored_ids(node, "lobby").await, [&ids[..2], &ids[3..], slice::from_ref(&next)].concat());
        node.get(&format!("/history/lobby/{}", ids[2])).await.problem(404);
        assert_resumes(node, "lobby", &[&ids[2..3], &ids[3..]].concat()).await;
    }
    assert_nowhere(&redis, "message 3").await;
}

/// Even if no node has a reader: then the nodes have the message and the deletion among what they acknowledged.
#[tokio::test]
async fn deleted_message_without_readers_does_not_come_back() {
    let mut redis = Redis::start().await;
    let nodes = [
        Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await,
        Node::on(&redis, &[HEARTBEAT]).await,
    ];
    let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 4).await;
    // Taken by one node, deleted by the other one.
    delete(&nodes[0], &format!("lobby/{}", ids[0])).await;
    restart(&mut redis).await;
    post_until_accepted(&nodes[1], "after").await;
    assert!(!stored_ids(&nodes[0], "lobby").await.contains(&ids[0]), "{ids:?}");
    assert_nowhere(&redis, "message 1").await;
    assert_nowhere(&redis, "\"key-1\"").await;
}

/// One node has the message, the other one its edit and its deletion, and finds Redis before the first.
#[tokio::test]
async fn text_of_a_deleted_edit_does_not_come_back() {
    for is_late in [false, true] {
        let mut redis = Redis::start().await;
        let proxy = Proxy::to(redis.address()).await;
        let url = format!("redis://{}", proxy.address());
        let writer = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
        let other = Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await;
        let own = json!({ "sender": "ada", "message": "the first text", "secret": SECRET });
        let id = writer.publish("lobby", own).await.id();
        let kept = writer.post("lobby", "mason", "hi").await;
        let edit = json!({ "secret": SECRET, "message": "the second text" });
        let path = format!("/history/lobby/{id}");
        other.send(other.request(Method::PATCH, &path).json(&edit)).await.expect(200);
        delete(&other, &format!("lobby/{id}")).await;
        if is_late {
            proxy.cut();
        }
        restart(&mut redis).await;
        let next = post_until_accepted(&other, "after").await;
        assert_nowhere(&redis, "the second text").await;
        proxy.restore();
        let all = [kept, next];
        eventually("all of the log", async || (stored_ids(&other, "lobby").await == all).then_some(())).await;
        assert_nowhere(&redis, "the first text").await;
        assert_nowhere(&redis, "the second text").await;
    }
}

#[tokio::test]
async fn edited_messages_keep_their_new_text() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    for room in ["lobby", "garden"] {
        // The second one has no reader.
        let reader = if room == "lobby" { Some(Stream::live(&node, room).await) } else { None };
        let own = json!({ "sender": "ada", "message": "the first text", "secret": SECRET });
        let id = node.publish(room, own).await.id();
        let path = format!("/history/{room}/{id}");
        for text in ["the second text", "the third text"] {
            let edit = json!({ "secret": SECRET, "message": text });
            node.send(node.request(Method::PATCH, &path).json(&edit)).await.expect(200);
        }
        restart(&mut redis).await;
        let next = post_until_accepted_in(room, &node, "after").await;
        assert_eq!(halves(&next).1, 4, "{room}");
        let message = node.get(&path).await.expect(200).json();
        assert_eq!((&message["message"], &message["edited"]), (&json!("the third text"), &json!(true)), "{room}");
        let edits: String = format!("{:?}", redis.cmd::<redis::Value>(&["XRANGE", &key(room), "-", "+"]).await);
        assert!(!edits.contains("the second text"), "{room}: of several edits the last one is retained");
        drop(reader);
    }
}
