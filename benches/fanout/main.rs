//! The benchmark of record: what a delivery costs, beside what the kernel alone costs and beside other ways to do it, in
//! the same run on the same machine. `docs/performance.md` says how to read it.
//!
//!     cargo bench --bench fanout                                 five rounds, a quarter of an hour
//!     cargo bench --bench fanout -- --only paced --rounds 3      one workload
//!     cargo bench --bench fanout -- --quick                      everything once and small, to see that it works
//!
//! - `process`: child processes, their CPU and memory; `servers`: who is measured; `floor`: the kernel alone
//! - `readers`, `publisher`: thousands of sockets, an epoll each; `tally`: what a reader must not miss
//! - `workloads`, `recovery`: what is done; `table`, `plot`, `report`: what it came to

mod floor;
mod plot;
mod process;
mod publisher;
mod readers;
mod recovery;
mod report;
mod servers;
mod table;
mod tally;
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

use servers::{KINDS, Kind};
use table::{Series, Trial};
use workloads::Size;

/// Whatever ends a trial early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Files that are not sockets of readers.
const SPARE_FILES: u64 = 300;

#[derive(Parser)]
#[command(about = "What a delivery costs, beside the kernel alone and beside other servers")]
struct Arguments {
    /// How often everything is done, in turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only this workload; may be given again
    #[arg(long)]
    only: Vec<Workload>,
    /// One round of small sizes: whether it works, not what it costs
    #[arg(long)]
    quick: bool,
    /// Puts the tables into this file, and the plot beside it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// cargo says so
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// The floor's own process
    #[command(hide = true)]
    Floor { address: SocketAddr },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    Paced,
    Saturated,
    Rooms,
    Several,
    Idle,
    Publish,
    Storm,
    Scale,
    Growth,
    Behind,
}

impl Workload {
    fn title(self) -> &'static str {
        match self {
            Workload::Paced => "Paced: 800 readers of one room, 50 messages a second",
            Workload::Saturated => "Saturated: 1,000 readers of one room, 4 publishers as fast as acknowledged",
            Workload::Rooms => "Many rooms: 1,000 rooms of 5 readers, 2,000 messages a second over all",
            Workload::Several => {
                "Several rooms a reader: 800 readers of the same 8 rooms, 50 messages a second over all"
            }
            Workload::Idle => "Idle: 8,000 readers of one room",
            Workload::Publish => "Publish: no readers, 32 connections",
            Workload::Storm => {
                "Storm: 5,000 readers of a node that is killed, each with 50 messages to read at another"
            }
            Workload::Scale => {
                "Scale: 900 readers of one room over 1, 2, 3 nodes, as fast as readers can follow, and 50 messages a second"
            }
            Workload::Growth => "Growth: readers of one room, 20,000 deliveries a second",
            Workload::Behind => "Growth: 5,000 readers come back, so many messages behind",
        }
    }

    /// The trials of one server, or of all where only ours can do it.
    fn trials(self, kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
        match self {
            Workload::Paced => workloads::paced(kind, size),
            Workload::Saturated => workloads::saturated(kind, size),
            Workload::Rooms => workloads::many_rooms(kind, size),
            Workload::Idle => workloads::idle(kind, size),
            Workload::Several => workloads::several_rooms(size),
            Workload::Publish => recovery::publish(size),
            Workload::Storm => recovery::storm(size),
            Workload::Scale => workloads::scale(size),
            Workload::Growth => workloads::growth(kind, size),
            Workload::Behind => recovery::behind(size),
        }
    }

    /// Who can do it.
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
            say(&format!("fanout: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// What is said on the way; the tables alone go to standard output.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// True if every row counts.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let open_files = rlimit::increase_nofile_limit(u64::MAX)?;
    let size = Size { quick: arguments.quick, most: usize::try_from(open_files.saturating_sub(SPARE_FILES))? };
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    end_after(Duration::from_secs(if arguments.quick { 120 } else { 600 * rounds as u64 }));
    let kinds = kinds_here();
    let chosen = |workload: &Workload| arguments.only.is_empty() || arguments.only.contains(workload);
    let workloads: Vec<Workload> = Workload::value_variants().iter().copied().filter(chosen).collect();
    let mut series: Vec<Series> =
        workloads.iter().map(|workload| Series { title: workload.title(), rounds: Vec::new() }).collect();
    for number in 1..=rounds {
        let mut one_room = None;
        for (workload, series) in workloads.iter().zip(&mut series) {
            say(&format!("round {number} of {rounds}: {}", workload.title()));
            series.rounds.push(round(*workload, &kinds, size, &mut one_room));
        }
    }
    let report = report::Report { workloads: &workloads, series: &series, rounds, size };
    io::stdout().write_all(report.text().as_bytes())?;
    if let Some(file) = &arguments.write {
        report.write(file)?;
    }
    Ok(series.iter().all(|series| series.subjects().iter().all(|subject| series.void(subject).is_none())))
}

/// Every server's turn. What a delivery cost us in one room is kept, for the workloads with several.
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
            (Workload::Rooms | Workload::Several, Some(cpu), Some(one)) if one > 0.0 => {
                values.insert(table::OF_ONE_ROOM, cpu / one);
            }
            _ => {}
        }
    }
    trials.iter().for_each(|trial| say(&report::line(trial)));
    trials
}

/// Who can be measured here; who cannot is named.
fn kinds_here() -> Vec<Kind> {
    for kind in KINDS {
        if let Some(why) = kind.missing() {
            say(&format!("left out: {}: {why}", kind.name()));
        }
    }
    KINDS.into_iter().filter(|kind| kind.missing().is_none()).collect()
}

/// Everything ends, even when a server hangs: the children go with us.
fn end_after(time: Duration) {
    thread::spawn(move || {
        thread::sleep(time);
        say("fanout: too late, ended");
        std::process::exit(1);
    });
}
