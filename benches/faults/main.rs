//! The fault table of `docs/comparison.md`: what readers of each hub lose, and for how long they wait, when its nodes,
//! its Redis or their network fail.
//!
//!     cargo bench --bench faults                                   one round, about ten minutes
//!     cargo bench --bench faults -- --hub nchan --fault cut        one hub, one fault
//!     cargo bench --bench faults -- --quick                        tiny-chat alone, to see that it works
//!
//! - `hubs`: the servers and their clients; `received`: the marks of messages
//! - `trial`: one server under one fault; `fault`: what is done to it
//! - `reader`, `writer`: the clients; `relay`: the network of the readers
//! - `audit`: finds what was lost, doubled or reordered; `report`: the tables

mod audit;
mod fault;
#[path = "../hubs/mod.rs"]
mod hubs;
mod reader;
#[path = "../fanout/received.rs"]
#[allow(dead_code, reason = "the other benchmarks use all of it")]
mod received;
mod relay;
mod report;
mod trial;
mod writer;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use tokio::runtime::Runtime;

use fault::{FAULTS, Fault, QUICK_FAULTS, Times};
use hubs::{
    exit_after,
    kind::{KINDS, Kind},
    print_progress,
};
use report::Row;

/// An error that ends a trial.
type Failure = hubs::Failure;

/// How long a trial takes at most, for the deadline of a run.
const TRIAL_LIMIT: Duration = Duration::from_secs(90);

/// Stands below the tables of a short run.
const SHORT: &str = "\nSHORT TIMES: the headings are those of a full run.\n";

#[derive(Parser)]
#[command(about = "Counts what readers of tiny-chat and of other hubs lose when something fails")]
struct Arguments {
    /// Number of rounds; each runs every fault against every hub once
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Run only this hub, named as in the tables; may be repeated
    #[arg(long)]
    hub: Vec<String>,
    /// Run only this fault; may be repeated
    #[arg(long)]
    fault: Vec<Fault>,
    /// A short run of tiny-chat alone with one fault of each kind, to see that the benchmark works
    #[arg(long)]
    quick: bool,
    /// Write the tables into this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    // Servers are started by this thread, which is the one that they end with; clients run on others.
    let outcome = Runtime::new().map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&Arguments::parse())));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_progress(&format!("faults: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs the trials and prints the tables. Returns true if no row of tiny-chat has a flaw.
async fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let kinds = chosen_kinds(arguments);
    let of_quick: &[Fault] = if arguments.quick { &QUICK_FAULTS } else { &FAULTS };
    let faults: Vec<Fault> = if arguments.fault.is_empty() {
        of_quick.to_vec()
    } else {
        arguments.fault.clone()
    };
    let times = if arguments.quick { Times::QUICK } else { Times::FULL };
    let trials = u32::try_from(arguments.rounds * kinds.len() * faults.len())?;
    exit_after("faults", TRIAL_LIMIT * trials);
    let mut rows: Vec<Row> = Vec::new();
    for number in 1..=arguments.rounds {
        for fault in &faults {
            print_progress(&format!("round {number} of {}: {}", arguments.rounds, fault.name()));
            for kind in kinds.iter().filter(|kind| kind.missing().is_none() && fault.fits(**kind)) {
                let outcome = trial::run(*kind, *fault, times).await.map_err(|error| error.to_string());
                let row = Row { kind: *kind, fault: *fault, outcome };
                print_progress(&row.line());
                add(&mut rows, row);
            }
        }
    }
    let text = report::text(&rows, &kinds, &faults, arguments.rounds) + if arguments.quick { SHORT } else { "" };
    io::stdout().write_all(text.as_bytes())?;
    if let Some(file) = &arguments.write {
        report::write(file, &text)?;
    }
    let flaws: Vec<String> = rows.iter().filter_map(Row::flaw).collect();
    for flaw in &flaws {
        print_progress(&format!("a flaw of tiny-chat: {flaw}"));
    }
    Ok(flaws.is_empty())
}

/// Adds a row, or its counts to the row of earlier rounds.
fn add(rows: &mut Vec<Row>, row: Row) {
    let earlier = rows.iter_mut().find(|earlier| earlier.kind == row.kind && earlier.fault == row.fault);
    match (earlier.map(|earlier| &mut earlier.outcome), row.outcome) {
        (None, outcome) => rows.push(Row { outcome, ..row }),
        (Some(Ok(sum)), Ok(outcome)) => sum.merge(outcome),
        (Some(earlier), Err(error)) => *earlier = Err(error),
        (Some(Err(_)), Ok(_)) => {}
    }
}

/// Returns the servers to run, and names those that are not installed.
fn chosen_kinds(arguments: &Arguments) -> Vec<Kind> {
    let is_chosen = |kind: &Kind| {
        let is_named = arguments.hub.iter().any(|name| name.eq_ignore_ascii_case(kind.name()));
        let is_ours_alone = arguments.quick && arguments.hub.is_empty();
        is_named || arguments.hub.is_empty() && (!is_ours_alone || *kind == Kind::Ours)
    };
    // The floor has no log, and the script with an EventEmitter neither.
    let hubs = KINDS.into_iter().filter(|kind| ![Kind::Floor, Kind::Node].contains(kind));
    let kinds: Vec<Kind> = hubs.filter(is_chosen).collect();
    for (kind, missing) in kinds.iter().filter_map(|kind| Some((kind, kind.missing()?))) {
        print_progress(&format!("not measured: {}: {missing}", kind.name()));
    }
    kinds
}

/// Returns the name of a room, which is a topic or a channel to others.
fn room_name(number: usize) -> String {
    format!("room-{number}")
}
