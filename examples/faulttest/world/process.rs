//! A process of the world: started, killed, stopped, continued.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicI32, Ordering},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::Mutex,
    time::timeout,
};

use crate::Failure;

/// The place of a process, which may run or not.
#[derive(Default)]
pub struct Process(Mutex<Option<Child>>);

impl Process {
    /// Starts a command here, in place of what ran before. Its output goes to a file, if there is one.
    ///
    /// The process is killed when it is dropped, and is in a group of its own, which Ctrl-C does not reach.
    pub async fn start(&self, command: &mut Command, log: Option<&Path>) -> Result<(), Failure> {
        let mut place = self.0.lock().await;
        end(&mut place).await?;
        let [out, err] = match log {
            Some(log) => {
                let file = File::options().create(true).append(true).open(log)?;
                [file.try_clone()?.into(), file.into()]
            }
            None => [Stdio::null(), Stdio::null()],
        };
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).kill_on_drop(true);
        let started = command.spawn();
        *place =
            Some(started.map_err(|error| format!("{:?} does not start: {error}", command.as_std().get_program()))?);
        Ok(())
    }

    /// Sends SIGKILL, and waits for the end.
    pub async fn kill(&self) -> Result<(), Failure> {
        end(&mut *self.0.lock().await).await
    }

    /// Sends SIGTERM, and waits for the end, at most this long.
    pub async fn terminate(&self, limit: Duration) -> Result<(), Failure> {
        self.signal(Signal::SIGTERM).await?;
        let mut place = self.0.lock().await;
        if let Some(child) = place.as_mut() {
            timeout(limit, child.wait()).await.map_err(|_| "a process does not end")??;
        }
        *place = None;
        Ok(())
    }

    /// Sends a signal to the process.
    pub async fn signal(&self, signal: Signal) -> Result<(), Failure> {
        Ok(kill(Pid::from_raw(self.pid().await?.try_into()?), signal)?)
    }

    /// Returns the number of the process.
    pub async fn pid(&self) -> Result<u32, Failure> {
        self.0.lock().await.as_ref().and_then(Child::id).ok_or_else(|| "this process does not run".into())
    }
}

async fn end(place: &mut Option<Child>) -> Result<(), Failure> {
    if let Some(mut child) = place.take() {
        child.kill().await?;
    }
    Ok(())
}

/// The clock that a process sees: the machine's, a number of seconds ahead or behind, if libfaketime is installed.
pub struct Clock {
    file: Option<PathBuf>,
    offset: AtomicI32,
}

/// How long a process may take to notice that its clock was set.
pub const CLOCK_DELAY: Duration = Duration::from_secs(1);

/// Where distributions install libfaketime.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

impl Clock {
    /// A clock that is set by this file.
    pub fn new(file: PathBuf) -> Result<Self, Failure> {
        let clock = Self { file: library().map(|_| file), offset: AtomicI32::new(0) };
        clock.set(0)?;
        Ok(clock)
    }

    /// The machine's clock.
    pub const fn real() -> Self {
        Self { file: None, offset: AtomicI32::new(0) }
    }

    /// Lets a command see this clock.
    pub fn apply(&self, command: &mut Command) {
        if let (Some(file), Some(library)) = (&self.file, library()) {
            // libc.so.6 is there for its malloc: the one of Debian's redis-server asks for the time before there is one.
            command.env("LD_PRELOAD", format!("{library}:libc.so.6")).env("FAKETIME_TIMESTAMP_FILE", file);
            command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            command.env("DONT_FAKE_MONOTONIC", "1"); // what versions before 0.9.10 call it
        }
    }

    /// Sets the clock so many seconds ahead of the machine's, which the process notices within a second.
    pub fn set(&self, seconds: i32) -> Result<(), Failure> {
        self.offset.store(seconds, Ordering::Relaxed);
        let Some(file) = &self.file else { return Ok(()) };
        let next = file.with_extension("next");
        fs::write(&next, format!("{seconds:+}\n"))?;
        Ok(fs::rename(&next, file)?) // no process reads half a file
    }

    /// Sets the clock so many seconds ahead of where it is.
    pub fn advance(&self, seconds: i32) -> Result<(), Failure> {
        self.set(self.offset.load(Ordering::Relaxed) + seconds)
    }
}

/// Returns the path of libfaketime.
pub fn library() -> Option<&'static str> {
    LIBRARIES.into_iter().find(|path| Path::new(path).exists())
}
