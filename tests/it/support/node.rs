//! A node: the real binary as a child process, with nothing in its environment but what the test sets.

use std::{
    fs::{self, DirEntry},
    io,
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{Answer, DEADLINE, Redis, eventually, free_port, process::Process, within};

/// The path of the node's binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tiny-chat");

/// The `Accept` header of a browser that navigates or submits a form.
pub const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The environment of every node unless the test overrides it: any free port, no rate limit, and two workers, so that
/// what one of them hands to another is tested on every machine.
const DEFAULT_ENVIRONMENT: [(&str, &str); 3] = [("BIND", "127.0.0.1:0"), ("RATE_LIMIT", "0"), ("WORKERS", "2")];

pub struct Node {
    process: Process,
    address: SocketAddr,
    client: Client,
}

impl Node {
    /// Starts a node on its in-process bus and waits until it is ready.
    pub async fn start(environment: &[(&str, &str)]) -> Node {
        let node = Node::launch(environment).await;
        node.ready().await;
        node
    }

    /// Starts a node on a Redis and waits until it is ready.
    pub async fn on(redis: &Redis, environment: &[(&str, &str)]) -> Node {
        let url = redis.url();
        Node::start(&[&[("REDIS_URL", url.as_str())], environment].concat()).await
    }

    /// Starts another binary on a Redis and waits until it is ready.
    pub async fn start_binary(binary: &Path, redis: &Redis, environment: &[(&str, &str)]) -> Node {
        let url = redis.url();
        let environment = [&[("REDIS_URL", url.as_str())], environment].concat();
        let node = Node::start_command(&mut command(binary.to_str().expect("a path"), &environment)).await;
        node.ready().await;
        node
    }

    /// Starts a node and waits until it listens, but not until it is ready.
    pub async fn launch(environment: &[(&str, &str)]) -> Node {
        Node::start_command(&mut command(BINARY, environment)).await
    }

    /// Starts a node with these limits of open files, `soft:hard`, and waits until it listens.
    pub async fn limited(open_files: &str, environment: &[(&str, &str)]) -> Node {
        let mut prlimit = command("prlimit", environment);
        prlimit.arg(format!("--nofile={open_files}")).arg(BINARY);
        Node::start_command(&mut prlimit).await
    }

    /// Starts the binary without waiting for anything.
    pub fn spawn(environment: &[(&str, &str)]) -> Process {
        Process::spawn(&mut command(BINARY, environment))
    }

    /// Starts the binary with these arguments without waiting for anything.
    pub fn spawn_command(arguments: &[&str]) -> Process {
        Process::spawn(command(BINARY, &[]).args(arguments))
    }

    /// Runs a command that starts a node, and waits for the log line with its address.
    pub async fn start_command(command: &mut Command) -> Node {
        let mut process = Process::spawn(command);
        let address = eventually("the log line with the address of the node", async || {
            assert!(process.try_wait().is_none(), "the node ended:\n{}", process.output());
            address_in(&process.line_with(": open http://")?)
        })
        .await;
        Node::new(process, address)
    }

    /// Starts a node whose log and errors go to this file, and waits until it is ready.
    pub async fn logging_to(file: impl Fn() -> Stdio, environment: &[(&str, &str)]) -> Node {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let bind = address.to_string();
        let environment = [&[("BIND", bind.as_str())], environment].concat();
        let mut process = Process::with_outputs(&mut command(BINARY, &environment), file(), file());
        eventually("a node that listens", async || {
            assert!(process.try_wait().is_none(), "the node ended");
            TcpStream::connect(address).await.ok()
        })
        .await;
        let node = Node::new(process, address);
        node.ready().await;
        node
    }

    fn new(process: Process, address: SocketAddr) -> Node {
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().expect("a client");
        Node { process, address, client }
    }

    /// Runs the binary until it exits on its own, as it does for `--help`, `doctor` and an invalid option.
    pub async fn run_to_exit(environment: &[(&str, &str)], arguments: &[&str]) -> Exited {
        let mut process = Process::spawn(command(BINARY, environment).args(arguments));
        let status = process.exit().await;
        Exited { status, output: process.output() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Builds a request for `send`, which does not follow redirects.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let answer = async { Answer::read(request.send().await.expect("an answer")).await };
        within(DEADLINE, "an answer", answer).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Posts JSON to a room, whether it is accepted or not.
    pub async fn publish(&self, room: &str, fields: Value) -> Answer {
        self.send(self.request(Method::POST, &format!("/{room}")).json(&fields)).await
    }

    /// Publishes a message, which must be accepted, and returns its id.
    pub async fn post(&self, room: &str, sender: &str, message: &str) -> String {
        self.publish(room, json!({ "sender": sender, "message": message })).await.id()
    }

    /// Publishes `count` numbered messages and returns their ids.
    pub async fn fill(&self, room: &str, count: usize) -> Vec<String> {
        let mut ids = Vec::with_capacity(count);
        for number in 1..=count {
            ids.push(self.post(room, "mason", &format!("message {number}")).await);
        }
        ids
    }

    /// Requests a page as a browser does.
    pub async fn page(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header("Accept", BROWSER)).await
    }

    /// Returns the JSON of `/history/{room}` with a query such as `?limit=3`.
    pub async fn history(&self, room: &str, query: &str) -> Value {
        self.get(&format!("/history/{room}{query}")).await.expect(200).json()
    }

    /// Returns the newest 200 retained messages of a room.
    pub async fn stored(&self, room: &str) -> Vec<Value> {
        let mut history = self.history(room, "?limit=200").await;
        match history["messages"].take() {
            Value::Array(messages) => messages,
            other => panic!("{other} is not a list of messages"),
        }
    }

    /// Returns the newest message of a room.
    pub async fn newest(&self, room: &str) -> Value {
        self.stored(room).await.pop().expect("a message")
    }

    /// Returns the value of a sample of `/metrics`, by its name and labels as written there.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.get("/metrics").await.expect(200);
        let line = answer
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))?;
        line.parse().ok()
    }

    /// Returns the number of open streams.
    pub async fn open_streams(&self) -> f64 {
        self.metric("tiny_chat_streams_open").await.expect("a number")
    }

    /// Returns the number of open streams that have become live.
    pub async fn live_streams(&self) -> f64 {
        self.metric("tiny_chat_streams_live").await.expect("a number")
    }

    /// Waits until so many streams are live: each receives what is posted from then on.
    pub async fn wait_for_live_streams(&self, count: usize) {
        self.wait_for_metric("tiny_chat_streams_live", count).await;
    }

    /// Waits until so many streams are open. They may not be live yet.
    pub async fn wait_for_open_streams(&self, count: usize) {
        self.wait_for_metric("tiny_chat_streams_open", count).await;
    }

    async fn wait_for_metric(&self, name: &str, value: usize) {
        let has_value = async || (self.metric(name).await == Some(value as f64)).then_some(());
        eventually(&format!("{value} as {name}"), has_value).await;
    }

    /// Waits until `/readyz` is 200.
    pub async fn ready(&self) {
        eventually("a ready node", async || (self.get("/readyz").await.status == 200).then_some(())).await
    }

    /// Waits until the log of a room has expired.
    pub async fn wait_until_expired(&self, room: &str) {
        let expired = async || (self.history(room, "").await["last"] == "0-0").then_some(());
        eventually("the end of the log", expired).await
    }

    /// Sends SIGTERM, which starts the drain.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Sends SIGINT, like Ctrl-C.
    pub fn interrupt(&self) {
        self.process.signal(Signal::SIGINT);
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends SIGKILL, like a crash.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until the process ends.
    pub async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Returns the peak resident memory of the process in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the node lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB");
        kib * 1024
    }

    /// Returns the number of threads that serve clients.
    pub fn workers(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("the node lives");
        let name = |task: io::Result<DirEntry>| fs::read_to_string(task.ok()?.path().join("comm")).ok();
        tasks.filter_map(name).filter(|name| name.starts_with("actix-rt")).count()
    }

    /// Returns everything logged so far, on stdout and stderr.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Waits for a log line that contains `part` and returns it.
    pub async fn logged(&self, part: &str) -> String {
        eventually(&format!("a log line with {part:?}"), async || self.process.line_with(part)).await
    }
}

/// How a run of the binary ended, and what it printed.
pub struct Exited {
    pub status: ExitStatus,
    pub output: String,
}

/// Builds a command with this environment and the defaults. A test that sets `PORT` gets no default for `BIND`, which
/// would take precedence.
fn command(program: &str, environment: &[(&str, &str)]) -> Command {
    let sets_port = environment.iter().any(|(name, _)| *name == "PORT");
    let defaults = DEFAULT_ENVIRONMENT.into_iter().filter(|(name, _)| !(sets_port && *name == "BIND"));
    let mut command = Command::new(program);
    command.env_clear().envs(defaults).envs(environment.iter().copied());
    command
}

/// Returns the address in the log line of a node that listens, one that this host can connect to.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split('/').next()?.replace("0.0.0.0", "127.0.0.1").parse().ok()
}

/// Returns the number of live streams of these nodes together.
pub async fn live_streams_of(nodes: impl IntoIterator<Item = &Node>) -> f64 {
    let mut live = 0.0;
    for node in nodes {
        live += node.live_streams().await;
    }
    live
}
