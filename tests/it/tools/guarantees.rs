//! The commands in docs/guarantees.md work, and it names each fault that is tried.

use std::{fs, process::Command};

use super::demo::PROGRAM;
use crate::support::repository::{root, text};

/// How the commands of the page begin.
const FAULTTEST: &str = "cargo run --release --example faulttest -- ";

/// The options of a full run, and those of one with one fault and a light load, for a few seconds.
const HEAVY: [&str; 3] = ["--minutes", "--rate", "--readers"];
const LIGHT: [&str; 8] = ["--minutes", "0.1", "--faults", "subscribers-killed", "--readers", "30", "--rate", "60"];

/// Returns the commands of the page.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    page.lines().filter_map(|line| line.strip_prefix("    "))
}

#[test]
fn fault_tests_of_the_guarantees_run() {
    let page = text("docs/guarantees.md");
    let runs: Vec<&str> = commands(&page).filter_map(|line| line.strip_prefix(FAULTTEST)).collect();
    assert!(runs.len() >= 4, "{runs:?}");
    for form in ["one", "sentinel", "cluster"] {
        assert!(runs.iter().any(|run| run.contains(&format!("--redis {form} "))), "{form}: {runs:?}");
    }
    for run in runs {
        let words: Vec<&str> = run.split(' ').collect();
        let (heavy, kept): (Vec<&[&str]>, Vec<&[&str]>) =
            words.chunks(2).partition(|option| HEAVY.contains(&option[0]));
        assert!(!heavy.is_empty(), "{run}");
        let output = Command::new(PROGRAM.as_path()).args(kept.concat()).args(LIGHT).output().expect("the fault test");
        let report = String::from_utf8_lossy(&output.stdout);
        for count in ["lost deliveries", "doubled deliveries", "doubled publishes", "reordered", "silent gaps"] {
            assert!(report.contains(&format!("{count} 0")), "{run}: {count}: {output:?}");
        }
    }
}

#[test]
fn planted_bugs_of_the_guarantees_exist() {
    let page = text("docs/guarantees.md");
    let calls: Vec<&str> = commands(&page).filter_map(|line| line.strip_prefix("scripts/planted")).collect();
    assert!(calls.contains(&""), "{calls:?}");
    for name in calls.iter().flat_map(|call| call.split_whitespace()) {
        assert!(root().join(format!("tests/planted/{name}.patch")).exists(), "{name}");
    }
    let script = root().join("scripts/planted");
    assert!(Command::new("bash").arg("-n").arg(&script).status().expect("bash").success());
    assert!(fs::metadata(script).is_ok());
}
