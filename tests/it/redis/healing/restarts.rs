//! A server without a file restarts empty.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use super::{
    HEAL_OFF, HEARTBEAT, RESTORED, assert_goes_on, assert_resumes, fill_in_turn, numbered, restart, restored,
    start_behind, start_nodes, stored_ids,
};
use crate::{
    redis::{
        load::{Collected, Load, assert_has_all, ids_in_log, lost},
        post_until_accepted, post_until_accepted_in,
        rights::documented_user,
    },
    support::{Gap, MergedStream, Node, Proxy, Redis, Stream, eventually, halves, key},
};

/// The longest time for which a post waits until the rooms are healed, on a busy machine.
const MAX_HOLD: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn empty_restart_costs_no_reader_a_message() {
    let mut redis = Redis::start().await;
    let nodes: [Node; 2] = start_nodes(&redis).await;
    let mut staying = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby").await];
    let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 6).await;
    for stream in &mut staying {
        assert_eq!(stream.next_ids(6).await, ids);
    }
    restart(&mut redis).await;
    let next = assert_goes_on(&nodes[0], "lobby", &ids).await;
    for stream in &mut staying {
        assert_eq!(stream.next_message().await.id, next, "neither a gap nor a repetition");
    }
    let all = [&ids[..], &[next]].concat();
    let fresh = Node::on(&redis, &[]).await;
    for node in nodes.iter().chain([&fresh]) {
        assert_resumes(node, "lobby", &all[2..]).await;
        assert_eq!(stored_ids(node, "lobby").await, all);
    }
}

/// Data, type, predecessor and key of each entry are what they were.
#[tokio::test]
async fn restored_entries_are_what_they_were() {
    const SECRET: &str = "0123456789abcdef";
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let _reader = Stream::live(&node, "lobby").await;
    fill_in_turn(&[&node], "lobby", 3).await;
    let own = json!({ "sender": "ada", "message": "O'Neil <3", "secret": SECRET });
    let own = node.publish("lobby", own).await.id();
    let before = entries(&redis).await;
    assert_eq!(before.len(), 4);
    restart(&mut redis).await;
    eventually("the whole log", async || (entries(&redis).await.len() == 4).then_some(())).await;
    assert_eq!(entries(&redis).await, before);
    let request = node.request(Method::DELETE, &format!("/history/lobby/{own}")).json(&json!({ "secret": SECRET }));
    node.send(request).await.expect(200);
}

/// Returns the entries of the log, each with its fields except the name of the node.
async fn entries(redis: &Redis) -> Vec<(String, Vec<(String, String)>)> {
    let entries: Vec<(String, Vec<(String, String)>)> = redis.cmd(&["XRANGE", &key("lobby"), "-", "+"]).await;
    let without_node = |mut fields: Vec<(String, String)>| {
        fields.retain(|(name, _)| name != "node");
        fields.sort();
        fields
    };
    entries.into_iter().map(|(id, fields)| (id, without_node(fields))).collect()
}

#[tokio::test]
async fn keys_of_restored_messages_are_known() {
    let mut redis = Redis::start().await;
    let nodes: [Node; 2] = start_nodes(&redis).await;
    let _reader = Stream::live(&nodes[0], "lobby").await;
    let ids = fill_in_turn(&[&nodes[0], &nodes[1]], "lobby", 4).await;
    restart(&mut redis).await;
    let next = assert_goes_on(&nodes[0], "lobby", &ids).await;
    for (number, id) in (1..).zip(&ids) {
        for node in &nodes {
            let answer = node.publish("lobby", numbered(number)).await.expect(200).json();
            assert_eq!(answer, json!({ "id": id, "duplicate": true }));
        }
        let other = json!({ "message": "another text", "key": format!("key-{number}") });
        nodes[1].publish("lobby", other).await.problem(422);
    }
    assert_eq!(stored_ids(&nodes[1], "lobby").await.last(), Some(&next));
    let (known, expires): (u64, i64) = (
        redis.cmd(&["EXISTS", "chat:{lobby}:key:key-1"]).await,
        redis.cmd(&["PTTL", "chat:{lobby}:key:key-1"]).await,
    );
    assert!(known == 0 || expires > 0 && expires <= 600_000, "a record expires: {expires}");
}

/// A node has what it acknowledged itself in the last 10 s, with readers or without.
#[tokio::test]
async fn rooms_without_readers_come_back_from_all_nodes() {
    let mut redis = Redis::start().await;
    let nodes: [Node; 3] = start_nodes(&redis).await;
    let of_all = [&nodes[0], &nodes[1], &nodes[2]];
    let lobby = fill_in_turn(&of_all, "lobby", 30).await;
    let garden = fill_in_turn(&of_all[..2], "garden", 7).await;
    restart(&mut redis).await;
    assert_goes_on(&nodes[2], "lobby", &lobby).await;
    assert_goes_on(&nodes[0], "garden", &garden).await;
    eventually("37 restored entries", async || (restored(&of_all).await >= 37.0).then_some(())).await;
    assert_eq!(restored(&of_all).await, 37.0, "each entry is restored once");
}

/// One node has the beginning, the other one the end.
#[tokio::test]
async fn parts_of_two_nodes_are_put_together() {
    let mut redis = Redis::start().await;
    let proxy = Proxy::to(redis.address()).await;
    let (here, there) = (start_behind(&proxy).await, Node::on(&redis, &[HEARTBEAT]).await);
    let mut reader = Stream::live(&here, "lobby").await;
    let first = fill_in_turn(&[&here], "lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, first);
    proxy.cut();
    let second = there.fill("lobby", 5).await;
    redis.kill();
    proxy.restore();
    redis.restart().await;
    let all = [first, second].concat();
    let next = assert_goes_on(&there, "lobby", &all).await;
    assert_eq!(reader.next_ids(6).await, [&all[5..], &[next]].concat());
    assert_resumes(&there, "lobby", &all).await;
}

#[tokio::test]
async fn merged_rooms_come_back() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut reader = MergedStream::live(&node, "a,b,c").await;
    for room in ["a", "b", "a", "c"] {
        let id = node.post(room, "mason", room).await;
        assert_eq!(reader.next().await, (room.to_owned(), id));
    }
    restart(&mut redis).await;
    for (room, number) in [("c", 2), ("b", 2), ("a", 3)] {
        let id = post_until_accepted_in(room, &node, "after").await;
        assert_eq!(halves(&id).1, number, "{room}");
        assert_eq!(reader.next().await, (room.to_owned(), id));
    }
}

/// The rights in docs/operations.md suffice.
#[tokio::test]
async fn documented_user_may_restore() {
    let options = [&["--user", "tiny-chat"], &documented_user()[..]].concat();
    let mut redis = Redis::with(&options).await;
    let url = redis.url().replace("redis://", "redis://tiny-chat:SECRET@");
    let node = Node::start(&[("REDIS_URL", &url), HEARTBEAT]).await;
    let _reader = Stream::live(&node, "lobby").await;
    let ids = fill_in_turn(&[&node], "lobby", 5).await;
    restart(&mut redis).await;
    assert_goes_on(&node, "lobby", &ids).await;
    assert!(!node.log().contains("NOPERM"), "{}", node.log());
}

/// Returns what is left of the time for which the log is kept.
async fn time_to_live(redis: &Redis) -> i64 {
    redis.cmd(&["TTL", &key("lobby")]).await
}

#[tokio::test]
async fn healed_logs_expire() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, ("HISTORY_TTL", "1000")]).await;
    let _reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 3).await;
    restart(&mut redis).await;
    eventually("the whole log", async || (stored_ids(&node, "lobby").await == ids).then_some(())).await;
    let left = time_to_live(&redis).await;
    assert!((900..=1000).contains(&left), "{left} s");
}

/// A node that finds another server holds posts back for a moment, so that its rooms are healed before them.
#[tokio::test]
async fn posts_wait_for_the_healing_and_are_not_refused() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, ids);
    restart(&mut redis).await;
    // Until the node has found the server again, posts are refused.
    let accepted = eventually("an accepted message", async || {
        let started = Instant::now();
        let answer = node.publish("lobby", json!({ "message": "waits" })).await;
        answer.id_if_stored().map(|id| (id, started.elapsed()))
    })
    .await;
    assert!(accepted.1 < MAX_HOLD, "{:?}", accepted.1);
    assert_eq!(halves(&accepted.0).1, 6);
    for _ in 0..50 {
        let started = Instant::now();
        node.post("lobby", "mason", "goes on").await;
        assert!(started.elapsed() < MAX_HOLD, "{:?}", started.elapsed());
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(halves(&reader.next_ids(51).await[50]).1, 56);
}

#[tokio::test]
async fn restored_entries_are_counted_and_logged() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    assert_eq!(node.metric(RESTORED).await, Some(0.0));
    let _readers = [Stream::live(&node, "lobby").await, Stream::live(&node, "garden").await];
    let ids = node.fill("lobby", 5).await;
    node.fill("garden", 2).await;
    restart(&mut redis).await;
    let line = node.logged("restored what Redis had lost").await;
    assert!(line.contains("INFO") && line.contains("rooms=2") && line.contains("entries=7"), "{line}");
    assert_eq!(node.metric(RESTORED).await, Some(7.0));
    assert_goes_on(&node, "lobby", &ids).await;
    assert_eq!(node.metric("tiny_chat_gaps_total{reason=\"reset\"}").await.unwrap_or_default(), 0.0);
}

#[tokio::test]
async fn nothing_is_restored_where_healing_is_off() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT, HEAL_OFF]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let ids = node.fill("lobby", 5).await;
    assert_eq!(reader.next_ids(5).await, ids);
    restart(&mut redis).await;
    let next = post_until_accepted(&node, "after").await;
    assert_eq!(halves(&next).1, 1);
    let gap = Gap::next(&mut reader).await;
    assert_eq!((gap.asked, gap.reason.as_str()), (ids[4].clone(), "reset"));
    assert_eq!(stored_ids(&node, "lobby").await, [next]);
    assert_eq!(node.metric(RESTORED).await.unwrap_or_default(), 0.0);
    assert!(!node.log().contains("restored what"), "{}", node.log());
}

#[tokio::test]
async fn values_of_heal_are_on_and_off() {
    for (value, is_valid) in [("on", true), ("off", true), ("maybe", false), ("1", false)] {
        let exited = Node::run_to_exit(&[("HEAL", value), ("REDIS_URL", "redis://127.0.0.1:1/x")], &[]).await;
        assert_eq!(exited.output.contains("heal"), !is_valid, "{value}: {}", exited.output);
    }
}

/// Restarts an empty server twice while posts go on. Returns how many of those that were taken it does not have.
async fn lost_in_two_restarts(readers: usize) -> usize {
    let mut redis = Redis::start().await;
    let environment = [HEARTBEAT, ("HISTORY", "100000")];
    let nodes = [Arc::new(Node::on(&redis, &environment).await), Arc::new(Node::on(&redis, &environment).await)];
    let mut streams = Vec::new();
    for index in 0..readers {
        streams.push(Collected::start(&nodes[index % 2], "lobby").await);
    }
    let load = Load::start(&nodes, "lobby");
    for _ in 0..2 {
        load.wait_for(100).await;
        restart(&mut redis).await;
    }
    load.wait_for(50).await;
    let taken = load.stop().await;
    let last = post_until_accepted(&nodes[0], "the last one").await;
    let stored = ids_in_log(&redis, "lobby").await;
    for stream in streams {
        assert_has_all(&taken, &stream.until(&last).await);
    }
    lost(&taken, &stored).len()
}

#[tokio::test]
async fn restarts_under_load_lose_nothing_with_readers() {
    assert_eq!(lost_in_two_restarts(2).await, 0);
}

#[tokio::test]
async fn restarts_under_load_lose_nothing_without_readers() {
    assert_eq!(lost_in_two_restarts(0).await, 0);
}
