//! What nodes write about themselves, and what is made of it (contract § 11).

use reqwest::Method;
use serde_json::{Value, json};

use super::support::{ADMIN, AUTHORIZATION, data, data_with, get, sum};
use crate::support::{Bus, Node, Redis, Stream, eventually, on_every_bus};

/// Returns the process of the node whose messages are counted in the data.
fn current(data: &Value, name: &str) -> Option<f64> {
    data["current"][name].as_f64()
}

on_every_bus!(streams_messages_and_latency_are_summed_up);

async fn streams_messages_and_latency_are_summed_up(bus: Bus) {
    let node = bus.node(&[ADMIN, ("NODE", "chat-1")]).await;
    let empty = data(&node, "range=1h").await;
    // A summary is written every 10 s by the clock, perhaps since the start.
    if empty["nodes"] == json!([]) {
        assert_eq!(empty["current"]["streams"], Value::Null, "nothing is known yet");
    }
    assert_eq!(sum(&empty, "messages"), 0.0);
    let mut events = Stream::open(&node, "/dashboard/events", &[AUTHORIZATION]).await;
    let _streams = (Stream::live(&node, "lobby").await, Stream::live(&node, "lobby").await);
    node.fill("lobby", 5).await;
    // Untyped: a node has written.
    let written =
        eventually("a summary", async || Some(events.next().await).filter(|block| block.event.is_none())).await;
    assert_eq!(written.data.as_deref(), Some("{}"));
    for (range, slots, seconds) in [("10m", 60, 10), ("1h", 60, 60), ("1d", 96, 900), ("7d", 84, 7200)] {
        let data = data_with(&node, &format!("range={range}"), "5 messages", |data| {
            (sum(data, "messages") > 0.0).then(|| data.clone())
        })
        .await;
        assert_eq!(data["slotSeconds"], seconds);
        let times = data["times"].as_array().expect("times");
        assert_eq!((times.len(), data["series"]["p99"].as_array().map(Vec::len)), (slots, Some(slots)));
        assert_eq!(times[1].as_u64(), times[0].as_u64().map(|first| first + seconds));
        assert!(sum(&data, "p99") > 0.0 && sum(&data, "deliveries") > sum(&data, "messages"), "{data}");
        assert_eq!(data["nodes"][0]["node"], "chat-1");
    }
    let data = data_with(&node, "", "streams", |data| (current(data, "streams")? >= 3.0).then(|| data.clone())).await;
    assert_eq!(current(&data, "rooms"), Some(1.0), "that of the dashboard is none");
    assert!(current(&data, "memory") > Some(1e6));
    assert_eq!(data["rooms"][0]["room"], "lobby");
    assert_eq!(data["rooms"].as_array().map(Vec::len), Some(1));
    get(&node, "/dashboard/data?range=2h").await.problem(400);
    assert!(!node.get("/metrics").await.text().contains("lobby"), "only the dashboard names rooms");
}

/// Two nodes may have the same name: a process is what counts. A killed one is no longer counted.
#[tokio::test]
async fn nodes_are_counted_together_and_each_until_it_ends() {
    let redis = Redis::start().await;
    let environment = [ADMIN, ("NODE", "same")];
    let (node, mut killed) = (Node::on(&redis, &environment).await, Node::on(&redis, &environment).await);
    let _here = Stream::live(&node, "lobby").await;
    let _there = (Stream::live(&killed, "lobby").await, Stream::live(&killed, "garden").await);
    killed.fill("lobby", 4).await;
    let both = data_with(&node, "", "three streams of two nodes", |data| {
        (current(data, "streams") == Some(3.0)).then(|| data.clone())
    })
    .await;
    let nodes = both["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), 2);
    let of_streams = |count: f64| nodes.iter().find(|node| node["current"]["streams"].as_f64() == Some(count));
    let process = of_streams(2.0).expect("the other node")["process"].as_str().expect("a name");
    assert!(nodes.iter().all(|node| node["node"] == "same" && node["alive"] == true), "{nodes:?}");
    let one = data(&node, &format!("node={process}")).await;
    assert_eq!((current(&one, "streams"), current(&one, "rooms")), (Some(2.0), Some(2.0)));
    assert!(current(&one, "roundTrip").is_none_or(|milliseconds| milliseconds < 2000.0));
    assert_eq!(both["rooms"][0], json!({ "room": "lobby", "streams": 2, "frames": both["rooms"][0]["frames"] }));

    killed.kill();
    // As if half a minute had passed.
    let long_ago: u64 = both["now"].as_u64().expect("a time") - 40_000;
    redis.cmd::<u64>(&["HSET", "chat:{~dashboard}:processes", process, &long_ago.to_string()]).await;
    let one =
        data_with(&node, "", "one stream", |data| (current(data, "streams") == Some(1.0)).then(|| data.clone())).await;
    let ended = one["nodes"].as_array().expect("nodes").iter().find(|node| node["process"] == process);
    let ended = ended.expect("it is still in the history");
    assert_eq!((&ended["alive"], &ended["current"]["streams"]), (&json!(false), &Value::Null));
    assert!(sum(&one, "messages") > 0.0, "what it did is still counted");
}

#[tokio::test]
async fn what_is_kept_in_redis_is_bounded_and_expires() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[ADMIN]).await;
    for number in 0..150 {
        let name = format!("old~{number}");
        redis.cmd::<u64>(&["HSET", "chat:{~dashboard}:processes", &name, "1764000000000"]).await;
    }
    data_with(&node, "", "a node", |data| data["nodes"][0]["alive"].as_bool()).await;
    let processes: u64 = redis.cmd(&["HLEN", "chat:{~dashboard}:processes"]).await;
    assert!(processes <= 100, "{processes}");
    let keys: Vec<String> = redis.cmd(&["KEYS", "chat:{~dashboard}:*"]).await;
    assert_eq!(keys.len(), 5, "the processes, and four ranges of one: {keys:?}");
    for key in keys {
        let (left, fields): (i64, u64) = (redis.cmd(&["PTTL", &key]).await, redis.cmd(&["HLEN", &key]).await);
        assert!((1..=7 * 24 * 3_600_000).contains(&left) && fields <= 100, "{key}: {left} ms, {fields} fields");
    }
}

/// A key that is refused all the time is seen as such, and `keys purge` leaves nothing of what it used.
#[tokio::test]
async fn usage_of_keys_is_shown_until_it_is_purged() {
    let redis = Redis::start().await;
    let keys = ("APP_KEYS", "shop:0123456789abcdef,crm:fedcba9876543210");
    let mut node = Node::on(&redis, &[ADMIN, keys]).await;
    let event = async |key: &str, secret: &str| {
        let form = [("channel", "news"), ("data", "hi")];
        node.send(node.request(Method::POST, "/event").basic_auth(key, Some(secret)).form(&form))
            .await
            .status
    };
    assert_eq!(event("crm", "fedcba9876543210").await, 200);
    for _ in 0..3 {
        assert_eq!(event("shop", "wrong-wrong-wrong").await, 401);
    }
    let of = |data: &Value, key: &str| data["keys"].as_array()?.iter().find(|report| report["key"] == key).cloned();
    let (shop, crm) =
        data_with(&node, "range=7d", "two keys", |data| Some((of(data, "shop")?, of(data, "crm")?))).await;
    assert_eq!((&shop["events"], &shop["refusals"]), (&json!(0), &json!(3)));
    assert_eq!((&crm["events"], &crm["refusals"]), (&json!(1), &json!(0)));
    let one = data(&node, "key=shop").await;
    assert!(sum(&one, "refusals") > 0.0 && sum(&one, "events") == 0.0, "{one}");

    node.kill();
    let url = redis.url();
    let purged = Node::run_to_exit(&[("REDIS_URL", &url), keys], &["keys", "purge", "shop", "--yes"]).await;
    assert!(purged.status.success(), "{}", purged.output);
    let summaries: Vec<String> = redis.cmd(&["KEYS", "chat:{~dashboard}:*~*"]).await;
    assert_eq!(summaries.len(), 4, "{summaries:?}");
    for key in summaries {
        let values: Vec<String> = redis.cmd(&["HVALS", &key]).await;
        assert!(values.iter().all(|value| !value.contains("shop")), "{key}: {values:?}");
        assert!(values.iter().any(|value| value.contains("crm")), "{key}: {values:?}");
    }
}

/// A Redis that is away costs a hole, and the page learns of it.
#[tokio::test]
async fn a_lost_redis_is_a_hole_and_nothing_else() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[ADMIN, ("HEARTBEAT", "1")]).await;
    data_with(&node, "", "a node", |data| data["nodes"][0]["alive"].as_bool()).await;
    redis.kill();
    get(&node, "/dashboard/data").await.problem(503);
    get(&node, "/dashboard").await.html(200);
    redis.restart().await;
    let written = async || get(&node, "/dashboard/data").await.json()["nodes"][0]["alive"].as_bool();
    assert!(eventually("a summary after the outage", written).await);
}

#[tokio::test]
async fn everything_below_the_dashboard_asks_for_the_password() {
    let (with, without) = (Node::start(&[ADMIN]).await, Node::start(&[]).await);
    for path in ["/dashboard", "/dashboard/data", "/dashboard/events", "/dashboard/wire/lobby"] {
        with.get(path).await.problem(401);
        with.send(with.request(Method::HEAD, path)).await.expect(401);
        without.get(path).await.problem(404);
        assert_eq!(with.send(with.request(Method::POST, path)).await.status, 405, "{path}");
    }
    assert!(get(&with, "/dashboard/data").await.header("cache-control").contains("no-store"));
    for path in ["/dashboard/", "/dashboard/nothing", "/dashboard/wire/"] {
        with.get(path).await.problem(401);
        without.get(path).await.problem(404);
    }
    get(&with, "/dashboard/nothing").await.problem(404);
    assert_eq!(get(&with, "/dashboard/").await.expect(308).header("location"), "/dashboard");
    assert_eq!(get(&with, "/dashboard/?range=1h").await.expect(308).header("location"), "/dashboard?range=1h");
}

on_every_bus!(the_wire_shows_the_frames_of_a_room_as_they_are);

async fn the_wire_shows_the_frames_of_a_room_as_they_are(bus: Bus) {
    let node = bus.node(&[ADMIN]).await;
    let first = node.post("lobby", "mason", "<b>").await;
    let mut wire = Stream::open(&node, "/dashboard/wire/lobby?history=1", &[AUTHORIZATION]).await;
    wire.first().await;
    assert_eq!(wire.next_message().await.id, first);
    let mut reader = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", "mason", "<i>").await;
    let (on_the_wire, read) = (wire.next_content().await, reader.next_content().await);
    assert_eq!((on_the_wire.id, on_the_wire.data), (Some(id), read.data));
    assert_eq!(node.get("/presence/lobby").await.json()["count"], 1, "who looks on is not present");
    get(&node, "/dashboard/wire/-no-room").await.problem(404);
    get(&node, "/dashboard/wire/~dashboard").await.problem(404);
    node.get("/subscribe/~dashboard").await.problem(404);
}
