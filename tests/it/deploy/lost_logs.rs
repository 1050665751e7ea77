//! A log that cannot be written is no concern of anybody who chats, and a program whose output is cut off ends as it
//! would have: nothing blocks, and nothing panics (contract § 8).

use std::{
    fs::File,
    io,
    process::{Command, Stdio},
};

use futures_util::future::join_all;

use crate::support::{BINARY, Node, Redis, Stream, eventually};

const DROPPED: &str = "tiny_chat_log_lines_dropped_total";

/// Returns a disk that is full.
fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").expect("/dev/full").into()
}

/// Returns a pipe whose reader has ended.
fn closed_pipe() -> Stdio {
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Checks that a node whose log goes there loses and gets back its Redis, serves, and drains as any other.
async fn assert_unimpaired(output: impl Fn() -> Stdio) {
    let mut redis = Redis::durable().await;
    let url = redis.url();
    let environment = [("REDIS_URL", url.as_str()), ("HEARTBEAT", "1"), ("DRAIN", "1"), ("LOG", "trace")];
    let mut node = Node::logging_to(output, &environment).await;
    let mut stream = Stream::live(&node, "lobby").await;
    redis.kill();
    stream.expect_status(false).await;
    redis.restart().await;
    stream.expect_status(true).await;
    let ids = node.fill("lobby", 3).await;
    assert_eq!(stream.next_ids(3).await, ids);
    let dropped = async || {
        // Each request is some lines.
        join_all((0..100).map(|_| node.get("/healthz"))).await;
        let id = node.post("lobby", "mason", "one more line").await;
        assert_eq!(stream.next_message().await.id, id);
        (node.metric(DROPPED).await? > 0.0).then_some(())
    };
    eventually("lines that were dropped", dropped).await;
    assert_eq!(stream.next().await.event.as_deref(), Some("heartbeat"));
    assert_eq!(node.get("/readyz").await.expect(200).text(), "ready\n");
    node.terminate();
    let last = stream.read_to_end().await;
    assert!(last.iter().any(|block| block.event.as_deref() == Some("backoff")), "{last:?}");
    assert_eq!(node.exit().await.code(), Some(0));
}

#[tokio::test]
async fn full_disk_under_the_log_impairs_nothing() {
    assert_unimpaired(full_disk).await;
}

#[tokio::test]
async fn log_pipe_without_a_reader_impairs_nothing() {
    assert_unimpaired(closed_pipe).await;
}

#[tokio::test]
async fn log_pipe_that_is_not_read_impairs_nothing() {
    let (_reader, writer) = io::pipe().expect("a pipe");
    assert_unimpaired(|| writer.try_clone().expect("a pipe").into()).await;
}

#[tokio::test]
async fn last_line_of_the_log_is_written_before_the_end() {
    for (signals, last) in [(1, "drained, exiting"), (2, "a second signal exits at once")] {
        let mut node = Node::start(&[]).await;
        let _stream = if signals == 2 { Some(Stream::live(&node, "lobby").await) } else { None };
        node.terminate();
        if signals == 2 {
            node.logged("draining").await;
            node.terminate();
        }
        node.exit().await;
        assert!(node.log().lines().last().is_some_and(|line| line.contains(last)), "{}", node.log());
        assert_eq!(node.log().matches("panicked").count(), 0);
    }
}

#[test]
fn output_that_is_cut_off_does_not_change_the_exit_code() {
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["doctor", "--help"], 0),
        (&["doctor", "http://127.0.0.1:1"], 2),
        (&["--no-such-flag"], 2),
        (&["--bind", "192.0.2.1:1"], 1),
        (&["--redis-url", "nonsense", "--log", "trace"], 1),
    ] {
        for output in [full_disk, closed_pipe] {
            let mut command = Command::new(BINARY);
            let status = command.args(arguments).stdout(output()).stderr(output()).status().expect("the program");
            assert_eq!(status.code(), Some(code), "{arguments:?}");
        }
    }
}
