//! The three nodes of a run.

use std::{
    env, fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

use super::process::{Clock, Process};
use crate::Failure;

pub const NODES: usize = 3;

/// The users that the nodes run as where the packet filter has to tell their connections apart.
const FIRST_USER: u32 = 27_001;

/// How long a node may take to end after SIGTERM, beyond the time over which it drains.
const END_MARGIN: Duration = Duration::from_secs(20);

pub struct Node {
    pub address: SocketAddr,
    pub process: Process,
    pub clock: Clock,
    program: PathBuf,
    user: Option<u32>,
    environment: Vec<(&'static str, String)>,
    drain: Duration,
    log: Option<PathBuf>,
}

/// What all nodes have in common.
#[derive(Clone)]
pub struct NodeOptions {
    pub program: PathBuf,
    /// How long a node drains.
    pub drain: Duration,
    /// The environment that is not the same for every run.
    pub environment: Vec<(&'static str, String)>,
    /// The folder for what the nodes log.
    pub logs: Option<PathBuf>,
}

impl Node {
    /// Prepares a node.
    pub fn new(
        number: usize,
        address: SocketAddr,
        redis: &str,
        clock: Clock,
        user: Option<u32>,
        options: &NodeOptions,
    ) -> Self {
        let name = node_name(number);
        let log = options.logs.as_ref().map(|logs| logs.join(format!("{name}.log")));
        let mut environment = options.environment.clone();
        let drain = options.drain.as_secs().to_string();
        environment.extend([("BIND", address.to_string()), ("REDIS_URL", redis.to_owned()), ("NODE", name)]);
        environment.extend([("DRAIN", drain), ("HEARTBEAT", "1".to_owned()), ("RATE_LIMIT", "0".to_owned())]);
        Self {
            address,
            process: Process::default(),
            clock,
            program: options.program.clone(),
            user,
            environment,
            drain: options.drain,
            log,
        }
    }

    /// Starts the node, in place of the process before.
    pub async fn start(&self) -> Result<(), Failure> {
        let mut command = Command::new(&self.program);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(user) = self.user {
            command.uid(user);
        }
        self.clock.apply(&mut command);
        self.process.start(&mut command, self.log.as_deref()).await
    }

    /// Sets how many descriptors the node may have open.
    pub async fn limit_descriptors(&self, limit: u64) -> Result<(), Failure> {
        let pid = self.process.pid().await?.to_string();
        let mut command = Command::new("prlimit");
        command.args(["--pid", &pid, &format!("--nofile={limit}:")]);
        if let Some(user) = self.user {
            command.uid(user); // without CAP_SYS_RESOURCE, as in a container, only the same user may
        }
        let status = command.status().await?;
        status.success().then_some(()).ok_or_else(|| "prlimit failed".into())
    }

    /// Stops the node, as a deploy would: sends SIGTERM, and waits until it has drained.
    pub async fn stop(&self) -> Result<(), Failure> {
        self.process.terminate(self.drain + END_MARGIN).await
    }
}

/// Returns the name of a node.
pub fn node_name(number: usize) -> String {
    format!("chat-{}", number + 1)
}

/// Returns the id of the user that a node runs as.
pub fn user_of(number: usize) -> u32 {
    (FIRST_USER..).nth(number).unwrap_or(FIRST_USER)
}

/// Copies a program to a folder that every user may read.
pub fn share_program(program: &Path, folder: &Path) -> Result<PathBuf, Failure> {
    let shared = folder.join("tiny-chat");
    fs::copy(program, &shared)?;
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o755))?;
    Ok(shared)
}

/// Returns the program that was built along with this one.
pub fn default_program() -> Result<PathBuf, Failure> {
    let us = env::current_exe()?;
    let program = us.parent().and_then(Path::parent).ok_or("no target folder")?.join("tiny-chat");
    if program.exists() {
        Ok(program)
    } else {
        Err(format!("{} is not built: cargo build --bin tiny-chat", program.display()).into())
    }
}
