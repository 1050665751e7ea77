//! The recipes that are programs.

use std::{fs, os::unix::fs::PermissionsExt};

use tempfile::TempDir;
use tokio::process::Command;

use super::{Chat, Recipe};
use crate::{
    client::Running,
    support::{eventually, repository::text},
};

#[tokio::test]
async fn python_reads_and_writes_through_a_killed_node() {
    let recipe = Recipe::new("python").await;
    let mut chat = Chat::start(&recipe.chat_environment()).await;
    let write = || Command::from(recipe.command("writer.py", &chat.url()));
    let written = Running::spawn(&mut write()).end().await;
    assert_eq!((written.code, written.stdout.lines().count()), (0, 3), "{written:?}");
    let mut reader = Running::spawn(&mut recipe.command("reader.py", &chat.url()).into());
    for number in 1..=3 {
        assert_eq!(reader.line().await, format!("counter: {number}"));
    }
    let mut later = write();
    chat.kill_a_node_with_streams().await;
    chat.node().post("everyone", "O'Neil", "<b>\u{e4}</b>").await;
    let written = Running::spawn(&mut later).end().await;
    assert_eq!((written.code, written.stdout.lines().count()), (0, 3), "{written:?}");
    for line in ["O'Neil: <b>\u{e4}</b>", "counter: 1", "counter: 2", "counter: 3"] {
        assert_eq!(reader.line().await, line);
    }
    assert_eq!(reader.said(), "");
}

#[tokio::test]
async fn bots_in_node_answer_each_question_once() {
    let recipe = Recipe::new("node-bot").await;
    let mut chat = Chat::start(&recipe.chat_environment()).await;
    let mut bots = Vec::new();
    for _ in 0..2 {
        let mut bot = Running::spawn(&mut recipe.command("bot.mjs", &chat.url()).into());
        assert_eq!(bot.line().await, "listening");
        bots.push(bot);
    }
    let answers = async |chat: &Chat| {
        let stored = chat.node().stored("everyone").await;
        stored.into_iter().filter(|message| message["sender"] == "bot").count()
    };
    for text in ["hi", "!time", "!time please"] {
        chat.node().post("everyone", "mason", text).await;
    }
    eventually("an answer", async || (answers(&chat).await == 1).then_some(())).await;
    chat.kill_a_node_with_streams().await;
    chat.node().post("everyone", "mason", "!time").await;
    eventually("a second answer", async || (answers(&chat).await == 2).then_some(())).await;
    chat.wait_for_live_streams(2).await;
    // Both bots are back. What they would say twice they have said before the answer to this.
    chat.node().post("everyone", "mason", "!time").await;
    eventually("a third answer", async || (answers(&chat).await == 3).then_some(())).await;
    assert_eq!(chat.node().stored("everyone").await.len(), 5 + 3);
}

/// Starts the pager with a `notify-send` that prints what it is told.
fn start_pager(recipe: &Recipe, folder: &TempDir, chat: &str) -> Running {
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let mut command = recipe.command("./pager", chat);
    command.env("PATH", path).env("STATE", folder.path().join("state"));
    Running::spawn(&mut command.into())
}

#[tokio::test]
async fn pager_reports_what_came_while_it_was_down() {
    let recipe = Recipe::new("pager").await;
    let (mut chat, folder) = (Chat::start(&recipe.chat_environment()).await, TempDir::new().expect("a folder"));
    let program = folder.path().join("notify-send");
    // The first page fails, and has to be tried again.
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n[ -e tried ] || { touch tried; exit 1; }\necho \"$1\"\n";
    fs::write(&program, script).expect("a program");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    let mut pager = start_pager(&recipe, &folder, &chat.url());
    chat.wait_for_live_streams(1).await;
    let place = async || fs::read_to_string(folder.path().join("state")).ok();
    eventually("a place to continue from", place).await;

    let readme = text("examples/pager/README.md");
    let alert = readme.lines().find(|line| line.starts_with("curl ")).expect("a command");
    let alert = alert.replace("localhost:8080", &chat.node().address().to_string());
    let sent = Command::new("bash").args(["-c", &alert]).env("HOSTNAME", "db1").output().await.expect("bash");
    assert!(sent.status.success(), "{sent:?}");
    let page = pager.line().await;
    assert!(page.contains("\"message\":\"disk full on db1\""), "{page}");

    drop(pager);
    for text in ["all is well", "db2 is down"] {
        chat.node().post("alerts", "cron", text).await;
    }
    let mut pager = start_pager(&recipe, &folder, &chat.url());
    // The page before may come once more, if the script was killed between the page and the note of its place.
    let mut page = pager.line().await;
    if page.contains("disk full") {
        page = pager.line().await;
    }
    assert!(page.contains("db2 is down"), "{page}");
    chat.kill_a_node_with_streams().await;
    chat.node().post("alerts", "cron", "db3 is down").await;
    let page = pager.line().await;
    assert!(page.contains("db3 is down"), "{page}");
}
