//! Yesterday's program beside today's on one Redis, as in a rolling deploy, forwards and back again: readers that move
//! between them, and the events of apps, which only today's program takes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    assert_promises_kept,
    catalogue::{Client, catalogue},
    faults::{Fault, rolling_deploys},
    installation::{folder, succeed},
    installed,
};
use crate::{
    eshq::{KEYS, OPEN, next_event, open, resume},
    support::{
        BINARY, DEADLINE, Node, Redis,
        repository::{root, text},
        within,
    },
};

/// Clients that keep their cursor on the streams of both versions.
const READERS: [&str; 3] = ["eventsource", "event-source-polyfill", "curl"];

/// Returns the commit of yesterday's version: the newest tag, or else the one that a file names.
fn yesterday() -> String {
    let git = Command::new("git").args(["describe", "--tags", "--abbrev=0"]).current_dir(root()).output();
    let tag = git
        .ok()
        .filter(|git| git.status.success())
        .map(|git| String::from_utf8_lossy(&git.stdout).into_owned());
    tag.unwrap_or_else(|| text("tests/clients/yesterday")).trim().to_owned()
}

/// Builds the program of a commit, which takes minutes the first time, and returns its path.
fn build(commit: &str) -> Result<PathBuf, String> {
    let (folder, program) = (folder("yesterday"), folder("yesterday").join(format!("tiny-chat-{commit}")));
    if program.exists() {
        return Ok(program);
    }
    let source = folder.join("source");
    let _ = fs::remove_dir_all(&source);
    fs::create_dir_all(&source).map_err(|error| error.to_string())?;
    let archive = folder.join("source.tar");
    let mut git = Command::new("git");
    git.args(["archive", commit, "--output"]).arg(&archive);
    succeed(git.current_dir(root()))?;
    succeed(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--locked", "--quiet", "--bin", "tiny-chat", "--manifest-path"])
        .arg(source.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(folder.join("build"));
    succeed(cargo.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0"))?;
    fs::copy(folder.join("build/debug/tiny-chat"), &program).map_err(|error| error.to_string())?;
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds yesterday's version, for minutes: run by scripts/test all"]
async fn readers_that_move_between_two_versions_lose_nothing() {
    let commit = yesterday();
    let old = match tokio::task::block_in_place(|| build(&commit)) {
        Ok(old) => old,
        Err(reason) => return eprintln!("NOT RUN: yesterday's version {commit}, since {reason}"),
    };
    let is_reader = |client: &Client| READERS.contains(&client.package);
    let readers = installed(catalogue().into_iter().filter(is_reader).collect()).await;
    let outcomes = rolling_deploys(&readers, &[&old, Path::new(BINARY), &old]).await;
    assert_promises_kept(&readers, Fault::Drained, &outcomes);
}

/// An entry of a log in a stream: its id, event and data.
type Entry = (String, Option<String>, String);

/// A stream of either version, read as a browser does: yesterday's has other blocks and no chunks.
struct LooseStream {
    response: reqwest::Response,
    unread: String,
}

impl LooseStream {
    /// Opens a stream of the lobby, and returns it once it is live.
    async fn open(node: &Node, query: &str) -> Self {
        let request = node.request(reqwest::Method::GET, &format!("/subscribe/lobby{query}"));
        let mut stream = Self { response: request.send().await.expect("an answer"), unread: String::new() };
        while !stream.next_block().await.contains("\"live\":true") {}
        stream
    }

    async fn next_block(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.find("\n\n") {
                return self.unread.drain(..end + 2).collect();
            }
            let chunk = within(DEADLINE, "a block", self.response.chunk()).await.expect("no end").expect("no end");
            self.unread.push_str(std::str::from_utf8(&chunk).expect("whole characters"));
        }
    }

    async fn next_entry(&mut self) -> Entry {
        loop {
            let block = self.next_block().await;
            let lines = |field: &str| block.lines().filter_map(|line| line.strip_prefix(field)).collect::<Vec<_>>();
            let (id, event, data) = (lines("id: "), lines("event: "), lines("data: "));
            if !id.is_empty() && !data.is_empty() && event != ["status"] {
                return (id.concat(), event.first().map(ToString::to_string), data.join("\n"));
            }
        }
    }
}

/// Events of apps reach the readers of both versions with the same ids, and a socket gets what is posted at either. A
/// reader that goes to the other version in between misses nothing and gets nothing twice.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds yesterday's version, for minutes: run by scripts/test all"]
async fn events_of_apps_reach_the_readers_of_two_versions() {
    let commit = yesterday();
    let old = match tokio::task::block_in_place(|| build(&commit)) {
        Ok(old) => old,
        Err(reason) => return eprintln!("NOT RUN: yesterday's version {commit}, since {reason}"),
    };
    let redis = Redis::start().await;
    let (old, new) = (Node::start_binary(&old, &redis, &[]).await, Node::on(&redis, &[KEYS]).await);
    let socket = OPEN.socket(&new, "lobby").await;
    let mut streams = [LooseStream::open(&old, "").await, LooseStream::open(&new, "").await];
    let mut reader = open(&new, &socket).await;
    OPEN.send(&new, "lobby", "note", "{\"a\":1}").await;
    OPEN.send(&new, "lobby", "", "line\nline").await;
    let message = old.post("lobby", "mason", "hi").await;
    OPEN.send(&new, "lobby", "post:created", "x").await;
    let mut read: [Vec<Entry>; 3] = Default::default();
    for _ in 0..4 {
        for (stream, entries) in streams.iter_mut().zip(&mut read) {
            entries.push(stream.next_entry().await);
        }
        let block = next_event(&mut reader).await;
        read[2].push((block.id.expect("an id"), block.event, block.data.expect("data")));
    }
    assert!(read[0] == read[1] && read[1] == read[2], "{read:#?}");
    let [entries, ..] = read;
    let events: Vec<_> = entries.iter().map(|(_, event, _)| event.as_deref()).collect();
    assert_eq!(events, [Some("note"), None, None, Some("post:created")]);
    assert_eq!((&entries[1].2, &entries[2].0), (&"line\nline".to_owned(), &message));
    // Each resumes at the other version.
    for node in [&old, &new] {
        let mut stream = LooseStream::open(node, &format!("?lastEventId={}", entries[0].0)).await;
        for entry in &entries[1..] {
            assert_eq!(stream.next_entry().await, *entry);
        }
    }
    let mut stream = resume(&new, &socket, &message).await;
    assert_eq!(next_event(&mut stream).await.id.as_ref(), Some(&entries[3].0));
}
