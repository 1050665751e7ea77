//! The processes of a cluster: a Redis and three nodes, which can be killed, frozen, stopped and started again.

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

use crate::{Failure, balancer::Balancer, ledger::SharedLedger, room::STEP_TIMEOUT};

pub const NODES: usize = 3;

const REDIS: &str = "Redis";

pub struct Cluster {
    pub balancer: Balancer,
    binary: PathBuf,
    drain: u32,
    directory: TempDir,
    redis_port: u16,
    redis: Option<Child>,
    nodes: [Option<Child>; NODES],
    addresses: [SocketAddr; NODES],
    ledger: Option<SharedLedger>,
}

impl Cluster {
    /// Starts Redis and the nodes, and waits until they are ready.
    pub async fn start(binary: PathBuf, drain: u32) -> Result<Self, Failure> {
        let mut ports = free_ports();
        let mut port = || ports.next().ok_or("no free port");
        let redis_port = port()?;
        let addresses = [port()?, port()?, port()?].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (balancer, directory) = (Balancer::start(&addresses).await?, tempfile::tempdir()?);
        let mut cluster = Self {
            balancer,
            binary,
            drain,
            directory,
            redis_port,
            redis: None,
            nodes: Default::default(),
            addresses,
            ledger: None,
        };
        cluster.start_redis().await?;
        for number in 0..NODES {
            cluster.start_node(number).await?;
        }
        Ok(cluster)
    }

    /// From now on, records the state of each process in the ledger.
    pub fn report_to(&mut self, ledger: &SharedLedger) {
        self.ledger = Some(SharedLedger::clone(ledger));
        self.set_state(REDIS, "up");
        for number in 0..NODES {
            self.set_state(&node_name(number), "up");
        }
    }

    fn set_state(&self, name: &str, state: &'static str) {
        if let Some(ledger) = &self.ledger {
            ledger.send_modify(|ledger| ledger.set_process_state(name, state));
        }
    }

    /// Starts Redis, which writes to disk before it responds, so that an acknowledged message survives a crash.
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
        timeout(STEP_TIMEOUT, listening).await.map_err(|_| "redis-server does not start")?;
        self.set_state(REDIS, "up");
        Ok(())
    }

    pub async fn kill_redis(&mut self) -> Result<(), Failure> {
        self.set_state(REDIS, "killed");
        kill_child(&mut self.redis).await
    }

    pub async fn start_node(&mut self, number: usize) -> Result<(), Failure> {
        let mut command = Command::new(&self.binary);
        command.env_clear().env("BIND", self.addresses[number].to_string());
        command
            .env("REDIS_URL", format!("redis://127.0.0.1:{}", self.redis_port))
            .env("NODE", node_name(number));
        command.env("DRAIN", self.drain.to_string()).env("HEARTBEAT", "1").env("RATE_LIMIT", "0");
        self.nodes[number] = Some(spawn(&mut command)?);
        self.balancer.wait_until_ready(number).await?;
        self.set_state(&node_name(number), "up");
        Ok(())
    }

    /// Kills a node, as a crash would.
    pub async fn kill_node(&mut self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "killed");
        kill_child(&mut self.nodes[number]).await
    }

    /// Stops a node, as a deploy would: sends SIGTERM, and waits until it has drained.
    pub async fn stop_node(&mut self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "leaving");
        self.signal(number, Signal::SIGTERM)?;
        if let Some(mut node) = self.nodes[number].take() {
            timeout(STEP_TIMEOUT, node.wait()).await.map_err(|_| "a node does not end")??;
        }
        self.set_state(&node_name(number), "down");
        Ok(())
    }

    /// Freezes a node: it keeps its connections, and does nothing with them.
    pub fn freeze(&self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "frozen");
        self.signal(number, Signal::SIGSTOP)
    }

    pub fn thaw(&self, number: usize) -> Result<(), Failure> {
        self.set_state(&node_name(number), "up");
        self.signal(number, Signal::SIGCONT)
    }

    fn signal(&self, number: usize, signal: Signal) -> Result<(), Failure> {
        let pid = self.nodes[number].as_ref().and_then(Child::id).ok_or("this node does not run")?;
        Ok(kill(Pid::from_raw(pid.try_into()?), signal)?)
    }

    /// Kills all processes.
    pub async fn stop(mut self) -> Result<(), Failure> {
        for node in &mut self.nodes {
            kill_child(node).await?;
        }
        kill_child(&mut self.redis).await
    }
}

/// Returns the name of a node.
pub fn node_name(number: usize) -> String {
    format!("chat-{}", number + 1)
}

/// Returns the program that was built along with this one.
pub fn default_program() -> Result<PathBuf, Failure> {
    let us = env::current_exe()?;
    let binary = us.parent().and_then(|examples| examples.parent()).ok_or("no target folder")?.join("tiny-chat");
    if binary.exists() {
        Ok(binary)
    } else {
        Err(format!("{} is not built: cargo build --bin tiny-chat", binary.display()).into())
    }
}

/// Starts a process that is killed when it is dropped, in a process group of its own, which Ctrl-C does not reach.
fn spawn(command: &mut Command) -> Result<Child, Failure> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.process_group(0).kill_on_drop(true).spawn();
    child.map_err(|error| format!("{:?} does not start: {error}", command.as_std().get_program()).into())
}

async fn kill_child(child: &mut Option<Child>) -> Result<(), Failure> {
    if let Some(mut child) = child.take() {
        child.kill().await?;
    }
    Ok(())
}

/// Returns free ports below those that the system assigns by itself, so that a killed process finds its port still
/// free, and above those of tests/it.
fn free_ports() -> impl Iterator<Item = u16> {
    let first = rand::random_range(27_000..31_000);
    (first..32_000).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
}
