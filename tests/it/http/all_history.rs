//! `/history?all=1`: messages and events of apps, and how to go on through many of them (contract § 4).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Bus, Node, on_every_bus};

/// The key of an app whose channels are the open rooms of the same names.
const ENVIRONMENT: &[(&str, &str)] = &[("APP_KEYS", "app:0123456789abcdef:"), ("HISTORY", "10000")];

on_every_bus!(
    events_are_listed_between_messages_if_asked_for,
    pages_list_messages_behind_many_events,
    long_histories_go_on_from_first_and_last,
);

/// Sends an event; without a type if that is empty.
async fn send(node: &Node, room: &str, kind: &str, data: &str) {
    let form = [("channel", room), ("type", kind), ("data", data)];
    let request = node.request(Method::POST, "/event").basic_auth("app", Some("0123456789abcdef")).form(&form);
    node.send(request).await.expect(200);
}

fn listed(history: &Value) -> &[Value] {
    history["messages"].as_array().expect("a list")
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

async fn events_are_listed_between_messages_if_asked_for(bus: Bus) {
    const LIKE_A_MESSAGE: &str = r#"{"sender":"admin","message":"xyzzy"}"#;
    let node = bus.node(ENVIRONMENT).await;
    let first = node.post("lobby", "mason", "O'Neil").await;
    send(&node, "lobby", "", LIKE_A_MESSAGE).await;
    send(&node, "lobby", "note", "two\nlines").await;
    let all = node.history("lobby", "?all=1&text=plain").await;
    let [message, untyped, typed] = listed(&all) else {
        panic!("{all}")
    };
    assert_eq!(*message, json!({ "id": first, "sender": "mason", "message": "O'Neil" }));
    assert_eq!(*untyped, json!({ "id": text(untyped, "id"), "type": null, "data": LIKE_A_MESSAGE }));
    assert_eq!(*typed, json!({ "id": text(typed, "id"), "type": "note", "data": "two\nlines" }));
    assert_eq!((text(&all, "first"), text(&all, "last")), (first.as_str(), text(typed, "id")));
    let messages = node.history("lobby", "").await;
    assert_eq!(listed(&messages).len(), 1);
    assert_eq!(messages["last"], all["last"], "a stream continues after the events");
    for event in [untyped, typed] {
        let path = format!("/history/lobby/{}", text(event, "id"));
        node.get(&path).await.problem(404);
        let one = node.get(&format!("{path}?all=1")).await.expect(200).json();
        assert_eq!((&one["type"], &one["data"]), (&event["type"], &event["data"]));
        assert!(!text(&one, "node").is_empty());
    }
    for path in ["/lobby", "/rooms/lobby/chats"] {
        let answer = node.get(path).await.expect(200);
        assert!(answer.text().contains("Neil") && !answer.text().contains("xyzzy"), "{path}: {}", answer.text());
    }
    for (query, count) in [("?limit=1", 1), ("?limit=1&all=1", 1), ("?limit=2&all=1", 2)] {
        let newest = node.history("lobby", query).await;
        assert_eq!(listed(&newest).len(), count, "{query}");
        let before = node.history("lobby", &format!("?all=1&before={}", text(&newest, "first"))).await;
        let all_ids: Vec<_> = listed(&all).iter().map(|item| text(item, "id")).collect();
        let rest: Vec<_> = listed(&before).iter().map(|item| text(item, "id")).collect();
        assert_eq!(rest, all_ids[..rest.len()]);
        assert_eq!(all_ids.get(rest.len()), Some(&text(&newest, "first")), "{query}");
    }
    node.get("/history/lobby?all=2").await.problem(400);
}

async fn pages_list_messages_behind_many_events(bus: Bus) {
    let node = bus.node(ENVIRONMENT).await;
    let id = node.post("lobby", "mason", "behind them").await;
    for _ in 0..120 {
        send(&node, "lobby", "note", "{}").await;
    }
    let history = node.history("lobby", "?limit=1").await;
    assert_eq!(text(&listed(&history)[0], "id"), id);
    assert!(node.get("/lobby").await.expect(200).text().contains("behind them"));
    assert_eq!(node.get("/rooms/lobby/chats").await.expect(200).json()[0]["message"], "behind them");
}

/// Three messages, with 700 events before, between and after them, of which one request looks at 2,000, or at 1 MiB.
async fn long_histories_go_on_from_first_and_last(bus: Bus) {
    let node = bus.node(ENVIRONMENT).await;
    let large = "x".repeat(20 << 10);
    let mut posted = Vec::new();
    for number in 0..4 {
        for event in 0..700 {
            send(&node, "lobby", "note", if event < 60 && number == 1 { &large } else { "{}" }).await;
        }
        if number < 3 {
            posted.push(node.post("lobby", "mason", &format!("message {number}")).await);
        }
    }
    for (query, count) in [("limit=50", 3), ("limit=1", 3), ("limit=200&all=1", 2803)] {
        let (mut forwards, mut cursor, mut requests) = (Vec::new(), "0-0".to_owned(), 0);
        let end = text(&node.history("lobby", "?limit=1&all=1").await, "last").to_owned();
        while cursor != end {
            let page = node.history("lobby", &format!("?{query}&after={cursor}")).await;
            forwards.extend(listed(&page).iter().map(|item| text(item, "id").to_owned()));
            text(&page, "last").clone_into(&mut cursor);
            requests += 1;
            assert!(requests < 100, "{query}: {page}");
        }
        assert_eq!(forwards.len(), count, "{query}");
        assert!(posted.iter().all(|id| forwards.contains(id)));
        let (mut backwards, mut page) = (Vec::new(), node.history("lobby", &format!("?{query}")).await);
        loop {
            let items = listed(&page).iter().rev().map(|item| text(item, "id").to_owned());
            backwards.extend(items);
            let first = text(&page, "first").to_owned();
            if first.ends_with("-1") {
                break;
            }
            page = node.history("lobby", &format!("?{query}&before={first}")).await;
            assert_ne!(text(&page, "first"), first, "{query} does not go on");
        }
        backwards.reverse();
        assert!(backwards == forwards, "{query}: {} and {}", backwards.len(), forwards.len());
    }
    assert_eq!(listed(&node.history("lobby", "?limit=3").await).len(), 2, "it looks at 2,000 entries");
}
