//! `DELETE /history/…`: what is deleted is nowhere, and its readers are told and lose nothing else (contract § 11).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Bus, Gap, Node, Redis, Stream, on_every_bus, on_every_form};

const PASSWORD: &str = "correct horse battery staple";
const ADMIN: (&str, &str) = ("ADMIN_PASSWORD", PASSWORD);

/// Two apps, of which the second's channels are open rooms of the same name.
const KEYS: (&str, &str) = ("APP_KEYS", "shop:0123456789abcdef,open:fedcba9876543210:");

on_every_form!(deleted_message_is_nowhere_and_its_readers_are_told);
on_every_bus!(
    readers_of_deleted_ids_get_no_gap,
    ids_go_on_after_everything_was_deleted,
    same_key_gets_the_first_id_after_a_deletion,
    app_deletes_in_its_own_channels_only,
);

/// Deletes a path of the history as the operator.
async fn delete(node: &Node, path: &str) -> Answer {
    node.send(node.request(Method::DELETE, &format!("/history/{path}")).basic_auth("me", Some(PASSWORD)))
        .await
}

/// Deletes as an app with HTTP Basic.
async fn delete_as(node: &Node, path: &str, (key, secret): (&str, &str)) -> Answer {
    node.send(node.request(Method::DELETE, &format!("/history/{path}")).basic_auth(key, Some(secret)))
        .await
}

/// Checks that the next entry of a stream tells of a deletion.
async fn expect_deletion(stream: &mut Stream, id: &str, data: &Value) {
    let block = stream.next_content().await;
    assert_eq!((block.event.as_deref(), block.id.as_deref()), (Some("delete"), Some(id)), "{}", block.raw);
    assert_eq!(block.json(), *data);
}

async fn deleted_message_is_nowhere_and_its_readers_are_told(bus: Bus) {
    let nodes = bus.two_nodes(&[ADMIN]).await;
    let mut streams = Vec::new();
    for node in &nodes {
        streams.push(Stream::live(node, "lobby").await);
    }
    let mut merged = Stream::open(&nodes[0], "/subscribe/lobby,garden", &[]).await;
    merged.first().await;
    let mut ids = Vec::new();
    for text in ["one", "xyzzy", "three"] {
        ids.push(nodes[0].post("lobby", "mason", text).await);
    }
    for stream in &mut streams {
        assert_eq!(stream.next_ids(3).await, ids);
    }
    let list = |id: &str| format!("{id},0-0");
    for id in &ids {
        assert_eq!(merged.next_content().await.id, Some(list(id)));
    }
    let answer = delete(&nodes[1], &format!("lobby/{}", ids[1])).await.expect(200).json();
    let told = answer["id"].as_str().expect("an id").to_owned();
    let data = json!({ "id": ids[1] });
    for stream in &mut streams {
        expect_deletion(stream, &told, &data).await;
    }
    let block = merged.next_content().await;
    assert_eq!(block.json(), json!({ "id": ids[1], "room": "lobby" }));
    for node in &nodes {
        for asked in ["0-0", &ids[0], &ids[1]] {
            let mut stream = Stream::resume(node, "lobby", asked).await;
            if asked == "0-0" {
                assert_eq!(stream.next_message().await.id, ids[0]);
            }
            assert_eq!(stream.next_message().await.id, ids[2], "after {asked}");
            expect_deletion(&mut stream, &told, &data).await;
        }
        let mut stream = Stream::open(node, "/subscribe/lobby,garden", &[("Last-Event-ID", &list(&ids[0]))]).await;
        stream.first().await;
        assert_eq!(stream.next_content().await.id, Some(list(&ids[2])));
        let mut stream = Stream::live(node, "lobby?history=3").await;
        assert_eq!(stream.next_ids(2).await, [&ids[0], &ids[2]].map(String::clone));
        for path in ["/history/lobby", "/history/lobby?all=1", "/lobby", "/rooms/lobby/chats"] {
            let answer = node.get(path).await.expect(200);
            assert!(!answer.text().contains("xyzzy") && answer.text().contains("three"), "{path}: {}", answer.text());
        }
        node.get(&format!("/history/lobby/{}", ids[1])).await.expect(404);
        for gone in [&ids[1], &told, "1-1"] {
            delete(node, &format!("lobby/{gone}")).await.problem(404);
        }
        delete(node, "lobby/x").await.problem(400);
        delete(node, "never-used").await.problem(404);
    }
    let all = nodes[0].history("lobby", "?all=1").await;
    assert_eq!(all["last"], told, "what is refused appends nothing");
}

async fn readers_of_deleted_ids_get_no_gap(bus: Bus) {
    let warm = bus.node(&[ADMIN]).await;
    let _reader = Stream::live(&warm, "lobby").await;
    let ids = warm.fill("lobby", 7).await;
    // The first two, and three neighbours in an order that joins what was deleted before.
    for index in [1, 0, 3, 5, 4] {
        delete(&warm, &format!("lobby/{}", ids[index])).await.expect(200);
    }
    let cold = bus.second_node(&[ADMIN]).await;
    let nodes = [Some(&warm), cold.as_ref()];
    for node in nodes.into_iter().flatten() {
        for (number, asked) in ["0-0"].into_iter().chain(ids.iter().map(String::as_str)).enumerate() {
            let mut stream = Stream::resume(node, "lobby", asked).await;
            for index in [2, 6].into_iter().filter(|index| *index >= number) {
                assert_eq!(stream.next_message().await.id, ids[index], "after {asked}");
            }
            assert_eq!(stream.next_content().await.json(), json!({ "id": ids[1] }), "after {asked}");
        }
        // An id of another log with one of these numbers.
        let (ms, n) = ids[3].split_once('-').expect("an id");
        let other = format!("{}-{n}", ms.parse::<u64>().expect("a time") - 1);
        let gap = Gap::next(&mut Stream::resume(node, "lobby", &other).await).await;
        assert_eq!(gap.reason, "reset");
    }
    if let Some(store) = bus.store() {
        let _: u64 = store.cmd(&["XTRIM", &store.key("lobby"), "MINID", &ids[6]]).await;
        let node = bus.node(&[]).await;
        for asked in [&ids[3], &ids[5]] {
            assert_eq!(Stream::resume(&node, "lobby", asked).await.next_message().await.id, ids[6]);
        }
        for asked in ["0-0", &ids[0], &ids[1]] {
            let gap = Gap::next(&mut Stream::resume(&node, "lobby", asked).await).await;
            assert_eq!((gap.reason.as_str(), gap.resumed.as_ref()), ("trimmed", Some(&ids[6])));
        }
    }
}

async fn ids_go_on_after_everything_was_deleted(bus: Bus) {
    let warm = bus.node(&[ADMIN]).await;
    let mut reader = Stream::live(&warm, "lobby").await;
    let ids = warm.fill("lobby", 3).await;
    assert_eq!(reader.next_ids(3).await, ids);
    let first = delete(&warm, &format!("lobby/{}", ids[1])).await.expect(200).json();
    reader.next_content().await;
    let told = delete(&warm, "lobby").await.expect(200).json()["id"].as_str().expect("an id").to_owned();
    let data = json!({ "all": true });
    expect_deletion(&mut reader, &told, &data).await;
    assert!(told.ends_with("-5"), "{told} follows {first}");
    let next = warm.post("lobby", "mason", "after it").await;
    let cold = bus.second_node(&[ADMIN]).await;
    for node in [Some(&warm), cold.as_ref()].into_iter().flatten() {
        let deleted = ids.iter().map(String::as_str).chain([first["id"].as_str().expect("an id")]);
        for asked in ["0-0"].into_iter().chain(deleted) {
            let mut stream = Stream::resume(node, "lobby", asked).await;
            expect_deletion(&mut stream, &told, &data).await;
            assert_eq!(stream.next_message().await.id, next, "after {asked}");
        }
        let history = node.history("lobby", "?all=1").await;
        assert_eq!(history["messages"].as_array().map(Vec::len), Some(2), "{history}");
        let page = node.get("/lobby").await.expect(200);
        assert!(!page.text().contains("message 1") && page.text().contains("after it"));
    }
}

async fn same_key_gets_the_first_id_after_a_deletion(bus: Bus) {
    let node = bus.node(&[ADMIN]).await;
    let post = async || node.publish("lobby", json!({ "message": "hi", "key": "k" })).await.expect(200).json();
    let id = post().await["id"].clone();
    delete(&node, &format!("lobby/{}", id.as_str().expect("an id"))).await.expect(200);
    assert_eq!(post().await, json!({ "id": id, "duplicate": true }));
    delete(&node, "lobby").await.expect(200);
    assert_eq!(post().await, json!({ "id": id, "duplicate": true }));
    assert_eq!(node.stored("lobby").await, [json!(null); 0]);
}

async fn app_deletes_in_its_own_channels_only(bus: Bus) {
    const SHOP: (&str, &str) = ("shop", "0123456789abcdef");
    const OPEN: (&str, &str) = ("open", "fedcba9876543210");
    let node = bus.node(&[KEYS]).await;
    let send = async |(key, secret), channel| {
        let form = [("channel", channel), ("data", "xyzzy")];
        node.send(node.request(Method::POST, "/event").basic_auth(key, Some(secret)).form(&form))
            .await
            .expect(200);
    };
    for channel in ["news", "user:17"] {
        send(SHOP, channel).await;
        // The channel's own name, whatever that is, or that of its room.
        let encoded = channel.replace(':', "%3A");
        delete_as(&node, &format!("{encoded}?channel={encoded}"), SHOP).await.expect(200);
    }
    send(SHOP, "news").await;
    delete_as(&node, "private-shop~news?channel=news", SHOP).await.expect(200);
    send(OPEN, "lobby").await;
    let id = node.history("lobby", "?all=1").await["last"].as_str().expect("an id").to_owned();
    for (path, app) in [
        ("lobby?channel=news", SHOP),
        ("private-open~news?channel=news", SHOP),
        ("other?channel=lobby", OPEN),
    ] {
        delete_as(&node, path, app).await.problem(403);
    }
    delete_as(&node, "private-shop~news?channel=private-shop~news", OPEN).await.problem(400);
    delete_as(&node, "lobby", OPEN).await.problem(400);
    for wrong in [("open", "0123456789abcdef"), ("nobody", "fedcba9876543210")] {
        let answer = delete_as(&node, "lobby?channel=lobby", wrong).await.expect(401);
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
    // A signature covers no path: it destroys nothing.
    let signed = "lobby?channel=lobby&key=open&timestamp=1361572294&token=07c0940e40c4f93404f4fc6347b4b8526fa26f09";
    node.send(node.request(Method::DELETE, &format!("/history/{signed}"))).await.problem(401);
    let foreign = node.request(Method::DELETE, &format!("/history/lobby/{id}?channel=lobby"));
    let foreign = foreign.header("Origin", "https://elsewhere.example").basic_auth(OPEN.0, Some(OPEN.1));
    node.send(foreign).await.problem(403);
    assert_eq!(node.history("lobby", "?all=1").await["last"], id);
    delete_as(&node, &format!("lobby/{id}?channel=lobby"), OPEN).await.expect(200);
    assert!(!node.log().contains("xyzzy"));
}

/// Secrets cannot be guessed here either: wrong ones count, whether there is a password or not.
#[tokio::test]
async fn ten_wrong_secrets_lock_an_address_as_wrong_passwords_do() {
    for environment in [&[KEYS][..], &[KEYS, ADMIN]] {
        let node = Node::start(environment).await;
        let right = ("shop", "0123456789abcdef");
        for number in 0..10 {
            assert_eq!(delete_as(&node, "news?channel=news", right).await.status, 404, "{number}");
            let wrong = [("shop", "wrong"), ("nobody", "0123456789abcdef")][number % 2];
            delete_as(&node, "news?channel=news", wrong).await.problem(401);
        }
        for app in [("shop", "wrong"), right] {
            let locked = delete_as(&node, "news?channel=news", app).await;
            assert!(locked.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds <= 60), "{locked:?}");
            locked.problem(429);
        }
    }
}

#[tokio::test]
async fn deleting_takes_a_password_and_is_405_without_one() {
    let node = Node::start(&[]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let answer = node.send(node.request(Method::DELETE, "/history/lobby")).await.expect(405);
    assert_eq!(answer.header("allow"), "GET, HEAD");
    node.send(node.request(Method::DELETE, &format!("/history/lobby/{id}"))).await.problem(403);
    let node = Node::start(&[ADMIN, KEYS]).await;
    let id = node.post("lobby", "mason", "hi").await;
    let path = format!("/history/lobby/{id}");
    let answer = node.send(node.request(Method::DELETE, "/history/lobby")).await.expect(401);
    assert!(answer.header("www-authenticate").starts_with("Basic "));
    let answer = node.send(node.request(Method::DELETE, &path)).await.expect(403);
    assert_eq!(answer.header("www-authenticate"), "", "a browser would ask for a password");
    for (user, password) in [("me", "wrong"), ("me", "")] {
        let answer = node.send(node.request(Method::DELETE, &path).basic_auth(user, Some(password))).await.expect(401);
        assert!(answer.header("www-authenticate").starts_with("Basic "));
    }
    let foreign = node.request(Method::DELETE, &path).header("Sec-Fetch-Site", "cross-site");
    node.send(foreign.basic_auth("me", Some(PASSWORD))).await.problem(403);
    let put = node.send(node.request(Method::PUT, "/history/lobby")).await.expect(405);
    assert_eq!(put.header("allow"), "GET, HEAD, DELETE");
    assert_eq!(node.stored("lobby").await.len(), 1);
    let form = [("channel", "news"), ("data", "{}")];
    let sent = node.request(Method::POST, "/event").basic_auth("shop", Some("0123456789abcdef")).form(&form);
    node.send(sent).await.expect(200);
    delete(&node, "private-shop~news").await.expect(200);
    delete(&node, &format!("lobby/{id}")).await.expect(200);
}

/// Redis that may not delete, and one that is away.
#[tokio::test]
async fn store_that_does_not_delete_is_503() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[ADMIN]).await;
    let id = node.post("lobby", "mason", "hi").await;
    for right in ["xdel", "xtrim", "zrangebyscore"] {
        let _: String = redis.cmd(&["ACL", "SETUSER", "default", &format!("-{right}")]).await;
        let path = if right == "xtrim" { "lobby".to_owned() } else { format!("lobby/{id}") };
        assert!(delete(&node, &path).await.problem(503).contains("does not permit"), "{right}");
        let _: String = redis.cmd(&["ACL", "SETUSER", "default", &format!("+{right}")]).await;
    }
    assert_eq!(node.history("lobby", "?all=1").await["last"], id);
    let ids = node.fill("lobby", 2).await;
    assert_eq!(Stream::resume(&node, "lobby", &id).await.next_ids(2).await, ids, "the node is as ready as before");
    redis.kill();
    let answer = delete(&node, &format!("lobby/{id}")).await.expect(503);
    assert!(!answer.header("retry-after").is_empty());
}
