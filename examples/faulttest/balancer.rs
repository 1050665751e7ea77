//! A TCP load balancer: one address in front of all nodes, for readers, chatters and browsers. A connection goes to the
//! ready node with the fewest of them, and to the next one if that cannot be reached.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::Client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, sleep_until, timeout},
};

use crate::{Failure, room::STEP_TIMEOUT};

/// How often the readiness of a node is checked, and how long its response may take.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// How long a connection waits for a ready node.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The state of a node.
#[derive(Clone, Copy)]
struct Node {
    address: SocketAddr,
    ready: bool,
    connections: usize,
}

type Nodes = Arc<watch::Sender<Vec<Node>>>;

/// How long connections may be idle, and how many were cut because of it.
#[derive(Default)]
struct Idleness {
    limit: watch::Sender<Option<Duration>>,
    cuts: AtomicUsize,
}

pub struct Balancer {
    pub address: SocketAddr,
    nodes: Nodes,
    idleness: Arc<Idleness>,
    _tasks: JoinSet<()>,
}

impl Balancer {
    /// Listens on a free port, and starts to check the nodes.
    pub async fn start(addresses: &[SocketAddr]) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let initial = addresses.iter().map(|address| Node { address: *address, ready: false, connections: 0 });
        let nodes: Nodes = Arc::new(watch::Sender::new(initial.collect()));
        let client = Client::builder().no_proxy().timeout(CHECK_INTERVAL).build()?;
        let mut tasks = JoinSet::new();
        for (number, address) in addresses.iter().enumerate() {
            tasks.spawn(check(Arc::clone(&nodes), number, *address, client.clone()));
        }
        let idleness = Arc::default();
        tasks.spawn(serve(listener, Arc::clone(&nodes), Arc::clone(&idleness)));
        Ok(Self { address, nodes, idleness, _tasks: tasks })
    }

    /// Cuts connections on which nothing has passed for this long, from now on.
    pub fn limit_idleness(&self, limit: Option<Duration>) {
        self.idleness.limit.send_replace(limit);
    }

    /// Returns how many connections were cut because they were idle.
    pub fn idle_cuts(&self) -> usize {
        self.idleness.cuts.load(Ordering::Relaxed)
    }

    /// Returns true if a node was ready when it was last checked.
    pub fn is_ready(&self, number: usize) -> bool {
        self.nodes.borrow()[number].ready
    }

    /// Waits until a node is ready.
    ///
    /// # Errors
    /// When that takes longer than `STEP_TIMEOUT`.
    pub async fn wait_until_ready(&self, number: usize) -> Result<(), Failure> {
        let mut changes = self.nodes.subscribe();
        timeout(STEP_TIMEOUT, changes.wait_for(|nodes| nodes[number].ready))
            .await
            .map_err(|_| "a node does not start")??;
        Ok(())
    }
}

/// Checks again and again whether a node is ready.
async fn check(nodes: Nodes, number: usize, address: SocketAddr, client: Client) {
    let mut checks = interval(CHECK_INTERVAL);
    loop {
        checks.tick().await;
        let response = client.get(format!("http://{address}/readyz")).send().await;
        let ready = response.is_ok_and(|response| response.status() == 200);
        nodes.send_if_modified(|nodes| std::mem::replace(&mut nodes[number].ready, ready) != ready);
    }
}

/// Accepts connections, and forwards each in a task.
async fn serve(listener: TcpListener, nodes: Nodes, idleness: Arc<Idleness>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => { connections.spawn(forward(client, Arc::clone(&nodes), Arc::clone(&idleness))); }
            Some(_) = connections.join_next() => {}
            else => sleep(CHECK_INTERVAL).await, // accept failed: too many files are open
        }
    }
}

/// A connection to a node, counted while this guard lives.
struct ConnectionGuard {
    nodes: Nodes,
    number: usize,
}

impl ConnectionGuard {
    /// Counts a connection to the ready node with the fewest, except those that were tried. Returns `None` if there is
    /// none.
    fn acquire(nodes: &Nodes, tried: &[usize]) -> Option<Self> {
        let mut guard = None;
        nodes.send_modify(|known| {
            let ready = known.iter_mut().enumerate().filter(|(number, node)| node.ready && !tried.contains(number));
            if let Some((number, node)) = ready.min_by_key(|(_, node)| node.connections) {
                node.connections += 1;
                guard = Some(Self { nodes: Arc::clone(nodes), number });
            }
        });
        guard
    }

    fn address(&self) -> SocketAddr {
        self.nodes.borrow()[self.number].address
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.nodes.send_modify(|nodes| nodes[self.number].connections -= 1);
    }
}

/// Forwards a connection to a node, and waits if none is ready.
async fn forward(client: TcpStream, nodes: Nodes, idleness: Arc<Idleness>) -> io::Result<()> {
    let deadline = Instant::now() + CONNECT_DEADLINE;
    let mut tried = Vec::new();
    while Instant::now() < deadline {
        let Some(guard) = ConnectionGuard::acquire(&nodes, &tried) else {
            tried.clear();
            sleep(CHECK_INTERVAL).await;
            continue;
        };
        match TcpStream::connect(guard.address()).await {
            Ok(server) => return copy(client, server, &idleness).await,
            Err(_) => tried.push(guard.number),
        }
    }
    Ok(())
}

/// Copies both ways until one side ends, or until the connection has been idle for longer than it may be.
async fn copy(mut client: TcpStream, mut server: TcpStream, idleness: &Idleness) -> io::Result<()> {
    let (mut up, mut down) = (vec![0; 16_384], vec![0; 65_536]);
    let (mut limits, mut last_used) = (idleness.limit.subscribe(), Instant::now());
    loop {
        let limit = *limits.borrow_and_update();
        let idle_until = last_used + limit.unwrap_or(Duration::MAX / 4);
        tokio::select! {
            count = client.read(&mut up) => match count? {
                0 => return Ok(()),
                count => server.write_all(&up[..count]).await?,
            },
            count = server.read(&mut down) => match count? {
                0 => return Ok(()),
                count => client.write_all(&down[..count]).await?,
            },
            _ = limits.changed() => continue,
            () = sleep_until(idle_until), if limit.is_some() => {
                idleness.cuts.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        last_used = Instant::now();
    }
}
