//! The Debian package.

use std::process::Command;

use crate::support::{BINARY, repository::root};

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Tries the package with `scripts/deb-test`, if this machine can.
fn try_package(mode: &[&str], tools: &[&str]) {
    let is_root = nix::unistd::geteuid().is_root();
    if let Some(missing) = tools.iter().find(|tool| !runs(tool)).or((!is_root).then_some(&"root")) {
        eprintln!("NOT TESTED: the Debian package. That needs {missing}.");
        return;
    }
    let output = Command::new(root().join("scripts/deb-test")).args(mode).arg(BINARY).output().expect("the script");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn debian_package_installs_starts_upgrades_and_goes_away() {
    try_package(&[], &["dpkg", "cargo-deb"]);
}

#[test]
#[ignore = "boots a machine"]
fn debian_package_is_run_by_systemd() {
    try_package(&["boot"], &["dpkg", "cargo-deb", "systemd-nspawn"]);
}
