//! The benchmark of `docs/performance.md`: measures the CPU time, latency and memory of a delivery, in comparison with
//! other servers and with the floor, which is what the kernel alone needs, in the same run on the same machine.
//!
//!     cargo bench --bench fanout                                 five rounds, about 15 minutes
//!     cargo bench --bench fanout -- --only paced --rounds 3      one workload
//!     cargo bench --bench fanout -- --quick                      one round of small sizes, to see that it works
//!
//! - `hubs`: the servers that are measured; `floor`: the floor
//! - `readers`, `publisher`: thousands of connections with an epoll each; `received`: finds faults of delivery
//! - `workloads`, `recovery`: the workloads; `table`, `plot`, `report`: the results

mod floor;
#[path = "../hubs/mod.rs"]
mod hubs;
mod plot;
mod publisher;
mod readers;
mod received;
mod recovery;
mod report;
mod table;
mod workloads;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand, ValueEnum};

use hubs::kind::{KINDS, Kind};
use table::{Series, Trial};
use workloads::Size;

/// An error that ends a trial.
type Failure = hubs::Failure;

/// Open files that are not sockets of readers.
const OTHER_OPEN_FILES: u64 = 300;

#[derive(Parser)]
#[command(about = "Measures what a delivery costs, in comparison with the kernel alone and with other servers")]
struct Arguments {
    /// Number of rounds; each runs every workload once
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Run only this workload; may be repeated
    #[arg(long)]
    only: Vec<Workload>,
    /// One round of small sizes, to see that the benchmark works
    #[arg(long)]
    quick: bool,
    /// Write the tables into this file, and the plot next to it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// Runs the floor; the benchmark starts itself with this command
    #[command(hide = true)]
    Floor { address: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    Paced,
    Saturated,
    Rooms,
    Merged,
    Idle,
    Publish,
    Storm,
    Scale,
    Growth,
    Behind,
}

impl Workload {
    /// Returns the heading of its table.
    fn title(self) -> &'static str {
        match self {
            Workload::Paced => "Paced: 800 readers of one room, 50 messages a second",
            Workload::Saturated => "Saturated: 1,000 readers of one room, 4 publishers as fast as acknowledged",
            Workload::Rooms => "Many rooms: 1,000 rooms of 5 readers, 2,000 messages a second over all",
            Workload::Merged => "Merged rooms: 800 readers of the same 8 rooms, 50 messages a second over all",
            Workload::Idle => "Idle: 8,000 readers of one room",
            Workload::Publish => "Publish: no readers, 32 connections",
            Workload::Storm => {
                "Storm: 5,000 readers of a node that is killed, each with 50 messages to catch up on at another"
            }
            Workload::Scale => {
                "Scale: 900 readers of one room over 1, 2, 3 nodes, as fast as readers can follow, and 50 messages a second"
            }
            Workload::Growth => "Growth: readers of one room, 20,000 deliveries a second",
            Workload::Behind => "Growth: 5,000 readers reconnect 1, 10 and 100 messages behind",
        }
    }

    /// Runs the workload against one server.
    fn trials(self, kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
        match self {
            Workload::Paced => workloads::paced(kind, size),
            Workload::Saturated => workloads::saturated(kind, size),
            Workload::Rooms => workloads::many_rooms(kind, size),
            Workload::Idle => workloads::idle(kind, size),
            Workload::Merged => workloads::merged_rooms(size),
            Workload::Publish => recovery::publish(size),
            Workload::Storm => recovery::storm(size),
            Workload::Scale => workloads::scale(size),
            Workload::Growth => workloads::growth(kind, size),
            Workload::Behind => recovery::behind(size),
        }
    }

    /// Returns the servers that can run the workload.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Workload::Paced | Workload::Saturated | Workload::Rooms | Workload::Idle => &KINDS,
            Workload::Growth => &[Kind::Floor, Kind::Ours],
            _ => &[Kind::Ours],
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Hidden::Floor { address }) => floor::serve(address).map(|()| true).map_err(Failure::from),
        None => run(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_progress(&format!("fanout: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints progress to standard error; standard output is for the tables.
fn print_progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs the workloads and prints the tables. Returns true if no trial is void.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let open_files = rlimit::increase_nofile_limit(u64::MAX)?;
    let size = Size {
        quick: arguments.quick,
        max_readers: usize::try_from(open_files.saturating_sub(OTHER_OPEN_FILES))?,
    };
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    exit_after(Duration::from_secs(if arguments.quick { 120 } else { 600 * rounds as u64 }));
    let kinds = available_kinds();
    let chosen = |workload: &Workload| arguments.only.is_empty() || arguments.only.contains(workload);
    let workloads: Vec<Workload> = Workload::value_variants().iter().copied().filter(chosen).collect();
    let mut series: Vec<Series> =
        workloads.iter().map(|workload| Series { title: workload.title(), rounds: Vec::new() }).collect();
    for number in 1..=rounds {
        let mut one_room_cpu = None;
        for (workload, series) in workloads.iter().zip(&mut series) {
            print_progress(&format!("round {number} of {rounds}: {}", workload.title()));
            series.rounds.push(round(*workload, &kinds, size, &mut one_room_cpu));
        }
    }
    let report = report::Report { workloads: &workloads, series: &series, rounds, size };
    io::stdout().write_all(report.text().as_bytes())?;
    if let Some(file) = &arguments.write {
        report.write(file)?;
    }
    Ok(series
        .iter()
        .all(|series| series.subjects().iter().all(|subject| series.void_reason(subject).is_none())))
}

/// Runs one workload against each server. Keeps in `one_room` the CPU time of our delivery in one room, with which the
/// workloads with more rooms are compared.
fn round(workload: Workload, kinds: &[Kind], size: Size, one_room: &mut Option<f64>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in workload.kinds().iter().filter(|kind| kinds.contains(kind)) {
        let outcome = workload.trials(*kind, size);
        trials.extend(outcome.unwrap_or_else(|error| vec![Trial::void(kind.name(), error.to_string())]));
    }
    for values in trials
        .iter_mut()
        .filter(|trial| trial.subject.starts_with(Kind::Ours.name()))
        .map(|trial| &mut trial.values)
    {
        match (workload, values.get(&table::CPU), *one_room) {
            (Workload::Paced, Some(cpu), _) => *one_room = Some(*cpu),
            (Workload::Rooms | Workload::Merged, Some(cpu), Some(one)) if one > 0.0 => {
                values.insert(table::OF_ONE_ROOM, cpu / one);
            }
            _ => {}
        }
    }
    for trial in &trials {
        print_progress(&report::line(trial));
    }
    trials
}

/// Returns the servers that can be measured here, and names the others.
fn available_kinds() -> Vec<Kind> {
    for kind in KINDS {
        if let Some(why) = kind.missing() {
            print_progress(&format!("not measured: {}: {why}", kind.name()));
        }
    }
    KINDS.into_iter().filter(|kind| kind.missing().is_none()).collect()
}

/// Exits after `time` at the latest, even if a server hangs; the child processes end with this one.
fn exit_after(time: Duration) {
    thread::spawn(move || {
        thread::sleep(time);
        print_progress("fanout: not done in time, exiting");
        std::process::exit(1);
    });
}
