//! Posts to a chat and reads it while its nodes and its Redis fail in every way, and counts the messages that were lost,
//! doubled or reordered, and how long each recovery took. Shares no code with the server, and relies only on
//! docs/contract.md.
//!
//!     faulttest --redis FORM         a form of Redis, three nodes, and all faults, alone and two at once
//!     faulttest demo [--quick]       three nodes that are killed and restarted for a person to watch: scripts/demo
//!     faulttest watch URL            a chat that runs already, until standard input ends: scripts/compose-test
//!
//! - `run`: a run; `world`: its processes; `isolation`: namespaces of their own; `faults`: what is done to them
//! - `balancer`: one address in front of the nodes
//! - `load`: writers and readers in many rooms; `history`: what they did and saw; `judge`: what to make of it
//! - `report`, `plot`: the verdict in words, and the run as SVG
//! - `sse`: parser of event streams
//! - `demo`, `watch`: the other two commands, with `room`, the readers and chatters of one room; `reader`, `chatter`;
//!   `script`: what they post; `ledger`: what was posted and read; `table`, `screen`: the ledger on a terminal

mod balancer;
mod chatter;
mod demo;
mod faults;
mod history;
mod isolation;
mod judge;
mod ledger;
mod load;
mod plot;
mod reader;
mod report;
mod room;
mod run;
mod screen;
mod script;
mod sse;
mod table;
mod watch;
mod world;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

use crate::isolation::Entered;

/// An error that ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(
    about = "Counts what a chat loses while its nodes and its Redis fail",
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    options: run::Options,
}

#[derive(Subcommand)]
enum Command {
    /// Starts three nodes and a Redis, posts and reads, and kills one process after the other
    Demo(demo::Options),
    /// Posts to a running chat and reads it, until standard input ends
    Watch(watch::Options),
}

fn main() -> ExitCode {
    // reqwest brings no TLS provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "faulttest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match arguments.command {
        Some(Command::Demo(options)) => block_on(demo::run(options)),
        Some(Command::Watch(options)) => block_on(watch::run(options)),
        // Before there are any threads, which could not follow into the namespaces.
        None => match isolation::enter()? {
            Entered::Here(isolation) => block_on(run::run(arguments.options, isolation)),
            Entered::Ended(code) => Ok(code),
        },
    }
}

/// Waits for the end of a run, and returns the exit code that says whether it was flawless.
fn block_on(run: impl Future<Output = Result<bool, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = Runtime::new()?;
    let flawless = runtime.block_on(run);
    runtime.shutdown_background(); // a thread may still wait for standard input
    flawless.map(|flawless| if flawless { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for SIGINT, SIGTERM or SIGHUP.
async fn interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
