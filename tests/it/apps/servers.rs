//! The servers of the sample chat in other languages (`examples/eshq-chat-php`, `examples/eshq-chat-clojure`).

use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::runtimes::has;
use crate::support::{Node, Process, Stream, eventually, free_port, repository::root};

const LINES: [(&str, &str); 3] =
    [("ada", "hi"), ("m\u{e4}son", "<b>\"quotes\" & \\ umlauts \u{1f389}</b>"), ("x", "two\nlines")];

/// Chats with a server that listens on this port, over a hub.
async fn chat(node: &Node, port: u16) {
    let client = Client::builder().no_proxy().build().expect("a client");
    let post = async |path: &str, fields: &[(&str, &str)]| {
        let request = client.post(format!("http://127.0.0.1:{port}{path}")).form(fields);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(post("/eshq/socket", &[("channel", "other")]).await.0, 403);
    assert_eq!(post("/message", &[("nick", " "), ("msg", "hi")]).await.0, 400);
    assert_eq!(post("/message", &[("nick", "ada"), ("msg", &"x".repeat(2001))]).await.0, 400);
    assert_eq!(post("/nowhere", &[]).await.0, 404);
    let (status, text) = post("/eshq/socket", &[("channel", "chat")]).await;
    assert_eq!(status, 200, "{text}");
    let socket: Value = serde_json::from_str(&text).expect("JSON");
    let path = format!("/eventsource?socket={}", socket["socket"].as_str().expect("an id"));
    let mut stream = Stream::open(node, &path, &[]).await;
    for (nick, msg) in LINES {
        assert_eq!(post("/message", &[("nick", nick), ("msg", msg)]).await, (200, "{}".to_owned()));
        let block = loop {
            let block = stream.next_content().await;
            if block.event.as_deref() != Some("ping") {
                break block;
            }
        };
        assert_eq!((block.event.as_deref(), block.json()), (None, json!({ "nick": nick, "msg": msg })));
    }
}

/// Starts a server with these arguments, in which `PORT` stands for its port, and chats with it.
async fn start_and_chat(program: &str, arguments: &[&str]) {
    if !has(program) {
        eprintln!("NOT RUN: {program} is not installed");
        return;
    }
    let node = Node::start(&[("APP_KEYS", "shop:0123456789abcdef")]).await;
    let port = free_port();
    let arguments = arguments.iter().map(|argument| argument.replace("PORT", &port.to_string()));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root().join("examples"));
    command
        .env("ESHQ_URL", node.url("/"))
        .env("ESHQ_KEY", "shop")
        .env("ESHQ_SECRET", "0123456789abcdef");
    let _server = Process::spawn(command.env("PORT", port.to_string()));
    eventually("a server", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    chat(&node, port).await;
}

#[tokio::test]
async fn the_chat_in_php_works() {
    start_and_chat("php", &["-S", "127.0.0.1:PORT", "eshq-chat-php/server.php"]).await;
}

#[tokio::test]
async fn the_chat_in_clojure_works() {
    start_and_chat("clojure", &["eshq-chat-clojure/server.clj"]).await;
}
