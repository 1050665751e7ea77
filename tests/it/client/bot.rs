//! The bot of the examples answers in a room.

use std::{path::PathBuf, process::Command};

use super::Running;
use crate::support::{BINARY, Node, eventually, repository::root};

/// Returns the path of an example. It is built here, because running a single test does not build the examples.
fn example(name: &str) -> PathBuf {
    let folder = PathBuf::from(BINARY).parent().expect("a target folder").to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--quiet", "--example", name]);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(root()).status().expect("cargo").success(), "{name} cannot be built");
    folder.join("examples").join(name)
}

#[tokio::test]
async fn bot_of_the_examples_answers_a_question_once() {
    let bot = example("bot");
    let node = Node::start(&[]).await;
    let start = || {
        let mut command = tokio::process::Command::new(&bot);
        Running::spawn(command.args([node.url("").as_str(), "lobby"]))
    };
    let _two_of_them = [start(), start()];
    node.wait_for_live_streams(2).await;
    for text in ["hi", "!time", "!time please"] {
        node.post("lobby", "mason", text).await;
    }
    let answer = eventually("an answer", async || {
        node.stored("lobby").await.into_iter().find(|message| message["sender"] == "bot")
    })
    .await;
    let text = answer["message"].as_str().unwrap();
    assert!(text.starts_with("It is ") && text.ends_with(" UTC."), "{text}");
    assert_eq!(node.stored("lobby").await.len(), 4);
}
