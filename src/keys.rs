//! The commands for keys of apps: `tiny-chat keys new` and `tiny-chat keys purge`.

mod new;
mod purge;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Options of `tiny-chat keys`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Prints a new key and its secret, key:secret, for APP_KEYS or a line of APP_KEYS_FILE
    New,

    /// Removes what Redis has of a key: logs, presence, idempotency keys, sockets and usage of all its rooms
    ///
    /// Prints how many of each. Take the key from APP_KEYS_FILE and send SIGHUP to the nodes first: what a key that is in use
    /// sends and reads is stored anew. Without --yes nothing is removed. Exit code 0: removed, 1: refused, 2: usage, 3: Redis
    /// cannot be reached, or failed meanwhile.
    Purge(Box<purge::Options>),
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    match &options.command {
        Command::New => new::run(),
        Command::Purge(options) => purge::run(options),
    }
}
