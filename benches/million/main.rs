//! One room with as many readers as one machine carries: they connect to as many nodes as the limit of open files asks
//! for, one message reaches them all, and a node is killed, whose readers continue at the others without a loss.
//!
//!     scripts/million                         20,000 readers, a minute
//!     scripts/million --readers 100000        what is published; at most ten minutes
//!     scripts/million --quick                 to see that it works
//!
//! - `crowd`: the processes that hold the readers, as the parent sees them; `reader`: one of these processes
//! - `machine`: what the kernel needs, and what limits the number of readers; `report`: the table

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the result, and how far it is")]

mod crowd;
#[path = "../hubs/mod.rs"]
mod hubs;
mod machine;
mod reader;
#[path = "../fanout/received.rs"]
#[allow(dead_code, reason = "the other benchmark uses all of it")]
mod received;
mod report;

use std::{
    error::Error,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use tempfile::TempDir;

use crowd::Crowd;
use hubs::{
    process::{Program, ends_with_us, free_address},
    redis_server::Redis,
};
use machine::{Capacity, KernelMemory, unix_micros};
use report::Report;

type Failure = Box<dyn Error + Send + Sync>;

const ROOM: &str = "million";

/// Messages that are posted while the readers of the killed node are away.
const MISSED_MESSAGES: u32 = 10;

/// How long a post may take.
const POST_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to read on after all is received, so that duplicates are found.
const DUPLICATE_GRACE: Duration = Duration::from_secs(1);

#[derive(Parser)]
#[command(about = "One room with as many readers as one machine carries")]
struct Arguments {
    /// Number of readers
    #[arg(long, default_value_t = 20_000)]
    readers: usize,
    /// How many messages are posted, one after the other, before the node is killed
    #[arg(long, default_value_t = 3)]
    messages: u32,
    /// How long to wait for all readers at each step, in seconds
    #[arg(long, default_value_t = 240)]
    patience: u64,
    /// 300 readers of three nodes, to see that it works
    #[arg(long)]
    quick: bool,
    /// Write the table into this file, between its marks
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
    /// Holds readers; the benchmark starts itself with this command
    #[command(hide = true)]
    Readers(reader::Share),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Some(Hidden::Readers(share)) => reader::run(share).map(|()| true),
        None => measure(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("million: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A Redis and nodes that share it.
struct Servers {
    redis: Redis,
    nodes: Vec<(Program, SocketAddr)>,
    _directory: TempDir,
}

impl Servers {
    fn start(nodes: usize, streams: usize) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let redis = Redis::start(directory.path(), false)?;
        let start = |number: usize| -> Result<(Program, SocketAddr), Failure> {
            let bind = free_address();
            let mut command = ends_with_us(env!("CARGO_BIN_EXE_tiny-chat"), "KILL");
            command
                .env_clear()
                .env("BIND", bind.to_string())
                .env("REDIS_URL", redis.url())
                .env("NODE", format!("node-{number}"))
                .env("MAX_STREAMS", streams.to_string())
                .env("MAX_STREAMS_PER_ADDRESS", "0")
                .env("RATE_LIMIT", "0")
                .env("LOG", "warn");
            Ok((Program::start(&mut command, bind)?, bind))
        };
        let nodes = (0..nodes).map(start).collect::<Result<_, _>>()?;
        Ok(Self { redis, nodes, _directory: directory })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|(_, address)| *address).collect()
    }

    fn memory_kib(&self) -> u64 {
        self.nodes.iter().map(|(program, _)| program.memory_kib()).sum()
    }

    fn cpu_time(&self) -> Duration {
        self.nodes.iter().map(|(program, _)| program.cpu_time()).sum()
    }
}

/// Posts the message with this number, and returns when it was sent, in microseconds since 1970.
fn post(node: SocketAddr, number: u32) -> Result<u64, Failure> {
    let sent = unix_micros();
    let body = format!(r#"{{"sender":"bench","message":"{}"}}"#, received::format_mark(0, number, sent));
    let mut stream = TcpStream::connect(node)?;
    stream.set_read_timeout(Some(POST_TIMEOUT))?;
    write!(
        stream,
        "POST /{ROOM} HTTP/1.1\r\nHost: {node}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") && !answer.starts_with("HTTP/1.1 201") {
        reader.read_to_string(&mut answer)?;
        return Err(format!("message {number} was not accepted: {answer}").into());
    }
    Ok(sent)
}

/// Runs all of it, and prints the table. Returns true if nothing was lost.
fn measure(arguments: &Arguments) -> Result<bool, Failure> {
    let patience = Duration::from_secs(arguments.patience);
    let readers = if arguments.quick { 300 } else { arguments.readers };
    let capacity = Capacity::of_machine(if arguments.quick { Some(200) } else { None })?;
    let (nodes, crowds) = (capacity.nodes_for(readers), capacity.reader_processes_for(readers));
    for obstacle in capacity.obstacles(readers) {
        eprintln!("WARNING: {obstacle}");
    }
    eprintln!("{readers} readers of {nodes} nodes, from {crowds} processes");
    let servers = Servers::start(nodes, capacity.streams_per_node)?;
    let mut crowd = Crowd::start(readers, crowds, &servers.addresses())?;

    let (kernel, own) = (KernelMemory::now()?, servers.memory_kib());
    let began = Instant::now();
    crowd.let_in()?;
    crowd.wait("all readers are live", patience, |sum| sum.live == readers)?;
    let mut report = Report::new(readers, nodes, &capacity);
    report.connecting = began.elapsed();
    report.own_kib = servers.memory_kib().saturating_sub(own) as f64 / readers as f64;
    report.kernel_kib = KernelMemory::now()?.kib_since(&kernel) / readers as f64;
    eprintln!("all readers are live after {:.1} s", report.connecting.as_secs_f64());

    let survivor = servers.nodes[1].1;
    for number in 1..=arguments.messages {
        let (cpu, commands) = (servers.cpu_time(), servers.redis.commands()?);
        let sent = post(survivor, number)?;
        let sum = crowd.wait("all readers have the message", patience, |sum| sum.have(number) == readers)?;
        let last = sum.last(number).saturating_sub(sent) as f64 / 1e6;
        report.last_reader.push(last);
        report.cpu.push((servers.cpu_time() - cpu).as_secs_f64() * 1e6 / readers as f64);
        report.commands.push(servers.redis.commands()? - commands);
        eprintln!("message {number}: the last of {readers} readers had it after {last:.2} s");
    }

    kill_a_node(arguments.messages, servers, &mut crowd, &mut report, patience)?;
    let text = report.text();
    println!("{text}");
    if let Some(file) = &arguments.write {
        report::write(file, &text)?;
    }
    Ok(report.is_whole())
}

/// Kills the first node, posts while its readers are away, and waits until each reader has all of it.
fn kill_a_node(
    earlier: u32,
    mut servers: Servers,
    crowd: &mut Crowd,
    report: &mut Report,
    patience: Duration,
) -> Result<(), Failure> {
    let (readers, survivor) = (report.readers, servers.nodes[1].1);
    let commands = servers.redis.commands()?;
    let killed = Instant::now();
    servers.nodes[0].0.kill();
    let missed = earlier + 1..=earlier + MISSED_MESSAGES;
    for number in missed.clone() {
        post(survivor, number)?;
    }
    crowd.wait("a node was killed, and its readers are away", patience, |sum| sum.ended > 0)?;
    let outcome = crowd.wait("all readers are back and have all messages", patience, |sum| {
        sum.live == readers && missed.clone().all(|number| sum.have(number) == readers)
    });
    report.back = killed.elapsed();
    if let Err(error) = outcome {
        eprintln!("million: {error}");
    }
    report.commands_of_return = servers.redis.commands()? - commands;
    thread::sleep(DUPLICATE_GRACE);
    let sum = crowd.sum();
    let last = *missed.end();
    report.lost = (1..=last).map(|number| readers.saturating_sub(sum.have(number))).sum();
    (report.returned, report.twice, report.disordered, report.gaps) = (sum.ended, sum.twice, sum.disordered, sum.gaps);
    eprintln!("{} readers of a killed node are back after {:.1} s", sum.ended, report.back.as_secs_f64());
    Ok(())
}
