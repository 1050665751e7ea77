//! One address before all nodes, so that readers and browsers need no other: it passes connections on to a node that
//! is ready, the one with the fewest, and to the next where connecting fails.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use reqwest::Client;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{Instant, interval, sleep, timeout},
};

use crate::{Failure, room::PATIENCE};

/// How often nodes are asked whether they are ready, and how long they may take to say so.
const ROUND: Duration = Duration::from_millis(200);

/// How long a client waits for a node.
const WAIT: Duration = Duration::from_secs(10);

/// What is known of one node.
#[derive(Clone, Copy)]
struct Node {
    address: SocketAddr,
    ready: bool,
    connections: usize,
}

type Nodes = Arc<watch::Sender<Vec<Node>>>;

pub struct Front {
    pub address: SocketAddr,
    nodes: Nodes,
    _tasks: JoinSet<()>,
}

impl Front {
    pub async fn start(addresses: &[SocketAddr]) -> Result<Self, Failure> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let known = addresses.iter().map(|address| Node { address: *address, ready: false, connections: 0 });
        let nodes: Nodes = Arc::new(watch::Sender::new(known.collect()));
        let client = Client::builder().no_proxy().timeout(ROUND).build()?;
        let mut tasks = JoinSet::new();
        for (number, address) in addresses.iter().enumerate() {
            tasks.spawn(ask(Arc::clone(&nodes), number, *address, client.clone()));
        }
        tasks.spawn(serve(listener, Arc::clone(&nodes)));
        Ok(Self { address, nodes, _tasks: tasks })
    }

    /// Waits until this node is seen to be ready.
    pub async fn ready(&self, number: usize) -> Result<(), Failure> {
        let mut changes = self.nodes.subscribe();
        timeout(PATIENCE, changes.wait_for(|nodes| nodes[number].ready))
            .await
            .map_err(|_| "a node does not start")??;
        Ok(())
    }
}

async fn ask(nodes: Nodes, number: usize, address: SocketAddr, client: Client) {
    let mut rounds = interval(ROUND);
    loop {
        rounds.tick().await;
        let answer = client.get(format!("http://{address}/readyz")).send().await;
        let ready = answer.is_ok_and(|answer| answer.status() == 200);
        nodes.send_if_modified(|nodes| std::mem::replace(&mut nodes[number].ready, ready) != ready);
    }
}

async fn serve(listener: TcpListener, nodes: Nodes) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => { connections.spawn(pass(client, Arc::clone(&nodes))); }
            Some(_) = connections.join_next() => {}
            else => sleep(ROUND).await, // no connection could be taken: too many files are open
        }
    }
}

/// A connection to a node, counted from the moment it is tried until it ends.
struct Seat {
    nodes: Nodes,
    number: usize,
}

impl Seat {
    /// On the ready node with the fewest connections, but for those that were tried.
    fn take(nodes: &Nodes, tried: &[usize]) -> Option<Self> {
        let mut seat = None;
        nodes.send_modify(|known| {
            let ready = known.iter_mut().enumerate().filter(|(number, node)| node.ready && !tried.contains(number));
            if let Some((number, node)) = ready.min_by_key(|(_, node)| node.connections) {
                node.connections += 1;
                seat = Some(Self { nodes: Arc::clone(nodes), number });
            }
        });
        seat
    }

    fn address(&self) -> SocketAddr {
        self.nodes.borrow()[self.number].address
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.nodes.send_modify(|nodes| nodes[self.number].connections -= 1);
    }
}

/// Passes a client on to a node; waits for one where none is ready.
async fn pass(mut client: TcpStream, nodes: Nodes) -> io::Result<()> {
    let late = Instant::now() + WAIT;
    let mut tried = Vec::new();
    while Instant::now() < late {
        let Some(seat) = Seat::take(&nodes, &tried) else {
            tried.clear();
            sleep(ROUND).await;
            continue;
        };
        match TcpStream::connect(seat.address()).await {
            Ok(mut server) => return copy_bidirectional(&mut client, &mut server).await.map(|_| ()),
            Err(_) => tried.push(seat.number),
        }
    }
    Ok(())
}
