//! The API of the chat article and of the tutorial (contract § 4, "The rooms API").

mod browser;
mod chats;
mod posts;
mod routes;
mod streams;
mod users;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Node};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Posts a body of this type as a chat of the lobby.
async fn send(node: &Node, content_type: &str, body: &str) -> Answer {
    let request = node.request(Method::POST, "/rooms/lobby/chats").header("Content-Type", content_type);
    node.send(request.body(body.to_owned())).await
}

/// Posts a chat to the lobby, which must be accepted.
async fn chat(node: &Node, user_id: impl Into<Value>, message: &str) {
    let body = json!({ "message": message, "userId": user_id.into() });
    assert_eq!(send(node, JSON, &body.to_string()).await.expect(200).text(), "OK");
}

/// Returns the chats of the lobby, newest first.
async fn chats(node: &Node) -> Vec<Value> {
    match node.get("/rooms/lobby/chats").await.expect(200).json() {
        Value::Array(chats) => chats,
        other => panic!("{other} is no array"),
    }
}

/// Returns the messages of the lobby's chats, newest first.
async fn texts(node: &Node) -> Vec<String> {
    let text = |chat: &Value| chat["message"].as_str().expect("a message").to_owned();
    chats(node).await.iter().map(text).collect()
}
