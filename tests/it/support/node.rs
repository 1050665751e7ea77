//! A node: the real binary as a child process, with only the environment a test gives it.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, ExitStatus},
};

use nix::sys::signal::Signal;
use reqwest::{Client, Method, RequestBuilder, redirect};
use serde_json::{Value, json};

use super::{Answer, DEADLINE, Redis, eventually, process::Process};

/// The node's program.
pub const BINARY: &str = env!("CARGO_BIN_EXE_tiny-chat");

/// The `Accept` of a browser that navigates or submits a form.
pub const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// What every node of a test gets unless the test says otherwise: a port of its own, and no rate limit.
const TEST_ENVIRONMENT: [(&str, &str); 2] = [("BIND", "127.0.0.1:0"), ("RATE_LIMIT", "0")];

pub struct Node {
    process: Process,
    address: SocketAddr,
    client: Client,
}

impl Node {
    /// A ready node on its in-process bus.
    pub async fn start(environment: &[(&str, &str)]) -> Node {
        let node = Node::launch(environment).await;
        node.ready().await;
        node
    }

    /// A ready node on a Redis.
    pub async fn on(redis: &Redis, environment: &[(&str, &str)]) -> Node {
        let url = redis.url();
        Node::start(&[&[("REDIS_URL", url.as_str())], environment].concat()).await
    }

    /// A ready node of another version of the program.
    pub async fn of(program: &Path, redis: &Redis, environment: &[(&str, &str)]) -> Node {
        let url = redis.url();
        let environment = [&[("REDIS_URL", url.as_str())], environment].concat();
        let node = Node::listening(&mut command(program.to_str().expect("a path"), &environment)).await;
        node.ready().await;
        node
    }

    /// A node that listens; whether it is ready is the test's business.
    pub async fn launch(environment: &[(&str, &str)]) -> Node {
        Node::listening(&mut command(BINARY, environment)).await
    }

    /// A node that starts with these limits of open files, `soft:hard`.
    pub async fn limited(open_files: &str, environment: &[(&str, &str)]) -> Node {
        let mut prlimit = command("prlimit", environment);
        prlimit.arg(format!("--nofile={open_files}")).arg(BINARY);
        Node::listening(&mut prlimit).await
    }

    /// Starts the binary and waits for nothing, not even its first line.
    pub fn spawn(environment: &[(&str, &str)]) -> Process {
        Process::spawn(&mut command(BINARY, environment))
    }

    /// Starts a program, and waits for the line that says where it listens.
    pub async fn listening(command: &mut Command) -> Node {
        let mut process = Process::spawn(command);
        let address = eventually("the line that says where the node listens", async || {
            assert!(process.ended().is_none(), "the node ended:\n{}", process.output());
            address_in(&process.line_with(": open http://")?)
        })
        .await;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(DEADLINE)
            .no_proxy()
            .build()
            .expect("a client");
        Node { process, address, client }
    }

    /// Starts the binary where it must refuse to: how it ended and what it said.
    pub async fn refused(environment: &[(&str, &str)], flags: &[&str]) -> Refusal {
        let mut process = Process::spawn(command(BINARY, environment).args(flags));
        let status = process.exit().await;
        Refusal { status, output: process.output() }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to be dressed further and given to `send`. Redirects are not followed.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.expect("an answer")).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// POSTs JSON to a room and gives whatever the answer is.
    pub async fn publish(&self, room: &str, fields: Value) -> Answer {
        self.send(self.request(Method::POST, &format!("/{room}")).json(&fields)).await
    }

    /// Publishes a message that must be taken, and gives its id.
    pub async fn post(&self, room: &str, sender: &str, message: &str) -> String {
        self.publish(room, json!({ "sender": sender, "message": message })).await.id()
    }

    /// Publishes messages that differ only by their number, and gives their ids.
    pub async fn fill(&self, room: &str, count: usize) -> Vec<String> {
        let mut ids = Vec::with_capacity(count);
        for number in 1..=count {
            ids.push(self.post(room, "mason", &format!("message {number}")).await);
        }
        ids
    }

    /// GETs a page as a browser does.
    pub async fn page(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header("Accept", BROWSER)).await
    }

    /// The answer of `/history/{room}` with a query (`""` or `"?limit=3"`).
    pub async fn history(&self, room: &str, query: &str) -> Value {
        self.get(&format!("/history/{room}{query}")).await.expect(200).json()
    }

    /// The retained messages of a room, the newest 200 of them.
    pub async fn stored(&self, room: &str) -> Vec<Value> {
        let mut history = self.history(room, "?limit=200").await;
        match history["messages"].take() {
            Value::Array(messages) => messages,
            other => panic!("{other} is no list of messages"),
        }
    }

    /// The newest message of a room.
    pub async fn newest(&self, room: &str) -> Value {
        self.stored(room).await.pop().expect("a message")
    }

    /// The value of one line of `/metrics`, by its name and labels as written there.
    pub async fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.get("/metrics").await.expect(200);
        let line = answer
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))?;
        line.parse().ok()
    }

    /// Waits until `/readyz` says 200.
    pub async fn ready(&self) {
        eventually("a ready node", async || (self.get("/readyz").await.status == 200).then_some(())).await
    }

    /// SIGTERM: asks for a drain.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// SIGINT: Ctrl-C.
    pub fn interrupt(&self) {
        self.process.signal(Signal::SIGINT);
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// SIGKILL: gone at once, as a crash.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for the process to end.
    pub async fn exit(&mut self) -> ExitStatus {
        self.process.exit().await
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Everything logged so far, stdout and stderr.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Waits for a log line that holds `part`.
    pub async fn logged(&self, part: &str) -> String {
        eventually(&format!("a log line with {part:?}"), async || self.process.line_with(part)).await
    }
}

/// A start that was refused.
pub struct Refusal {
    pub status: ExitStatus,
    pub output: String,
}

/// A program with nothing in its environment but what a test gives it. Where the test chooses a `PORT`, `BIND` is its business too.
fn command(program: &str, environment: &[(&str, &str)]) -> Command {
    let port_chosen = environment.iter().any(|(name, _)| *name == "PORT");
    let defaults = TEST_ENVIRONMENT.into_iter().filter(|(name, _)| !(port_chosen && *name == "BIND"));
    let mut command = Command::new(program);
    command.env_clear().envs(defaults).envs(environment.iter().copied());
    command
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    rest.split('/').next()?.replace("0.0.0.0", "127.0.0.1").parse().ok()
}
