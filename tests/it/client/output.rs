//! What the commands print never drives a terminal: control characters, colours, local time.

use tokio::process::Command;

use super::{Running, run};
use crate::support::{BINARY, Node, Redis};

const HOSTILE: &str = "a\u{1b}[31mb\u{7}c\u{7f}d\u{9b}e\u{0}f\tg\nh\ri";

/// Everything that a terminal could take for an order.
fn controls_in(text: &str) -> String {
    text.chars().filter(|c| c.is_control() && !matches!(c, '\t' | '\n')).collect()
}

#[tokio::test]
async fn control_characters_are_never_printed_as_they_are() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    let mut text = Running::start(&node.url("/"), &["listen", "lobby", "--event", "message", "--event", "note\u{1b}"]);
    let mut json = Running::start(&node.url("/"), &["listen", "lobby", "--json"]);
    node.wait_for_live_streams(2).await;
    node.post("lobby", "mason", HOSTILE).await;
    let (mut lines, mut objects) = (vec![text.line().await, text.line().await], vec![json.line().await]);
    redis.publish("lobby", format!("bare {HOSTILE}")).await;
    while lines.len() < 5 {
        lines.push(text.line().await);
    }
    objects.push(json.line().await);
    assert_eq!(lines[0][5..], *" mason: a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\tg");
    assert_eq!(lines[1], "      h\u{fffd}i");
    assert_eq!(lines[2][5..], *" [message] bare a\u{fffd}[31mb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\tg");
    assert_eq!((lines[3].as_str(), lines[4].as_str()), ("      h", "      i"));
    for line in objects {
        assert!(controls_in(&line).is_empty() && line.contains("\\u009b") && line.contains("\\u007f"), "{line:?}");
    }
    let refused = run(&node.url("/"), &["send", "lobby", "hi", "--sender", "a\u{1b}[31m"]).await;
    assert_eq!((refused.code, controls_in(&refused.stderr).as_str()), (1, ""), "{refused:?}");
}

#[tokio::test]
async fn entities_are_undone_once() {
    let node = Node::start(&[]).await;
    node.post("lobby", "O'Neil", "<b> &amp; \"x\"").await;
    let ended = run(&node.url("/"), &["listen", "lobby", "--history", "1", "--count", "1"]).await;
    assert_eq!(&ended.stdout[5..], " O'Neil: <b> &amp; \"x\"\n");
    let ended = run(&node.url("/"), &["listen", "lobby", "--history", "1", "--count", "1", "--json"]).await;
    assert!(ended.stdout.contains("O&#x27;Neil"), "{}", ended.stdout);
}

/// A message has the time of its id, also hours later.
#[tokio::test]
async fn times_are_those_of_the_messages_in_the_local_zone() {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[]).await;
    redis.store_unannounced("lobby", "1361572294000-1").await; // 2013-02-22 22:31:34 UTC
    for (zone, line) in [("UTC", "22:31 mason: hi\n"), ("XXX-5:45", "04:16 mason: hi\n")] {
        let mut command = Command::new(BINARY);
        command.env_clear().env("TINY_CHAT_URL", node.url("/")).env("TZ", zone);
        let ended = Running::spawn(command.args(["listen", "lobby", "--since", "0-0", "--count", "1"])).end().await;
        assert_eq!(ended.stdout, line, "{ended:?}");
    }
}

#[tokio::test]
async fn colours_are_for_terminals_only() {
    let arguments = "listen http://127.0.0.1:1/ --tries 1";
    let ended = run("", &arguments.split(' ').collect::<Vec<_>>()).await;
    assert!(ended.stderr.contains("Connection lost.") && controls_in(&ended.stderr).is_empty(), "{ended:?}");
    // `script` runs a command in a terminal of its own, which takes both outputs.
    let mut script = Command::new("script");
    script
        .args(["-qec", &format!("{BINARY} {arguments}"), "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    let ended = Running::spawn(&mut script).end().await;
    assert!(ended.stdout.contains("\u{1b}[33mConnection lost. Reconnecting."), "{ended:?}");
}
