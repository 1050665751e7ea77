//! The guard of `benches/instructions`: which counts fail CI. `scripts/test` runs it.

#[path = "../../../benches/instructions/baseline.rs"]
mod baseline;

use baseline::{Baseline, Toolchain};

const FILE: &str = "rustc 1.95.0 x86_64\nframe 1000\npost 200\n";

fn judge(rustc: &str, counted: &[(&str, u64)]) -> baseline::Verdict {
    Baseline::parse(FILE).judge(&Toolchain(rustc.to_owned()), counted)
}

#[test]
fn step_that_needs_over_5_percent_more_fails() {
    assert!(judge("rustc 1.95.0 x86_64", &[("frame", 1050), ("post", 100)]).is_good);
    let dearer = judge("rustc 1.95.0 x86_64", &[("frame", 1051), ("post", 200)]);
    assert!(
        !dearer.is_good && dearer.text.contains("| frame | 1051 | 1000 | +5.1 % TOO MUCH |"),
        "{}",
        dearer.text
    );
}

#[test]
fn step_without_a_baseline_fails() {
    let unknown = judge("rustc 1.95.0 x86_64", &[("new", 1)]);
    assert!(!unknown.is_good && unknown.text.contains("NOT IN THE BASELINE"), "{}", unknown.text);
}

#[test]
fn counts_of_another_compiler_are_only_reported() {
    let other = judge("rustc 1.96.0 x86_64", &[("frame", 2000), ("new", 1)]);
    assert!(other.is_good && other.text.contains("NOT CHECKED"), "{}", other.text);
}

#[test]
fn written_baseline_is_read_again() {
    let toolchain = Toolchain("rustc 1.95.0 x86_64".to_owned());
    let written = Baseline::parse(FILE).with(&toolchain, &[("fan-out, 10 readers", 7)]);
    assert_eq!(Baseline::parse(&written.text()), written);
    assert!(written.judge(&toolchain, &[("frame", 1000), ("fan-out, 10 readers", 7)]).is_good);
    let other = Baseline::parse(FILE).with(&Toolchain("rustc 1.96.0 x86_64".to_owned()), &[("post", 1)]);
    assert_eq!(other.text(), "rustc 1.96.0 x86_64\npost 1\n");
}

#[test]
fn committed_baseline_has_every_step() {
    let committed = Baseline::parse(include_str!("../../../benches/instructions/baseline.txt"));
    let steps = concat!(
        include_str!("../../../benches/instructions/steps.rs"),
        include_str!("../../../benches/instructions/posts.rs")
    );
    let names: Vec<&str> = steps.split("name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(names.len(), 8);
    for name in names {
        let line = format!("\n{name} ");
        assert!(committed.text().contains(&line), "{name} has no baseline");
    }
}
