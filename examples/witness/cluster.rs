//! A Redis and three nodes as processes of our own, to be killed, frozen, sent away and started again.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::{Failure, front::Front, room::PATIENCE, tally::Shared};

pub const NODES: usize = 3;

const REDIS: &str = "Redis";

pub struct Cluster {
    pub front: Front,
    binary: PathBuf,
    drain: u32,
    directory: TempDir,
    redis_port: u16,
    redis: Option<Child>,
    nodes: [Option<Child>; NODES],
    addresses: [SocketAddr; NODES],
    tally: Option<Shared>,
}

impl Cluster {
    /// Everything up and ready.
    pub async fn start(binary: PathBuf, drain: u32) -> Result<Self, Failure> {
        let mut ports = free_ports();
        let mut port = || ports.next().ok_or("no free port");
        let redis_port = port()?;
        let addresses = [port()?, port()?, port()?].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (front, directory) = (Front::start(&addresses).await?, tempfile::tempdir()?);
        let mut cluster = Self {
            front,
            binary,
            drain,
            directory,
            redis_port,
            redis: None,
            nodes: Default::default(),
            addresses,
            tally: None,
        };
        cluster.start_redis().await?;
        for number in 0..NODES {
            cluster.start_node(number).await?;
        }
        Ok(cluster)
    }

    /// From now on the tally is told who is up.
    pub fn report_to(&mut self, tally: &Shared) {
        self.tally = Some(Shared::clone(tally));
        [REDIS.to_owned(), name(0), name(1), name(2)].iter().for_each(|name| self.is(name, "up"));
    }

    fn is(&self, name: &str, state: &'static str) {
        if let Some(tally) = &self.tally {
            tally.send_modify(|tally| tally.machine(name, state));
        }
    }

    /// Every write is on disk before it is answered: what was acknowledged outlives a crash.
    pub async fn start_redis(&mut self) -> Result<(), Failure> {
        let port = self.redis_port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        command.args(["--appendfsync", "always"]).arg("--dir").arg(self.directory.path());
        self.redis = Some(spawn(&mut command)?);
        let listening = async {
            while TcpStream::connect(("127.0.0.1", self.redis_port)).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, listening).await.map_err(|_| "redis-server does not start")?;
        self.is(REDIS, "up");
        Ok(())
    }

    pub async fn kill_redis(&mut self) -> Result<(), Failure> {
        self.is(REDIS, "killed");
        end(&mut self.redis).await
    }

    pub async fn start_node(&mut self, number: usize) -> Result<(), Failure> {
        let mut command = Command::new(&self.binary);
        command.env_clear().env("BIND", self.addresses[number].to_string());
        command.env("REDIS_URL", format!("redis://127.0.0.1:{}", self.redis_port)).env("NODE", name(number));
        command.env("DRAIN", self.drain.to_string()).env("HEARTBEAT", "1").env("RATE_LIMIT", "0");
        self.nodes[number] = Some(spawn(&mut command)?);
        self.front.ready(number).await?;
        self.is(&name(number), "up");
        Ok(())
    }

    /// As a crash: at once, without a word.
    pub async fn kill_node(&mut self, number: usize) -> Result<(), Failure> {
        self.is(&name(number), "killed");
        end(&mut self.nodes[number]).await
    }

    /// As a deploy: SIGTERM, and the time it takes to send everybody away.
    pub async fn send_away(&mut self, number: usize) -> Result<(), Failure> {
        self.is(&name(number), "leaving");
        self.signal(number, Signal::SIGTERM)?;
        if let Some(mut node) = self.nodes[number].take() {
            timeout(PATIENCE, node.wait()).await.map_err(|_| "a node does not end")??;
        }
        self.is(&name(number), "down");
        Ok(())
    }

    /// It keeps its connections and does nothing any more.
    pub fn freeze(&self, number: usize) -> Result<(), Failure> {
        self.is(&name(number), "frozen");
        self.signal(number, Signal::SIGSTOP)
    }

    pub fn thaw(&self, number: usize) -> Result<(), Failure> {
        self.is(&name(number), "up");
        self.signal(number, Signal::SIGCONT)
    }

    fn signal(&self, number: usize, signal: Signal) -> Result<(), Failure> {
        let pid = self.nodes[number].as_ref().and_then(Child::id).ok_or("this node does not run")?;
        Ok(kill(Pid::from_raw(pid.try_into()?), signal)?)
    }

    /// Ends all processes and waits for them.
    pub async fn stop(mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            end(node).await?;
        }
        end(&mut self.redis).await
    }
}

pub fn name(number: usize) -> String {
    format!("chat-{}", number + 1)
}

/// The binary of the node that was built with this one.
pub fn built_with_us() -> Result<PathBuf, Failure> {
    let us = env::current_exe()?;
    let binary = us.parent().and_then(|examples| examples.parent()).ok_or("no target folder")?.join("tiny-chat");
    match binary.exists() {
        true => Ok(binary),
        false => Err(format!("{} is not built: cargo build --bin tiny-chat", binary.display()).into()),
    }
}

/// Ctrl-C at a terminal reaches a whole group of processes, so each has its own; none outlives us.
fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.process_group(0).kill_on_drop(true).spawn();
    child.map_err(|error| format!("{:?} does not start: {error}", command.as_std().get_program()).into())
}

async fn end(child: &mut Option<Child>) -> Result<(), Failure> {
    if let Some(mut child) = child.take() {
        child.kill().await?;
    }
    Ok(())
}

/// Below the ports that the system gives away by itself, and above those of tests/it: who is killed finds its own still
/// free.
fn free_ports() -> impl Iterator<Item = u16> {
    let first = rand::random_range(27_000..31_000);
    (first..32_000).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
}
