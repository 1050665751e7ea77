//! A child process that cannot outlive its test: whatever happens, it is killed by its pid and reaped.

use std::{
    io::{BufRead, BufReader, Read},
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
    readers: Vec<thread::JoinHandle<()>>,
}

impl Process {
    pub fn spawn(command: &mut Command) -> Process {
        // The tests' client can speak TLS, since the doctor's can, and wants to know by what. In vain where it does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let lines = Arc::default();
        let readers = vec![
            collect(child.stdout.take().expect("stdout is piped"), &lines),
            collect(child.stderr.take().expect("stderr is piped"), &lines),
        ];
        Process { child, lines, readers }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid fits"));
        signal::kill(pid, signal).expect("the process is there to be signalled");
    }

    /// Ends it at once, as a crash would, and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, if it has; every line it wrote is in `output` then.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be asked")?;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        Some(status)
    }

    /// How it ends; waits for that.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the end of the process", async || self.ended()).await
    }

    /// Everything written so far.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// The first line that holds `part`, if there is one yet.
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

fn collect(pipe: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> thread::JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}
