//! Every command of every document is run by a test, or is named with the reason why none runs it. `commands.tsv` says
//! which: the document, how the command begins, and
//!
//! - `node`: it starts a node, which a test below does as it stands;
//! - `test NAME`: this test runs it, or what it runs;
//! - `script NAME`: this script does, which CI runs;
//! - `hand REASON`: nothing does.
//!
//! Of several lines that fit, the first counts. `scripts/docs-test` runs all of these tests.

use std::{path::Path, process::Command};

use super::{code, documents};
use crate::support::{
    BINARY, Node, Process, Redis, eventually, free_port,
    repository::{root, text},
};

/// Words that commands begin with. A line of a block that is indented is no command unless it begins with one.
const PROGRAMS: [&str; 33] = [
    "apt",
    "apt-get",
    "brew",
    "caddy",
    "cargo",
    "chmod",
    "curl",
    "docker",
    "docker-compose",
    "dpkg",
    "echo",
    "export",
    "git",
    "haproxy",
    "helm",
    "kubectl",
    "mdbook",
    "nginx",
    "node",
    "npm",
    "npx",
    "pip",
    "podman",
    "printf",
    "promtool",
    "python3",
    "redis-cli",
    "seq",
    "sh",
    "sudo",
    "systemctl",
    "tiny-chat",
    "wget",
];

/// How a command is checked.
struct Rule {
    document: String,
    beginning: String,
    how: String,
}

fn rules() -> Vec<Rule> {
    let table = text("tests/it/documents/commands.tsv");
    table
        .lines()
        .map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
            [document, beginning, how] => {
                Rule { document: document.to_owned(), beginning: beginning.to_owned(), how: how.to_owned() }
            }
            _ => panic!("{line:?} has not three columns"),
        })
        .collect()
}

/// Returns true if a line begins with a program, after variables if there are some.
fn begins_with_a_program(line: &str) -> bool {
    let is_variable = |word: &str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let line = line.strip_prefix("$ ").unwrap_or(line);
    if line
        .split_once("=$(")
        .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    {
        return true;
    }
    let word = line.split(' ').find(|word| !is_variable(word)).unwrap_or_default();
    let is_path = ["scripts/", "./"].iter().any(|folder| word.len() > folder.len() && word.starts_with(folder));
    PROGRAMS.contains(&word) || is_path
}

/// Returns the commands of a document. What is indented belongs to the command before it.
fn commands(document: &str) -> Vec<&str> {
    let lines = code(document);
    let is_command = |line: &str, language: &str| match language {
        "" => begins_with_a_program(line),
        "console" => line.starts_with("$ "),
        "sh" | "bash" | "shell" => {
            !line.is_empty() && !line.starts_with([' ', '#', '}']) && !["done", "fi", "esac"].contains(&line)
        }
        _ => false,
    };
    lines
        .into_iter()
        .filter(|line| is_command(line.text, line.language))
        .map(|line| line.text)
        .collect()
}

/// Returns true if the test that is named by its path exists.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else {
        return false;
    };
    let file = root().join("tests/it").join(module.replace("::", "/")).with_extension("rs");
    std::fs::read_to_string(file).is_ok_and(|source| source.contains(&format!("fn {name}(")))
}

#[test]
fn every_command_of_every_document_is_checked() {
    let (rules, mut wrong) = (rules(), Vec::new());
    let mut used = vec![false; rules.len()];
    for document in documents() {
        for command in commands(&document.text) {
            let fits = |rule: &Rule| rule.document == document.path && command.starts_with(&rule.beginning);
            match rules.iter().position(fits) {
                Some(index) => used[index] = true,
                None => wrong.push(format!("{}: nothing is said about {command:?}", document.path)),
            }
        }
    }
    for (rule, used) in rules.iter().zip(used) {
        let is_right = match rule.how.split_once(' ') {
            None => rule.how == "node",
            Some(("test", test)) => exists(test),
            Some(("script", script)) => root().join(script).exists(),
            Some(("hand", reason)) => !reason.is_empty(),
            Some(_) => false,
        };
        let Rule { document, beginning, how } = rule;
        if !used {
            wrong.push(format!("{document}: no command begins with {beginning:?}"));
        }
        if !is_right {
            wrong.push(format!("{document}: {beginning:?}: there is no {how:?}"));
        }
    }
    assert!(wrong.is_empty(), "tests/it/documents/commands.tsv:\n{}", wrong.join("\n"));
}

#[test]
fn commands_are_found_in_blocks_of_any_kind() {
    let document = "text\n\n    curl x\n    A=1 B=2 cargo run\n    a value\n    id=$(curl y)\n\n```sh\nfoo\n  bar\n# no\n```\n\
                    ```console\n$ seq 1\n1\n```\n```js\ncurl()\n```\n";
    assert_eq!(commands(document), ["curl x", "A=1 B=2 cargo run", "id=$(curl y)", "foo", "$ seq 1"]);
}

/// A port and a Redis of the test stand for those of the document, and the program for the build.
#[tokio::test]
async fn commands_that_start_a_node_start_one() {
    let (rules, redis) = (rules(), Redis::start().await);
    let mut count = 0;
    for document in documents() {
        for command in commands(&document.text) {
            let fits = |rule: &&Rule| rule.document == document.path && command.starts_with(&rule.beginning);
            if rules.iter().find(fits).is_none_or(|rule| rule.how != "node") {
                continue;
            }
            count += 1;
            let (address, line) =
                (format!("127.0.0.1:{}", free_port()), command.split(" #").next().expect("a command"));
            let line = line.trim().trim_end_matches('&').replace("redis://127.0.0.1:6379", &redis.url());
            let is_bound = line.contains("BIND=");
            let line = line.replace("cargo run --release", "tiny-chat").replace("cargo run", "tiny-chat");
            let line = line.replace("127.0.0.1:8080", &address).replace("127.0.0.1:8081", &address);
            let path = format!(
                "{}:{}",
                Path::new(BINARY).parent().expect("a folder").display(),
                std::env::var("PATH").unwrap_or_default()
            );
            let mut bash = Command::new("bash");
            bash.args(["-c", &format!("exec env {line}")]).env_clear().env("PATH", path);
            if !is_bound {
                bash.env("BIND", &address);
            }
            let mut node = Process::spawn(&mut bash);
            eventually("a node", async || {
                assert!(node.try_wait().is_none(), "{command}: {}", node.output());
                node.line_with(&format!("open http://{address}"))
            })
            .await;
        }
    }
    assert!(count >= 5, "{count} commands");
}

/// Runs the loop until it has printed what was posted before, during and after a cut.
#[tokio::test]
async fn loop_in_a_shell_of_the_clients_page_resumes() {
    let page = text("docs/clients.md");
    let (_, rest) = page.split_once("```sh\nwhile true").expect("a loop");
    let address = format!("127.0.0.1:{}", free_port());
    let script =
        format!("while true{}", rest.split("```").next().expect("its end")).replace("localhost:8080", &address);
    let redis = Redis::start().await;
    let settings = [("BIND", address.as_str()), ("DRAIN", "1"), ("DRAIN_GRACE", "0")];
    let mut node = Node::on(&redis, &settings).await;
    let shell = Process::spawn(Command::new("bash").args(["-c", &script]));
    let printed = async |text: &str| eventually(text, async || shell.line_with(text)).await;
    node.wait_for_live_streams(1).await;
    node.post("everyone", "mason", "first").await;
    printed("first").await;
    node.kill();
    let node = Node::on(&redis, &settings).await;
    node.post("everyone", "mason", "second").await;
    printed("second").await;
    assert_eq!(shell.output().lines().count(), 2, "{}", shell.output());
}
