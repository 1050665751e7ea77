//! `tiny-chat listen`: prints what is said in a room, until it is told to stop.

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde_json::Value;
use tokio::io::{AsyncWriteExt, stdout};
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::lines::Lines;
use super::notices::{complain, reassure, write_lines};
use super::source::{Happened, Source, State};
use super::target::{Header, Target, parse_header, parse_seconds};

/// `--count` or `--for` was reached, or standard output was closed.
const DONE: u8 = 0;
/// The server closed the stream for good.
const CLOSED: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// `--tries` failures in a row.
const GAVE_UP: u8 = 3;
/// SIGINT came.
const INTERRUPTED: u8 = 130;

/// Options of `tiny-chat listen`.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// A stream, or rooms of the chat in TINY_CHAT_URL (`http://127.0.0.1:8080`), separated by commas
    #[arg(value_name = "URL|ROOM[,ROOM…]", value_parser = Target::parse)]
    target: Target,

    /// Print only events of this name, and gaps; can be repeated [default: messages and gaps]
    #[arg(long = "event", value_name = "NAME")]
    events: Vec<String>,

    /// Begin after this id
    #[arg(long, value_name = "ID")]
    since: Option<String>,

    /// Begin with the newest N messages
    #[arg(long, value_name = "N")]
    history: Option<u32>,

    /// Print each event as a JSON object on one line: {"id","event","data"}
    #[arg(long)]
    json: bool,

    /// Send this header, too; can be repeated
    #[arg(long = "header", value_name = "K: V", value_parser = parse_header)]
    headers: Vec<Header>,

    /// Seconds before connecting again [default: what the server says, or 3]
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    retry: Option<Duration>,

    /// Seconds of silence after which the connection counts as lost; 0: never [default: 60, or two heartbeats]
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    inactivity: Option<Duration>,

    /// Exit with code 3 after so many failures in a row
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tries: Option<u32>,

    /// Exit after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Exit after so many seconds
    #[arg(long = "for", value_name = "S", value_parser = parse_seconds)]
    duration: Option<Duration>,
}

/// Runs the command.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&error.to_string());
            return USAGE.into();
        }
    };
    let code = runtime.block_on(run_until_stopped(options)).unwrap_or_else(|why| {
        complain(&why);
        USAGE
    });
    // Without waiting for a write to standard output, which may be blocked for ever.
    runtime.shutdown_background();
    code.into()
}

async fn run_until_stopped(options: &Options) -> Result<u8, String> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut listener = Listener::new(options)?;
    let code = tokio::select! {
        _ = interrupt.recv() => INTERRUPTED,
        code = listener.relay() => code,
        () = stdout_closed() => DONE,
        () = sleep(options.duration.unwrap_or_default()), if options.duration.is_some() => DONE,
    };
    Ok(code)
}

/// Waits until the other end of standard output is closed, if it is a pipe.
async fn stdout_closed() {
    let (sender, closed) = oneshot::channel::<()>();
    // Errors are reported without being asked for. The thread ends with the process at the latest.
    thread::spawn(move || {
        let stdout = io::stdout();
        while poll(&mut [PollFd::new(&stdout, PollFlags::empty())], None) == Err(Errno::INTR) {}
        drop(sender);
    });
    let _ = closed.await;
}

struct Listener<'a> {
    options: &'a Options,
    source: Source,
    lines: Lines,
    printed: u64,
    failures_in_a_row: u32,
    /// The reason of a `backoff`, with which the server announced the end of the stream.
    sent_away: Option<String>,
}

impl<'a> Listener<'a> {
    fn new(options: &'a Options) -> Result<Self, String> {
        let url = options.target.stream()?;
        let is_escaped = !url.query_pairs().any(|(name, value)| name == "text" && value == "plain");
        let mut source = Source::get(url).since(options.since.as_deref().unwrap_or_default());
        if let Some(count) = options.history {
            source = source.query("history", count.to_string());
        }
        for (name, value) in &options.headers {
            source = source.header(name, value);
        }
        source = options.retry.into_iter().fold(source, |source, delay| source.retry(delay));
        source = options.inactivity.into_iter().fold(source, |source, limit| source.inactivity(limit));
        let lines = Lines::new(options.json, is_escaped, options.since.as_deref());
        Ok(Self { options, source: source.open(), lines, printed: 0, failures_in_a_row: 0, sent_away: None })
    }

    /// Prints what comes, and returns the exit code. A reader of standard output that is slow slows the stream down.
    async fn relay(&mut self) -> u8 {
        while let Some(happened) = self.source.next().await {
            let code = match happened {
                Happened::Open => {
                    if self.failures_in_a_row > 0 {
                        reassure("Connected again.");
                    }
                    None
                }
                Happened::Event { id, event, data } => self.on_event(id.as_deref(), &event, &data).await,
                Happened::Error(text) => self.on_error(&text),
            };
            if let Some(code) = code {
                return code;
            }
        }
        complain("Closed by the server.");
        CLOSED
    }

    async fn on_event(&mut self, id: Option<&str>, event: &str, data: &str) -> Option<u8> {
        if event == "backoff" {
            let backoff: Value = serde_json::from_str(data).unwrap_or_default();
            self.sent_away = backoff["reason"].as_str().map(str::to_owned);
        } else {
            self.failures_in_a_row = 0;
        }
        let code = if self.is_wanted(event) || event == "gap" {
            self.print(id, event, data).await
        } else {
            None
        };
        self.lines.on_id(id);
        code
    }

    fn is_wanted(&self, event: &str) -> bool {
        let names = &self.options.events;
        if names.is_empty() {
            event == "message"
        } else {
            names.iter().any(|name| name == event)
        }
    }

    async fn print(&mut self, id: Option<&str>, event: &str, data: &str) -> Option<u8> {
        if event == "gap" && !self.options.json {
            write_lines(&self.lines.of(id, event, &format!("Messages are missing here: {data}")));
        } else {
            let line = self.lines.of(id, event, data);
            let mut stdout = stdout();
            let written = async { stdout.write_all(line.as_bytes()).await.and(stdout.flush().await) };
            match written.await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Some(DONE),
                Err(error) => {
                    complain(&format!("Cannot write: {error}"));
                    return Some(CLOSED);
                }
            }
        }
        self.printed += u64::from(self.is_wanted(event));
        (self.options.count == Some(self.printed)).then_some(DONE)
    }

    fn on_error(&mut self, text: &str) -> Option<u8> {
        let is_lost = self.source.state() != State::Closed;
        let sent_away = self.sent_away.take().map(|reason| format!("sent away: {reason}"));
        match sent_away.as_deref().or(self.source.why_lost()).filter(|_| is_lost) {
            Some(why) => complain(&format!("{text} ({why})")),
            None => complain(text),
        }
        self.failures_in_a_row += u32::from(is_lost);
        let gives_up = is_lost && self.options.tries.is_some_and(|most| self.failures_in_a_row >= most);
        gives_up.then(|| {
            complain(&format!("Gave up after {} failures in a row.", self.failures_in_a_row));
            GAVE_UP
        })
    }
}
