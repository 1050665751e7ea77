//! `tiny-chat listen`: what it listens to, and when it exits.

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::process::Command;

use super::{Running, run, text_of};
use crate::support::{BINARY, Bus, Node, WebServer, eventually, on_every_bus};

on_every_bus!(messages_are_lines_and_named_events_only_on_request, history_since_and_several_rooms_are_passed_on,);

async fn messages_are_lines_and_named_events_only_on_request(bus: Bus) {
    let node = bus.node(&[("HEARTBEAT", "1")]).await;
    let mut messages = Running::start(&node.url("/"), &["listen", "lobby"]);
    let mut beats = Running::start(&node.url(""), &["listen", "lobby", "--event", "status", "--event", "heartbeat"]);
    node.wait_for_live_streams(2).await;
    node.post("lobby", "mason", "hi").await;
    let line = messages.line().await;
    assert!(line.len() == 15 && line.ends_with(" mason: hi"), "{line}");
    let first = beats.line().await;
    assert!(first[5..].starts_with(" [status] {\"live\":"), "{first}");
    // The message comes before the heartbeat, which follows a second of silence.
    loop {
        let line = beats.line().await;
        assert!(!line.contains("mason"), "{line}");
        if line.ends_with(" [heartbeat] OK") {
            break;
        }
    }
}

async fn history_since_and_several_rooms_are_passed_on(bus: Bus) {
    let node = bus.node(&[]).await;
    let ids = node.fill("lobby", 3).await;
    let shown = async |arguments: &[&str]| {
        let ended = run(&node.url("/"), &[&["listen"], arguments].concat()).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        ended.stdout.lines().map(|line| line[6..].to_owned()).collect::<Vec<_>>()
    };
    let last_two = ["mason: message 2", "mason: message 3"];
    assert_eq!(shown(&["lobby", "--history", "2", "--count", "2"]).await, last_two);
    assert_eq!(shown(&["lobby", "--since", &ids[0], "--count", "2"]).await, last_two);
    assert_eq!(shown(&["lobby,café", "--history", "2", "--for", "1.5"]).await, last_two);
    let stream = node.url("/subscribe/lobby?history=1");
    assert_eq!(shown(&[&stream, "--count", "1"]).await, last_two[1..]);
    let event = run(&node.url("/"), &["listen", "lobby", "--history", "1", "--json", "--count", "1"]).await;
    let data = "{\"sender\":\"mason\",\"message\":\"message 3\"}";
    assert_eq!(event.stdout, format!("{{\"id\":\"{}\",\"event\":\"message\",\"data\":{}}}\n", ids[2], json!(data)));
}

#[tokio::test]
async fn gaps_are_told_on_standard_error_unless_in_json() {
    let node = Node::start(&[]).await;
    node.post("lobby", "mason", "hi").await;
    let ended = run(&node.url("/"), &["listen", "lobby", "--since", "1-1", "--count", "1"]).await;
    assert!(ended.stdout.ends_with(" mason: hi\n"), "{ended:?}");
    assert!(ended.stderr[5..].starts_with(" [gap] Messages are missing here: {\"asked\":\"1-1\""), "{ended:?}");
    let mut in_json = Running::start(&node.url("/"), &["listen", "lobby", "--since", "1-1", "--json"]);
    assert_eq!(in_json.json().await["event"], "gap");
    assert_eq!(text_of(&in_json.json().await), "hi");
}

#[tokio::test]
async fn closed_output_ends_it_before_the_next_message() {
    let node = Node::start(&[]).await;
    let mut listening = Running::start(&node.url("/"), &["listen", "lobby"]);
    node.wait_for_live_streams(1).await;
    node.post("lobby", "mason", "hi").await;
    listening.line().await;
    assert_eq!(listening.close_stdout().exit_code().await, 0);
    let script = format!("{BINARY} listen lobby --history 1 | head -n 1; exit ${{PIPESTATUS[0]}}");
    let mut bash = Command::new("bash");
    let ended = Running::spawn(bash.env("TINY_CHAT_URL", node.url("/")).args(["-c", &script])).end().await;
    assert_eq!((ended.code, &ended.stdout[5..]), (0, " mason: hi\n"), "{ended:?}");
}

#[tokio::test]
async fn interrupt_ends_it_even_if_its_output_is_not_read() {
    let node = Node::start(&[]).await;
    let listening = Running::start(&node.url("/"), &["listen", "lobby"]);
    node.wait_for_open_streams(1).await;
    listening.signal(Signal::SIGINT);
    assert_eq!(listening.end().await.code, 130);
    let text = "x".repeat(4000);
    for _ in 0..40 {
        node.post("lobby", "mason", &text).await;
    }
    // A pipe takes 64 KiB.
    let mut blocked = Running::start(&node.url("/"), &["listen", "lobby", "--history", "40"]);
    node.wait_for_open_streams(1).await;
    eventually("a full pipe", async || (blocked.unread_bytes() > 60_000).then_some(())).await;
    blocked.signal(Signal::SIGINT);
    assert_eq!(blocked.exit_code().await, 130);
    let mut blocked = Running::start(&node.url("/"), &["listen", "lobby", "--history", "40", "--for", "0.5"]);
    assert_eq!(blocked.exit_code().await, 0);
}

#[tokio::test]
async fn exit_codes_tell_why_it_ended() {
    let node = Node::start(&[]).await;
    let (url, nowhere) = (node.url("/"), node.url("/subscribe/no/such"));
    for (code, arguments, part) in [
        (0, &["lobby", "--for", "0"][..], ""),
        (1, &[&nowhere], "Unexpected response status 404"),
        (1, &[&node.url("/healthz")], "The content-type 'text/plain; charset=utf-8' is not text/event-stream"),
        (1, &["lobby", "--history", "0"], "Unexpected response status 400"),
        (2, &["status"], "reserved"),
        (2, &["ftp://x/"], "not a URL of HTTP"),
        (2, &["lobby", "--tries", "0"], "--tries"),
        (2, &["lobby", "--retry", "x"], "--retry"),
        (2, &["lobby", "--header", "x"], "'Name: value'"),
        (3, &["http://127.0.0.1:1/", "--tries", "3", "--retry", "0.1"], "Gave up after 3 failures in a row."),
    ] {
        let ended = run(&url, &[&["listen"], arguments].concat()).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(part), "{arguments:?}: {ended:?}");
        let lost = if code == 3 { 3 } else { 0 };
        assert_eq!(ended.stderr.matches("Connection lost. Reconnecting.").count(), lost, "{ended:?}");
    }
    let wrong_chat = run("plop", &["listen", "lobby"]).await;
    assert_eq!((wrong_chat.code, wrong_chat.stderr.contains("TINY_CHAT_URL")), (2, true), "{wrong_chat:?}");
}

/// A node's variables concern only a node.
#[tokio::test]
async fn variables_of_a_node_have_no_effect() {
    let node = Node::start(&[]).await;
    let mut command = Command::new(BINARY);
    command.env("BIND", "plop").env("RATE_LIMIT", "x").env("TINY_CHAT_URL", node.url("/"));
    let ended = Running::spawn(command.args(["listen", "lobby", "--for", "0"])).end().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

/// The certificate is from Caddy's own authority, which only one of the commands trusts.
#[tokio::test]
async fn streams_and_posts_go_over_http_2_and_verified_tls() {
    let node = Node::start(&[]).await;
    let site = format!(
        "https://localhost:{{$PORT}} {{\n\tlog\n\treverse_proxy {} {{\n\t\tflush_interval -1\n\t}}\n}}\n",
        node.address()
    );
    let caddy = WebServer::start_caddy(&site, |port| vec![("PORT", port.to_string())]).await;
    let root = caddy.directory().join("caddy/pki/authorities/local/root.crt");
    eventually("the authority", async || root.exists().then_some(())).await;
    let chat = format!("https://localhost:{}", caddy.port());
    let trusting = |arguments: &[&str]| {
        let mut command = Command::new(BINARY);
        command.env_clear().env("SSL_CERT_FILE", &root).env("TINY_CHAT_URL", &chat).args(arguments);
        Running::spawn(&mut command)
    };
    eventually("a site that is ready", async || {
        let ended = trusting(&["send", "lobby", "over TLS", "--key", "k"]).end().await;
        (ended.code == 0).then_some(())
    })
    .await;
    let heard = trusting(&["listen", "lobby", "--history", "1", "--count", "1"]).end().await;
    assert_eq!((heard.code, heard.stdout.contains("Anonymous: over TLS")), (0, true), "{heard:?}");
    let log = caddy.log();
    assert!(log.contains("\"proto\":\"HTTP/2.0\"") && !log.contains("\"proto\":\"HTTP/1.1\""), "{log}");
    let untrusting = run(&chat, &["listen", "lobby", "--tries", "1"]).await;
    assert_eq!((untrusting.code, untrusting.stderr.contains("certificate")), (3, true), "{untrusting:?}");
}
