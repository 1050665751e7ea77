//! The servers that are measured and compared, each configured as its own documentation recommends for production: how
//! it is started, and how a client subscribes, posts and resumes. Shared by the benchmarks of `fanout` and by those
//! that break things; a benchmark includes it as its module `hubs`.
//!
//! - `kind`: which servers there are, and what each of them needs here
//! - `server`: a running server: its nodes and their Redis; `launch`, `mercure`: the commands and configurations of its nodes
//! - `dialect`: its requests as bytes, and which answers acknowledge a post
//! - `stream`: its streams as events; `position`: what a client keeps to resume; `reconnect`: when it comes back
//! - `observer`: a client that reads one stream; `response`: responses to posts
//! - `process`, `redis_server`: child processes
//! - `page`: the pages with the results

#![allow(dead_code)] // each benchmark uses a part of it

pub mod dialect;
pub mod kind;
pub mod launch;
pub mod mercure;
pub mod observer;
pub mod page;
pub mod position;
pub mod process;
pub mod reconnect;
pub mod redis_server;
pub mod response;
pub mod server;
pub mod stream;

use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

/// An error that ends a trial.
pub type Failure = process::Failure;

/// Prints progress to standard error; standard output is for the tables.
pub fn print_progress(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Exits after `time` at the latest, even if a server hangs; the child processes end with this one.
pub fn exit_after(benchmark: &'static str, time: Duration) {
    thread::spawn(move || {
        thread::sleep(time);
        print_progress(&format!("{benchmark}: not done in time, exiting"));
        std::process::exit(1);
    });
}
