//! The features of the crate: what only clients need is not part of a server alone. That each of them compiles is checked
//! by `scripts/test`.

use std::{collections::BTreeSet, process::Command};

use crate::support::repository::{root, text};

/// By how many crates the numbers in the documents may be off, so that they need not follow each dependency.
const TOLERANCE: usize = 5;

/// Returns the crates that a build with these arguments compiles.
fn crates(arguments: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(arguments);
    let output = cargo.current_dir(root()).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}

#[test]
fn server_alone_is_built_of_fewer_crates() {
    let (all, server) = (crates(&[]), crates(&["--no-default-features"]));
    for name in ["reqwest", "hyper", "h2", "tower-http", "rustls-platform-verifier", "textwrap", "iana-time-zone"] {
        let is_in = |crates: &BTreeSet<String>| crates.iter().any(|found| found.starts_with(&format!("{name} v")));
        assert!(is_in(&all) && !is_in(&server), "{name}");
    }
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = text(document).split_whitespace().collect::<Vec<_>>().join(" ");
        let (before, after) = text.split_once(" crates instead of ").expect("the numbers of crates");
        let last: usize = before.rsplit(' ').next().and_then(|word| word.parse().ok()).expect("a number");
        let first: String = after.chars().take_while(char::is_ascii_digit).collect();
        for (written, counted) in [(last, server.len()), (first.parse().expect("a number"), all.len())] {
            assert!(written.abs_diff(counted) <= TOLERANCE, "{document} says {written} crates, there are {counted}");
        }
    }
}
