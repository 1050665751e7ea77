//! Child processes that end with the benchmark, and their CPU time and memory as /proc of Linux has them.

#[path = "../../tests/it/support/ports.rs"]
mod ports;

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// An error that ends a trial.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How long a server may take to start.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// The unit of CPU time in /proc: 1 / USER_HZ, where USER_HZ is 100 on every Linux.
const CPU_TICK: Duration = Duration::from_millis(10);

/// A running program with the processes that it started. Kills them when dropped.
pub struct Program(Child);

/// Returns a command whose process gets the signal `signal` when the benchmark dies, however it dies. To be started by
/// the main thread: PR_SET_PDEATHSIG watches the thread that starts a process.
pub fn ends_with_us(program: impl AsRef<std::ffi::OsStr>, signal: &str) -> Command {
    if !Path::new("/usr/bin/setpriv").exists() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", signal]).arg(program);
    command
}

impl Program {
    /// Starts a program, and waits until it listens on `address`.
    pub fn start(command: &mut Command, address: SocketAddr) -> Result<Self, Failure> {
        Self::start_with_log(command, address, Path::new("/dev/null"))
    }

    /// Starts a program that writes its output into the file `log`.
    pub fn start_with_log(command: &mut Command, address: SocketAddr, log: &Path) -> Result<Self, Failure> {
        let output = File::options().create(true).append(true).open(log)?;
        let command = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| format!("{:?} does not start: {error}", command.get_program()))?;
        let mut program = Self(child);
        let end = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(address).is_err() {
            if program.0.try_wait()?.is_some() || Instant::now() > end {
                let said = fs::read_to_string(log).unwrap_or_default();
                let said = said.lines().last().unwrap_or_default();
                return Err(format!("{:?} does not listen: {said}", command.get_args().collect::<Vec<_>>()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(program)
    }

    /// Kills the program and its descendants, as a crash would.
    pub fn kill(&mut self) {
        self.signal_all(Signal::SIGKILL);
        let _ = self.0.wait();
    }

    /// Asks the program to end, as a deploy does. It tells its own children.
    pub fn terminate(&self) {
        send(self.0.id(), Signal::SIGTERM);
    }

    /// Stops the program and its descendants without ending them, until `resume`.
    pub fn freeze(&self) {
        self.signal_all(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal_all(Signal::SIGCONT);
    }

    /// Waits until the program has ended. Returns false if it has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    fn signal_all(&self, signal: Signal) {
        self.pids().into_iter().for_each(|pid| send(pid, signal));
    }

    /// Returns the process ids of the program and its descendants.
    fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.0.id()];
        let mut next = 0;
        while let Some(pid) = pids.get(next) {
            pids.extend(children(*pid));
            next += 1;
        }
        pids
    }

    /// Returns the CPU time used so far, user and system.
    pub fn cpu_time(&self) -> Duration {
        let ticks: u32 = self.pids().into_iter().filter_map(ticks).sum();
        CPU_TICK * ticks
    }

    /// Returns the CPU time of its threads in nanoseconds, for times in which hardly anything happens. Threads that have
    /// ended are left out.
    pub fn exact_cpu_time(&self) -> Duration {
        let of_thread = |path: std::path::PathBuf| -> Option<u64> {
            fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        let threads = self.pids().into_iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok());
        Duration::from_nanos(threads.flatten().flatten().filter_map(|thread| of_thread(thread.path())).sum())
    }

    /// Returns the memory in KiB, with shared memory counted once.
    pub fn memory_kib(&self) -> u64 {
        let pids = self.pids();
        let own: u64 = pids.iter().map(|pid| status_kib(*pid, "RssAnon:") + status_kib(*pid, "RssFile:")).sum();
        own + pids.iter().map(|pid| status_kib(*pid, "RssShmem:")).max().unwrap_or_default()
    }

    /// Returns the peak memory of the first process, in KiB.
    pub fn peak_memory_kib(&self) -> u64 {
        status_kib(self.0.id(), "VmHWM:")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            self.kill();
        }
    }
}

fn send(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// Returns the processes that any thread of a process has started.
fn children(pid: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Returns the CPU time that this process itself has used so far: what the readers and the publishers cost.
pub fn own_cpu_time() -> Duration {
    CPU_TICK * ticks(std::process::id()).unwrap_or_default()
}

/// Returns the user and system time of a process, in ticks.
fn ticks(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // proc(5): fields 14 and 15 of the file. The second, the name in parentheses, may contain spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u32>().ok()? + fields.get(12)?.parse::<u32>().ok()?)
}

/// Returns a field of /proc/PID/status in KiB, or 0 if there is none.
fn status_kib(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}

/// Returns an address that no other benchmark and no test gets.
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free_port()))
}
