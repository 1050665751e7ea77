//! Counts the instructions of the steps of a message with valgrind, and compares them with the committed baseline. Unlike
//! times they hardly depend on the machine and on what else it does, so that a step that got dearer fails CI.
//!
//!     scripts/instructions              all steps, a minute; fails if one needs 5 % more than its baseline
//!     scripts/instructions post         those with `post` in their names
//!     scripts/instructions --write      makes what is measured the baseline
//!
//! - `steps`: the steps that run in this process; `posts`: those of a whole node on a Redis
//! - `baseline`: the file, and the verdict

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result, and how far it is")]
#![allow(clippy::expect_used)] // a benchmark that cannot begin has nothing to recover

mod baseline;
#[path = "../hubs/mod.rs"]
mod hubs;
#[path = "../micro/node.rs"]
mod node;
mod posts;
mod steps;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use clap::{Parser, Subcommand};

use baseline::{Baseline, Toolchain};
use hubs::process::ends_with_us;

type Failure = Box<dyn Error + Send + Sync>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Counts the instructions of the steps of a message")]
struct Arguments {
    /// Count only the steps whose names contain this
    filter: Option<String>,
    /// Make what is measured the baseline
    #[arg(long)]
    write: bool,
    /// Passed by cargo bench
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    command: Option<Hidden>,
}

#[derive(Subcommand)]
enum Hidden {
    /// Runs a step; the benchmark starts itself under valgrind with this command
    #[command(hide = true)]
    Step { name: String, times: usize },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Hidden::Step { name, times }) => steps::run(name, *times).map(|()| true),
        None => measure(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts each step, prints the table, and returns true if none got dearer.
fn measure(arguments: &Arguments) -> Result<bool, Failure> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("NOT COUNTED: the instructions of the steps of a message. valgrind is not installed.");
        return Ok(true);
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.txt");
    let (toolchain, baseline) = (toolchain()?, Baseline::parse(&fs::read_to_string(&file).unwrap_or_default()));
    let is_chosen = |name: &str| arguments.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let mut counted = Vec::new();
    for step in steps::STEPS.iter().filter(|step| is_chosen(step.name)) {
        counted.push((step.name, count(step.times, |times, log| steps::run_under_valgrind(step.name, times, log))?));
    }
    for posts in posts::POSTS.iter().filter(|posts| is_chosen(posts.name)) {
        counted.push((posts.name, count(posts.times, |times, log| posts.run_under_valgrind(times, log))?));
    }
    let verdict = baseline.judge(&toolchain, &counted);
    println!("{}", verdict.text);
    if arguments.write {
        fs::write(&file, baseline.with(&toolchain, &counted).text())?;
    }
    Ok(arguments.write || verdict.is_good)
}

/// Returns the instructions of one time: the difference of a long and a short run, so that what happens once is not in it.
fn count(times: usize, run: impl Fn(usize, &Path) -> Result<(), Failure>) -> Result<u64, Failure> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let log = directory.path().join("valgrind.log");
    let once = times / 5;
    let total = |times: usize| -> Result<u64, Failure> {
        run(times, &log)?;
        collected(&fs::read_to_string(&log)?)
    };
    let (short, long) = (total(once)?, total(once + times)?);
    Ok(long.saturating_sub(short) / times as u64)
}

/// Returns the total in the last lines of callgrind.
fn collected(log: &str) -> Result<u64, Failure> {
    let total = log.lines().rev().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    total.ok_or_else(|| format!("callgrind printed no total: {log}").into())
}

/// Returns a command that counts the instructions of a program, and writes their total into a log.
fn under_valgrind(log: &Path, program: &Path) -> Command {
    let mut command = ends_with_us("valgrind", "KILL");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(format!("--log-file={}", log.display())).arg(program);
    command
}

/// Returns the compiler that cargo uses here, and the architecture.
fn toolchain() -> Result<Toolchain, Failure> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = String::from_utf8(Command::new(rustc).arg("--version").output()?.stdout)?;
    Ok(Toolchain(format!("{} {}", version.trim(), env::consts::ARCH)))
}

/// Returns the path of this program.
fn own_path() -> Result<PathBuf, Failure> {
    Ok(env::current_exe()?)
}
