//! `tiny-chat send`: a message is stored once, and what became of it is told.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::{Running, run};
use crate::support::{Bus, Node, Proxy, Redis, eventually, on_every_bus};

on_every_bus!(text_input_and_lines_become_messages, a_message_without_an_answer_is_stored_once,);

/// Returns the senders and texts of a room, and their ids.
async fn stored(node: &Node, room: &str) -> (Vec<String>, Vec<String>) {
    let messages = node.stored(room).await;
    let member =
        |name: &str| messages.iter().map(|message| message[name].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let texts = member("sender")
        .into_iter()
        .zip(member("message"))
        .map(|(sender, text)| format!("{sender}: {text}"));
    (texts.collect(), member("id"))
}

async fn text_input_and_lines_become_messages(bus: Bus) {
    let node = bus.node(&[]).await;
    let chat = node.url("/");
    let mut printed = Vec::new();
    for (arguments, input) in [
        (&["send", "lobby", "hi there", "--sender", "mason"][..], ""),
        (&["send", "lobby"], "two\nlines\n"),
        (&["send", &node.url("/lobby"), "--lines", "--sender", "log"], "one\r\n\n  \ntwo\nthree"),
        (&["send", "lobby", "a\nb", "--lines"], "not read"),
    ] {
        let mut sending = Running::start(&chat, arguments);
        if !input.is_empty() {
            sending.write(input).await;
        }
        let ended = sending.end().await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        printed.extend(ended.stdout.lines().map(str::to_owned));
    }
    let (texts, ids) = stored(&node, "lobby").await;
    let expected = [
        "mason: hi there",
        "Anonymous: two\nlines",
        "log: one",
        "log: two",
        "log: three",
        "Anonymous: a",
        "Anonymous: b",
    ];
    assert_eq!(texts, expected);
    assert_eq!(printed, ids);
}

#[tokio::test]
async fn lines_are_sent_as_they_come() {
    let node = Node::start(&[]).await;
    let mut sending = Running::start(&node.url("/"), &["send", "lobby", "--lines"]);
    for number in 1..=3 {
        sending.write(&format!("line {number}\n")).await;
        assert_eq!(sending.line().await, node.newest("lobby").await["id"].as_str().unwrap());
    }
    assert_eq!(sending.end().await.code, 0);
}

/// The first POST reaches the node, and its answer is lost.
async fn a_message_without_an_answer_is_stored_once(bus: Bus) {
    let node = bus.node(&[]).await;
    let proxy = Proxy::to(node.address()).await;
    proxy.cut_at_the_next_post();
    let sending = Running::start(&proxy.url("/"), &["send", "lobby", "once"]);
    eventually("the message", async || (node.stored("lobby").await.len() == 1).then_some(())).await;
    proxy.restore();
    let ended = sending.end().await;
    let (texts, ids) = stored(&node, "lobby").await;
    assert_eq!((ended.code, ended.stdout), (0, format!("{}\n", ids[0])), "{}", ended.stderr);
    assert_eq!(texts, ["Anonymous: once"]);
    let again = async |text| run(&node.url("/"), &["send", "lobby", text, "--key", "mine"]).await;
    let (first, second) = (again("same").await, again("same").await);
    assert_eq!((first.code, &first.stdout), (second.code, &second.stdout), "the same key is the same message");
    let other = again("other").await;
    assert_eq!((other.code, other.stderr.contains("422")), (1, true), "{other:?}");
}

#[tokio::test]
async fn rate_limit_and_lost_redis_are_waited_for() {
    let mut redis = Redis::start().await;
    let node = Node::on(&redis, &[("RATE_LIMIT", "1"), ("RATE_BURST", "1")]).await;
    let mut sending = Running::start(&node.url("/"), &["send", "lobby", "--lines"]);
    sending.write("one\ntwo\n").await;
    sending.line().await;
    sending.line().await;
    redis.kill();
    sending.write("three\n").await;
    redis.restart().await;
    let id = sending.line().await;
    assert_eq!(sending.end().await.code, 0);
    let (texts, ids) = stored(&node, "lobby").await;
    assert_eq!(
        texts,
        ["Anonymous: one", "Anonymous: two", "Anonymous: three"],
        "the node has restored what was lost"
    );
    assert_eq!(ids.last(), Some(&id));
}

#[tokio::test]
async fn refusals_are_told_with_the_reason() {
    let node = Node::start(&[]).await;
    for (code, arguments, part) in [
        (1, &["lobby", " "][..], "422 message: A message must have 1 to 4000 characters"),
        (1, &["lobby", "hi", "--header", "Origin: http://evil.example"], "403"),
        (1, &[&node.url("/no/such"), "hi"], "404"),
        (2, &["lobby,garden", "hi"], "one room"),
        (2, &["lobby", "hi", "--lines", "--key", "k"], "--key"),
        (2, &[], "URL|ROOM"),
    ] {
        let ended = run(&node.url("/"), &[&["send"], arguments].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(part), "{arguments:?}: {ended:?}");
    }
    let mut sending = Running::start(&node.url("/"), &["send", "lobby", "--lines"]);
    sending.write(&format!("one\n{}\nthree\n", "x".repeat(4001))).await;
    let ended = sending.end().await;
    assert_eq!((ended.code, ended.stdout.lines().count()), (1, 1), "nothing is sent after what was refused");
    assert_eq!(stored(&node, "lobby").await.0, ["Anonymous: one"]);
}

/// What answers here is no chat.
#[tokio::test]
async fn success_without_an_id_is_not_known_to_be_stored() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/lobby", listener.local_addr().unwrap());
    let sending = tokio::spawn(async move { run("", &["send", &url, "hi", "--header", "X-App: 1"]).await });
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        request.push(socket.read_u8().await.unwrap());
    }
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("POST /lobby HTTP/1.1\r\n") && request.contains("x-app: 1\r\n"), "{request}");
    socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
    let ended = sending.await.unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{ended:?}");
    assert!(ended.stderr.starts_with("Not known to be stored: 200 OK"), "{ended:?}");
}
