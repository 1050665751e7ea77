//! The running clients of one fault: programs, and pages in a browser.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

use super::{
    catalogue::{Client, Promise, Runtime},
    faults::soon,
    outcome::{Line, Outcome},
    publisher::{Publisher, Sent},
};
use crate::support::{Browser, Tab};

/// How many lines of standard error are kept of a client.
const MAX_COMPLAINTS: usize = 12;

type Lines = Arc<Mutex<Vec<Line>>>;

pub struct Audience {
    running: Vec<Running>,
    /// The browser of those that are pages.
    browser: Option<Browser>,
}

struct Running {
    promise: Promise,
    host: Host,
    lines: Lines,
    complaints: Lines,
}

/// Where a client runs.
enum Host {
    Process { child: Child, readers: [JoinHandle<()>; 2] },
    Page(Tab),
}

/// What a page has received.
#[derive(Deserialize)]
struct Shown {
    /// Milliseconds of Unix time.
    at: u64,
    text: String,
}

impl Audience {
    /// Starts the clients, each with the address that it is to read.
    pub async fn start(clients: &[Client], url: impl Fn(usize) -> String) -> Audience {
        let has_pages = clients.iter().any(|client| client.runtime == Runtime::Chromium);
        let browser = if has_pages { Some(Browser::start().await) } else { None };
        let mut running = Vec::new();
        for (at, client) in clients.iter().enumerate() {
            let started = match &browser {
                Some(browser) if client.runtime == Runtime::Chromium => open(client, &url(at), browser).await,
                _ => spawn(client, &url(at)),
            };
            running.push(started);
        }
        Audience { running, browser }
    }

    /// Waits until every client that is to keep all messages has received what was acknowledged until now, for this long
    /// at most.
    pub async fn catch_up(&mut self, publisher: &Publisher, limit: Duration) {
        self.receive(&publisher.sent(), limit).await;
    }

    async fn receive(&mut self, sent: &[Sent], limit: Duration) {
        let last = sent.last().map_or("", |sent| sent.text.as_str()).to_owned();
        soon(limit, async || !self.has_to_wait_for(&last).await).await;
    }

    /// Returns true if a client that still runs is to receive this text.
    async fn has_to_wait_for(&mut self, text: &str) -> bool {
        for running in &mut self.running {
            if running.promise == Promise::Keeps && running.lacks(text, self.browser.as_ref()).await {
                return true;
            }
        }
        false
    }

    /// Ends the publisher, waits until every client that is to keep all messages has received them, for this long at most,
    /// and compares.
    pub async fn outcomes(mut self, publisher: Publisher, limit: Duration) -> Vec<Outcome> {
        let sent = publisher.stop().await;
        self.receive(&sent, limit).await;
        let mut outcomes = Vec::new();
        for running in self.running {
            outcomes.push(running.end(&sent, self.browser.as_ref()).await);
        }
        outcomes
    }
}

impl Running {
    /// Returns true if it still runs and has not received this text.
    async fn lacks(&mut self, text: &str, browser: Option<&Browser>) -> bool {
        self.look(browser).await;
        let has_received = self.lines.lock().unwrap().iter().rev().any(|line| line.text.contains(text));
        let is_running = match &mut self.host {
            Host::Process { child, .. } => child.try_wait().expect("a child").is_none(),
            Host::Page(_) => true,
        };
        is_running && !has_received
    }

    /// Fetches what a page has received. What a program prints comes by itself.
    async fn look(&self, browser: Option<&Browser>) {
        if let (Host::Page(tab), Some(browser)) = (&self.host, browser) {
            browser.switch_to(tab).await;
            let shown: Vec<Shown> = serde_json::from_value(browser.run("return received").await).expect("a list");
            *self.lines.lock().unwrap() = shown.into_iter().map(Shown::into_line).collect();
        }
    }

    async fn end(mut self, sent: &[Sent], browser: Option<&Browser>) -> Outcome {
        self.look(browser).await;
        if let Host::Process { child, readers } = &mut self.host {
            let _ = child.kill().await;
            // A program of a shell may leave a child that keeps the pipes open until its node is gone.
            readers.iter().for_each(JoinHandle::abort);
        }
        let complaints = self.complaints.lock().unwrap();
        let complaints = complaints.iter().rev().take(MAX_COMPLAINTS).rev();
        let complaints = complaints.map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        Outcome { complaints, ..Outcome::of(&self.lines.lock().unwrap(), sent) }
    }
}

impl Shown {
    fn into_line(self) -> Line {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(self.at);
        let age = at.elapsed().unwrap_or_default();
        let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        Line { at, text: serde_json::json!({ "text": self.text }).to_string() }
    }
}

/// Starts a program.
fn spawn(client: &Client, url: &str) -> Running {
    let mut command = Command::from(client.command(url));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", client.title()));
    let (lines, complaints) = <(Lines, Lines)>::default();
    let readers = [
        tokio::spawn(collect(child.stdout.take().expect("piped"), Arc::clone(&lines))),
        tokio::spawn(collect(child.stderr.take().expect("piped"), Arc::clone(&complaints))),
    ];
    Running { promise: client.promise, host: Host::Process { child, readers }, lines, complaints }
}

async fn collect(pipe: impl AsyncRead + Unpin, lines: Lines) {
    let mut reader = BufReader::new(pipe).lines();
    while let Ok(Some(text)) = reader.next_line().await {
        lines.lock().unwrap().push(Line { at: Instant::now(), text });
    }
}

/// Opens a tab of the node's origin, on a page without scripts of ours, and runs the client there.
async fn open(client: &Client, url: &str, browser: &Browser) -> Running {
    let (origin, _) = url.split_once("/subscribe").expect("the address of a stream");
    let tab = browser.open_tab(&format!("{origin}/robots.txt")).await;
    browser.run(&client.script(url)).await;
    Running {
        promise: client.promise,
        host: Host::Page(tab),
        lines: Lines::default(),
        complaints: Lines::default(),
    }
}
