//! The steps that run in this process, in one thread and without Redis.

use std::{hint::black_box, path::Path, process::Stdio};

use tiny_chat::{
    chat::{Draft, Fields, Id},
    sse::Event,
};

use crate::{
    Failure,
    node::{MESSAGE_TEXT, Node, draft, encode},
    own_path, under_valgrind,
};

/// How far behind a subscriber is that resumes.
const MISSED_MESSAGES: usize = 100;

pub struct Step {
    pub name: &'static str,
    /// How often it runs.
    pub times: usize,
    run: fn(usize),
}

pub const STEPS: [Step; 6] = [
    Step { name: "parse", times: 2000, run: parse },
    Step { name: "frame", times: 2000, run: frame },
    Step { name: "append + wake", times: 2000, run: append_and_wake },
    Step { name: "fan-out, 10 readers", times: 500, run: fan_out },
    Step { name: "publish, in process", times: 2000, run: publish },
    Step { name: "resume, 100 behind", times: 200, run: resume },
];

/// Runs a step so many times.
pub fn run(name: &str, times: usize) -> Result<(), Failure> {
    let step = STEPS.iter().find(|step| step.name == name).ok_or("no such step")?;
    (step.run)(times);
    Ok(())
}

/// Runs a step in a process of its own, whose instructions are counted.
pub fn run_under_valgrind(name: &str, times: usize, log: &Path) -> Result<(), Failure> {
    let mut command = under_valgrind(log, &own_path()?);
    command.args(["step", name, &times.to_string()]).stdout(Stdio::null());
    let status = command.status()?;
    if !status.success() {
        return Err(format!("the step {name} failed: {status}").into());
    }
    Ok(())
}

fn parse(times: usize) {
    let fields = Fields {
        sender: Some("mason".into()),
        message: Some(MESSAGE_TEXT.into()),
        key: Some("4711".into()),
        secret: None,
    };
    for _ in 0..times {
        let _ = black_box(Draft::new(black_box(&fields)));
    }
}

fn frame(times: usize) {
    let (id, data) = (Id { ms: 1_361_572_294_000, n: 42 }, draft().data().to_owned());
    for _ in 0..times {
        black_box(encode(&Event::entry(black_box(id), "", black_box(&data).clone()), &id.into(), None));
    }
}

/// Appends messages to a full buffer, each of which evicts the oldest one, and wakes the fan-out, which does not run.
fn append_and_wake(times: usize) {
    let mut node = Node::start(1);
    // The buffer is full after 1,000, so that both runs evict.
    for _ in 0..1000 + times {
        node.announce();
    }
}

fn fan_out(times: usize) {
    let mut node = Node::start(10);
    for _ in 0..times {
        node.announce();
        node.run_fanout();
    }
}

fn publish(times: usize) {
    let mut node = Node::start(1);
    for _ in 0..1000 + times {
        node.publish();
    }
}

fn resume(times: usize) {
    let mut node = Node::start(1);
    let first = node.publish();
    let mut last = first;
    for _ in 0..MISSED_MESSAGES {
        last = node.publish();
    }
    for _ in 0..times {
        node.resume(first, last);
    }
}
