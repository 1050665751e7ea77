//! A child process that cannot outlive its test: it is killed and reaped whatever happens.

use std::{
    io::{BufRead, BufReader, Read},
    mem,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use super::eventually;

/// A running program and every line it has written to stdout or stderr.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    collectors: Vec<thread::JoinHandle<()>>,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Process {
        Process::with_outputs(command, Stdio::piped(), Stdio::piped())
    }

    /// Starts a program with these as stdout and stderr, of which pipes are collected.
    pub fn with_outputs(command: &mut Command, stdout: Stdio, stderr: Stdio) -> Process {
        // The tests' HTTP client has TLS without a default provider, because the doctor's has. Only the first call
        // has an effect.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let lines = Arc::default();
        let stdout = child.stdout.take().map(|pipe| collect(pipe, &lines));
        let stderr = child.stderr.take().map(|pipe| collect(pipe, &lines));
        let collectors = stdout.into_iter().chain(stderr).collect();
        Process { child, lines, collectors }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid fits"));
        signal::kill(pid, signal).expect("the process exists");
    }

    /// Sends SIGKILL and reaps the process.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Returns the exit status if the process has ended; `output` then holds every line it wrote.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("the child can be waited for")?;
        for collector in self.collectors.drain(..) {
            let _ = collector.join();
        }
        Some(status)
    }

    /// Waits until the process ends.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the end of the process", async || self.try_wait()).await
    }

    /// Returns everything written so far.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// Returns the first line that contains `part`, if there is one yet.
    pub fn line_with(&self, part: &str) -> Option<String> {
        self.lines.lock().unwrap().iter().find(|line| line.contains(part)).cloned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- output of process {} ---\n{}\n---", self.pid(), self.output());
        }
    }
}

/// Kills these processes and deletes these directories once this process has ended, however it ends: for what tests
/// share, which is never dropped.
pub fn end_with_this_process<'a>(pids: impl Iterator<Item = u32>, directories: impl Iterator<Item = &'a Path>) {
    let pids: Vec<String> = pids.map(|pid| pid.to_string()).collect();
    let reaper = Command::new("sh")
        .args(["-c", r#"trap '' INT TERM HUP; cat; kill -KILL $PIDS; rm -rf -- "$@""#, "reaper"])
        .args(directories)
        .env("PIDS", pids.join(" "))
        .stdin(Stdio::piped())
        .spawn()
        .expect("sh starts");
    mem::forget(reaper); // it waits for the end of its standard input, whose other end this process has
}

fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> thread::JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
