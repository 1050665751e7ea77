//! Child processes that cannot outlive the benchmark, and what the system says they cost (Linux: /proc).

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::Failure;

/// How long a server may take to start.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What the system counts CPU in: USER_HZ, which is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// A running program and the processes it started; dropped, they are gone.
pub struct Program(Child);

/// A command that the system ends when the benchmark dies, however it dies. Only for the main thread: the tie is to the
/// thread that starts it.
pub fn tied(program: impl AsRef<std::ffi::OsStr>, end: &str) -> Command {
    if !Path::new("/usr/bin/setpriv").exists() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", end]).arg(program);
    command
}

impl Program {
    /// Starts it, and waits until it listens.
    pub fn start(command: &mut Command, address: SocketAddr) -> Result<Self, Failure> {
        let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{:?} does not start: {error}", command.get_program()))?;
        let mut program = Self(child);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            if program.0.try_wait()?.is_some() || Instant::now() > end {
                return Err(format!("{:?} does not listen", command.get_args().collect::<Vec<_>>()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(program)
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        for pid in self.family().into_iter().filter_map(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.0.wait();
    }

    /// It and its children.
    fn family(&self) -> Vec<u32> {
        let pid = self.0.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|child| child.parse().ok()).chain([pid]).collect()
    }

    /// CPU spent so far, user and system.
    pub fn spent(&self) -> Duration {
        let ticks: u32 = self.family().into_iter().filter_map(ticks).sum();
        TICK * ticks
    }

    /// KiB of memory; what processes share is counted once.
    pub fn memory(&self) -> u64 {
        let family = self.family();
        let own: u64 = family.iter().map(|pid| status(*pid, "RssAnon:") + status(*pid, "RssFile:")).sum();
        own + family.iter().map(|pid| status(*pid, "RssShmem:")).max().unwrap_or_default()
    }

    /// KiB of memory at the worst moment so far, of the first process.
    pub fn peak(&self) -> u64 {
        status(self.0.id(), "VmHWM:")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

/// User and system time stand 12th and 13th after the name, which may hold anything.
fn ticks(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?)
}

fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}

/// A port that nobody has, below those that the system gives away by itself.
pub fn free_address() -> Result<SocketAddr, Failure> {
    for _ in 0..1000 {
        let address = SocketAddr::from(([127, 0, 0, 1], rand::random_range(20_000..26_000)));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no free port".into())
}
