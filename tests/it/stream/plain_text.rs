//! Event streams whose texts are not escaped (`text=plain`), and rooms as streams (contract § 4, "Escaping", and § 5).

use reqwest::Method;
use serde_json::json;

use crate::support::{Bus, Node, Redis, Stream, on_every_bus};

on_every_bus!(plain_stream_has_messages_as_they_were_posted, room_is_a_stream_for_who_accepts_only_that);

const SENDER: &str = "<i>O'Neil</i> &amp;";
const ESCAPED_SENDER: &str = "&lt;i&gt;O&#x27;Neil&lt;&#x2F;i&gt; &amp;amp;";

async fn plain_stream_has_messages_as_they_were_posted(bus: Bus) {
    let [node, other] = bus.two_nodes(&[]).await;
    let texts = ["</script>\r\n\"&lt;\"", "\u{2028}&#x27;", "live"];
    let mut ids = Vec::new();
    for text in &texts[..2] {
        ids.push(node.post("lobby", SENDER, text).await);
    }
    // Of the same room at once, one encoding beside the other.
    let mut plain = Stream::open(&node, "/subscribe/lobby?lastEventId=0-0&text=plain", &[]).await;
    let mut escaped = Stream::open(&node, "/subscribe/lobby?lastEventId=0-0&text=escaped", &[]).await;
    let mut merged = Stream::open(&node, "/subscribe/lobby,attic?lastEventId=0-0,0-0&text=plain", &[]).await;
    assert_eq!(plain.head.header("x-content-type-options"), "nosniff");
    let posted = other.publish("lobby", json!({ "sender": SENDER, "message": texts[2], "key": "k" })).await;
    ids.push(posted.id());
    for (id, text) in ids.iter().zip(texts) {
        let message = plain.next_message().await;
        assert_eq!((&message.id, &*message.sender, &*message.message), (id, SENDER, text));
        let message = escaped.next_message().await;
        assert_eq!((&message.id, &*message.sender), (id, ESCAPED_SENDER));
        let block = merged.next_content().await;
        assert_eq!((block.message().sender, block.message().message), (SENDER.to_owned(), text.to_owned()));
        assert!(block.raw.ends_with(",\"room\":\"lobby\"}\n\n"), "{}", block.raw);
    }
}

/// Names are escaped like senders.
#[tokio::test]
async fn plain_stream_has_names_as_they_were_given() {
    let node = Node::start(&[]).await;
    let path = "/subscribe/lobby?text=plain&name=%3Ci%3E";
    let mut stream = Stream::open(&node, path, &[]).await.with_presence();
    let mut events = Vec::new();
    while events.len() < 2 {
        let block = stream.next_content().await;
        events.push(block.event.clone().expect("an event"));
        let name = if events.last().is_some_and(|event| event == "presence") {
            "names"
        } else {
            "username"
        };
        assert!(matches!(block.json()[name].to_string().as_str(), "\"<i>\"" | "[\"<i>\"]"), "{}", block.raw);
    }
    let presence = node.get("/presence/lobby").await.json();
    assert_eq!(presence["names"], json!(["&lt;i&gt;"]));
}

/// What is no message is passed on as it came: nothing is known to be escaped in it.
#[tokio::test]
async fn plain_stream_does_not_decode_foreign_payloads() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut stream = Stream::open(&node, "/subscribe/lobby?text=plain", &[]).await;
    assert!(stream.first().await.is_live());
    redis.wait_for_subscriber("lobby").await;
    let payload = r#"{"sender":"cron","message":"&lt;"}"#;
    redis.publish("lobby", payload).await;
    assert_eq!(stream.next_content().await.data.as_deref(), Some(payload));
}

#[tokio::test]
async fn stream_of_an_unknown_text_is_400() {
    let node = Node::start(&[]).await;
    for value in ["", "html", "PLAIN"] {
        node.get(&format!("/subscribe/lobby?text={value}")).await.problem(400);
    }
}

/// `new EventSource("/lobby")`, as the old page opened its room.
async fn room_is_a_stream_for_who_accepts_only_that(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    let mut stream = Stream::open(&node, "/lobby", &[("Last-Event-ID", &ids[0])]).await;
    assert_eq!(stream.head.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(stream.head.header("vary"), "Accept");
    stream.first().await;
    assert_eq!(stream.next_ids(2).await, ids[1..]);
    let live = node.post("lobby", "O'Neil", "hi").await;
    assert_eq!(stream.next_message().await.id, live);
    let mut plain = Stream::open(&node, "/lobby?history=1&text=plain", &[]).await;
    plain.first().await;
    assert_eq!(plain.next_message().await.sender, "O'Neil");
    let request = node.request(Method::GET, "/status").header("Accept", "text/event-stream");
    node.send(request).await.problem(404);
    for accept in ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "text/html, text/event-stream"] {
        let request = node.request(Method::GET, "/lobby").header("Accept", accept);
        let page = node.send(request).await;
        assert_eq!((page.media_type(), page.header("vary").contains("Accept")), ("text/html".to_owned(), true));
    }
    let request = node.request(Method::HEAD, "/lobby").header("Accept", "text/event-stream");
    assert_eq!(node.send(request).await.expect(200).media_type(), "text/event-stream");
}
