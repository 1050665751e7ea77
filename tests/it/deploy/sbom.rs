//! The list of crates that a release comes with, as `scripts/package sbom` makes it.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::repository::root;

/// Returns the crates of the program, as name and version.
fn crates() -> BTreeSet<(String, String)> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none"])
        .current_dir(root());
    let output = String::from_utf8(cargo.output().expect("cargo").stdout).expect("UTF-8");
    let crates = output.lines().filter_map(|line| line.split_once(" v"));
    let version = |rest: &str| rest.split(' ').next().unwrap_or_default().to_owned();
    crates.map(|(name, rest)| (name.to_owned(), version(rest))).collect()
}

#[test]
fn sbom_names_every_crate_of_the_program_and_its_licence() {
    let tool = Command::new("cargo-cyclonedx").args(["cyclonedx", "--version"]).output();
    if !tool.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED: the SBOM. That needs cargo-cyclonedx (scripts/package install).");
        return;
    }
    let dist = TempDir::new().expect("a folder");
    let mut package = Command::new(root().join("scripts/package"));
    let made = package.arg("sbom").env("DIST", dist.path()).output().expect("scripts/package");
    assert!(made.status.success(), "{made:?}");
    let file = dist.path().join(format!("tiny-chat-{}.cdx.json", env!("CARGO_PKG_VERSION")));
    let sbom: Value = serde_json::from_slice(&fs::read(file).expect("the SBOM")).expect("JSON");
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().expect("components");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named: BTreeSet<_> =
        components.iter().map(|component| (text(&component["name"]), text(&component["version"]))).collect();
    let mut program = crates();
    program.retain(|(name, _)| name != env!("CARGO_PKG_NAME"));
    let missing: Vec<_> = program.difference(&named).collect();
    assert!(program.len() > 200 && missing.is_empty(), "{} crates; not named: {missing:?}", program.len());
    for component in components {
        assert!(component["licenses"].is_array(), "no licence: {component}");
    }
    assert!(!named.iter().any(|(name, _)| name == "fantoccini"), "what only tests use is no part of the program");
}
