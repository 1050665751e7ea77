//! Namespaces of the run's own for network, mounts and processes. In them it may drop packets, mount small disks, and
//! run nodes as users of their own; and everything that it started ends with it, however it ends.

use std::{
    env,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Command, ExitCode, ExitStatus},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, Uid},
};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use crate::Failure;

/// Set in the process that runs in the namespaces.
const INSIDE: &str = "FAULTTEST_ISOLATED";

/// The programs that set up what the namespaces are for.
const TOOLS: [&str; 2] = ["ip", "iptables"];

/// What a run may do to its surroundings: anything, or only what needs no namespaces, with the reason.
#[derive(Clone)]
pub enum Isolation {
    Full,
    None(String),
}

/// Where a process goes on.
pub enum Entered {
    /// Here, with what it may do.
    Here(Isolation),
    /// In a child, which ended with this code.
    Ended(ExitCode),
}

/// Starts this program again in namespaces of its own and waits for its end, unless this is that process already.
///
/// # Errors
/// When a namespace was created and cannot be set up.
pub fn enter() -> Result<Entered, Failure> {
    if env::var_os(INSIDE).is_some() {
        return set_up().map(|()| Entered::Here(Isolation::Full));
    }
    if let Some(reason) = obstacle() {
        return Ok(Entered::Here(Isolation::None(reason)));
    }
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(INSIDE, "1");
    run_and_forward_signals(command).map(Entered::Ended)
}

/// Creates the namespaces, or returns why there are none.
fn obstacle() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("needs root".to_owned());
    }
    if let Some(tool) = TOOLS.into_iter().find(|tool| find_program(tool).is_none()) {
        return Some(format!("needs the program {tool}"));
    }
    let flags = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID;
    unshare(flags).err().map(|error| format!("needs namespaces: {error}"))
}

/// Returns the path of a program, which a user's `PATH` may not have.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Sets up the namespaces from within.
fn set_up() -> Result<(), Failure> {
    // Without its parent this process ends, and as it is the first of its namespace, so does everything in it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), None::<&str>)?;
    // libfaketime names its shared memory after the process, whose number is another one's outside.
    mount(Some("tmpfs"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    let ip = find_program("ip").ok_or("ip is gone")?;
    let up = Command::new(ip).args(["link", "set", "lo", "up"]).status()?;
    up.success().then_some(()).ok_or_else(|| "the loopback interface does not come up".into())
}

/// Runs a command to its end, and passes on to it the signals that end this process.
fn run_and_forward_signals(command: Command) -> Result<ExitCode, Failure> {
    // A thread cannot be started once the next process is to be in another namespace.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut child = tokio::process::Command::from(command).spawn()?;
        let pid = Pid::from_raw(child.id().ok_or("no child")?.try_into()?);
        loop {
            let signal = tokio::select! {
                status = child.wait() => return Ok(exit_code(status?)),
                _ = interrupt.recv() => Signal::SIGINT,
                _ = terminate.recv() => Signal::SIGTERM,
                _ = hangup.recv() => Signal::SIGHUP,
            };
            let _ = kill(pid, signal);
        }
    })
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let signalled = status.signal().map(|number| 128 + number);
    let code = status.code().or(signalled).and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Mounts a disk of this many MiB in memory on a folder.
pub fn mount_disk(folder: &std::path::Path, mebibytes: u32) -> Result<(), Failure> {
    let options = format!("size={mebibytes}m,mode=0755");
    Ok(mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?)
}
