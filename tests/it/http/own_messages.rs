//! `PATCH` and `DELETE /history/{room}/{id}` with the secret of a message: only its sender edits and deletes it, and
//! everybody sees it (contract § 4, "Changing one's own messages").

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::{
    Answer, BROWSER, Bus, Gap, LineStream, Node, Redis, Stream, eventually, on_every_bus, on_every_form,
};

const SECRET: &str = "Xylophon Kirschkern";
const OTHER: &str = "Quastenflosser Nr 2";
const PASSWORD: &str = "correct horse battery staple";
const ADMIN: (&str, &str) = ("ADMIN_PASSWORD", PASSWORD);

on_every_form!(edited_text_is_everywhere_and_told);
on_every_bus!(
    deleted_text_is_nowhere_with_its_edits,
    only_the_own_secret_changes_a_message,
    removed_edits_are_no_gap,
    changes_count_as_messages,
    edits_leave_with_what_is_trimmed,
    concurrent_changes_leave_one_outcome,
);

async fn post(node: &Node, text: &str) -> String {
    node.publish(
        "lobby",
        json!({ "sender": "O'Neil", "message": text, "secret": SECRET, "key": text.replace(' ', "-") }),
    )
    .await
    .id()
}

fn request(node: &Node, method: Method, id: &str) -> RequestBuilder {
    node.request(method, &format!("/history/lobby/{id}"))
}

async fn edit(node: &Node, id: &str, text: &str) -> Answer {
    node.send(request(node, Method::PATCH, id).json(&json!({ "secret": SECRET, "message": text })))
        .await
}

async fn delete(node: &Node, id: &str) -> Answer {
    node.send(request(node, Method::DELETE, id).json(&json!({ "secret": SECRET }))).await
}

/// Edits or deletes, which must be done, and returns the id of the entry that tells of it.
fn told(answer: Answer) -> String {
    answer.expect(200).json()["id"].as_str().expect("an id").to_owned()
}

/// Checks the next entry of a stream.
async fn expect(stream: &mut Stream, event: &str, id: &str, data: Value) {
    let block = stream.next_content().await;
    assert_eq!((block.event.as_deref(), block.id.as_deref()), (Some(event), Some(id)), "{}", block.raw);
    assert_eq!(block.json(), data);
}

async fn edited_text_is_everywhere_and_told(bus: Bus) {
    let nodes = bus.two_nodes(&[]).await;
    let mut streams = [Stream::live(&nodes[0], "lobby").await, Stream::live(&nodes[1], "lobby?typed=brief").await];
    let mut merged = Stream::open(&nodes[1], "/subscribe/lobby,garden?text=plain", &[]).await;
    merged.first().await;
    let mut lines = LineStream::open(&nodes[0], "/subscribe/lobby?history=9", "text/plain", &[]).await;
    let id = post(&nodes[0], "first").await;
    let first = told(edit(&nodes[1], &id, "a <b>").await);
    let event = |text: &str| json!({ "id": id, "sender": "O&#x27;Neil", "message": text });
    let texts = ["a &lt;b&gt;", "xyzzy &amp; &quot;y&quot;"];
    // Read before it is edited again, since an edit goes with the one after it.
    for stream in &mut streams {
        assert_eq!(stream.next_message().await.message, "first");
        expect(stream, "edit", &first, event(texts[0])).await;
    }
    merged.next_content().await;
    merged.next_content().await;
    let last = told(edit(&nodes[0], &id, "xyzzy & \"y\"").await);
    for stream in &mut streams {
        expect(stream, "edit", &last, event(texts[1])).await;
    }
    let plain = json!({ "id": id, "sender": "O'Neil", "message": "xyzzy & \"y\"", "room": "lobby" });
    assert_eq!(merged.next_content().await.json(), plain);
    while !lines.next().await.ends_with(" [edit] O'Neil: xyzzy & \"y\"") {}
    for node in &nodes {
        let history = node.history("lobby", "").await;
        let message = &history["messages"][0];
        let mark = message["mark"].as_str().expect("a mark");
        let expected = json!({
            "id": id, "sender": "O&#x27;Neil", "message": texts[1], "key": "first", "mark": mark, "edited": true,
        });
        assert_eq!((message, history["messages"].as_array().map(Vec::len)), (&expected, Some(1)));
        let one = node.get(&format!("/history/lobby/{id}?text=plain")).await.expect(200).json();
        assert_eq!((&one["message"], &one["edited"]), (&json!("xyzzy & \"y\""), &json!(true)));
        assert_eq!(node.get("/rooms/lobby/chats").await.json()[0]["message"], "xyzzy & \"y\"");
        let page = node.page("/lobby").await.html(200);
        assert!(page.contains("xyzzy") && page.contains(" data-edited>") && !page.contains(">first<"), "{page}");
        let plain = node.history("lobby", "?all=1&text=plain&limit=1").await;
        let edit: Value = serde_json::from_str(plain["messages"][0]["data"].as_str().expect("data")).expect("JSON");
        assert_eq!((&edit["sender"], &edit["message"]), (&json!("O'Neil"), &json!("xyzzy & \"y\"")));
        let all = node.history("lobby", "?all=1").await;
        let kinds: Vec<&Value> =
            all["messages"].as_array().expect("a list").iter().map(|entry| &entry["type"]).collect();
        assert_eq!(kinds, [&json!(null), &json!("edit")]);
        let mut replay = Stream::resume(node, "lobby", "0-0").await;
        assert_eq!(replay.next_message().await.id, id);
        expect(&mut replay, "edit", &last, event(texts[1])).await;
        expect(&mut Stream::resume(node, "lobby", &first).await, "edit", &last, event(texts[1])).await;
        node.get(&format!("/history/lobby/{last}")).await.expect(404);
        for method in [Method::PATCH, Method::DELETE] {
            let body = json!({ "secret": SECRET, "message": "x" });
            node.send(request(node, method, &last).json(&body)).await.problem(404);
        }
    }
}

async fn deleted_text_is_nowhere_with_its_edits(bus: Bus) {
    let nodes = bus.two_nodes(&[ADMIN]).await;
    let mut stream = Stream::live(&nodes[1], "lobby").await;
    let mut merged = Stream::open(&nodes[1], "/subscribe/lobby,garden", &[]).await;
    merged.first().await;
    let ids = [post(&nodes[0], "xyzzy 1").await, post(&nodes[0], "xyzzy 2").await];
    let kept = post(&nodes[0], "kept").await;
    let mut read = async |count| {
        for _ in 0..count {
            stream.next_content().await;
            merged.next_content().await;
        }
    };
    read(3).await;
    let mut edits = Vec::new();
    for id in &ids {
        told(edit(&nodes[0], id, "xyzzy 3").await);
        read(1).await; // before it is edited again, since an edit goes with the one after it
        edits.push(told(edit(&nodes[0], id, "xyzzy 4").await));
        read(1).await;
    }
    let own = told(delete(&nodes[1], &ids[0]).await);
    expect(&mut stream, "delete", &own, json!({ "id": ids[0] })).await;
    let by_operator = request(&nodes[0], Method::DELETE, &ids[1]).basic_auth("me", Some(PASSWORD));
    let by_operator = told(nodes[0].send(by_operator).await);
    expect(&mut stream, "delete", &by_operator, json!({ "id": ids[1] })).await;
    assert_eq!(merged.next_content().await.json(), json!({ "id": ids[0], "room": "lobby" }));
    merged.next_content().await;
    for node in &nodes {
        for path in ["/history/lobby?all=1", "/lobby", "/rooms/lobby/chats", "/history/lobby"] {
            let text = node.get(path).await.expect(200).text().to_owned();
            assert!(!text.contains("xyzzy") && text.contains("kept"), "{path}: {text}");
        }
        for id in ids.iter().chain(&edits) {
            node.get(&format!("/history/lobby/{id}")).await.expect(404);
            let mut replay = Stream::resume(node, "lobby", id).await;
            let next = replay.next_content().await;
            assert!(next.id.is_some_and(|next| next == kept || next == own), "after {id}: {}", next.raw);
        }
        let after_first = format!("{},0-0", ids[0]);
        let mut replay = Stream::open(node, "/subscribe/lobby,garden", &[("Last-Event-ID", &after_first)]).await;
        replay.first().await;
        assert_eq!(replay.next_content().await.id, Some(format!("{kept},0-0")));
        assert_eq!(replay.next_content().await.id, Some(format!("{own},0-0")));
        edit(node, &ids[0], "again").await.problem(404);
        delete(node, &ids[0]).await.problem(404);
    }
    told(edit(&nodes[0], &kept, "plugh").await);
    let all = nodes[0].request(Method::DELETE, "/history/lobby").basic_auth("me", Some(PASSWORD));
    nodes[0].send(all).await.expect(200);
    if let Some(store) = bus.store() {
        assert_eq!(store.cmd::<u64>(&["EXISTS", &format!("{}:edits", store.key("lobby"))]).await, 0);
    }
    let log = nodes[0].log() + &nodes[1].log();
    assert!(!log.contains("xyzzy") && !log.contains("Xylophon"), "{log}");
}

async fn only_the_own_secret_changes_a_message(bus: Bus) {
    let node = bus.node(&[ADMIN, ("APP_KEYS", "shop:0123456789abcdef")]).await;
    let id = post(&node, "mine").await;
    let bare = node.post("lobby", "mason", "without a secret").await;
    let before = node.history("lobby", "?all=1").await;
    let long = "x".repeat(4001);
    for method in [Method::PATCH, Method::DELETE] {
        let send = async |id: &str, body: Value| node.send(request(&node, method.clone(), id).json(&body)).await;
        for body in [
            json!({ "secret": OTHER, "message": "x" }),
            json!({ "secret": "short", "message": "x" }),
            json!({ "secret": "é".repeat(16), "message": long }),
            json!({ "message": "x" }),
            json!({}),
        ] {
            let answer = send(&id, body.clone()).await;
            assert_eq!((answer.status, answer.header("www-authenticate").as_str()), (403, ""), "{method} {body}");
        }
        let no_body = node.send(request(&node, method.clone(), &id)).await;
        no_body.problem(403);
        let in_address = node.request(method.clone(), &format!("/history/lobby/{id}?secret={SECRET}&message=x"));
        node.send(in_address).await.problem(403);
        send(&bare, json!({ "secret": SECRET, "message": "x" })).await.problem(403);
        for gone in ["1-1", "9999999999999-1"] {
            send(gone, json!({ "secret": SECRET, "message": "x" })).await.problem(404);
        }
        send("x", json!({ "secret": SECRET, "message": "x" })).await.problem(400);
        send(&id, json!({ "secret": [SECRET], "message": "x" })).await.problem(422);
        let body = json!({ "secret": SECRET, "message": "x" });
        let foreign = request(&node, method.clone(), &id).header("Sec-Fetch-Site", "cross-site");
        node.send(foreign.json(&body)).await.problem(403);
        node.send(request(&node, method.clone(), &id).header("Content-Type", "text/plain").body("x"))
            .await
            .problem(415);
        let private = node.request(method.clone(), &format!("/history/private-shop~x/{id}"));
        node.send(private.json(&body)).await.expect(401);
        let page = node.send(request(&node, method.clone(), &id).header("Accept", BROWSER).json(&json!({}))).await;
        assert!(page.html(403).contains("This takes the secret"));
    }
    for text in ["", " \n", &long] {
        edit(&node, &id, text).await.problem(422);
    }
    let wrong = request(&node, Method::DELETE, &id)
        .basic_auth("me", Some("wrong"))
        .json(&json!({ "secret": SECRET }));
    node.send(wrong).await.expect(401);
    node.send(node.request(Method::DELETE, "/history/lobby")).await.expect(401);
    let put = node.send(node.request(Method::PUT, &format!("/history/lobby/{id}"))).await.expect(405);
    assert_eq!(put.header("allow"), "GET, HEAD, PATCH, DELETE");
    assert_eq!(node.history("lobby", "?all=1").await, before, "what is refused changes nothing");
    let form = [("secret", SECRET), ("message", "as a form")];
    node.send(request(&node, Method::PATCH, &id).form(&form)).await.expect(200);
    told(delete(&node, &id).await);
    // Without a password and keys there is no other way, whatever a client sends.
    let plain = Node::start(&[]).await;
    let id = post(&plain, "mine").await;
    let with_basic = request(&plain, Method::DELETE, &id).basic_auth("me", Some("x"));
    plain.send(with_basic.json(&json!({ "secret": SECRET }))).await.expect(200);
}

async fn removed_edits_are_no_gap(bus: Bus) {
    let warm = bus.node(&[]).await;
    let _reader = Stream::live(&warm, "lobby").await;
    let ids = [post(&warm, "one").await, post(&warm, "two").await];
    let mut removed = Vec::new();
    for text in ["1", "2", "3"] {
        removed.push(told(edit(&warm, &ids[0], text).await));
        removed.push(told(edit(&warm, &ids[1], text).await));
    }
    let last = removed.split_off(4);
    let deleted = told(delete(&warm, &ids[0]).await);
    removed.push(last[0].clone());
    let cold = bus.second_node(&[]).await;
    for node in [Some(&warm), cold.as_ref()].into_iter().flatten() {
        for asked in removed.iter().chain([&ids[1]]) {
            let mut stream = Stream::resume(node, "lobby", asked).await;
            assert_eq!(stream.next_content().await.id.as_ref(), Some(&last[1]), "after {asked}");
            assert_eq!(stream.next_content().await.id.as_ref(), Some(&deleted), "after {asked}");
        }
        let (ms, n) = removed[2].split_once('-').expect("an id");
        let other = format!("{}-{n}", ms.parse::<u64>().expect("a time") - 1);
        assert_eq!(Gap::next(&mut Stream::resume(node, "lobby", &other).await).await.reason, "reset");
    }
}

async fn changes_count_as_messages(bus: Bus) {
    let node = bus.node(&[("RATE_LIMIT", "1"), ("RATE_BURST", "4")]).await;
    let id = post(&node, "mine").await;
    // A text that breaks the rule is no message.
    edit(&node, &id, "").await.problem(422);
    edit(&node, &id, "x").await.expect(200);
    let wrong = |method: Method, body: Value| request(&node, method, &id).json(&body);
    node.send(wrong(Method::DELETE, json!({ "secret": OTHER }))).await.problem(403);
    node.send(wrong(Method::PATCH, json!({}))).await.problem(403);
    for method in [Method::PATCH, Method::DELETE] {
        let limited = node.send(wrong(method, json!({ "secret": SECRET, "message": "y" }))).await.expect(429);
        assert!(!limited.header("retry-after").is_empty());
    }
}

async fn edits_leave_with_what_is_trimmed(bus: Bus) {
    let node = bus.node(&[("HISTORY", "5")]).await;
    let id = post(&node, "old").await;
    told(edit(&node, &id, "xyzzy").await);
    // Redis trims a hundred entries at a time.
    let fill = async || node.fill("lobby", 110).await.pop().expect("an id");
    let last = fill().await;
    edit(&node, &id, "again").await.problem(404);
    let newest = post(&node, "new").await;
    told(edit(&node, &newest, "plugh").await);
    assert_eq!(node.newest("lobby").await["message"], "plugh");
    if let Some(store) = bus.store() {
        let log = store.key("lobby");
        let edits = format!("{log}:edits");
        let of_room: Vec<String> = store.cmd(&["HKEYS", &edits]).await;
        assert_eq!(of_room, [newest], "{last}");
        let ttls = [store.cmd::<i64>(&["PTTL", &edits]).await, store.cmd(&["PTTL", &log]).await];
        assert!(ttls[0].abs_diff(ttls[1]) < 1000, "it expires with the log: {ttls:?}");
        fill().await;
        assert_eq!(store.cmd::<u64>(&["EXISTS", &edits]).await, 0, "a post that trims it takes it along");
    }
}

async fn concurrent_changes_leave_one_outcome(bus: Bus) {
    let nodes = bus.two_nodes(&[("RATE_LIMIT", "0")]).await;
    for round in 0..20 {
        let id = post(&nodes[0], &format!("message {round}")).await;
        let texts: Vec<String> = (0..6).map(|number| format!("xyzzy {number}")).collect();
        let edits = texts.iter().enumerate().map(|(index, text)| edit(&nodes[index % 2], &id, text));
        let (edited, deleted) = tokio::join!(join_all(edits), delete(&nodes[round % 2], &id));
        deleted.expect(200);
        assert!(edited.iter().all(|answer| [200, 404].contains(&answer.status)));
        for node in &nodes {
            let answer = node.get("/history/lobby?all=1&limit=200").await.expect(200);
            assert!(!answer.text().contains("xyzzy"), "{}", answer.text());
        }
    }
    let mut replay = Stream::resume(&nodes[1], "lobby", "0-0").await;
    for _ in 0..20 {
        assert_eq!(replay.next_content().await.event.as_deref(), Some("delete"));
    }
}

/// An edit whose outcome is unknown can be sent again, and leaves no second entry.
#[tokio::test]
async fn edit_is_503_while_redis_is_away_and_can_be_repeated() {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[ADMIN]).await;
    let mut reader = Stream::live(&node, "lobby").await;
    let id = post(&node, "first").await;
    told(edit(&node, &id, "before").await);
    redis.kill();
    for answer in [edit(&node, &id, "after").await, delete(&node, &id).await] {
        assert!(!answer.expect(503).header("retry-after").is_empty());
    }
    redis.restart().await;
    let again = eventually("an edit that is accepted", async || {
        let answer = edit(&node, &id, "after").await;
        (answer.status == 200).then(|| told(answer))
    });
    let again = again.await;
    assert_eq!(reader.next_message().await.id, id);
    while reader.next_content().await.id.as_ref() != Some(&again) {}
    let all = node.history("lobby", "?all=1").await;
    assert_eq!(all["messages"].as_array().map(Vec::len), Some(2), "{all}");
    assert_eq!(all["messages"][0]["message"], "after");
}

/// Redis that may not edit is told of, and does everything else.
#[tokio::test]
async fn store_that_may_not_edit_is_503() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[ADMIN]).await;
    let id = post(&node, "mine").await;
    for right in ["hmget", "hkeys", "zrangebyscore"] {
        let _: String = redis.cmd(&["ACL", "SETUSER", "default", &format!("-{right}")]).await;
        assert!(edit(&node, &id, "x").await.problem(503).contains("does not permit"), "{right}");
        assert_eq!(node.newest("lobby").await["message"], "mine");
        let _: String = redis.cmd(&["ACL", "SETUSER", "default", &format!("+{right}")]).await;
    }
    assert_eq!(node.history("lobby", "?all=1").await["last"], id, "nothing was half done");
    told(edit(&node, &id, "x").await);
    let _: String = redis.cmd(&["ACL", "SETUSER", "default", "-hmget"]).await;
    node.post("lobby", "mason", "still").await;
    let other = Node::on(&redis, &[]).await;
    other.logged("lacks the commands HMGET, so that nothing can be edited").await;
}
