//! What the chapters show works as it stands: each `$` line of a block of the language `console` is run, in order, and
//! prints what stands below it, where `…` stands for anything.

use std::{collections::BTreeMap, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{code, documents};
use crate::support::{DEADLINE, Node, in_time};

/// The address that documents use.
const ADDRESS: &str = "localhost:8080";

/// A command of a document and the lines that it has to print.
#[derive(Debug)]
struct Step {
    command: String,
    expected: Vec<String>,
}

/// Returns the steps of a document.
fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in code(document).iter().filter(|line| line.language == "console") {
        match (line.text.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), expected: Vec::new() }),
            (None, Some(step)) => step.expected.push(line.text.to_owned()),
            (None, None) => panic!("{:?} comes before any command", line.text),
        }
    }
    steps
}

/// Returns true if a line is what a pattern with `…` says.
fn is_like(line: &str, pattern: &str) -> bool {
    let (first, rest) = match pattern.split_once('…') {
        None => return line == pattern,
        Some(parts) => parts,
    };
    let Some(line) = line.strip_prefix(first) else {
        return false;
    };
    line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| is_like(&line[at..], rest))
}

/// Compares the lines of an output, as they come, with those that are expected. A line of its own with `…` stands for any
/// number of lines.
struct Comparison<'s> {
    expected: &'s [String],
    skips: bool,
}

impl Comparison<'_> {
    /// Returns false if the line is a wrong one.
    fn take(&mut self, line: &str) -> bool {
        while self.expected.first().is_some_and(|pattern| pattern == "…") {
            (self.expected, self.skips) = (&self.expected[1..], true);
        }
        match self.expected.first() {
            Some(pattern) if is_like(line, pattern) => {
                (self.expected, self.skips) = (&self.expected[1..], false);
                true
            }
            _ => self.skips,
        }
    }
}

/// Runs a command until it has printed what is expected, or ended, and returns what is wrong.
async fn run(step: &Step, node: &Node, variables: &mut BTreeMap<String, String>) -> Result<(), String> {
    let command = step.command.replace(ADDRESS, &node.address().to_string());
    let assigned = command.split_once("=$(").map(|(name, _)| name.to_owned());
    let script = match &assigned {
        Some(name) => format!("{command}; echo \"${name}\""),
        None => command,
    };
    let mut bash = Command::new("bash");
    bash.args(["-c", &script]).envs(&*variables).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = bash.kill_on_drop(true).process_group(0).spawn().expect("bash");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let (mut comparison, mut seen) = (Comparison { expected: &step.expected, skips: false }, Vec::new());
    let is_stream = step.command.contains("curl -N");
    let reading = async {
        while !(is_stream && comparison.expected.is_empty()) {
            let Some(line) = lines.next_line().await.expect("text") else {
                break;
            };
            match &assigned {
                Some(name) => drop(variables.insert(name.clone(), line)),
                None => {
                    seen.push(line);
                    if !comparison.take(seen.last().expect("a line")) {
                        return false;
                    }
                }
            }
        }
        comparison.expected.is_empty()
    };
    let is_right = in_time(DEADLINE, reading).await.unwrap_or(false);
    if let Some(pid) = child.id() {
        // bash may have children of its own.
        let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL);
    }
    match is_right {
        true => Ok(()),
        false => Err(format!("{step:#?}\nprinted\n{}", seen.join("\n"))),
    }
}

#[tokio::test]
async fn console_blocks_print_what_they_show() {
    let mut count = 0;
    for document in documents() {
        let steps = steps(&document.text);
        if steps.is_empty() {
            continue;
        }
        count += steps.len();
        let (node, mut variables) = (Node::start(&[]).await, BTreeMap::new());
        for step in &steps {
            if let Err(wrong) = run(step, &node, &mut variables).await {
                panic!("{}: {wrong}", document.path);
            }
        }
    }
    assert!(count > 20, "{count} commands");
}

#[test]
fn patterns_stand_for_anything_and_nothing_else() {
    assert!(is_like("id: 12-1", "id: …-1") && is_like("id: 12-1", "id: …") && is_like("a", "a…"));
    assert!(!is_like("id: 12-2", "id: …-1") && !is_like("id: 12-1", "id: 12") && !is_like("xid: 1", "id: …"));
    let mut comparison = Comparison { expected: &["…".to_owned(), "b".to_owned()], skips: false };
    assert!(comparison.take("a") && comparison.take("b") && !comparison.take("c"));
}
