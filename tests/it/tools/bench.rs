//! The benchmarks: the clients of `benches/fanout` and `benches/faults` must detect every fault, and short runs must end
//! successfully. What they measure is not checked.

use std::{process::Command, time::Duration};

use crate::support::repository::root;

#[path = "../../../benches/faults/audit.rs"]
mod audit;

#[path = "../../../benches/fanout/received.rs"]
mod received;

#[path = "../../../benches/hubs/stream.rs"]
mod stream;

use audit::{Findings, Interruption, Posted, Received, audit};
use received::{Faults, Mark, ReceivedNumbers, WARM_UP_MARK, format_mark, parse_marks};
use stream::{StreamDecoder, StreamEvent};

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

/// Audits a reader that received these numbers, each at its second, where 1 to 5 were posted and acknowledged at theirs;
/// those in `unknown` were not acknowledged.
fn audit_of(numbers: &[(u32, u64)], unknown: &[u32], present_from: u64) -> Findings {
    let second = Duration::from_secs;
    let acknowledged = |number: u32| (!unknown.contains(&number)).then(|| second(number.into()));
    let posted: Vec<Posted> = (1..=5).map(|number| Posted { number, acknowledged: acknowledged(number) }).collect();
    let received: Vec<Received> = numbers.iter().map(|&(number, at)| Received { number, at: second(at) }).collect();
    audit(&posted, &received, second(present_from))
}

#[test]
fn audit_of_a_fault_finds_what_is_lost_twice_or_out_of_order() {
    let counts = |findings: Findings| (findings.expected, findings.lost, findings.twice, findings.out_of_order);
    let of = |numbers: &[u32], unknown: &[u32]| {
        let numbers: Vec<(u32, u64)> = numbers.iter().map(|number| (*number, 9)).collect();
        counts(audit_of(&numbers, unknown, 0))
    };
    assert_eq!(of(&[1, 2, 3, 4, 5], &[]), (5, 0, 0, 0));
    assert_eq!(of(&[1, 2, 4, 5], &[]), (5, 1, 0, 0));
    assert_eq!(of(&[], &[]), (5, 5, 0, 0));
    assert_eq!(of(&[1, 2, 3, 3, 4, 5, 1], &[]), (5, 0, 2, 0));
    assert_eq!(of(&[1, 3, 4, 2, 5], &[]), (5, 0, 0, 1));
    // A message without an acknowledgement may be missing or late, but not be there twice.
    assert_eq!(of(&[1, 2, 4, 5], &[3]), (4, 0, 0, 0));
    assert_eq!(of(&[1, 2, 4, 5, 3], &[3]), (4, 0, 0, 0));
    assert_eq!(of(&[1, 2, 3, 3, 4, 5], &[3]), (4, 0, 1, 0));
}

#[test]
fn interruption_of_a_reader_ends_with_a_message_as_new() {
    let of = |numbers: &[(u32, u64)], present_from| audit_of(numbers, &[], present_from).interruption;
    let seconds = |seconds| Interruption::For(Duration::from_secs(seconds));
    assert_eq!(of(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)], 0), seconds(0));
    assert_eq!(of(&[(1, 1), (2, 7), (3, 7), (4, 7), (5, 7)], 0), seconds(5));
    // What is lost for good is no reason to wait once something later is there.
    assert_eq!(of(&[(1, 1), (4, 6), (5, 6)], 0), seconds(4));
    assert_eq!(of(&[(1, 1), (2, 7), (3, 7), (4, 7), (5, 7)], 6), seconds(1));
    assert_eq!(of(&[(1, 1), (2, 2)], 0), Interruption::ForGood);
    assert!(Interruption::ForGood > seconds(1000));
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

/// Returns the events of a stream that arrives in two parts, for every way to cut it.
fn events_of(stream: &[u8]) -> Vec<Vec<StreamEvent>> {
    let cuts = 0..=stream.len();
    cuts.map(|cut| {
        let mut decoder = StreamDecoder::default();
        [decoder.push(&stream[..cut]), decoder.push(&stream[cut..])].concat()
    })
    .collect()
}

#[test]
fn events_are_decoded_from_any_split_of_chunks() {
    let events = "retry: 2000\nid: 4-1\ndata: one\n\n: comment\n\nevent: gap\ndata: two\n\n";
    let (first, second) = events.split_at(20);
    let mut stream = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for chunk in [first, second] {
        stream += &format!("{:x}\r\n{chunk}\r\n", chunk.len());
    }
    let one = StreamEvent { id: Some("4-1".into()), data: "one".into(), retry: Some(2000), ..StreamEvent::default() };
    let two = StreamEvent { name: "gap".into(), data: "two".into(), ..StreamEvent::default() };
    for decoded in events_of(stream.as_bytes()) {
        assert_eq!(decoded, [one.clone(), two.clone()]);
    }
    let mut decoder = StreamDecoder::default();
    decoder.push(stream.as_bytes());
    assert!(decoder.status() == Some(200) && !decoder.is_ended());
    decoder.push(b"0\r\n\r\n");
    assert!(decoder.is_ended());
}

#[test]
fn frames_are_decoded_from_any_split_of_a_web_socket() {
    let long = "x".repeat(300);
    let mut stream = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x02hi\x89\x00\x81\x7e\x01\x2c".to_vec();
    stream.extend_from_slice(long.as_bytes());
    for decoded in events_of(&stream) {
        let texts: Vec<&str> = decoded.iter().map(|event| &*event.data).collect();
        assert_eq!(texts, ["hi", &*long]);
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

/// Proxies that are not installed are left out.
#[test]
fn quick_benchmark_of_proxies_writes_into_its_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("operations.md");
    std::fs::copy(root().join("docs/operations.md"), &page).expect("a copy of the page");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "fanout", "--", "--quick", "--page", "proxies"]);
    let output = cargo.arg("--write").arg(&page).current_dir(root()).output().expect("cargo");
    let (tables, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !tables.contains("VOID"), "{tables}\n{log}");
    let text = std::fs::read_to_string(&page).expect("the page");
    for part in ["### Deliveries", "### Idle readers", "| direct ", "SMALL SIZES", "## Redis"] {
        assert!(text.contains(part), "no {part:?} in\n{text}\n{log}");
    }
    for proxy in ["nginx", "HAProxy", "Caddy"] {
        let rows = tables.matches(&format!("| {proxy} ")).count();
        let is_missing = tables.lines().any(|line| line.contains("not installed here") && line.contains(proxy));
        assert!(rows == 2 || is_missing, "{rows} rows of {proxy} in\n{tables}\n{log}");
    }
}

/// Fails if a reader of tiny-chat loses a message, or has one twice or out of order, when a node, Redis or its network
/// fails.
#[test]
fn quick_faults_leave_no_flaw_in_any_row() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "faults", "--", "--quick"]);
    let output = cargo.current_dir(root()).output().expect("cargo");
    let (tables, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tables}\n{log}");
    assert_eq!(tables.matches("| tiny-chat | 0 of ").count(), 3, "{tables}\n{log}");
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
