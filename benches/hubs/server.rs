//! A running server: its nodes, and the Redis that they share.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Duration,
};

use tempfile::TempDir;

use crate::hubs::{
    dialect,
    kind::Kind,
    launch::{self, Limits},
    process::{Failure, Program, free_address},
    redis_server::Redis,
};

/// How long a server may take for the response to a request that prepares it.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(5);

/// How to start a server.
#[derive(Clone, Copy)]
pub struct ServerOptions {
    pub nodes: usize,
    pub limits: Limits,
    /// The silence after which a tiny-chat sends a heartbeat.
    pub heartbeat: Duration,
    /// Whether Redis writes to the disk every second.
    pub is_persistent: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { nodes: 1, limits: Limits::Off, heartbeat: Duration::from_secs(15), is_persistent: false }
    }
}

/// A node, and where its clients go.
pub struct Node {
    pub program: Program,
    /// Where readers connect.
    pub address: SocketAddr,
    /// Where posts go, which is the same address for most servers.
    pub post_address: SocketAddr,
}

/// A running server. Each has new processes on free ports, which end with it.
pub struct Server {
    pub kind: Kind,
    pub redis: Option<Redis>,
    pub nodes: Vec<Node>,
    options: ServerOptions,
    directory: TempDir,
}

impl Server {
    pub fn start(kind: Kind, options: ServerOptions) -> Result<Self, Failure> {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let redis = kind.uses_redis().then(|| Redis::start(directory.path(), options.is_persistent)).transpose()?;
        let url = redis.as_ref().map(Redis::url).unwrap_or_default();
        let nodes = (0..options.nodes.min(kind.max_nodes()))
            .map(|number| {
                let folder = node_folder(&directory, number);
                fs::create_dir(&folder)?;
                launch::node(kind, free_address(), &url, &folder, options)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let server = Self { kind, redis, nodes, options, directory };
        server.wait_until_subscribed()?;
        Ok(server)
    }

    /// Starts a node that has ended, on its address and with its files.
    pub fn restart_node(&mut self, number: usize) -> Result<(), Failure> {
        let url = self.redis.as_ref().map(Redis::url).unwrap_or_default();
        let (address, folder) = (self.nodes[number].address, node_folder(&self.directory, number));
        self.nodes[number] = launch::node(self.kind, address, &url, &folder, self.options)?;
        self.wait_until_subscribed()
    }

    /// Waits until all nodes of nchan subscribe to Redis.
    fn wait_until_subscribed(&self) -> Result<(), Failure> {
        match (self.kind, &self.redis) {
            (Kind::Nchan, Some(redis)) => redis.wait_for_nchan(self.nodes.len() * launch::nchan_workers()?),
            _ => Ok(()),
        }
    }

    /// Creates rooms, where a server wants that before they are read.
    pub fn create_rooms<'a>(&self, rooms: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        for room in rooms {
            let Some(request) = dialect::creation(self.kind, room) else {
                return Ok(());
            };
            let mut stream = TcpStream::connect(self.nodes[0].post_address)?;
            stream.set_read_timeout(Some(PREPARATION_TIMEOUT))?;
            stream.write_all(&request)?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            if !status.starts_with(b"HTTP/1.1 20") {
                return Err(format!("{} refuses to create a room", self.kind.name()).into());
            }
        }
        Ok(())
    }

    /// Returns the address of a node for readers, modulo the number of nodes.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.nodes[number % self.nodes.len()].address
    }

    /// Returns the address of a node for posts, modulo the number of nodes.
    pub fn post_address(&self, number: usize) -> SocketAddr {
        self.nodes[number % self.nodes.len()].post_address
    }

    /// Returns a node, modulo the number of nodes.
    pub fn node(&mut self, number: usize) -> &mut Program {
        let nodes = self.nodes.len();
        &mut self.nodes[number % nodes].program
    }

    /// Returns the CPU time of all nodes, without that of Redis.
    pub fn cpu_time(&self) -> Duration {
        self.cpu_time_except(None)
    }

    /// Returns the CPU time of all nodes but one.
    pub fn cpu_time_except(&self, excluded: Option<usize>) -> Duration {
        let counted = self.nodes.iter().enumerate().filter(|(number, _)| Some(*number) != excluded);
        counted.map(|(_, node)| node.program.cpu_time()).sum()
    }

    /// Returns the CPU time of all nodes in nanoseconds, of the threads that still run.
    pub fn exact_cpu_time(&self) -> Duration {
        self.nodes.iter().map(|node| node.program.exact_cpu_time()).sum()
    }

    /// Returns the CPU time of Redis, or nothing if there is none.
    pub fn redis_cpu_time(&self) -> Duration {
        self.redis.as_ref().map(|redis| redis.program.cpu_time()).unwrap_or_default()
    }

    /// Returns the memory of all nodes in KiB.
    pub fn memory_kib(&self) -> u64 {
        self.nodes.iter().map(|node| node.program.memory_kib()).sum()
    }
}

fn node_folder(directory: &TempDir, number: usize) -> PathBuf {
    directory.path().join(format!("node-{number}"))
}
