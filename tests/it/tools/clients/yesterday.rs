//! Yesterday's program beside today's on one Redis, as in a rolling deploy, forwards and back again.

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
use crate::support::{
    BINARY,
    repository::{root, text},
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
