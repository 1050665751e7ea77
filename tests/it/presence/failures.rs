//! Presence when a name leaves, a node ends or Redis is away. Most of these tests wait for real timeouts.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{HEARTBEAT, joins_and_leaves, read_until_data, subscribe_as, subscribe_unread, wait_for_presence};
use crate::support::{Block, Bus, DEADLINE, Node, Redis, Stream, eventually, on_every_bus, room_of, within};

on_every_bus!(user_left_is_sent_after_15_seconds_without_the_name);

/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(4);

/// How long an entry is valid by itself (contract § 6).
const PRESENCE_TTL: Duration = Duration::from_secs(24);

/// How long a name must have no subscriber before `userLeft` is sent.
const GRACE: Duration = Duration::from_secs(15);

/// A name that returns within the 15 s has not left.
async fn user_left_is_sent_after_15_seconds_without_the_name(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let there = bus.second_node(&[HEARTBEAT]).await;
    let there = there.as_ref().unwrap_or(&node);
    let mut watch = subscribe_as(&node, "zoe").await;
    let mut merged = Stream::live(there, "lobby,attic").await.with_presence();
    let [mason, second, nora] = [
        subscribe_as(&node, "mason").await,
        subscribe_as(there, "mason").await,
        subscribe_as(there, "nora").await,
    ];
    read_until_data(&mut watch, json!({ "count": 5, "names": ["mason", "nora", "zoe"] })).await;
    drop(mason);
    read_until_data(&mut watch, json!({ "count": 4, "names": ["mason", "nora", "zoe"] })).await;
    let (_fifty_one, lost) = (subscribe_unnamed(&node).await, subscribe_unread(&node, "garden?name=mason").await);
    let mut in_large_room = subscribe_unread(&node, "garden").await.with_presence();
    read_until(&mut in_large_room, presence_of(53)).await;
    drop((second, nora, lost));
    let left = Instant::now();
    read_until_data(&mut watch, json!({ "count": 2, "names": ["zoe"] })).await;
    let returned = subscribe_as(&node, "nora").await;
    read_until_data(&mut watch, json!({ "count": 3, "names": ["nora", "zoe"] })).await;
    let is_move = |block: &Block| block.event.as_deref().is_some_and(|event| event.starts_with("user"));
    let gone = read_until(&mut watch, is_move).await;
    assert_eq!(gone.raw, "event: userLeft\ndata: {\"username\":\"mason\"}\n\n");
    assert!((GRACE..GRACE + SLACK).contains(&left.elapsed()), "left after {:?}", left.elapsed());
    let is_leave = |block: &Block| block.event.as_deref() == Some("userLeft");
    let gone = within(SLACK, "userLeft in a merged stream", read_until(&mut merged, is_leave)).await;
    assert_eq!((gone.json()["username"].as_str(), room_of(&gone).as_str()), (Some("mason"), "lobby"));
    let _mason = subscribe_as(there, "mason").await;
    let back = read_until(&mut watch, is_move).await;
    assert_eq!(
        back.raw, "event: userJoined\ndata: {\"username\":\"mason\"}\n\n",
        "no userLeft for nora, who returned in time"
    );
    drop(returned);
    let gone_again = read_until_data(&mut watch, json!({ "count": 3, "names": ["mason", "zoe"] })).await;
    assert_eq!(joins_and_leaves(&gone_again), [], "her 15 seconds start again");
    for _ in 0..3 {
        assert_eq!(watch.next().await.event.as_deref(), Some("heartbeat"), "no userLeft while she may still return");
    }
    read_until(&mut in_large_room, presence_of(52)).await;
    let mut block = Block::default();
    while left.elapsed() < Duration::from_secs(17) || block.event.as_deref() != Some("heartbeat") {
        block = in_large_room.next().await;
        assert_ne!(block.event.as_deref(), Some("userLeft"), "in a room of more than 50");
    }
}

/// Subscribes 51 times without a name.
async fn subscribe_unnamed(node: &Node) -> Vec<Stream> {
    join_all((0..51).map(|_| subscribe_unread(node, "garden"))).await
}

fn presence_of(count: usize) -> impl Fn(&Block) -> bool {
    move |block| block.event.as_deref() == Some("presence") && block.json()["count"] == count
}

/// Returns the first block that matches and skips all others. The timeout exceeds the grace periods tested here.
async fn read_until(stream: &mut Stream, is_wanted: impl Fn(&Block) -> bool) -> Block {
    let reading = async {
        loop {
            let block = stream.next().await;
            if is_wanted(&block) {
                return block;
            }
        }
    };
    within(3 * DEADLINE, "a matching block", reading).await
}

/// Stores an entry that expires in an hour, as if Redis' clock had been set back, and returns when a node knows of it.
async fn store_entry_from_the_future(redis: &Redis, node: &Node) {
    let (seconds, _): (u64, u64) = redis.cmd(&["TIME"]).await;
    let entry = json!({ "process": "future~1", "version": 1, "count": 7, "names": ["marty"], "listed": true });
    let entry = format!("{}000 {entry}", seconds + 3600);
    let _: u64 = redis.cmd(&["HSET", "chat:{lobby}:present", "future~1", &entry]).await;
    wait_for_presence(node, json!({ "count": 10, "names": ["marty", "mason", "nora", "zoe"] })).await;
}

/// Subscribes to 160 rooms in which nothing happens.
async fn subscribe_to_silent_rooms(node: &Node) -> Vec<Stream> {
    let rooms = |stream: usize| (0..16).map(|room| format!("silent-{stream}-{room}")).collect::<Vec<_>>().join(",");
    join_all((0..10).map(async |stream| Stream::live(node, &rooms(stream)).await)).await
}

/// Returns how many announcements Redis has passed on.
async fn count_announcements(redis: &Redis) -> u64 {
    let stats: String = redis.cmd(&["INFO", "commandstats"]).await;
    let publish = stats.lines().find_map(|line| line.strip_prefix("cmdstat_publish:calls=")).unwrap_or("0");
    publish.split(',').next().unwrap_or_default().parse().expect("a number")
}

/// Holds for subscribers that were there before, for subscribers of a node that learns of the room only afterwards, and
/// for `GET /presence`; and for an entry that claims to be valid for longer. Meanwhile the presence of rooms where
/// nothing happens stays, and is not repeated.
#[tokio::test]
async fn presence_of_a_killed_node_expires_within_30_seconds() {
    const GONE: Duration = Duration::from_secs(30);
    let redis = Redis::start().await;
    let mut killed = Node::on(&redis, &[HEARTBEAT]).await;
    let (node, late, empty) = (
        Node::on(&redis, &[HEARTBEAT]).await,
        Node::on(&redis, &[HEARTBEAT]).await,
        Node::on(&redis, &[]).await,
    );
    let mut watch = subscribe_as(&node, "zoe").await;
    let _stale = [subscribe_as(&killed, "mason").await, subscribe_as(&killed, "nora").await];
    read_until_data(&mut watch, json!({ "count": 3, "names": ["mason", "nora", "zoe"] })).await;
    store_entry_from_the_future(&redis, &empty).await;
    let _silent = subscribe_to_silent_rooms(&node).await;
    eventually("the announcement of the last silent room", async || {
        let last = empty.get("/presence/silent-9-15").await.expect(200).json();
        (last["count"] == 1).then_some(())
    })
    .await;
    killed.kill();
    let crash = Instant::now();
    let gone = json!({ "count": 1, "names": ["zoe"] });
    let is_gone = |block: &Block| block.event.as_deref() == Some("presence") && block.json() == gone;
    let before = async {
        read_until(&mut watch, is_gone).await;
        crash.elapsed()
    };
    let meanwhile = async {
        // The silent rooms are announced twice: on joining, and when their subscription is confirmed.
        tokio::time::sleep_until((crash + Duration::from_secs(3)).into()).await;
        let announced = count_announcements(&redis).await;
        tokio::time::sleep_until((crash + Duration::from_secs(18)).into()).await;
        let mut late = Stream::live(&late, "lobby?in=").await.with_presence();
        read_until(&mut late, is_gone).await;
        (crash.elapsed(), count_announcements(&redis).await - announced)
    };
    let queried = async {
        while empty.get("/presence/lobby").await.expect(200).json() != gone {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        crash.elapsed()
    };
    let all = async { tokio::join!(before, meanwhile, queried) };
    let (before, (meanwhile, announced), queried) = within(3 * DEADLINE, "the expiry of presence entries", all).await;
    let moments = [before, meanwhile, queried];
    assert!(moments.iter().all(|moment| *moment < GONE), "gone after {moments:?}");
    assert!(announced < 80, "{announced} announcements of 160 silent rooms");
    tokio::time::sleep_until((crash + PRESENCE_TTL + SLACK).into()).await;
    assert_eq!(empty.get("/presence/silent-0-0").await.expect(200).json()["count"], 1);
}

/// Nodes announce their subscribers again when Redis has lost them.
#[tokio::test]
async fn presence_survives_a_loss_of_the_keys_in_redis() {
    let redis = Redis::start().await;
    let (node, there) = (Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await);
    let (mut zoe, _mason) = (subscribe_as(&node, "zoe").await, subscribe_as(&there, "mason").await);
    let both = json!({ "count": 2, "names": ["mason", "zoe"] });
    read_until_data(&mut zoe, both.clone()).await;
    // Once every process is listed.
    eventually("the listing of both nodes", async || {
        (redis.cmd::<u64>(&["HLEN", "chat:present"]).await == 2).then_some(())
    })
    .await;
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    let third = Node::on(&redis, &[]).await;
    wait_for_presence(&third, both.clone()).await;
    let _nora = subscribe_as(&node, "nora").await;
    let seen = read_until_data(&mut zoe, json!({ "count": 3, "names": ["mason", "nora", "zoe"] })).await;
    let left = seen.iter().filter(|block| block.event.as_deref() == Some("presence")).count();
    assert_eq!(left, 1, "only the change: {seen:?}");
}

/// A draining node announces it, so the other nodes need not wait for its entry to expire.
#[tokio::test]
async fn presence_of_a_draining_node_is_removed_immediately() {
    let redis = Redis::start().await;
    let (node, mut leaving) = (Node::on(&redis, &[]).await, Node::on(&redis, &[("DRAIN", "1")]).await);
    let mut watch = subscribe_as(&node, "zoe").await;
    let _leaving = [
        subscribe_as(&leaving, "mason").await,
        subscribe_as(&leaving, "nora").await,
        subscribe_as(&leaving, "").await,
    ];
    read_until_data(&mut watch, json!({ "count": 4, "names": ["mason", "nora", "zoe"] })).await;
    leaving.terminate();
    assert!(leaving.exit().await.success());
    let gone = json!({ "count": 1, "names": ["zoe"] });
    assert_eq!(node.get("/presence/lobby").await.expect(200).json(), gone, "immediately");
    within(SLACK, "the presence after the drain", read_until_data(&mut watch, gone)).await;
}

/// The outage is longer than presence entries are valid.
#[tokio::test]
async fn no_user_left_is_sent_because_of_an_outage() {
    let mut redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut watch = [subscribe_as(&nodes[0], "mason").await, subscribe_as(&nodes[1], "nora").await];
    let both = json!({ "count": 2, "names": ["mason", "nora"] });
    for stream in &mut watch {
        read_until_data(stream, both.clone()).await;
    }
    redis.kill();
    let started = Instant::now();
    eventually("a node that detects the outage", async || {
        (nodes[0].metric("tiny_chat_store_connected").await == Some(0.0)).then_some(())
    })
    .await;
    let queried = Instant::now();
    nodes[0].get("/presence/lobby").await.problem(503);
    assert!(queried.elapsed() < Duration::from_secs(2), "an answer after {:?}", queried.elapsed());
    tokio::time::sleep_until((started + Duration::from_secs(26)).into()).await;
    redis.restart().await;
    for node in &nodes {
        wait_for_presence(node, both.clone()).await;
    }
    let _zoe = subscribe_unread(&nodes[0], "lobby?name=zoe").await;
    for stream in &mut watch {
        let after = read_until_data(stream, json!({ "count": 3, "names": ["mason", "nora", "zoe"] })).await;
        for block in after {
            let data = block.json();
            let same = data == both || data["count"] == 3 || data == json!({ "username": "zoe" });
            let own = block.event.as_deref() == Some("userJoined");
            assert!(same || own, "sent because of the outage: {block:?}");
            assert_ne!(block.event.as_deref(), Some("userLeft"));
        }
    }
}

/// Joins and leaves reach subscribers of the same node immediately, and those of other nodes after the outage.
#[tokio::test]
async fn presence_changes_in_an_outage_reach_all_nodes_after_it() {
    let mut redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let (mut mason, mut nora) = (subscribe_as(&nodes[0], "mason").await, subscribe_as(&nodes[1], "nora").await);
    let guest = subscribe_as(&nodes[0], "guest").await;
    let all = json!({ "count": 3, "names": ["guest", "mason", "nora"] });
    read_until_data(&mut mason, all.clone()).await;
    read_until_data(&mut nora, all).await;
    redis.kill();
    eventually("a node that detects the outage", async || {
        (nodes[0].metric("tiny_chat_store_connected").await == Some(0.0)).then_some(())
    })
    .await;
    drop(guest);
    read_until_data(&mut mason, json!({ "count": 2, "names": ["mason", "nora"] })).await;
    let mut zoe = Stream::open(&nodes[0], "/subscribe/lobby?name=zoe", &[]).await.with_presence();
    zoe.first().await;
    let now = json!({ "count": 3, "names": ["mason", "nora", "zoe"] });
    read_until_data(&mut mason, now.clone()).await;
    redis.restart().await;
    read_until_data(&mut nora, now.clone()).await;
    for node in &nodes {
        wait_for_presence(node, now.clone()).await;
    }
}
