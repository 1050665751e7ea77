//! Secrets and marks: two of one name can be told apart, and no secret is seen (contract § 4, "Marks").

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    Answer, BROWSER, Bus, LineStream, Node, Redis, Store, Stream, eventually, on_every_bus, post_until_rate_limited,
};

on_every_bus!(secret_is_nowhere_but_its_mark_is, key_is_bound_to_its_secret, secret_has_a_rule);

const SECRET: &str = "Xylophon Kirschkern ~ 1";
const OTHER: &str = "Quastenflosser Nr 2";

async fn publish(node: &Node, secret: &str) -> Answer {
    node.publish("lobby", json!({ "message": "hi", "secret": secret })).await
}

/// Publishes, and returns the mark in the answer.
async fn mark(node: &Node, secret: &str) -> String {
    publish(node, secret).await.expect(200).json()["mark"].as_str().expect("a mark").to_owned()
}

/// Returns all that a store has, keys and values.
async fn everything(store: &Store) -> String {
    let keys = store.keys().await;
    let mut all = format!("{keys:?}");
    for key in &keys {
        let kind: String = store.cmd(&["TYPE", key]).await;
        let words = match kind.as_str() {
            "stream" => vec!["XRANGE", key, "-", "+"],
            "hash" => vec!["HGETALL", key],
            "zset" => vec!["ZRANGE", key, "0", "-1"],
            "string" => vec!["GET", key],
            other => panic!("{key} is a {other}"),
        };
        let value: redis::Value = store.cmd(&words).await;
        all.push_str(&format!("{value:?}"));
    }
    all
}

/// Posts of each form, with a secret.
fn forms(node: &Node) -> Vec<RequestBuilder> {
    let fields = [("sender", "ada"), ("message", "hi"), ("secret", SECRET)];
    let part = |(name, text)| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let multipart = fields.map(part).concat() + "--x--\r\n";
    let post = |path| node.request(Method::POST, path);
    vec![
        post("/lobby").json(&json!({ "sender": "ada", "message": "hi", "secret": SECRET })),
        post("/lobby").form(&fields),
        post("/lobby").header("Content-Type", "multipart/form-data; boundary=x").body(multipart),
        post("/lobby").form(&fields).header("Accept", BROWSER),
        post("/rooms/lobby/chats").json(&json!({ "userId": "ada", "message": "hi", "secret": SECRET })),
        post("/rooms/lobby/chats").form(&[("userId", "ada"), ("message", "hi"), ("secret", SECRET)]),
    ]
}

/// Sends the secret in requests that are refused, and returns what the client gets.
async fn refusals(node: &Node) -> Vec<Answer> {
    let long = "x".repeat(4001);
    let post = || node.request(Method::POST, "/lobby");
    let fields = |message| [("message", message), ("secret", SECRET), ("sender", "ada")];
    let requests = [
        post().form(&fields(&long)),
        post().form(&fields(&long)).header("Accept", BROWSER),
        post().form(&[("message", "hi"), ("secret", &format!("{SECRET}\n"))]).header("Accept", BROWSER),
        post().json(&json!({ "message": "hi", "secret": [SECRET] })),
        post().form(&fields("hi")).header("Idempotency-Key", "a b").header("Accept", BROWSER),
        post().form(&fields("hi")).header("Sec-Fetch-Site", "cross-site").header("Accept", BROWSER),
        post().header("Content-Type", "application/json").body(format!("{{\"secret\":\"{SECRET}\",}}")),
        post().header("Content-Type", "text/plain").body(SECRET),
    ];
    let mut answers = Vec::new();
    for request in requests {
        let answer = node.send(request).await;
        assert!(answer.status >= 400, "{answer:?}");
        answers.push(answer);
    }
    let (_, limited) = post_until_rate_limited(async || node.send(post().form(&fields("hi"))).await).await;
    answers.push(limited);
    answers
}

async fn secret_is_nowhere_but_its_mark_is(bus: Bus) {
    let node = bus.node(&[("LOG", "trace"), ("RATE_LIMIT", "1"), ("RATE_BURST", "9")]).await;
    let mut stream = Stream::live(&node, "lobby").await;
    let mut plain = Stream::open(&node, "/subscribe/lobby,garden?text=plain", &[]).await;
    plain.first().await;
    let mut lines = LineStream::open(&node, "/subscribe/lobby?history=20", "application/x-ndjson", &[]).await;
    let (mut seen, mut marks) = (String::new(), Vec::new());
    for request in forms(&node) {
        let answer = node.send(request).await;
        if answer.media_type() == "application/json" {
            marks.push(answer.json()["mark"].clone());
        }
        seen.push_str(answer.text());
        let block = stream.next_content().await;
        marks.push(block.json()["mark"].clone());
        marks.push(plain.next_content().await.json()["mark"].clone());
        seen.push_str(&block.raw);
    }
    let other = mark(&node, OTHER).await;
    node.post("lobby", "ada", "without").await;
    let mark = marks[0].as_str().expect("a mark").to_owned();
    let is_hex = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    assert!(mark.len() == 32 && mark.bytes().all(is_hex) && mark != other, "{mark} {other}");
    assert_eq!((marks.iter().filter(|other| **other == *mark).count(), marks.len()), (15, 15), "{marks:?}");
    let in_line = |line: &str| line.contains(&format!(r#"\"mark\":\"{mark}\""#));
    while !in_line(&lines.next().await) {}
    let stored = node.stored("lobby").await;
    let marks: Vec<&Value> = stored.iter().map(|message| &message["mark"]).collect();
    let expected = [vec![json!(mark); 6], vec![json!(other), json!(null)]].concat();
    assert_eq!(marks, expected.iter().collect::<Vec<_>>());
    let path = format!("/history/lobby/{}?text=plain", stored[0]["id"].as_str().expect("an id"));
    assert_eq!(node.get(&path).await.json()["mark"], json!(mark));
    let page = node.page("/lobby").await.html(200);
    assert_eq!(page.matches(&format!("data-mark=\"{mark}\"")).count(), 6, "{page}");
    seen.push_str(&page);
    for answer in refusals(&node).await {
        seen.push_str(&format!("{answer:?}"));
    }
    seen.push_str(&node.log());
    if let Some(store) = bus.store() {
        let everything = everything(store).await;
        assert!(everything.contains(&mark), "{everything}");
        seen.push_str(&everything);
    }
    for part in ["Xylophon", "Quastenflosser"] {
        assert!(!seen.contains(part), "{part}: {seen}");
    }
}

async fn key_is_bound_to_its_secret(bus: Bus) {
    let node = bus.node(&[]).await;
    let post = async |secret: Option<&str>| {
        node.publish("lobby", json!({ "message": "hi", "key": "k", "secret": secret })).await
    };
    let first = post(Some(SECRET)).await.expect(200).json();
    let again = json!({ "id": first["id"], "mark": first["mark"], "duplicate": true });
    assert_eq!(post(Some(SECRET)).await.expect(200).json(), again);
    post(Some(OTHER)).await.problem(422);
    post(None).await.problem(422);
    let stored = node.stored("lobby").await;
    assert_eq!(stored.iter().map(|message| &message["key"]).collect::<Vec<_>>(), [&json!("k")]);
}

async fn secret_has_a_rule(bus: Bus) {
    let node = bus.node(&[]).await;
    for good in ["x".repeat(16), "~ ".repeat(64)] {
        publish(&node, &good).await.expect(200);
    }
    for bad in ["x".repeat(15), "x".repeat(129), "é".repeat(20), "\t".repeat(20)] {
        assert!(publish(&node, &bad).await.problem(422).starts_with("secret: "), "{bad}");
    }
    let twice = node
        .request(Method::POST, "/lobby")
        .form(&[("message", "hi"), ("secret", SECRET), ("secret", SECRET)]);
    node.send(twice).await.problem(400);
    assert_eq!(node.stored("lobby").await.len(), 2);
}

/// The salt is shared, comes back after a flush, and is agreed upon again when a new node was first.
#[tokio::test]
async fn nodes_agree_on_marks_whatever_redis_loses() {
    let mut redis = Redis::start().await;
    let nodes = [Node::on(&redis, &[]).await, Node::on(&redis, &[]).await];
    let first = mark(&nodes[0], SECRET).await;
    assert_eq!(mark(&nodes[1], SECRET).await, first);
    redis.restart().await;
    for node in &nodes {
        let mark = eventually("a post that is accepted", async || {
            let answer = publish(node, SECRET).await;
            (answer.status == 200).then(|| answer.json()["mark"].as_str().expect("a mark").to_owned())
        });
        assert_eq!(mark.await, first, "the salt came back with the first node that needed it");
    }
    let _: String = redis.cmd(&["FLUSHALL"]).await;
    let third = Node::on(&redis, &[]).await;
    let new = mark(&third, SECRET).await;
    for node in &nodes {
        eventually("the same mark", async || (mark(node, SECRET).await == new).then_some(())).await;
    }
    let _: String = redis.cmd(&["SET", "chat:salt", "xyz"]).await;
    eventually("a refusal", async || (publish(&third, SECRET).await.status == 503).then_some(())).await;
    third.logged("the salt of marks cannot be read").await;
    third.post("lobby", "ada", "without a secret").await;
}
