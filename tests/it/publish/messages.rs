//! Publishing: acknowledged messages are stored, both fields are escaped, refused ones are not stored
//! (contract § 4).

use serde_json::json;

use crate::support::{Bus, Stream, on_every_bus, on_every_form};

on_every_form!(acknowledged_message_is_stored_and_streamed);
on_every_bus!(sender_and_message_are_escaped_byte_for_byte, refused_message_is_not_published,);

/// The response has the id and nothing else, and is sent once the message is stored.
async fn acknowledged_message_is_stored_and_streamed(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let answer = node.publish("lobby", json!({ "sender": "mason", "message": "hi" })).await.expect(200);
    assert_eq!(answer.media_type(), "application/json");
    let id = answer.json()["id"].clone();
    assert_eq!(answer.json(), json!({ "id": id }));
    assert_eq!(node.newest("lobby").await["id"], id);
    let message = subscriber.next_message().await;
    assert_eq!(
        (message.id.as_str(), message.sender.as_str(), message.message.as_str()),
        (id.as_str().unwrap(), "mason", "hi")
    );
}

/// The characters `& < > " ' /` are escaped in sender and message, in the stream and in the history.
async fn sender_and_message_are_escaped_byte_for_byte(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    let id = node.post("lobby", r#"<b>&"'/"#, r#"</p>&amp;"'"#).await;
    let frame = subscriber.next().await;
    let sender = "&lt;b&gt;&amp;&quot;&#x27;&#x2F;";
    let message = "&lt;&#x2F;p&gt;&amp;amp;&quot;&#x27;";
    assert_eq!(frame.raw, format!("id: {id}\ndata: {{\"sender\":\"{sender}\",\"message\":\"{message}\"}}\n\n"));
    let stored = node.newest("lobby").await;
    assert_eq!((stored["sender"].as_str(), stored["message"].as_str()), (Some(sender), Some(message)));
}

async fn refused_message_is_not_published(bus: Bus) {
    let node = bus.node(&[]).await;
    let mut subscriber = Stream::live(&node, "lobby").await;
    node.publish("lobby", json!({ "message": " " })).await.problem(422);
    node.publish("lobby", json!({ "message": "hi", "sender": "\u{7}" })).await.problem(422);
    node.publish("lobby", json!({ "message": "hi", "key": "a b" })).await.problem(422);
    node.publish("lobby", json!({ "message": "hi", "filling": "x".repeat(65_536) })).await.problem(413);
    let id = node.post("lobby", "mason", "the only one").await;
    assert_eq!(subscriber.next_message().await.id, id);
    assert_eq!(node.stored("lobby").await.len(), 1);
}
