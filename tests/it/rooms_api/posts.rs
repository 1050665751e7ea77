//! `POST /rooms/{id}/chats`: a chat is a message of the room.

use reqwest::{Method, multipart};
use serde_json::{Value, json};

use super::{FORM, JSON, chat, chats, send, texts};
use crate::support::{BROWSER, Bus, Node, Stream, on_every_bus, post_until_rate_limited};

on_every_bus!(chat_is_a_message_of_the_room, idempotency_key_stores_a_chat_once);

/// The rule of a user id, which every refusal of one states.
const RULE: &str = "userId: ";

/// Checks that a body is refused, and that the answer names the field.
async fn assert_unprocessable(node: &Node, content_type: &str, body: &str, field: &str) {
    let detail = send(node, content_type, body).await.problem(422);
    assert!(detail.starts_with(field), "{body}: {detail}");
}

async fn chat_is_a_message_of_the_room(bus: Bus) {
    let [node, other] = bus.two_nodes(&[]).await;
    let mut stream = Stream::live(&other, "lobby").await;
    let answer = send(&node, JSON, r#"{"message":"<b> & 'O/","userId":"O'Neil"}"#).await.expect(200);
    assert_eq!((answer.media_type().as_str(), answer.text()), ("text/plain", "OK"));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let streamed = stream.next_message().await;
    let escaped = ("O&#x27;Neil", "&lt;b&gt; &amp; &#x27;O&#x2F;");
    assert_eq!((streamed.sender.as_str(), streamed.message.as_str(), streamed.key), (escaped.0, escaped.1, None));
    let stored = other.newest("lobby").await;
    assert_eq!(stored, json!({ "id": streamed.id, "sender": escaped.0, "message": escaped.1 }));
    let chats = chats(&other).await;
    assert_eq!((&chats[0]["message"], &chats[0]["userId"]), (&json!("<b> & 'O/"), &json!("O'Neil")));
    node.post("lobby", "mason", "from the page").await;
    assert_eq!(texts(&other).await, ["from the page", "<b> & 'O/"]);
}

async fn idempotency_key_stores_a_chat_once(bus: Bus) {
    let node = bus.node(&[]).await;
    let send = async |key: &str, message: &str| {
        let request = node.request(Method::POST, "/rooms/lobby/chats").header("Idempotency-Key", key);
        node.send(request.json(&json!({ "message": message, "userId": 1 }))).await
    };
    for _ in 0..2 {
        assert_eq!(send("k-1", "once").await.expect(200).text(), "OK");
    }
    send("k-1", "another").await.problem(422);
    send("a bad key", "another").await.problem(422);
    assert_eq!(texts(&node).await, ["once"]);
    // The same message by the room's own route is the same message.
    let again = node.publish("lobby", json!({ "sender": "1", "message": "once", "key": "k-1" })).await.expect(200);
    assert_eq!(again.json()["duplicate"], true);
}

#[tokio::test]
async fn user_id_is_a_whole_number_or_a_text() {
    let node = Node::start(&[]).await;
    let longest = "é".repeat(64);
    for (user_id, sender) in [
        ("1", "1"),
        ("0", "0"),
        ("-7", "-7"),
        ("9007199254740993", "9007199254740993"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        (r#""1""#, "1"),
        (r#""007""#, "007"),
        (r#""a\u0062""#, "ab"),
        (r#""  ""#, "Anonymous"),
        (&format!("{longest:?}"), &longest),
        ("null", "Anonymous"),
    ] {
        send(&node, JSON, &format!(r#"{{"message":"hi","userId":{user_id}}}"#)).await.expect(200);
        assert_eq!(node.newest("lobby").await["sender"], sender, "{user_id}");
    }
    send(&node, JSON, r#"{"message":"hi"}"#).await.expect(200);
    assert_eq!(node.newest("lobby").await["sender"], "Anonymous");
    let too_long = format!("{:?}", "é".repeat(65));
    let too_long_number = "1".repeat(65);
    for user_id in [
        "1.0",
        "1.5",
        "1e3",
        "1E0",
        "-0.0",
        "true",
        "false",
        "{}",
        "[]",
        "[1]",
        r#"{"id":1}"#,
        r#""""#,
        r#""a\n""#,
        &too_long,
        &too_long_number,
    ] {
        assert_unprocessable(&node, JSON, &format!(r#"{{"message":"hi","userId":{user_id}}}"#), RULE).await;
    }
}

#[tokio::test]
async fn chats_come_as_forms_as_well() {
    let node = Node::start(&[]).await;
    send(&node, FORM, "message=caf%C3%A9+%26&userId=12&createdAt=never").await.expect(200);
    assert_eq!(chats(&node).await[0]["userId"], 12);
    send(&node, FORM, "message=hi&sender=mason").await.expect(200);
    assert_eq!(chats(&node).await[0]["userId"], "Anonymous");
    let parts = multipart::Form::new().text("userId", "ada").text("message", "parts");
    let request = node.request(Method::POST, "/rooms/lobby/chats").multipart(parts);
    node.send(request).await.expect(200);
    assert_eq!(chats(&node).await[0]["userId"], "ada");
    assert_eq!(texts(&node).await, ["parts", "hi", "café &"]);
    assert_unprocessable(&node, FORM, "message=hi&userId=", RULE).await;
}

#[tokio::test]
async fn other_members_of_a_chat_are_ignored() {
    let node = Node::start(&[]).await;
    let body =
        r#"{"createdAt":"2001-01-01T00:00:00.000Z","id":7,"sender":{},"key":7,"userId":1,"message":"hi","room":"x"}"#;
    for _ in 0..2 {
        send(&node, JSON, body).await.expect(200);
    }
    let chats = chats(&node).await;
    assert_eq!((chats.len(), &chats[0]["userId"]), (2, &json!(1)));
    assert!(chats[0]["createdAt"].as_str().is_some_and(|time| !time.starts_with("2001")), "{chats:?}");
}

#[tokio::test]
async fn body_rules_of_messages_hold_for_chats() {
    let node = Node::start(&[]).await;
    for (status, content_type, body) in [
        (415, "text/plain", r#"{"message":"hi"}"#),
        (400, JSON, ""),
        (400, JSON, "[\"hi\",1]"),
        (400, JSON, r#"{"message":"hi","message":"ho"}"#),
        (400, JSON, r#"{"message":"hi","userId":1,"userId":2}"#),
        (400, JSON, r#"{"message":"hi","userId":"\ud800"}"#),
        (400, JSON, r#"{"message":"hi","userId":01}"#),
        (400, FORM, "message=hi&message=ho"),
        (400, FORM, "message=hi&userId=1&userId=2"),
        (400, FORM, "message=%FF"),
        (422, JSON, r#"{"userId":1}"#),
        (422, JSON, r#"{"message":7,"userId":1}"#),
        (422, JSON, r#"{"message":" \n","userId":1}"#),
    ] {
        send(&node, content_type, body).await.problem(status);
    }
    let long = |characters: usize| json!({ "message": "x".repeat(characters) }).to_string();
    send(&node, JSON, &long(4000)).await.expect(200);
    send(&node, JSON, &long(4001)).await.problem(422);
    send(&node, JSON, &long(65 << 10)).await.problem(413);
    assert_eq!(node.stored("lobby").await.len(), 1);
}

#[tokio::test]
async fn chats_and_messages_share_one_rate() {
    let node = Node::start(&[("RATE_LIMIT", "1"), ("RATE_BURST", "4")]).await;
    chat(&node, 1, "one").await;
    node.post("lobby", "mason", "two").await;
    let (accepted, refused) =
        post_until_rate_limited(async || send(&node, JSON, r#"{"message":"more","userId":1}"#).await).await;
    assert!(accepted >= 2, "{accepted}");
    assert!(refused.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    // A chat that breaks a rule costs nothing and is told so first.
    assert_unprocessable(&node, JSON, r#"{"message":"more","userId":1.5}"#, RULE).await;
    assert_unprocessable(&node, JSON, r#"{"message":"","userId":1}"#, "message").await;
}

#[tokio::test]
async fn refused_form_of_a_chat_can_be_sent_to_the_room() {
    let node = Node::start(&[]).await;
    let request = node.request(Method::POST, "/rooms/caf%C3%A9/chats").header("Accept", BROWSER);
    let message = "x".repeat(4001);
    let page = node.send(request.form(&[("message", message.as_str()), ("userId", "ada")])).await.html(422);
    assert!(page.contains(r#"action="/caf%C3%A9""#) && page.contains("ada") && page.contains(&message), "{page}");
}

#[tokio::test]
async fn chats_never_reach_the_log_of_the_node() {
    let node = Node::start(&[("LOG", "debug")]).await;
    send(&node, JSON, r#"{"message":"a secret","userId":"ada"}"#).await.expect(200);
    send(&node, JSON, r#"{"message":"a secret","userId":1.5}"#).await.problem(422);
    node.get("/rooms/lobby/chats?x=secret").await.expect(200);
    assert!(!node.log().contains("secret"), "{}", node.log());
}

/// The answer is the one of the article, whatever the client prefers.
#[tokio::test]
async fn accepted_chat_is_never_redirected() {
    let node = Node::start(&[]).await;
    let request = node.request(Method::POST, "/rooms/lobby/chats").header("Accept", BROWSER);
    let answer = node.send(request.form(&[("message", "hi"), ("userId", "1")])).await.expect(200);
    assert_eq!((answer.text(), answer.media_type().as_str()), ("OK", "text/plain"));
    assert_eq!(chats(&node).await.first().map(|chat| &chat["userId"]), Some(&Value::from(1)));
}
