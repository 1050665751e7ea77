//! The processes of a run: the servers of a form of Redis, three nodes, the links between them, and a balancer.
//!
//! - `servers`: the forms, with `server`, `sentinels`, `cluster`; `nodes`; `links`: proxies and a packet filter
//! - `process`: what all of them are; with the clock that they see

pub mod cluster;
pub mod links;
pub mod nodes;
pub mod process;
pub mod sentinels;
pub mod server;
pub mod servers;

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use tempfile::TempDir;

use self::{
    links::Links,
    nodes::{NODES, Node, NodeOptions, share_program, user_of},
    process::Clock,
    servers::{Form, Servers, wait_until},
};
use crate::{Failure, balancer::Balancer, isolation::Isolation};

/// How long a node may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(60);

pub struct World {
    pub servers: Servers,
    pub nodes: Vec<Node>,
    /// The links of each node; none if they are not to fail.
    pub links: Vec<Links>,
    pub balancer: Balancer,
    _folder: TempDir,
}

impl World {
    /// Starts all processes, and waits until the nodes are ready.
    pub async fn start(
        form: Form,
        isolation: Isolation,
        with_links: bool,
        nodes: NodeOptions,
    ) -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?; // the nodes' users read their clocks there
        let mut ports = free_ports();
        let servers = Servers::start(form, folder.path(), nodes.logs.as_deref(), &isolation, &mut ports).await?;
        let links = if with_links { start_links(&servers, &isolation).await? } else { Vec::new() };
        let nodes = prepare_nodes(&servers, &links, &isolation, nodes, &folder, &mut ports)?;
        let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
        let balancer = Balancer::start(&addresses).await?;
        let world = Self { servers, nodes, links, balancer, _folder: folder };
        for node in &world.nodes {
            node.start().await?;
        }
        world.wait_for_nodes(READY_LIMIT).await?;
        Ok(world)
    }

    /// Waits until all nodes are ready.
    pub async fn wait_for_nodes(&self, limit: Duration) -> Result<(), Failure> {
        wait_until("nodes that are ready", limit, async || (0..NODES).all(|number| self.balancer.is_ready(number)))
            .await
    }

    /// Starts a node, and waits until it is ready.
    pub async fn start_node(&self, number: usize) -> Result<(), Failure> {
        self.nodes[number].start().await?;
        self.balancer.wait_until_ready(number).await
    }

    /// Kills all processes.
    pub async fn stop(self) -> Result<(), Failure> {
        for node in &self.nodes {
            node.process.kill().await?;
        }
        for server in self.servers.servers.iter().chain(&self.servers.sentinels) {
            server.process.kill().await?;
        }
        Ok(())
    }
}

/// Starts the links of all nodes. Where the servers tell nodes their addresses, only the packet filter can lead nodes
/// to the links.
async fn start_links(servers: &Servers, isolation: &Isolation) -> Result<Vec<Links>, Failure> {
    let is_redirected = servers.form != Form::One;
    if is_redirected && matches!(isolation, Isolation::None(_)) {
        return Ok(Vec::new());
    }
    let addresses: Vec<SocketAddr> = servers.servers.iter().map(server::Server::address).collect();
    let mut links = Vec::new();
    for number in 0..NODES {
        links.push(Links::start(&addresses, is_redirected.then(|| user_of(number))).await?);
    }
    Ok(links)
}

fn prepare_nodes(
    servers: &Servers,
    links: &[Links],
    isolation: &Isolation,
    mut options: NodeOptions,
    folder: &TempDir,
    ports: &mut impl Iterator<Item = u16>,
) -> Result<Vec<Node>, Failure> {
    let is_isolated = matches!(isolation, Isolation::Full);
    if is_isolated {
        options.program = share_program(&options.program, folder.path())?;
    }
    let prepare = |number: usize| {
        let address = SocketAddr::from(([127, 0, 0, 1], ports.next().ok_or("no free port")?));
        let redis = match (servers.form, links.get(number)) {
            (Form::One, Some(links)) => format!("redis://{}", links.address(0)),
            _ => servers.url(),
        };
        let file = folder.path().join(format!("chat-{}.clock", number + 1));
        let clock = if is_isolated { Clock::new(file)? } else { Clock::real() };
        Ok(Node::new(number, address, &redis, clock, is_isolated.then(|| user_of(number)), &options))
    };
    (0..NODES).map(prepare).collect()
}

/// Returns free ports below those that the system assigns by itself, so that a killed process finds its port still
/// free, and above those of tests/it.
fn free_ports() -> impl Iterator<Item = u16> {
    let first = rand::random_range(27_000..31_000);
    (first..32_000).filter(|port| TcpListener::bind(("0.0.0.0", *port)).is_ok())
}
