//! The commands that are clients, `tiny-chat listen` and `tiny-chat send`, and the bot of the examples (contract § 9).

mod bot;
mod faults;
mod listen;
mod output;
mod send;

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

use crate::support::{BINARY, DEADLINE, eventually, within};

/// A command that runs, with its output.
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Arc<Mutex<String>>,
    reading: JoinHandle<()>,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Running {
    /// Starts `tiny-chat` with these arguments for the chat at this address.
    pub fn start(chat: &str, arguments: &[&str]) -> Running {
        Running::spawn(Command::new(BINARY).env_clear().env("TINY_CHAT_URL", chat).env("TZ", "UTC").args(arguments))
    }

    pub fn spawn(command: &mut Command) -> Running {
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.kill_on_drop(true).spawn().expect("the program starts");
        let (stdout, mut pipe) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let stderr = Arc::<Mutex<String>>::default();
        let collected = Arc::clone(&stderr);
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                collected.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        let stdin = child.stdin.take();
        Running { child, stdin, stdout: BufReader::new(stdout).lines(), stderr, reading }
    }

    /// Writes to standard input.
    pub async fn write(&mut self, text: &str) {
        self.stdin
            .as_mut()
            .expect("an open pipe")
            .write_all(text.as_bytes())
            .await
            .expect("the program reads");
    }

    /// Returns the next line of standard output.
    pub async fn line(&mut self) -> String {
        let line = within(DEADLINE, "a line of the program", self.stdout.next_line()).await;
        line.expect("text").unwrap_or_else(|| panic!("no further line; {}", self.stderr.lock().unwrap()))
    }

    /// Returns the next line of standard output as JSON.
    pub async fn json(&mut self) -> Value {
        let line = self.line().await;
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// Returns what was said on standard error so far.
    pub fn said(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until a text stands on standard error so many times.
    pub async fn says(&self, part: &str, times: usize) {
        eventually(part, async || (self.said().matches(part).count() >= times).then_some(())).await;
    }

    /// Returns how many bytes of its standard output wait to be read.
    pub fn unread_bytes(&mut self) -> u64 {
        rustix::io::ioctl_fionread(self.stdout.get_ref().get_ref()).expect("a pipe")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs").try_into().expect("a pid fits");
        kill(Pid::from_raw(pid), signal).expect("it runs");
    }

    /// Closes its standard output.
    pub fn close_stdout(self) -> Closed {
        drop(self.stdout);
        Closed(self.child)
    }

    /// Closes its standard input, and waits until it ends.
    pub async fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let mut stdout = Vec::new();
        while let Some(line) = within(DEADLINE, "the end of the output", self.stdout.next_line()).await.expect("text") {
            stdout.push(line + "\n");
        }
        let code = exit_code(&mut self.child).await;
        within(DEADLINE, "the end of standard error", self.reading).await.expect("it was read");
        let stderr = self.stderr.lock().unwrap().clone();
        Ended { code, stdout: stdout.concat(), stderr }
    }

    /// Waits until it ends, without reading anything more.
    pub async fn exit_code(&mut self) -> i32 {
        exit_code(&mut self.child).await
    }
}

/// A command without standard output.
pub struct Closed(Child);

impl Closed {
    pub async fn exit_code(mut self) -> i32 {
        exit_code(&mut self.0).await
    }
}

async fn exit_code(child: &mut Child) -> i32 {
    let status = within(DEADLINE, "the end of the program", child.wait()).await.expect("a child");
    status.code().unwrap_or_else(|| panic!("{status}"))
}

/// Runs a command until it ends.
pub async fn run(chat: &str, arguments: &[&str]) -> Ended {
    Running::start(chat, arguments).end().await
}

/// Returns the text of the message in an event that `listen --json` printed.
pub fn text_of(event: &Value) -> String {
    let data: Value = serde_json::from_str(event["data"].as_str().expect("data")).expect("a message");
    data["message"].as_str().expect("a text").to_owned()
}
