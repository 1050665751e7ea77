//! Nothing is lost and nothing comes twice, whatever happens to the node, the bus and the connection.

use super::{Running, run, text_of};
use crate::support::{Bus, Node, Proxy, Redis, Stream, free_port, on_every_bus};

on_every_bus!(lost_connections_lose_and_double_nothing, full_node_is_tried_until_there_is_room,);

/// Sends a line and waits until it is stored.
async fn say(sending: &mut Running, text: &str) {
    sending.write(&format!("{text}\n")).await;
    sending.line().await;
}

async fn lost_connections_lose_and_double_nothing(bus: Bus) {
    let node = bus.node(&[("HEARTBEAT", "1")]).await;
    let proxy = Proxy::to(node.address()).await;
    let (mut number, mut expected) = (0, Vec::new());
    let arguments = ["listen", "lobby", "--json", "--since", "0-0", "--retry", "0.1", "--inactivity", "2"];
    let mut listening = Running::start(&proxy.url("/"), &arguments);
    let mut sending = Running::start(&node.url("/"), &["send", "lobby", "--lines"]);
    node.wait_for_live_streams(1).await;
    for (times, fail) in [(1, Proxy::cut as fn(&Proxy)), (2, Proxy::unavailable), (3, Proxy::silence)] {
        for is_failing in [false, true] {
            if is_failing {
                fail(&proxy);
            }
            for _ in 0..5 {
                number += 1;
                say(&mut sending, &number.to_string()).await;
                expected.push(number.to_string());
            }
        }
        listening.says("Connection lost. Reconnecting.", times).await;
        proxy.restore();
        listening.says("Connected again.", times).await;
    }
    let mut received = Vec::new();
    while received.len() < expected.len() {
        received.push(text_of(&listening.json().await));
    }
    assert_eq!(received, expected);
}

#[tokio::test]
async fn kill_9_drain_and_redis_away_lose_and_double_nothing() {
    let mut redis = Redis::durable().await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str()), ("DRAIN_GRACE", "0"), ("DRAIN", "1"), ("HEARTBEAT", "1")];
    let mut node = Node::on(&redis, &environment).await;
    let chat = node.url("/");
    let mut listening = Running::start(&chat, &["listen", "lobby", "--json", "--since", "0-0", "--retry", "0.1"]);
    let mut sending = Running::start(&chat, &["send", "lobby", "--lines"]);
    say(&mut sending, "1").await;
    // A program that connects only after the kill has lost no connection.
    let mut received = vec![text_of(&listening.json().await)];
    node.kill();
    sending.write("2\n").await;
    node = Node::on(&redis, &environment).await;
    sending.line().await;
    say(&mut sending, "3").await;
    listening.says("Connected again.", 1).await;
    node.terminate();
    say(&mut sending, "4").await;
    node.exit().await;
    sending.write("5\n").await;
    node = Node::on(&redis, &environment).await;
    sending.line().await;
    listening.says("sent away: draining", 1).await;
    redis.kill();
    sending.write("6\n").await;
    redis.restart().await;
    sending.line().await;
    while received.len() < 6 {
        received.push(text_of(&listening.json().await));
    }
    assert_eq!(received, ["1", "2", "3", "4", "5", "6"]);
    assert_eq!(node.stored("lobby").await.len(), 6);
}

/// The delay of the user goes before the 5 to 30 s that the node asks for.
async fn full_node_is_tried_until_there_is_room(bus: Bus) {
    let node = bus.node(&[("MAX_STREAMS", "1"), ("HEARTBEAT", "1")]).await;
    let only = Stream::live(&node, "lobby").await;
    let arguments = ["listen", "lobby", "--since", "0-0", "--retry", "0.1", "--count", "1"];
    let gives_up = run(&node.url("/"), &[&arguments[..], &["--tries", "2"]].concat()).await;
    assert_eq!((gives_up.code, gives_up.stderr.matches("sent away: full").count()), (3, 2), "{gives_up:?}");
    let listening = Running::start(&node.url("/"), &arguments);
    listening.says("sent away: full", 1).await;
    node.post("lobby", "mason", "hi").await;
    drop(only);
    let ended = listening.end().await;
    assert_eq!((ended.code, ended.stdout.ends_with(" mason: hi\n")), (0, true), "{ended:?}");
}

#[tokio::test]
async fn node_without_redis_that_starts_anew_is_a_gap() {
    let bind = format!("127.0.0.1:{}", free_port());
    let mut node = Node::start(&[("BIND", &bind)]).await;
    let mut listening = Running::start(&node.url("/"), &["listen", "lobby", "--retry", "0.1"]);
    node.wait_for_live_streams(1).await;
    node.post("lobby", "mason", "before").await;
    assert!(listening.line().await.ends_with("before"));
    node.kill();
    node = Node::start(&[("BIND", &bind)]).await;
    listening.says("[gap] Messages are missing here", 1).await;
    node.post("lobby", "mason", "after").await;
    assert!(listening.line().await.ends_with("after"));
}
