//! The benchmarks: the clients of `benches/fanout` must detect every fault, and short runs must end successfully. What
//! they measure is not checked.

use std::process::Command;

use crate::support::repository::root;

#[path = "../../../benches/fanout/received.rs"]
mod received;

use received::{Faults, Mark, ReceivedNumbers, WARM_UP_MARK, format_mark, parse_marks};

/// Returns the faults found in these numbers, where 1 to 5 were sent in one lane.
fn faults_in(numbers: &[u32]) -> Faults {
    let (mut received, mut faults) = (ReceivedNumbers::default(), Faults::default());
    for number in numbers {
        received.record(0, *number);
    }
    received.add_faults(&[5], &mut faults);
    faults
}

#[test]
fn row_is_valid_only_if_every_number_arrived_once_in_order() {
    assert_eq!(faults_in(&[1, 2, 3, 4, 5]).verdict(), None);
    assert_eq!(faults_in(&[1, 2, 4, 5]).verdict().as_deref(), Some("1 lost"));
    assert_eq!(faults_in(&[2, 3]).verdict().as_deref(), Some("3 lost"));
    assert_eq!(faults_in(&[]).verdict().as_deref(), Some("5 lost"));
    assert_eq!(faults_in(&[1, 2, 2, 3, 4, 5]).verdict().as_deref(), Some("1 doubled"));
    assert_eq!(faults_in(&[1, 3, 2, 4, 5]).verdict().as_deref(), Some("1 reordered"));
    assert_eq!(faults_in(&[1, 3, 2, 2, 4]).verdict().as_deref(), Some("1 lost, 1 doubled, 1 reordered"));
    let ended = Faults { cut: 2, refused: 1, ..Faults::default() };
    assert_eq!(ended.verdict().as_deref(), Some("2 cut off, 1 refused"));
}

#[test]
fn marks_are_found_across_any_split_of_the_stream() {
    let stream =
        format!("7f\r\ndata: #not a mark {WARM_UP_MARK} {} {}\n\n#", format_mark(3, 14, 159), format_mark(0, 2, 6));
    let expected = [
        Mark::WarmUp,
        Mark::Numbered { lane: 3, number: 14, nanos: 159 },
        Mark::Numbered { lane: 0, number: 2, nanos: 6 },
    ];
    for cut in 0..=stream.len() {
        let (mut seen, mut tail) = (Vec::new(), Vec::new());
        for part in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            tail.extend_from_slice(part);
            let done = parse_marks(&tail, |mark| seen.push(mark));
            tail.drain(..done);
        }
        assert_eq!(seen, expected, "cut at {cut}");
    }
}

/// Runs one workload of each kind: paced with the floor, posts with Redis, merged rooms, silence, and reconnects.
#[test]
fn quick_benchmark_fills_every_row_without_void_ones() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "fanout", "--", "--quick"]);
    for workload in ["paced", "merged", "heartbeats", "known", "pages", "publish", "storm", "behind"] {
        cargo.args(["--only", workload]);
    }
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    let (tables, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !tables.contains("VOID"), "{tables}\n{log}");
    for row in ["| floor ", "| tiny-chat ", "| tiny-chat, a room each ", "| redis-benchmark, XADD ", "| 100 behind "] {
        assert!(tables.contains(row), "no row {row:?} in\n{tables}\n{log}");
    }
}

/// Hubs that are not installed are left out, and what another hub loses is no failure.
#[test]
fn quick_comparison_writes_its_page_and_plots() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("comparison.md");
    std::fs::copy(root().join("docs/comparison.md"), &page).expect("a copy of the page");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "fanout", "--", "--quick", "--page", "comparison"]);
    for workload in ["posts", "silent", "resume"] {
        cargo.args(["--only", workload]);
    }
    let output = cargo.arg("--write").arg(&page).current_dir(root()).output().expect("cargo");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let text = std::fs::read_to_string(&page).expect("the page");
    for row in ["| floor ", "| tiny-chat ", "| tiny-chat, with its limits ", "### Silent", "### Resume"] {
        assert!(text.contains(row), "no {row:?} in\n{text}\n{log}");
    }
    for plot in ["comparison.svg", "comparison.dark.svg"] {
        let svg = std::fs::read_to_string(folder.path().join(plot)).expect("a plot");
        assert!(svg.contains("tiny-chat"), "{plot} has no bar of tiny-chat");
    }
}

#[test]
fn quick_benchmark_of_clusters_fills_every_row() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "cluster", "--", "--quick"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    let (table, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{log}");
    for row in ["| 1 ", "| 3 ", "| 6 "] {
        assert!(table.contains(row), "no row {row:?} in\n{table}\n{log}");
    }
}
