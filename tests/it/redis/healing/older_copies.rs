//! A server restarts with an older copy of its data: the end of the logs is missing.

use std::{
    fs, io,
    path::{Path, PathBuf},
    slice,
};

use reqwest::Method;
use serde_json::json;

use super::{
    HEARTBEAT, assert_goes_on, assert_resumes, fill_in_turn, numbered, restart, restored, start_nodes, stored_ids,
};
use crate::{
    redis::post_until_accepted,
    support::{Node, Redis, Stream, eventually, halves, key},
};

const SECRET: &str = "0123456789abcdef";

const PASSWORD: &str = "correct horse battery staple";

/// Writes the data to disk as it is now. After a restart the server has this.
async fn save(redis: &Redis) {
    let _: String = redis.cmd(&["SAVE"]).await;
}

/// Checks that the end of a log that a server lost comes back after it was replaced by an older copy.
async fn assert_end_comes_back(mut redis: Redis, keep_copy: impl AsyncFnOnce(&Redis), put_back: impl FnOnce(&Redis)) {
    let nodes: [Node; 2] = start_nodes(&redis).await;
    let both = [&nodes[0], &nodes[1]];
    let mut reader = Stream::live(&nodes[0], "lobby").await;
    let mut ids = fill_in_turn(&both, "lobby", 5).await;
    keep_copy(&redis).await;
    for number in 6..=12 {
        ids.push(both[number % 2].publish("lobby", numbered(number)).await.id());
    }
    assert_eq!(reader.next_ids(12).await, ids);
    redis.kill();
    put_back(&redis);
    redis.restart().await;
    let next = assert_goes_on(&nodes[1], "lobby", &ids).await;
    assert_eq!(reader.next_message().await.id, next, "neither a gap nor a repetition");
    let again = nodes[1].publish("lobby", numbered(9)).await.expect(200).json();
    assert_eq!(again, json!({ "id": ids[8], "duplicate": true }));
    for node in both {
        assert_resumes(node, "lobby", &ids[2..]).await;
    }
    assert_eq!(restored(&both).await, 7.0);
}

#[tokio::test]
async fn end_of_a_log_comes_back_after_an_older_snapshot() {
    let redis = Redis::start().await;
    assert_end_comes_back(redis, async |redis| save(redis).await, |_| {}).await;
}

#[tokio::test]
async fn end_of_a_log_comes_back_after_an_older_file() {
    let redis = Redis::durable().await;
    let copy = tempfile::tempdir().expect("a directory");
    let (kept, source) = (copy.path().join("kept"), redis.directory().join("appendonlydir"));
    let keep = async |_: &Redis| copy_files(&source, &kept).expect("a copy");
    let put_back = |_: &Redis| {
        fs::remove_dir_all(&source).expect("the newer files");
        copy_files(&kept, &source).expect("the older files");
    };
    assert_end_comes_back(redis, keep, put_back).await;
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file: PathBuf = file?.path();
        fs::copy(&file, to.join(file.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Without readers the nodes have what they acknowledged.
#[tokio::test]
async fn end_of_a_log_without_readers_comes_back() {
    let mut redis = Redis::start().await;
    let nodes: [Node; 3] = start_nodes(&redis).await;
    let of_all = [&nodes[0], &nodes[1], &nodes[2]];
    let mut ids = fill_in_turn(&of_all, "lobby", 10).await;
    save(&redis).await;
    for number in 11..=40 {
        ids.push(of_all[number * 7 % 3].publish("lobby", numbered(number)).await.id());
    }
    restart(&mut redis).await;
    assert_goes_on(&nodes[1], "lobby", &ids).await;
    assert_resumes(&nodes[0], "lobby", &ids).await;
}

/// The newest messages of a node that knows the log end behind the copy, and no node has what is between.
#[tokio::test]
async fn what_does_not_follow_the_copy_is_not_appended() {
    let mut redis = Redis::start().await;
    let mut early = Node::on(&redis, &[HEARTBEAT]).await;
    let mut ids = early.fill("lobby", 3).await;
    save(&redis).await;
    ids.extend(early.fill("lobby", 2).await);
    early.kill();
    let late = Node::on(&redis, &[HEARTBEAT]).await;
    let newest = late.fill("lobby", 2).await;
    restart(&mut redis).await;
    let next = post_until_accepted(&late, "on a new branch").await;
    assert_eq!(stored_ids(&late, "lobby").await, [&ids[..3], slice::from_ref(&next)].concat());
    assert_eq!(halves(&next).1, 4);
    let mut stream = Stream::resume(&late, "lobby", &newest[1]).await;
    assert_eq!(stream.next_content().await.event.as_deref(), Some("gap"));
}

/// The deletion is in the part that was lost, the message is not.
#[tokio::test]
async fn lost_deletion_is_made_again() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("ADMIN_PASSWORD", PASSWORD)]).await;
    let reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 4).await;
    save(&redis).await;
    let path = format!("/history/lobby/{}", ids[1]);
    node.send(node.request(Method::DELETE, &path).basic_auth("me", Some(PASSWORD))).await.expect(200);
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(halves(&next).1, 6, "the entry of the deletion is number 5");
    assert_eq!(stored_ids(&node, "lobby").await, [&ids[..1], &ids[2..], slice::from_ref(&next)].concat());
    node.get(&path).await.problem(404);
    assert!(!dump(&redis).await.contains("message 2"), "its text is nowhere");
    // Its cursor is still continuous.
    let mut stream = Stream::resume(&node, "lobby", &ids[1]).await;
    assert_eq!(stream.next_ids(2).await, ids[2..]);
    assert_eq!(stream.next_content().await.event.as_deref(), Some("delete"));
    assert_eq!(stream.next_message().await.id, next);
    drop(reader);
}

/// The edit is in the part that was lost, the message is not.
#[tokio::test]
async fn lost_edit_is_made_again() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let reader = Stream::live(&node, "lobby").await;
    let own = json!({ "sender": "ada", "message": "the first text", "secret": SECRET });
    let id = node.publish("lobby", own).await.id();
    save(&redis).await;
    let edit = json!({ "secret": SECRET, "message": "the second text" });
    let path = format!("/history/lobby/{id}");
    node.send(node.request(Method::PATCH, &path).json(&edit)).await.expect(200);
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(halves(&next).1, 3);
    let message = node.get(&path).await.expect(200).json();
    assert_eq!((&message["message"], &message["edited"]), (&json!("the second text"), &json!(true)));
    assert_eq!(node.stored("lobby").await[0]["message"], "the second text");
    // It can be edited once more, and deleted.
    node.send(node.request(Method::PATCH, &path).json(&edit)).await.expect(200);
    node.send(node.request(Method::DELETE, &path).json(&json!({ "secret": SECRET }))).await.expect(200);
    assert!(!dump(&redis).await.contains("second text"));
    drop(reader);
}

/// Returns everything that Redis has under the names of the room, as text.
async fn dump(redis: &Redis) -> String {
    let log: redis::Value = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    let edits: redis::Value = redis.cmd(&["HGETALL", "chat:{lobby}:edits"]).await;
    let offers = eventually("the end of what was put together", async || {
        let offers: u64 = redis.cmd(&["EXISTS", "chat:{lobby}:offers"]).await;
        (offers == 0).then_some(offers)
    })
    .await;
    let bytes = |value: &redis::Value| format!("{value:?}");
    let text = bytes(&log) + &bytes(&edits);
    assert_eq!(offers, 0);
    text
}
