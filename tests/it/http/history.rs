//! `/history`: pages of the log, each with the cursor that continues it (contract § 4).

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Bus, Node, Redis, Stream, halves, key, on_every_bus, on_every_form};

on_every_form!(before_and_after_select_a_range_of_the_log);
on_every_bus!(
    history_returns_the_newest_messages_oldest_first,
    paging_with_after_visits_the_whole_log,
    time_selects_what_came_after_it,
    last_resumes_any_page_without_loss_or_duplicates,
    last_id_of_an_empty_room_is_0_0,
    log_keeps_at_least_history_messages,
    writes_extend_history_ttl,
    single_message_names_the_node_that_accepted_it,
    plain_text_is_what_was_posted_in_answers_of_any_length,
);

fn ids(history: &Value) -> Vec<String> {
    let messages = history["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect()
}

/// Posts until the clock has moved on, and returns two messages that are of different milliseconds.
async fn two_times(node: &Node) -> [String; 2] {
    let first = node.post("lobby", "mason", "hi").await;
    loop {
        let next = node.post("lobby", "mason", "hi").await;
        if halves(&next).0 > halves(&first).0 {
            return [first, next];
        }
    }
}

async fn time_selects_what_came_after_it(bus: Bus) {
    let node = bus.node(&[("RATE_LIMIT", "0")]).await;
    let earlier = two_times(&node).await;
    let [before, first] = two_times(&node).await;
    let (ms, _) = halves(&first);
    let time = chrono::DateTime::from_timestamp_millis(ms as i64).expect("a time");
    let all = ids(&node.history("lobby", "?limit=200").await);
    let expected: Vec<String> = all.iter().filter(|id| halves(id).0 >= ms).cloned().collect();
    let offset = time + chrono::TimeDelta::minutes(90);
    let at =
        |time: chrono::DateTime<chrono::Utc>, offset: &str| format!("{}{offset}", time.format("%Y-%m-%dT%H:%M:%S%.3f"));
    for at in [at(time, ""), at(time, "Z"), at(offset, "+01:30"), at(offset, "%2B01:30")] {
        let history = node.history("lobby", &format!("?at={at}")).await;
        assert_eq!(ids(&history), expected, "{at} after {before} and {earlier:?}");
        let one = node.history("lobby", &format!("?at={at}&limit=1")).await;
        assert_eq!((ids(&one), last(&one)), (vec![first.clone()], first.as_str()));
    }
    for (early, first_id) in [("1970-01-01", &all[0]), ("2026-01-01T10:00", &all[0])] {
        assert_eq!(ids(&node.history("lobby", &format!("?at={early}&limit=1")).await)[0], *first_id);
    }
    let none = node.history("lobby", "?at=9999-12-31T23:59:59").await;
    assert_eq!((ids(&none), last(&none)), (Vec::new(), all[all.len() - 1].as_str()));
    let back = node.history("lobby", &format!("?before={}&limit=1", none["first"].as_str().expect("an id"))).await;
    assert_eq!(ids(&back), all[all.len() - 1..]);
    assert_eq!(last(&node.history("empty", "?at=2026-11-25T14:00").await), "0-0");
    for bad in ["at=", "at=now", "at=2026-11-25T25:00", "at=2026-11-25T14:00&after=1-1", "at=2026-11-25&before=1-1"] {
        node.get(&format!("/history/lobby?{bad}")).await.problem(400);
    }
}

fn last(history: &Value) -> &str {
    history["last"].as_str().expect("last")
}

async fn history_returns_the_newest_messages_oldest_first(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = node.fill("lobby", 210).await;
    let newest = |count: usize| &all[all.len() - count..];
    assert_eq!(ids(&node.history("lobby", "").await), newest(50), "50 is the default");
    for limit in [1, 7, 50, 200] {
        let history = node.history("lobby", &format!("?limit={limit}")).await;
        assert_eq!(ids(&history), newest(limit));
        assert_eq!(last(&history), all[209]);
    }
    let expected = json!({ "id": all[209], "sender": "mason", "message": "message 210" });
    assert_eq!(node.history("lobby", "?limit=1").await["messages"], json!([expected]));
}

async fn before_and_after_select_a_range_of_the_log(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = node.fill("lobby", 10).await;
    let page = async |query: String| ids(&node.history("lobby", &query).await);
    assert_eq!(page(format!("?before={}&limit=3", all[7])).await, all[4..7], "the newest ones before it");
    assert_eq!(page(format!("?after={}&limit=3", all[2])).await, all[3..6], "the oldest ones after it");
    assert_eq!(page(format!("?before={}", all[2])).await, all[..2]);
    assert_eq!(page(format!("?after={}", all[7])).await, all[8..]);
    assert_eq!(page("?after=0-0".to_owned()).await, all);
    assert_eq!(page("?before=0-0".to_owned()).await, [""; 0]);
    assert_eq!(page(format!("?before={}", all[0])).await, [""; 0]);
    assert_eq!(page(format!("?after={}", all[9])).await, [""; 0]);
}

/// Subscribing with `?lastEventId=` set to `last` continues after the page.
async fn last_resumes_any_page_without_loss_or_duplicates(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut all = node.fill("lobby", 10).await;
    for query in [
        format!("?after={}", all[9]),
        String::new(),
        "?limit=1".to_owned(),
        "?after=0-0&limit=4".to_owned(),
        format!("?after={}&limit=2", all[4]),
        format!("?before={}&limit=2", all[4]),
    ] {
        let history = node.history("lobby", &query).await;
        let following = match ids(&history).last() {
            Some(id) => all.iter().position(|other| other == id).expect("a known id") + 1,
            None => all.len(),
        };
        let mut subscriber = Stream::resume(&node, "lobby", last(&history)).await;
        all.push(node.post("lobby", "mason", "live").await);
        assert_eq!(subscriber.next_ids(all.len() - following).await, all[following..], "{query:?}");
    }
}

async fn paging_with_after_visits_the_whole_log(bus: Bus) {
    let node = bus.node(&[]).await;
    let all = node.fill("lobby", 10).await;
    let mut walked = Vec::new();
    let mut cursor = "0-0".to_owned();
    loop {
        let history = node.history("lobby", &format!("?after={cursor}&limit=3")).await;
        if ids(&history).is_empty() {
            break;
        }
        walked.extend(ids(&history));
        last(&history).clone_into(&mut cursor);
    }
    assert_eq!(walked, all);
}

async fn last_id_of_an_empty_room_is_0_0(bus: Bus) {
    let node = bus.node(&[]).await;
    assert_eq!(node.history("lobby", "").await, json!({ "messages": [], "first": "0-0", "last": "0-0" }));
    let mut subscriber = Stream::resume(&node, "lobby", "0-0").await;
    let first = node.post("lobby", "mason", "hi").await;
    assert_eq!(subscriber.next_message().await.id, first);
}

/// `HISTORY` is a lower bound: Redis trims approximately.
async fn log_keeps_at_least_history_messages(bus: Bus) {
    let node = bus.node(&[("HISTORY", "5")]).await;
    let all = node.fill("lobby", 250).await;
    let kept = ids(&node.history("lobby", "?limit=200").await);
    assert!(kept.len() >= 5, "{kept:?}");
    assert!(kept.len() < 200, "nothing was trimmed: {} of 250 are there", kept.len());
    assert_eq!(kept, all[250 - kept.len()..]);
}

/// `HISTORY_TTL` counts from the last message.
async fn writes_extend_history_ttl(bus: Bus) {
    let node = bus.node(&[("HISTORY_TTL", "1")]).await;
    let started = Instant::now();
    let mut all = Vec::new();
    while started.elapsed() < Duration::from_millis(2500) {
        all.push(node.post("lobby", "mason", "hi").await);
        tokio::time::sleep(Duration::from_millis(50)).await; // between two messages
    }
    assert_eq!(ids(&node.history("lobby", "?limit=200").await), all);
}

async fn single_message_names_the_node_that_accepted_it(bus: Bus) {
    let first = bus.node(&[("NODE", "chat-1")]).await;
    let second = bus.second_node(&[("NODE", "chat-2")]).await;
    let id = first.post("lobby", "mason", "<hi>").await;
    for node in [Some(&first), second.as_ref()].into_iter().flatten() {
        let message = node.get(&format!("/history/lobby/{id}")).await.expect(200).json();
        let expected = json!({ "id": id, "sender": "mason", "message": "&lt;hi&gt;", "node": "chat-1" });
        assert_eq!(message, expected);
    }
    let (ms, n) = halves(&id);
    for absent in [format!("{ms}-{}", n + 1), format!("{}-{n}", ms + 1), "0-0".to_owned(), "1-1".to_owned()] {
        first.get(&format!("/history/lobby/{absent}")).await.problem(404);
    }
    first.get(&format!("/history/garden/{id}")).await.problem(404);
}

/// An answer beyond 64 KiB is sent in parts.
async fn plain_text_is_what_was_posted_in_answers_of_any_length(bus: Bus) {
    let node = bus.node(&[]).await;
    let sender = "<i>O'Neil</i> &amp;";
    let texts: Vec<String> = (0..30).map(|n| format!("{n} </script> & \"{}\"\r\n&lt;", "<x>".repeat(1200))).collect();
    let mut last = String::new();
    for text in &texts {
        last = node.post("lobby", sender, text).await;
    }
    let posted = |history: &Value| -> Vec<String> {
        let messages = history["messages"].as_array().expect("messages");
        assert!(messages.iter().all(|message| message["sender"] == sender), "{history}");
        messages.iter().map(|message| message["message"].as_str().expect("a text").to_owned()).collect()
    };
    for (query, range) in [("&limit=2", 28..30), ("&limit=200", 0..30), ("&after=0-0&limit=200", 0..30)] {
        let answer = node.get(&format!("/history/lobby?text=plain{query}")).await.expect(200);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(posted(&answer.json()) == texts[range], "{query}");
    }
    let one = node.get(&format!("/history/lobby/{last}?text=plain")).await.expect(200).json();
    assert_eq!((one["sender"].as_str(), one["message"].as_str()), (Some(sender), Some(&*texts[29])));
    let escaped = node.history("lobby", "?text=escaped&limit=200").await;
    assert_eq!(escaped, node.history("lobby", "?limit=200").await);
    assert_eq!(escaped["messages"][0]["sender"], "&lt;i&gt;O&#x27;Neil&lt;&#x2F;i&gt; &amp;amp;");
}

#[tokio::test]
async fn text_that_is_neither_plain_nor_escaped_is_400() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    for path in ["/history/lobby".to_owned(), format!("/history/lobby/{id}")] {
        for value in ["", "Plain", "html", "raw"] {
            let detail = node.get(&format!("{path}?text={value}")).await.problem(400);
            assert!(detail.contains("plain") && detail.contains("escaped"), "{detail}");
        }
    }
}

#[tokio::test]
async fn deleted_message_is_404_and_its_id_still_resumes() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let all = node.fill("lobby", 3).await;
    let _: u64 = redis.cmd(&["XDEL", &key("lobby"), &all[2]]).await;
    node.get(&format!("/history/lobby/{}", all[2])).await.problem(404);
    let history = node.history("lobby", "").await;
    assert_eq!(ids(&history), all[..2]);
    let mut subscriber = Stream::resume(&node, "lobby", last(&history)).await;
    let next = node.post("lobby", "mason", "next").await;
    assert_eq!(subscriber.next_message().await.id, next);
}

#[tokio::test]
async fn bad_limit_bad_id_or_both_directions_are_400() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999"] {
        node.get(&format!("/history/lobby?{query}")).await.problem(400);
    }
    for bad in [
        "x",
        "1",
        "1-",
        "-1",
        "1-1-1",
        "1-x",
        "0x1-1",
        "%2B1-1",
        "1%201-1",
        "9007199254740992-1",
        "1-9007199254740992",
    ] {
        node.get(&format!("/history/lobby?before={bad}")).await.problem(400);
        node.get(&format!("/history/lobby?after={bad}")).await.problem(400);
        node.get(&format!("/history/lobby/{bad}")).await.problem(400);
    }
    node.get(&format!("/history/lobby?before={id}&after={id}")).await.problem(400);
}

#[tokio::test]
async fn history_is_not_cached() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    for path in ["/history/lobby".to_owned(), format!("/history/lobby/{id}")] {
        let answer = node.get(&path).await.expect(200);
        assert_eq!(answer.media_type(), "application/json");
        assert!(answer.header("cache-control").contains("no-store"), "{answer:?}");
    }
}
