//! The program: runs a node until a signal stops it, or one of the commands that are clients.

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use prometheus::IntCounter;
#[cfg(feature = "client")]
use tiny_chat::client::{listen, send};
use tiny_chat::config::{self, Config, LogFormat, Parsed};
#[cfg(feature = "doctor")]
use tiny_chat::doctor;
use tiny_chat::health;
use tiny_chat::keys;
use tiny_chat::log_queue::LogQueue;
use tiny_chat::metrics::Metrics;
use tiny_chat::server::{Server, Shutdown};
use tiny_chat::supervise;
use tiny_chat::web::ACTIX_DISPATCHER_TARGET;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A chat server over Server-Sent Events. Rooms are URLs; any number of nodes share one Redis. Without a command, runs a node.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, args_conflicts_with_subcommands = true)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a public address from outside: finds what buffers, compresses, cuts or caches its streams, and says what to change
    ///
    /// Opens streams and posts five messages. Exit code 0: nothing is broken, 1: something is, 2: there was nothing to check.
    /// Takes about three heartbeats, and a few minutes at most.
    #[cfg(feature = "doctor")]
    Doctor(doctor::Options),

    /// Prints what is said in a room, and comes back after the last message whenever the connection is lost
    ///
    /// A line for each message: `12:01 mason: hi`, in local time. What is lost and found again is told on standard error. Exit
    /// code 0: --count or --for was reached, or standard output was closed, 1: the server closed the stream for good, 2: usage,
    /// 3: --tries failures in a row, 130: interrupted.
    #[cfg(feature = "client")]
    Listen(listen::Options),

    /// Posts a message, again for 30 s while it is not known to be stored, and prints its id
    ///
    /// However often it is posted, it is stored once. Exit code 0: stored, 1: refused, with the reason on standard error,
    /// 2: usage, 3: not known to be stored.
    #[cfg(feature = "client")]
    Send(send::Options),

    /// Asks the node of this machine whether it is ready, for health checks that have no other program, as in the image
    ///
    /// Prints one line. Exit code 0: it is ready, 1: it is not, or does not answer, 2: usage.
    Health(health::Options),

    /// Makes keys for apps that send events, and removes what they have left behind
    Keys(keys::Options),
}

fn main() -> ExitCode {
    let parsed: Parsed<Cli> = config::parse();
    match &parsed.options.command {
        None => run(&parsed),
        #[cfg(feature = "doctor")]
        Some(Command::Doctor(options)) => {
            actix_rt::System::new().block_on(async move { doctor::examine(options).await.code().into() })
        }
        #[cfg(feature = "client")]
        Some(Command::Listen(options)) => listen::run(options),
        #[cfg(feature = "client")]
        Some(Command::Send(options)) => send::run(options),
        Some(Command::Health(options)) => health::run(options),
        Some(Command::Keys(options)) => keys::run(options),
    }
}

fn run(parsed: &Parsed<Cli>) -> ExitCode {
    use_small_pages();
    let config = &parsed.options.config;
    match start_log(config).and_then(|(log, metrics)| {
        let _flushed = log.flush_on_drop();
        actix_rt::System::new().block_on(serve(config, metrics, log))
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where that fails, the exit code has to do.
            let _ = log_to_stderr(&parsed.with_file(&error.to_string()), config.log_format);
            ExitCode::FAILURE
        }
    }
}

/// Keeps the kernel from backing the heap with huge pages, of which much stays empty: with them a node takes twice as much
/// memory.
fn use_small_pages() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true); // not in a kernel before 3.15
}

async fn serve(config: &Config, metrics: Arc<Metrics>, log: LogQueue) -> io::Result<()> {
    // Before the address is bound: a signal that comes during the start is not lost.
    let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::bind(config, metrics)?;
    if server.has_keys() {
        server.reload_keys_at(signal(SignalKind::hangup())?);
    }
    tracing::info!("tiny-chat {}: open http://{}/ in a browser", env!("CARGO_PKG_VERSION"), server.addr()?);
    if config.redis.url().is_none() {
        tracing::info!(
            "keeping messages in memory only; set REDIS_URL=redis://… to keep them over restarts and to add nodes"
        );
    }
    let seconds = |seconds: u16| Duration::from_secs(seconds.into());
    let shutdown = Shutdown { grace: seconds(config.drain_grace), drain: seconds(config.drain) };
    server.run(stop_signal(log, terminate, interrupt, shutdown)).await?;
    tracing::info!("drained, exiting");
    Ok(())
}

/// Waits for a signal and returns how to stop: at SIGINT, without a grace and within a second. A second signal exits at
/// once, with code 1.
async fn stop_signal(log: LogQueue, mut terminate: Signal, mut interrupt: Signal, shutdown: Shutdown) -> Shutdown {
    let shutdown = tokio::select! {
        _ = terminate.recv() => shutdown,
        _ = interrupt.recv() => Shutdown { grace: Duration::ZERO, drain: shutdown.drain.min(Duration::from_secs(1)) },
    };
    let Shutdown { grace, drain } = shutdown;
    tracing::info!(grace = grace.as_secs(), seconds = drain.as_secs(), "draining; a second signal exits at once");
    actix_rt::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        log.flush();
        std::process::exit(1);
    });
    shutdown
}

/// Begins to log to standard output. Returns the queue of the log and the metrics of the node.
fn start_log(config: &Config) -> io::Result<(LogQueue, Arc<Metrics>)> {
    let metrics = Arc::new(Metrics::new().map_err(io::Error::other)?);
    let queue = LogQueue::start(io::stdout(), metrics.log_lines_dropped.clone())?;
    // At info, actix_server repeats our own start-up lines. actix's dispatcher reports every request that it cannot
    // parse as an error.
    let filter = EnvFilter::new(format!("actix_server=warn,{ACTIX_DISPATCHER_TARGET}=off,{}", config.log));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer({
            let queue = queue.clone();
            move || queue.clone()
        })
        .with_target(false)
        .with_ansi(io::stdout().is_terminal());
    match config.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    supervise::log_panics();
    Ok((queue, metrics))
}

/// Writes the error that ends the node to standard error, whatever `LOG` filters out: a start must not fail in silence.
fn log_to_stderr(error: &str, format: LogFormat) -> io::Result<()> {
    let queue = LogQueue::start(io::stderr(), IntCounter::new("dropped", "lines").map_err(io::Error::other)?)?;
    let _flushed = queue.flush_on_drop();
    let log = tracing_subscriber::fmt()
        .with_writer(move || queue.clone())
        .with_target(false)
        .with_ansi(io::stderr().is_terminal());
    let dispatch = match format {
        LogFormat::Text => Dispatch::new(log.finish()),
        LogFormat::Json => Dispatch::new(log.json().flatten_event(true).finish()),
    };
    dispatcher::with_default(&dispatch, || tracing::error!("{error}"));
    Ok(())
}
