//! What README.md shows works as it is copied: the lines for a shell, and the page.

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{BINARY, Browser, Node, WebServer, eventually, repository::text};

/// The address that README.md uses.
const ADDRESS: &str = "localhost:8080";

/// Returns the lines with curl that talk to a server, as they stand in README.md.
fn shell_lines(readme: &str) -> Vec<&str> {
    let indented = readme.lines().filter_map(|line| line.strip_prefix("    "));
    indented
        .filter(|line| (line.starts_with("curl ") || line.starts_with("id=")) && line.contains(ADDRESS))
        .collect()
}

/// Returns the page.
fn page(readme: &str) -> &str {
    let (_, rest) = readme.split_once("```html\n").expect("a page");
    rest.split_once("```").expect("its end").0
}

#[tokio::test]
async fn shell_lines_of_the_readme_work() {
    let node = Node::start(&[("HEARTBEAT", "1")]).await;
    let readme = text("README.md");
    let lines = shell_lines(&readme);
    assert!(lines.len() >= 10, "{lines:?}");
    let mut assignment = String::new();
    for line in lines {
        let command = line.replace(ADDRESS, &node.address().to_string());
        if command.starts_with("id=") {
            assignment = command;
            continue;
        }
        let (is_stream, is_for_people) = (command.starts_with("curl -N"), command.contains("text/plain"));
        // curl ends with the first heartbeat that head no longer reads.
        let (uncommented, end) =
            (command.split(" #").next().expect("a command"), if is_stream { "| head -n 5" } else { "" });
        let script = format!("set -e; {}\n{uncommented} {end}", std::mem::take(&mut assignment));
        let output = Command::new("bash").args(["-c", &script]).output().await.expect("bash and curl");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        if is_for_people {
            assert!(stdout.contains(" mason: hi there\n"), "{line}: {stdout}");
        } else if is_stream {
            assert!(stdout.starts_with("retry:") && stdout.contains("\nid: "), "{line}: {stdout}");
        } else {
            let json: Value =
                serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error} in {stdout}"));
            let is_answer = ["id", "messages", "count"].iter().any(|member| json.get(member).is_some());
            assert!(is_answer, "{line}: {stdout}");
        }
    }
    assert_eq!(node.stored("everyone").await.len(), 4, "each line with a new message stored one");
}

/// The bot has a test of its own (`tests/it/client/bot.rs`).
#[tokio::test]
async fn commands_of_the_readme_work() {
    let node = Node::start(&[]).await;
    node.fill("everyone", 5).await;
    let readme = text("README.md");
    let lines: Vec<&str> =
        readme.lines().filter(|line| line.starts_with("    ") && line.contains("tiny-chat ")).collect();
    let lines: Vec<&&str> = lines
        .iter()
        .filter(|line| line.contains("tiny-chat listen") || line.contains("tiny-chat send"))
        .collect();
    assert!(lines.len() >= 4, "{lines:?}");
    for line in lines {
        let (command, comment) = line.split_once(" #").expect("a comment");
        let is_stream = command.contains(" listen ");
        let end = if is_stream { " --count 5" } else { "" };
        let folder = Path::new(BINARY).parent().expect("a folder").display();
        let script = format!("set -eo pipefail; PATH={folder}:$PATH\n{}{end}", command.trim_end());
        let mut bash = Command::new("bash");
        let output = bash.args(["-c", &script]).env("TINY_CHAT_URL", node.url("/")).output().await.expect("bash");
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && output.stderr.is_empty(), "{line}: {output:?}");
        assert_eq!(stdout.starts_with('{'), comment.contains('{'), "{line}: {stdout}");
        assert!(!stdout.is_empty(), "{line}");
    }
    assert_eq!(node.stored("everyone").await.len(), 5 + 1 + 3);
}

#[tokio::test]
async fn page_of_the_readme_shows_and_sends_messages() {
    let browser = Browser::start().await;
    let folder = TempDir::new().expect("a folder");
    let server = WebServer::start_nginx(|port| {
        let root = folder.path().display();
        format!(
            "events {{}}\nhttp {{\n  server {{ listen 127.0.0.1:{port}; root {root}; default_type text/html; }}\n}}\n"
        )
    })
    .await;
    let origin = server.url("/").trim_end_matches('/').to_owned();
    let node = Node::start(&[("ALLOWED_ORIGINS", &origin)]).await;
    node.post("everyone", "O'Neil", "<b>1 & 2</b>").await;
    let page = page(&text("README.md")).replace(&format!("http://{ADDRESS}"), node.url("/").trim_end_matches('/'));
    fs::write(folder.path().join("chat.html"), page).expect("a page");
    browser.open(&server.url("/chat.html")).await;
    browser.until("return document.body.innerText.includes(\"O'Neil: <b>1 & 2</b>\")").await;
    browser
        .run("document.querySelector('input').value = 'from the page'; document.querySelector('button').click();")
        .await;
    browser.until("return document.body.innerText.includes('Anonymous: from the page')").await;
    eventually("an empty input", async || {
        browser
            .run("return document.querySelector('input').value")
            .await
            .as_str()
            .is_some_and(str::is_empty)
            .then_some(())
    })
    .await;
}
