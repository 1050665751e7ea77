//! The fault test (`examples/faulttest`): a short run passes and says so, a fault that cannot happen is not counted, and
//! an interrupted run leaves nothing behind.

use std::{
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::demo::{PROGRAM, children};
use crate::support::{DEADLINE, eventually, within};

/// A run of some seconds takes a quarter of a minute, and longer on a busy machine.
const RUN_DEADLINE: Duration = Duration::from_secs(120);

/// As little as shows something.
const LOAD: [&str; 4] = ["--rate", "40", "--readers", "30"];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM.as_path());
    command.args(LOAD).args(arguments).stdin(Stdio::null());
    command
}

/// Runs to the end. Returns whether the run passed, and what it printed.
async fn run(arguments: &[&str]) -> (bool, String) {
    let run = command(arguments).output();
    let Output { status, stdout, stderr } = within(RUN_DEADLINE, "the end of a run", run).await.expect("it runs");
    (status.success(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

/// Returns the row of a fault in the table of a report.
fn row<'a>(report: &'a str, fault: &str) -> &'a str {
    let is_row = |line: &&str| line.starts_with(fault);
    report.lines().find(is_row).unwrap_or_else(|| panic!("no row of {fault}:\n{report}"))
}

#[tokio::test]
async fn short_run_lets_faults_happen_and_passes() {
    let (passed, report) = run(&["--minutes", "0.1", "--faults", "redis-killed,node-killed,slots-moved"]).await;
    for fault in ["redis-killed", "node-killed"] {
        let times = row(&report, fault).split_whitespace().nth(1).and_then(|times| times.parse::<u32>().ok());
        assert!(times >= Some(1), "{fault} did not happen:\n{report}");
    }
    assert!(row(&report, "slots-moved").contains("not run: only a cluster moves slots"), "{report}");
    assert!(passed && report.contains("Passed: nothing was lost silently."), "{report}");
}

#[tokio::test]
async fn unknown_faults_are_refused_with_the_names_of_all() {
    let (passed, text) = run(&["--faults", "redis-sad"]).await;
    assert!(!passed && text.contains("redis-sad is no fault") && text.contains("redis-killed, "), "{text}");
}

#[tokio::test]
async fn interrupted_run_leaves_no_process_behind() {
    end_by(Signal::SIGTERM).await;
}

#[tokio::test]
async fn killed_run_leaves_no_process_behind() {
    end_by(Signal::SIGKILL).await;
}

/// Ends a run by a signal, and waits for the end of everything that it started.
async fn end_by(signal: Signal) {
    let mut run = command(&["--faults", "node-killed"]).stdout(Stdio::piped()).spawn().expect("it runs");
    let mut lines = BufReader::new(run.stdout.take().expect("piped")).lines();
    let started = async { while !lines.next_line().await.expect("lines").expect("a line").contains("deliveries") {} };
    within(RUN_DEADLINE, "a line of progress", started).await;
    let processes = descendants(pid(&run));
    assert!(processes.len() >= 4, "three nodes and a Redis, at least: {processes:?}");
    kill(Pid::from_raw(pid(&run).try_into().expect("a pid")), signal).expect("it runs");
    let status = within(DEADLINE, "the end of the run", run.wait()).await.expect("an exit status");
    assert!(!status.success(), "an interrupted run shows nothing");
    for process in processes {
        let is_gone = async || (!Path::new(&format!("/proc/{process}")).exists()).then_some(());
        eventually("the end of its processes", is_gone).await;
    }
}

fn pid(run: &Child) -> u32 {
    run.id().expect("it runs")
}

/// Returns the processes that this one has started, and those that they have.
fn descendants(pid: u32) -> Vec<u32> {
    children(pid).into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}
