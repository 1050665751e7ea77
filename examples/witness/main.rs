//! Watches a chat whose nodes and Redis die, and counts: what was said, who read it, what was lost or came twice, and
//! how long each recovery took. It shares no code with the server; it believes only what the contract promises.
//!
//!     witness demo [--quick]     a cluster of its own, killed and started piece by piece: scripts/demo
//!     witness watch URL          a chat that runs already, until standard input ends: scripts/compose-test
//!
//! The exit code is 0 if nothing was lost, doubled or out of order and no reader was told of a gap.
//!
//! - `sse`: the wire format, read
//! - `tally`: everything that is counted, and the verdict
//! - `reader`, `chatter`, `script`: who reads, who speaks, and what they say
//! - `room`: the readers and chatters of one run
//! - `table`, `screen`: the tally as a table, redrawn on a terminal, told in lines elsewhere
//! - `front`, `cluster`: one address before three nodes; their processes
//! - `demo`, `watch`: the two commands

mod chatter;
mod cluster;
mod demo;
mod front;
mod reader;
mod room;
mod screen;
mod script;
mod sse;
mod table;
mod tally;
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

/// Whatever ends a run early.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Counts what a chat loses while its nodes and its Redis die")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts three nodes and a Redis, lets people chat, and kills one after the other
    Demo(demo::Options),
    /// Reads and speaks in a chat that runs already, until standard input ends
    Watch(watch::Options),
}

fn main() -> ExitCode {
    // The HTTP client has none of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let command = Arguments::parse().command;
    match play(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "witness: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(command: Command) -> Result<bool, Failure> {
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

/// Waits for somebody who wants the run to end.
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
