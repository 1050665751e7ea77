//! Posts to a chat and reads it while its nodes and its Redis fail, and counts the messages that were lost, duplicated
//! or reordered, and how long each recovery took. Shares no code with the server, and relies only on docs/contract.md.
//!
//!     faulttest demo [--quick]     a cluster that it starts, kills and restarts piece by piece: scripts/demo
//!     faulttest watch URL          a chat that runs already, until standard input ends: scripts/compose-test
//!
//! The exit code is 0 if no message was lost, duplicated or out of order, and no reader got a `gap`.
//!
//! - `load`: writers and readers in many rooms; `history`: what they did and saw; `judge`: what to make of it
//! - `report`, `plot`: the verdict in words, and the run as SVG
//! - `sse`: parser of event streams
//! - `ledger`: what was posted and read, the faults, and the verdict
//! - `reader`, `chatter`: clients that read and clients that post; `script`: what they post
//! - `room`: the readers and chatters of one run
//! - `table`, `screen`: the ledger as a table, redrawn on a terminal; as lines elsewhere
//! - `cluster`: the processes of three nodes and a Redis; `balancer`: one address in front of the nodes
//! - `demo`, `watch`: the two commands

mod balancer;
mod chatter;
mod cluster;
mod demo;
#[allow(dead_code)]
mod faults;
#[allow(dead_code)]
mod history;
#[allow(dead_code, unused_imports)]
mod judge;
mod ledger;
#[allow(dead_code)]
mod load;
#[allow(dead_code)]
mod plot;
mod reader;
#[allow(dead_code)]
mod report;
mod room;
mod screen;
mod script;
mod sse;
mod table;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tokio::{
    runtime::Runtime,
    signal::unix::{SignalKind, signal},
};

/// An error that ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Counts what a chat loses while its nodes and its Redis die")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
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
    let command = Arguments::parse().command;
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "faulttest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<bool, Failure> {
    let runtime = Runtime::new()?;
    let flawless = runtime.block_on(async {
        match command {
            Command::Demo(options) => demo::run(options).await,
            Command::Watch(options) => watch::run(options).await,
        }
    });
    runtime.shutdown_background(); // a thread may still wait for standard input
    flawless
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
