//! The presence of subscribers on all nodes: counts, names, and joins (contract § 5).

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    HEARTBEAT, joins_and_leaves, read_until_data, read_until_joined, subscribe_as, user_joined, wait_for_presence,
};
use crate::support::{
    Bus, DEADLINE, MergedStream, Node, Redis, Stream, eventually, in_time, on_every_bus, on_every_form, room_of, within,
};

on_every_form!(presence_is_sent_on_joining_and_on_every_change);
on_every_bus!(
    unnamed_subscribers_count_and_equal_names_are_listed_once,
    subscriber_of_merged_rooms_is_present_only_in_chosen_rooms,
    subscriber_present_nowhere_still_receives_presence,
    subscriber_that_catches_up_slowly_receives_presence,
    user_joined_is_sent_for_the_first_subscriber_of_a_name,
    presence_has_no_id_and_is_not_replayed,
    presence_endpoint_returns_count_and_names,
);

async fn presence_is_sent_on_joining_and_on_every_change(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut zoe = subscribe_as(&node, "zoe").await;
    let seen = read_until_data(&mut zoe, json!({ "count": 1, "names": ["zoe"] })).await;
    assert_eq!(seen.last().unwrap().raw, "event: presence\ndata: {\"count\":1,\"names\":[\"zoe\"]}\n\n");
    let mut mason = subscribe_as(&node, "mason").await;
    for stream in [&mut zoe, &mut mason] {
        read_until_data(stream, json!({ "count": 2, "names": ["mason", "zoe"] })).await;
    }
    drop(zoe);
    read_until_data(&mut mason, json!({ "count": 1, "names": ["mason"] })).await;
}

async fn unnamed_subscribers_count_and_equal_names_are_listed_once(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 1, "names": [] })).await;
    let (first, second) = (subscribe_as(&node, "mason").await, subscribe_as(&node, "mason").await);
    let _blank = [subscribe_as(&node, "").await, subscribe_as(&node, "%20%20").await];
    read_until_data(&mut watch, json!({ "count": 5, "names": ["mason"] })).await;
    drop(first);
    read_until_data(&mut watch, json!({ "count": 4, "names": ["mason"] })).await;
    drop(second);
    read_until_data(&mut watch, json!({ "count": 3, "names": [] })).await;
    wait_for_presence(&node, json!({ "count": 3, "names": [] })).await;
}

/// A name in an event can be inserted as HTML and equals the `sender` of its messages.
#[tokio::test]
async fn name_is_escaped_like_a_sender_and_a_bad_one_is_422() {
    let node = Node::start(&[]).await;
    let mut watch = subscribe_as(&node, "%3Cb%3E%26%22'%2F").await;
    node.post("lobby", "<b>&\"'/", "hi").await;
    let escaped = node.newest("lobby").await["sender"].clone();
    assert_eq!(escaped, "&lt;b&gt;&amp;&quot;&#x27;&#x2F;");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(watch.next_content().await.json());
    }
    assert!(seen.contains(&json!({ "count": 1, "names": [escaped] })), "{seen:?}");
    assert!(seen.contains(&json!({ "username": escaped })), "{seen:?}");
    let longest = "%C3%A9".repeat(64);
    read_until_data(&mut subscribe_as(&node, &longest).await, json!({ "username": "é".repeat(64) })).await;
    for bad in [&"x".repeat(65), "a%00b", "a%0Ab", "%E2%80%AEevil", "%C2%85", "a%E2%80%8Bb"] {
        node.get(&format!("/subscribe/lobby?name={bad}")).await.problem(422);
        node.get(&format!("/subscribe/a,b?name={bad}")).await.problem(422);
    }
    wait_for_presence(&node, json!({ "count": 1, "names": [escaped] })).await;
}

/// Reads a merged stream until each of these rooms had a `presence` with this count and these names.
async fn read_until_rooms(stream: &mut Stream, mut rooms: Vec<(&str, usize, Value)>) {
    let reading = async {
        while !rooms.is_empty() {
            let block = stream.next_content().await;
            let room = room_of(&block);
            let data = block.json();
            rooms.retain(|(name, count, names)| {
                (*name, &json!(count), names) != (room.as_str(), &data["count"], &data["names"])
            });
        }
    };
    if in_time(DEADLINE, reading).await.is_none() {
        panic!("did not arrive: {rooms:?}");
    }
}

/// `in` may be repeated, hold a list, or be empty; without it the subscriber is present in all rooms.
async fn subscriber_of_merged_rooms_is_present_only_in_chosen_rooms(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut watch = MergedStream::live(&node, "a,b,caf%C3%A9").await.stream.with_presence();
    let zero: Value = json!([]);
    read_until_rooms(&mut watch, vec![("a", 1, zero.clone()), ("b", 1, zero.clone()), ("café", 1, zero.clone())]).await;
    let mut streams = Vec::new();
    for (query, a, b, c) in [
        ("?name=all", 2, 2, 2),
        ("?name=one&in=a", 3, 2, 2),
        ("?name=twice&in=a&in=b", 4, 3, 2),
        ("?name=list&in=a,cafe%CC%81", 5, 3, 3),
        ("?name=nowhere&in=", 5, 3, 3),
        ("?name=nowhere&in=,", 5, 3, 3),
        ("?in=b%2Ca", 6, 4, 3),
    ] {
        streams.push(Stream::live(&node, &format!("caf%C3%A9,b,a{query}")).await);
        for (room, count) in [("a", a), ("b", b), ("caf%C3%A9", c)] {
            let answer = node.get(&format!("/presence/{room}")).await.expect(200).json();
            assert_eq!(answer["count"], count, "{room} after {query}");
        }
    }
    let names = |names: &[&str]| json!(names);
    read_until_rooms(
        &mut watch,
        vec![
            ("a", 6, names(&["all", "list", "one", "twice"])),
            ("b", 4, names(&["all", "twice"])),
            ("café", 3, names(&["all", "list"])),
        ],
    )
    .await;
    for bad in ["in=d", "in=a,d", "in=a&in=d", "in=-", "in=a%20", "name=x&in=A"] {
        node.get(&format!("/subscribe/a,b?{bad}")).await.problem(400);
    }
    node.get("/subscribe/a?in=b").await.problem(400);
    Stream::live(&node, "a?in=a").await;
}

async fn subscriber_present_nowhere_still_receives_presence(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut watch = Stream::live(&node, "lobby?in=").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 0, "names": [] })).await;
    let there = bus.second_node(&[]).await;
    let there = there.as_ref().unwrap_or(&node);
    let _mason = subscribe_as(there, "mason").await;
    read_until_data(&mut watch, json!({ "count": 1, "names": ["mason"] })).await;
    let mut second = Stream::live(&node, "lobby?in=").await.with_presence();
    read_until_data(&mut second, json!({ "count": 1, "names": ["mason"] })).await;
    let mut merged = Stream::live(there, "attic,lobby?in=attic").await.with_presence();
    read_until_rooms(&mut merged, vec![("attic", 1, json!([])), ("lobby", 1, json!(["mason"]))]).await;
}

/// The replay exceeds the frame buffer and the subscriber reads slowly, so the `presence` for live subscribers is over
/// when it becomes live.
async fn subscriber_that_catches_up_slowly_receives_presence(bus: Bus) {
    let node = bus.node(&[("HISTORY", "4000")]).await;
    let text = "x".repeat(4000);
    for _ in 0..3000 {
        node.post("lobby", "mason", &text).await;
    }
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 1, "names": [] })).await;
    let mut slow = Stream::open(&node, "/subscribe/lobby?name=mason&lastEventId=0-0", &[]).await.with_presence();
    read_until_data(&mut watch, json!({ "count": 2, "names": ["mason"] })).await;
    slow.first().await;
    let (mut messages, mut has_presence) = (0, false);
    let reading = async {
        while messages < 3000 || !has_presence {
            let block = slow.next_content().await;
            messages += usize::from(block.event.is_none());
            has_presence |= block.event.as_deref() == Some("presence");
        }
    };
    let done = in_time(DEADLINE, reading).await;
    assert!(done.is_some(), "no presence within {DEADLINE:?}, after {messages} messages");
}

async fn user_joined_is_sent_for_the_first_subscriber_of_a_name(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut watch = Stream::live(&node, "lobby").await.with_presence();
    read_until_data(&mut watch, json!({ "count": 1, "names": [] })).await;
    let first = subscribe_as(&node, "mason").await;
    assert_eq!(read_until_joined(&mut watch, "mason").await, [user_joined("mason")]);
    let _second = subscribe_as(&node, "mason").await;
    let quiet = read_until_data(&mut watch, json!({ "count": 3, "names": ["mason"] })).await;
    drop(first);
    let _nora = subscribe_as(&node, "nora").await;
    let then = read_until_joined(&mut watch, "nora").await;
    assert_eq!([joins_and_leaves(&quiet), then].concat(), [user_joined("nora")]);
    let mut late = Stream::live(&node, "lobby,attic?name=zoe").await.with_presence();
    let seen = within(DEADLINE, "zoe", async {
        loop {
            let block = late.next_content().await;
            if block.event.as_deref() == Some("userJoined") && room_of(&block) == "lobby" {
                return block;
            }
        }
    })
    .await;
    assert_eq!(
        seen.raw, "event: userJoined\ndata: {\"username\":\"zoe\",\"room\":\"lobby\"}\n\n",
        "no join before that of zoe"
    );
}

async fn presence_has_no_id_and_is_not_replayed(bus: Bus) {
    let node = bus.node(&[]).await;
    let first = node.post("lobby", "mason", "one").await;
    let mut watch = subscribe_as(&node, "mason").await;
    read_until_data(&mut watch, json!({ "count": 1, "names": ["mason"] })).await;
    let second = node.post("lobby", "mason", "two").await;
    for (asked, missed) in [(first.as_str(), &[second.clone()][..]), ("0-0", &[first.clone(), second.clone()])] {
        let mut back = Stream::open(&node, &format!("/subscribe/lobby?lastEventId={asked}"), &[]).await.with_presence();
        back.first().await;
        assert_eq!(back.next_ids(missed.len()).await, missed, "no presence before or in between");
        assert_eq!(back.next_content().await.json()["names"], json!(["mason"]));
    }
    assert_eq!(node.stored("lobby").await.len(), 2);
}

async fn presence_endpoint_returns_count_and_names(bus: Bus) {
    let node = bus.node(&[]).await;
    let empty = node.get("/presence/lobby").await.expect(200);
    assert_eq!((empty.media_type(), empty.header("cache-control")), ("application/json".into(), "no-store".into()));
    assert_eq!(empty.text(), "{\"count\":0,\"names\":[]}");
    let _readers =
        [subscribe_as(&node, "mason").await, subscribe_as(&node, "nora").await, subscribe_as(&node, "").await];
    assert_eq!(node.get("/presence/lobby").await.text(), "{\"count\":3,\"names\":[\"mason\",\"nora\"]}");
    let head = node.send(node.request(Method::HEAD, "/presence/lobby")).await.expect(200);
    assert_eq!(head.body, b"");
    for bad in ["/presence/-", "/presence/metrics", "/presence/a,b", "/presence/"] {
        node.get(bad).await.problem(404);
    }
    let posted = node.send(node.request(Method::POST, "/presence/lobby")).await;
    assert_eq!(posted.header("allow"), "GET, HEAD");
    posted.problem(405);
    if let Some(elsewhere) = bus.second_node(&[]).await {
        wait_for_presence(&elsewhere, json!({ "count": 3, "names": ["mason", "nora"] })).await;
    }
}

#[tokio::test]
async fn presence_includes_the_subscribers_of_all_nodes() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let third = Node::on(&redis, &[HEARTBEAT]).await;
    let mut mason = subscribe_as(&nodes[0], "mason").await;
    read_until_data(&mut mason, json!({ "count": 1, "names": ["mason"] })).await;
    let mut nora = subscribe_as(&nodes[1], "nora").await;
    let (twin, unnamed) = (subscribe_as(&nodes[1], "mason").await, Stream::live(&nodes[1], "lobby").await);
    let all = json!({ "count": 4, "names": ["mason", "nora"] });
    let seen = read_until_data(&mut mason, all.clone()).await;
    read_until_data(&mut nora, all.clone()).await;
    for node in &nodes {
        wait_for_presence(node, all.clone()).await;
    }
    assert_eq!(joins_and_leaves(&seen), [user_joined("nora")], "the second subscriber of a name is not a join");
    let mut late = subscribe_as(&third, "zoe").await;
    assert_eq!(read_until_joined(&mut late, "zoe").await, [user_joined("zoe")], "the others joined earlier");
    drop((twin, unnamed, late));
    read_until_data(&mut mason, json!({ "count": 2, "names": ["mason", "nora"] })).await;
    drop(mason);
    read_until_data(&mut nora, json!({ "count": 1, "names": ["nora"] })).await;
    wait_for_presence(&nodes[0], json!({ "count": 1, "names": ["nora"] })).await;
}

/// Nodes repeat their announcements so that they do not expire; subscribers must not see that.
#[tokio::test]
async fn unchanged_presence_is_not_repeated() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut mason = subscribe_as(&nodes[0], "mason").await;
    let mut nora = Stream::live(&nodes[1], "lobby,attic?name=nora").await.with_presence();
    read_until_data(&mut mason, json!({ "count": 2, "names": ["mason", "nora"] })).await;
    read_until_rooms(&mut nora, vec![("lobby", 2, json!(["mason", "nora"])), ("attic", 1, json!(["nora"]))]).await;
    for _ in 0..10 {
        assert_eq!(mason.next().await.event.as_deref(), Some("heartbeat"));
        assert_eq!(nora.next().await.event.as_deref(), Some("heartbeat"));
    }
}

/// The keys begin with that of the room's log, so a cluster keeps them in one slot.
#[tokio::test]
async fn presence_keys_start_with_the_rooms_key_and_are_removed() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let stream = Stream::live(&node, "a,b?name=mason").await;
    let keys = async || -> Vec<String> {
        let mut keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
        keys.retain(|key| key.starts_with("chat:{"));
        keys.sort();
        keys
    };
    let known = eventually("two keys", async || {
        let keys = keys().await;
        (keys.len() == 2).then_some(keys)
    })
    .await;
    for (key, room) in known.iter().zip(["chat:{a}:", "chat:{b}:"]) {
        assert!(key.starts_with(room), "{known:?}");
        let left: i64 = redis.cmd(&["PTTL", key]).await;
        assert!((1..=30 * 60_000).contains(&left), "{key} expires in {left} ms");
    }
    let listed: i64 = eventually("the listing of the node", async || {
        let left = redis.cmd(&["PTTL", "chat:present"]).await;
        (left > 0).then_some(left)
    })
    .await;
    assert!(listed <= 12_000, "the list of processes expires in {listed} ms");
    drop(stream);
    eventually("no keys", async || keys().await.is_empty().then_some(())).await;
}
