//! The benchmark of `docs/performance.md`: measures the CPU time, latency and memory of a delivery, in comparison with
//! other servers and with the floor, which is what the kernel alone needs, in the same run on the same machine.
//!
//!     cargo bench --bench fanout                                 five rounds, about 15 minutes
//!     cargo bench --bench fanout -- --only paced --rounds 3      one workload
//!     cargo bench --bench fanout -- --page comparison            beside other hubs, for `docs/comparison.md`
//!     cargo bench --bench fanout -- --page proxies               through the proxies of `deploy/`, for `docs/operations.md`
//!     cargo bench --bench fanout -- --quick                      one round of small sizes, to see that it works
//!
//! - `hubs`: the servers that are measured; `floor`: the floor; `proxy`: the proxies in front of them
//! - `readers`, `publisher`: thousands of connections with an epoll each; `received`: finds faults of delivery
//! - `setup`: what the workloads share, which are in `workloads`, `quiet`, `posting`,
//!   `recovery` and `proxied`
//! - `table`, `plot`, `report`: the results

mod floor;
#[path = "../hubs/mod.rs"]
mod hubs;
mod plot;
mod posting;
mod proxied;
mod proxy;
mod publisher;
mod quiet;
mod readers;
mod received;
mod recovery;
mod report;
mod setup;
mod table;
mod workloads;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand, ValueEnum};

use hubs::{
    exit_after,
    kind::{KINDS, Kind},
    print_progress,
};
use proxy::PROXY_KINDS;
use setup::Size;
use table::{Series, Trial};

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
    /// The page whose workloads are run
    #[arg(long, default_value = "performance")]
    page: Page,
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

/// The page that a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Page {
    Performance,
    Comparison,
    Proxies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Workload {
    Paced,
    Saturated,
    Rooms,
    Elsewhere,
    Merged,
    Posts,
    Idle,
    Silent,
    Heartbeats,
    Known,
    Pages,
    Publish,
    Storm,
    Resume,
    Scale,
    Growth,
    Behind,
    Proxied,
    Waiting,
}

impl Page {
    /// Returns the workloads of the page, in its order.
    fn workloads(self) -> &'static [Workload] {
        use Workload::{
            Behind, Elsewhere, Growth, Heartbeats, Idle, Known, Merged, Paced, Pages, Posts, Proxied, Publish, Resume,
            Rooms, Saturated, Scale, Silent, Storm, Waiting,
        };
        match self {
            Page::Performance => &[
                Paced, Saturated, Rooms, Elsewhere, Merged, Idle, Heartbeats, Known, Pages, Publish, Storm, Scale,
                Growth, Behind,
            ],
            Page::Comparison => &[Paced, Saturated, Rooms, Posts, Idle, Silent, Storm, Resume],
            Page::Proxies => &[Proxied, Waiting],
        }
    }

    /// Returns the servers that the page compares.
    fn kinds(self) -> &'static [Kind] {
        match self {
            Page::Performance => &[Kind::Floor, Kind::Ours, Kind::Nchan, Kind::Node],
            Page::Comparison => &KINDS[..KINDS.len() - 1],
            Page::Proxies => &[Kind::Ours],
        }
    }

    /// Returns the subject with which the others are compared.
    fn reference(self) -> &'static str {
        match self {
            Page::Performance => Kind::Floor.name(),
            Page::Comparison => Kind::Ours.name(),
            Page::Proxies => proxied::DIRECT,
        }
    }

    /// Returns what the page would compare too if it were installed here.
    fn missing(self) -> Vec<&'static str> {
        let kinds = self.kinds().iter().filter(|kind| kind.missing().is_some()).map(|kind| kind.name());
        let proxies = PROXY_KINDS.iter().filter(|kind| self == Page::Proxies && !kind.is_installed());
        kinds.chain(proxies.map(|kind| kind.name())).collect()
    }
}

impl Workload {
    /// Returns the heading of its table.
    fn title(self) -> &'static str {
        match self {
            Workload::Paced => "Paced: 800 readers of one room, 50 messages a second",
            Workload::Saturated => "Saturated: 1,000 readers of one room, 4 publishers as fast as acknowledged",
            Workload::Rooms => "Many rooms: 1,000 rooms of 5 readers, 1,000 messages a second over all",
            Workload::Elsewhere => "Many rooms, posted at another node, whose CPU is not counted",
            Workload::Merged => "Merged rooms: 800 readers of the same 8 rooms, 50 messages a second over all",
            Workload::Posts => "Posts: 16 connections, as fast as acknowledged, each to a room with one reader",
            Workload::Idle => "Idle: 8,000 readers of one room",
            Workload::Silent => "Silent: 8,000 readers with a room each",
            Workload::Heartbeats => "Heartbeats: 8,000 readers over a minute",
            Workload::Known => "Known rooms: 1,000 with a reader each, before and after 100,000 others were used",
            Workload::Pages => "Pages: 1,000 a second, each of another room with ten messages",
            Workload::Publish => "Publish: no readers, 32 connections",
            Workload::Storm => {
                "Storm: 5,000 readers of a node that is killed, each with 50 messages to catch up on at another"
            }
            Workload::Resume => "Resume: 1,000 readers come back at once, each 100 messages behind",
            Workload::Scale => {
                "Scale: 900 readers of one room over 1, 2, 3 nodes, as fast as readers can follow, and 50 messages a second"
            }
            Workload::Growth => "Growth: readers of one room, 20,000 deliveries a second",
            Workload::Behind => "Growth: 5,000 readers reconnect at once, 1, 10 and 100 messages behind",
            Workload::Proxied => "Deliveries: 800 readers of one room at two nodes, 10 messages a second",
            Workload::Waiting => "Idle readers: 4,000 of one room at two nodes, in silence and with a heartbeat",
        }
    }

    /// Runs the workload against one server.
    fn trials(self, kind: Kind, size: Size) -> Result<Vec<Trial>, Failure> {
        match self {
            Workload::Paced => workloads::paced(kind, size),
            Workload::Saturated => workloads::saturated(kind, size),
            Workload::Rooms => workloads::many_rooms(kind, size),
            Workload::Elsewhere => workloads::posted_elsewhere(size),
            Workload::Merged => workloads::merged_rooms(size),
            Workload::Posts => posting::posts(kind, size),
            Workload::Idle => quiet::idle(kind, size),
            Workload::Silent => quiet::silent(kind, size),
            Workload::Heartbeats => quiet::heartbeats(kind, size),
            Workload::Known => quiet::known_rooms(size),
            Workload::Pages => posting::pages(size),
            Workload::Publish => posting::publish(size),
            Workload::Storm => recovery::storm(kind, size),
            Workload::Resume => recovery::resume(kind, size),
            Workload::Scale => workloads::scale(size),
            Workload::Growth => workloads::growth(kind, size),
            Workload::Behind => recovery::behind(size),
            Workload::Proxied => Ok(proxied::deliveries(size)),
            Workload::Waiting => Ok(proxied::waiting(size)),
        }
    }

    /// Returns whether a server can run the workload. A server that is one process cannot be left for another, and a
    /// session of Socket.IO can be resumed by one client only, and not after its node was killed.
    fn fits(self, kind: Kind) -> bool {
        match self {
            Workload::Paced | Workload::Saturated | Workload::Rooms | Workload::Posts => true,
            Workload::Idle | Workload::Silent => true,
            Workload::Growth | Workload::Heartbeats => [Kind::Floor, Kind::Ours].contains(&kind),
            Workload::Storm => kind.max_nodes() > 1 && ![Kind::SocketIo, Kind::Node].contains(&kind),
            Workload::Resume => ![Kind::SocketIo, Kind::Node].contains(&kind),
            _ => kind == Kind::Ours,
        }
    }

    /// Returns whether one round is enough, since a round takes minutes and its values hardly differ.
    fn is_slow(self) -> bool {
        matches!(self, Workload::Heartbeats | Workload::Known)
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

/// Runs the workloads and prints the tables. Returns true if no trial is void.
fn run(arguments: &Arguments) -> Result<bool, Failure> {
    let open_files = rlimit::increase_nofile_limit(u64::MAX)?;
    let size = Size {
        quick: arguments.quick,
        max_readers: usize::try_from(open_files.saturating_sub(OTHER_OPEN_FILES))?,
    };
    let rounds = if arguments.quick { 1 } else { arguments.rounds };
    exit_after("fanout", Duration::from_secs(if arguments.quick { 240 } else { 600 * rounds as u64 }));
    let kinds = available_kinds(arguments.page);
    let chosen = |workload: &Workload| arguments.only.is_empty() || arguments.only.contains(workload);
    let workloads: Vec<Workload> = arguments.page.workloads().iter().copied().filter(chosen).collect();
    let reference = arguments.page.reference();
    let mut series: Vec<Series> = workloads
        .iter()
        .map(|workload| Series { title: workload.title(), reference, rounds: Vec::new() })
        .collect();
    for number in 1..=rounds {
        let mut one_room_cpu = None;
        for (workload, series) in workloads.iter().zip(&mut series) {
            if workload.is_slow() && number > 1 {
                continue;
            }
            print_progress(&format!("round {number} of {rounds}: {}", workload.title()));
            series.rounds.push(round(*workload, &kinds, size, &mut one_room_cpu));
        }
    }
    let report = report::Report { page: arguments.page, workloads: &workloads, series: &series, rounds, size };
    io::stdout().write_all(report.text().as_bytes())?;
    if let Some(file) = &arguments.write {
        report.write(file)?;
    }
    // What another hub loses or refuses is a result; what tiny-chat or the floor does is a fault.
    let is_judged = |subject: &&str| {
        arguments.page != Page::Comparison || subject.starts_with(Kind::Ours.name()) || *subject == Kind::Floor.name()
    };
    let is_void = |series: &Series| {
        let mut subjects = series.subjects().into_iter().filter(is_judged);
        subjects.any(|subject| series.void_reason(subject).is_some())
    };
    Ok(!series.iter().any(is_void))
}

/// Runs one workload against each server. Keeps in `one_room` the CPU time of our delivery in one room, with which the
/// workloads with more rooms are compared.
fn round(workload: Workload, kinds: &[Kind], size: Size, one_room: &mut Option<f64>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in kinds.iter().filter(|kind| workload.fits(**kind)) {
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
            (Workload::Rooms | Workload::Elsewhere | Workload::Merged, Some(cpu), Some(one)) if one > 0.0 => {
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

/// Returns the servers of a page that can be measured here, and names the others.
fn available_kinds(page: Page) -> Vec<Kind> {
    let (missing, available): (Vec<Kind>, Vec<Kind>) = page.kinds().iter().partition(|kind| kind.missing().is_some());
    for kind in missing {
        print_progress(&format!("not measured: {}: {}", kind.name(), kind.missing().unwrap_or_default()));
    }
    available
}
