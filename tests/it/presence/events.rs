//! Who is here: how many readers a room has on all nodes, their names, and who joined and left (issue 3, "Who is here").

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Block, Bus, DEADLINE, Node, Redis, Several, Stream, eventually, on_both_buses, room_of, within};

on_both_buses!(
    presence_is_sent_on_joining_and_on_every_change,
    unnamed_subscribers_count_and_equal_names_are_listed_once,
    subscriber_of_merged_rooms_is_present_only_in_chosen_rooms,
    subscriber_present_nowhere_still_receives_presence,
    subscriber_that_catches_up_slowly_receives_presence,
    user_joined_is_sent_for_the_first_subscriber_of_a_name,
    presence_has_no_id_and_is_not_replayed,
    presence_endpoint_returns_count_and_names,
);

/// A closed reader is noticed within a heartbeat.
pub const HEARTBEAT: (&str, &str) = ("HEARTBEAT", "1");

/// A reader in `lobby` under a name, which is told who is here.
pub async fn named(node: &Node, name: &str) -> Stream {
    Stream::live(node, &format!("lobby?name={name}")).await.seeing()
}

/// A reader in a room that is only there. Among hundreds at once nobody asks how long a node takes to bring it to its place.
pub async fn present(node: &Node, room: &str) -> Stream {
    let stream = Stream::open(node, &format!("/subscribe/{room}"), &[]).await;
    assert_eq!(stream.head.status, 200);
    stream
}

/// Reads until this is told of the one room or one of several; gives all that was told of who is here on the way.
pub async fn told(stream: &mut Stream, presence: Value) -> Vec<Block> {
    let mut seen: Vec<Block> = Vec::new();
    let reading = async {
        while seen.last().is_none_or(|block| block.json() != presence) {
            let block = stream.said().await;
            assert!(block.id.is_none(), "{block:?} has an id");
            seen.push(block);
        }
    };
    if tokio::time::timeout(DEADLINE, reading).await.is_err() {
        panic!("{presence} was not told, but {seen:?}");
    }
    seen
}

/// Who is said to have joined and left.
pub fn moves(blocks: &[Block]) -> Vec<(String, String)> {
    let moves = blocks.iter().filter(|block| block.event.as_deref() != Some("presence"));
    moves
        .map(|block| (block.event.clone().unwrap(), block.json()["username"].as_str().unwrap().to_owned()))
        .collect()
}

pub fn move_of(event: &str, name: &str) -> (String, String) {
    (event.to_owned(), name.to_owned())
}

pub async fn joined(stream: &mut Stream, name: &str) -> Vec<(String, String)> {
    moves(&told(stream, json!({ "username": name })).await)
}

/// What `GET /presence/lobby` says after a while, as what others say takes a moment.
pub async fn listed(node: &Node, presence: Value) {
    let mut last = Value::Null;
    let asking = async {
        while last != presence {
            last = node.get("/presence/lobby").await.expect(200).json();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(DEADLINE, asking).await.is_err() {
        panic!("{presence} is not listed, but {last}");
    }
}

async fn presence_is_sent_on_joining_and_on_every_change(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut zoe = named(&node, "zoe").await;
    let seen = told(&mut zoe, json!({ "count": 1, "names": ["zoe"] })).await;
    assert_eq!(seen.last().unwrap().raw, "event: presence\ndata: {\"count\":1,\"names\":[\"zoe\"]}\n\n");
    let mut mason = named(&node, "mason").await;
    for stream in [&mut zoe, &mut mason] {
        told(stream, json!({ "count": 2, "names": ["mason", "zoe"] })).await;
    }
    drop(zoe);
    told(&mut mason, json!({ "count": 1, "names": ["mason"] })).await;
}

async fn unnamed_subscribers_count_and_equal_names_are_listed_once(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut watch = Stream::live(&node, "lobby").await.seeing();
    told(&mut watch, json!({ "count": 1, "names": [] })).await;
    let (first, second) = (named(&node, "mason").await, named(&node, "mason").await);
    let _blank = [named(&node, "").await, named(&node, "%20%20").await];
    told(&mut watch, json!({ "count": 5, "names": ["mason"] })).await;
    drop(first);
    told(&mut watch, json!({ "count": 4, "names": ["mason"] })).await;
    drop(second);
    told(&mut watch, json!({ "count": 3, "names": [] })).await;
    listed(&node, json!({ "count": 3, "names": [] })).await;
}

/// "validated and escaped as `sender`": what is told can be inserted as HTML, and is what the messages have.
#[tokio::test]
async fn name_is_escaped_like_a_sender_and_a_bad_one_is_422() {
    let node = Node::start(&[]).await;
    let mut watch = named(&node, "%3Cb%3E%26%22'%2F").await;
    node.post("lobby", "<b>&\"'/", "hi").await;
    let escaped = node.newest("lobby").await["sender"].clone();
    assert_eq!(escaped, "&lt;b&gt;&amp;&quot;&#x27;&#x2F;");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(watch.said().await.json());
    }
    assert!(seen.contains(&json!({ "count": 1, "names": [escaped] })), "{seen:?}");
    assert!(seen.contains(&json!({ "username": escaped })), "{seen:?}");
    let longest = "%C3%A9".repeat(64);
    told(&mut named(&node, &longest).await, json!({ "username": "é".repeat(64) })).await;
    for bad in [&"x".repeat(65), "a%00b", "a%0Ab", "%E2%80%AEevil", "%C2%85", "a%E2%80%8Bb"] {
        node.get(&format!("/subscribe/lobby?name={bad}")).await.problem(422);
        node.get(&format!("/subscribe/a,b?name={bad}")).await.problem(422);
    }
    listed(&node, json!({ "count": 1, "names": [escaped] })).await;
}

/// Reads what a stream of several rooms says of them until each of these was told.
async fn told_in(stream: &mut Stream, mut rooms: Vec<(&str, usize, Value)>) {
    let reading = async {
        while !rooms.is_empty() {
            let block = stream.said().await;
            let room = room_of(&block);
            let data = block.json();
            rooms.retain(|(name, count, names)| {
                (*name, &json!(count), names) != (room.as_str(), &data["count"], &data["names"])
            });
        }
    };
    if tokio::time::timeout(DEADLINE, reading).await.is_err() {
        panic!("not told: {rooms:?}");
    }
}

/// `in=`: one, several times, a comma list, nowhere; all rooms where it does not stand.
async fn subscriber_of_merged_rooms_is_present_only_in_chosen_rooms(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut watch = Several::live(&node, "a,b,caf%C3%A9").await.stream.seeing();
    let zero: Value = json!([]);
    told_in(&mut watch, vec![("a", 1, zero.clone()), ("b", 1, zero.clone()), ("café", 1, zero.clone())]).await;
    let mut readers = Vec::new();
    for (query, a, b, c) in [
        ("?name=all", 2, 2, 2),
        ("?name=one&in=a", 3, 2, 2),
        ("?name=twice&in=a&in=b", 4, 3, 2),
        ("?name=list&in=a,cafe%CC%81", 5, 3, 3),
        ("?name=nowhere&in=", 5, 3, 3),
        ("?name=nowhere&in=,", 5, 3, 3),
        ("?in=b%2Ca", 6, 4, 3),
    ] {
        readers.push(Stream::live(&node, &format!("caf%C3%A9,b,a{query}")).await);
        for (room, count) in [("a", a), ("b", b), ("caf%C3%A9", c)] {
            let answer = node.get(&format!("/presence/{room}")).await.expect(200).json();
            assert_eq!(answer["count"], count, "{room} after {query}");
        }
    }
    let names = |names: &[&str]| json!(names);
    told_in(
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
    let mut watch = Stream::live(&node, "lobby?in=").await.seeing();
    told(&mut watch, json!({ "count": 0, "names": [] })).await;
    let there = if matches!(bus, Bus::Redis(_)) { Some(bus.node(&[]).await) } else { None };
    let there = there.as_ref().unwrap_or(&node);
    let _mason = named(there, "mason").await;
    told(&mut watch, json!({ "count": 1, "names": ["mason"] })).await;
    let mut second = Stream::live(&node, "lobby?in=").await.seeing();
    told(&mut second, json!({ "count": 1, "names": ["mason"] })).await;
    let mut several = Stream::live(there, "attic,lobby?in=attic").await.seeing();
    told_in(&mut several, vec![("attic", 1, json!([])), ("lobby", 1, json!(["mason"]))]).await;
}

/// More is to be replayed than a node keeps, and the reader takes its time: what is told to those who are live is over.
async fn subscriber_that_catches_up_slowly_receives_presence(bus: Bus) {
    let node = bus.node(&[("HISTORY", "4000")]).await;
    let text = "x".repeat(4000);
    for _ in 0..3000 {
        node.post("lobby", "mason", &text).await;
    }
    let mut watch = Stream::live(&node, "lobby").await.seeing();
    told(&mut watch, json!({ "count": 1, "names": [] })).await;
    let mut slow = Stream::open(&node, "/subscribe/lobby?name=mason&lastEventId=0-0", &[]).await.seeing();
    told(&mut watch, json!({ "count": 2, "names": ["mason"] })).await;
    slow.first().await;
    let (mut messages, mut told) = (0, false);
    let reading = async {
        while messages < 3000 || !told {
            let block = slow.said().await;
            messages += usize::from(block.id.is_some());
            told |= block.event.as_deref() == Some("presence");
        }
    };
    let done = tokio::time::timeout(DEADLINE, reading).await;
    assert!(done.is_ok(), "presence was not told within {DEADLINE:?} of the {messages} messages");
}

async fn user_joined_is_sent_for_the_first_subscriber_of_a_name(bus: Bus) {
    let node = bus.node(&[HEARTBEAT]).await;
    let mut watch = Stream::live(&node, "lobby").await.seeing();
    told(&mut watch, json!({ "count": 1, "names": [] })).await;
    let first = named(&node, "mason").await;
    assert_eq!(joined(&mut watch, "mason").await, [move_of("userJoined", "mason")]);
    let _second = named(&node, "mason").await;
    let quiet = told(&mut watch, json!({ "count": 3, "names": ["mason"] })).await;
    drop(first);
    let _nora = named(&node, "nora").await;
    let then = joined(&mut watch, "nora").await;
    assert_eq!([moves(&quiet), then].concat(), [move_of("userJoined", "nora")]);
    let mut late = Stream::live(&node, "lobby,attic?name=zoe").await.seeing();
    let seen = within(DEADLINE, "zoe", async {
        loop {
            let block = late.said().await;
            if block.event.as_deref() == Some("userJoined") && room_of(&block) == "lobby" {
                return block;
            }
        }
    })
    .await;
    assert_eq!(
        seen.raw, "event: userJoined\ndata: {\"username\":\"zoe\",\"room\":\"lobby\"}\n\n",
        "nobody before zoe"
    );
}

async fn presence_has_no_id_and_is_not_replayed(bus: Bus) {
    let node = bus.node(&[]).await;
    let first = node.post("lobby", "mason", "one").await;
    let mut watch = named(&node, "mason").await;
    told(&mut watch, json!({ "count": 1, "names": ["mason"] })).await;
    let second = node.post("lobby", "mason", "two").await;
    for (asked, missed) in [(first.as_str(), &[second.clone()][..]), ("0-0", &[first.clone(), second.clone()])] {
        let mut back = Stream::open(&node, &format!("/subscribe/lobby?lastEventId={asked}"), &[]).await.seeing();
        back.first().await;
        back.event("status").await;
        assert_eq!(back.ids(missed.len()).await, missed, "nothing before or in between");
        assert_eq!(back.said().await.json()["names"], json!(["mason"]));
    }
    assert_eq!(node.stored("lobby").await.len(), 2);
}

async fn presence_endpoint_returns_count_and_names(bus: Bus) {
    let node = bus.node(&[]).await;
    let nobody = node.get("/presence/lobby").await.expect(200);
    assert_eq!(
        (nobody.media_type(), nobody.header("cache-control")),
        ("application/json".into(), "no-store".into())
    );
    assert_eq!(nobody.text(), "{\"count\":0,\"names\":[]}");
    let _readers = [named(&node, "mason").await, named(&node, "nora").await, named(&node, "").await];
    assert_eq!(node.get("/presence/lobby").await.text(), "{\"count\":3,\"names\":[\"mason\",\"nora\"]}");
    let head = node.send(node.request(Method::HEAD, "/presence/lobby")).await.expect(200);
    assert_eq!(head.body, b"");
    for bad in ["/presence/-", "/presence/metrics", "/presence/a,b", "/presence/"] {
        node.get(bad).await.problem(404);
    }
    let posted = node.send(node.request(Method::POST, "/presence/lobby")).await;
    assert_eq!(posted.header("allow"), "GET, HEAD");
    posted.problem(405);
    if matches!(bus, Bus::Redis(_)) {
        let elsewhere = bus.node(&[]).await;
        listed(&elsewhere, json!({ "count": 3, "names": ["mason", "nora"] })).await;
    }
}

#[tokio::test]
async fn presence_includes_the_subscribers_of_all_nodes() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let third = Node::on(&redis, &[HEARTBEAT]).await;
    let mut mason = named(&nodes[0], "mason").await;
    let alone = told(&mut mason, json!({ "count": 1, "names": ["mason"] })).await;
    let mut nora = named(&nodes[1], "nora").await;
    let (twin, nobody) = (named(&nodes[1], "mason").await, Stream::live(&nodes[1], "lobby").await);
    let all = json!({ "count": 4, "names": ["mason", "nora"] });
    let seen = told(&mut mason, all.clone()).await;
    told(&mut nora, all.clone()).await;
    for node in &nodes {
        listed(node, all.clone()).await;
    }
    let said = [moves(&alone), moves(&seen)].concat();
    let expected = [move_of("userJoined", "mason"), move_of("userJoined", "nora")];
    assert_eq!(said, expected, "the second of a name is no news");
    let mut late = named(&third, "zoe").await;
    assert_eq!(joined(&mut late, "zoe").await, [move_of("userJoined", "zoe")], "the others have been here before");
    drop((twin, nobody, late));
    told(&mut mason, json!({ "count": 2, "names": ["mason", "nora"] })).await;
    drop(mason);
    told(&mut nora, json!({ "count": 1, "names": ["nora"] })).await;
    listed(&nodes[0], json!({ "count": 1, "names": ["nora"] })).await;
}

/// What nodes say again, so that they are believed, is no news to readers.
#[tokio::test]
async fn unchanged_presence_is_not_repeated() {
    let redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[HEARTBEAT]).await, Node::on(&redis, &[HEARTBEAT]).await];
    let mut mason = named(&nodes[0], "mason").await;
    let mut nora = Stream::live(&nodes[1], "lobby,attic?name=nora").await.seeing();
    told(&mut mason, json!({ "count": 2, "names": ["mason", "nora"] })).await;
    told_in(&mut nora, vec![("lobby", 2, json!(["mason", "nora"])), ("attic", 1, json!(["nora"]))]).await;
    for _ in 0..10 {
        assert_eq!(mason.next().await.event.as_deref(), Some("heartbeat"));
        assert_eq!(nora.next().await.event.as_deref(), Some("heartbeat"));
    }
}

/// "every other key of the room begins with it", and nothing stays of those who have left.
#[tokio::test]
async fn presence_keys_start_with_the_rooms_key_and_are_removed() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[HEARTBEAT]).await;
    let reader = Stream::live(&node, "a,b?name=mason").await;
    let keys = async || -> Vec<String> {
        let mut keys: Vec<String> = redis.cmd(&["KEYS", "*"]).await;
        keys.retain(|key| key != "chat:processes" && !key.starts_with("chat:streams:")); // their limits
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
        assert!((1..=30_000).contains(&left), "{key} is forgotten in {left} ms");
    }
    drop(reader);
    eventually("no keys", async || keys().await.is_empty().then_some(())).await;
}
