//! The bugs that scripts/planted has the fault test find: each patch still applies, changes only the server, and stands in
//! the table of docs/guarantees.md.

use std::{collections::BTreeSet, process::Command};

use crate::support::repository::{File, files, root, text};

/// As what the judge of the fault test reports a bug.
const FINDINGS: [&str; 6] = [
    "lost deliveries",
    "doubled deliveries",
    "doubled publishes",
    "silent gaps",
    "acknowledged and lost",
    "never back",
];

fn patches() -> Vec<File> {
    files("tests/planted", "patch")
}

/// Returns the name of a patch.
fn name(patch: &File) -> &str {
    patch.path.trim_start_matches("tests/planted/").trim_end_matches(".patch")
}

#[test]
fn planted_bugs_apply_to_the_server() {
    let patches = patches();
    assert!(patches.len() >= 12, "{} planted bugs", patches.len());
    for patch in patches {
        let output = Command::new("git").args(["apply", "--check", &patch.path]).current_dir(root()).output();
        let output = output.expect("git");
        assert!(output.status.success(), "{}: {}", patch.path, String::from_utf8_lossy(&output.stderr));
        let changed: Vec<&str> = patch.text.lines().filter_map(|line| line.strip_prefix("+++ b/")).collect();
        assert!(!changed.is_empty() && changed.iter().all(|path| path.starts_with("src/")), "{changed:?}");
        let is_change = |line: &&str| {
            let is_head = line.starts_with("+++") || line.starts_with("---");
            !is_head && (line.starts_with('+') || line.starts_with('-'))
        };
        let lines = patch.text.lines().filter(is_change).count();
        assert!((1..=30).contains(&lines), "{} changes {lines} lines", patch.path);
    }
}

#[test]
fn planted_bugs_say_what_they_break_and_how_that_is_found() {
    for patch in patches() {
        let mut lines = patch.text.lines();
        let found_as = lines.next().and_then(|line| line.split_once(" Found as: "));
        let (what, finding) = found_as.unwrap_or_else(|| panic!("{}: the first line", patch.path));
        assert!(what.ends_with('.') && what.len() > 30, "{}: {what}", patch.path);
        assert!(FINDINGS.contains(&finding.trim_end_matches('.')), "{}: {finding}", patch.path);
        let options = lines.next().and_then(|line| line.strip_prefix("faulttest: ")).unwrap_or_default();
        for option in ["--redis ", "--seed ", "--minutes ", "--faults "] {
            assert!(options.contains(option), "{}: {option} in {options:?}", patch.path);
        }
    }
}

#[test]
fn table_of_planted_bugs_is_complete() {
    let guarantees = text("docs/guarantees.md");
    let rows = guarantees.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let listed: BTreeSet<&str> = rows.map(|(name, _)| name).filter(|name| name.contains('_')).collect();
    let patches = patches();
    assert_eq!(listed, patches.iter().map(name).collect());
}
