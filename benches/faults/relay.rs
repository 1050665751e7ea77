//! The network between the readers and the nodes: a TCP proxy as it stands before nodes in production, with an address
//! for the readers of each node. It leads them to another node while theirs is out of service or does not listen, and
//! can stop to forward without a word, reset all connections, and refuse new ones.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::Failure;

/// How long a connection to a node may take to be established.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    /// Nothing is forwarded, in either direction.
    is_stalled: bool,
    /// New connections are closed at once.
    is_refusing: bool,
    /// How often all connections were reset.
    resets: u32,
}

struct Target {
    address: SocketAddr,
    is_in_service: AtomicBool,
}

pub struct Relay {
    /// The address of each node for readers.
    pub addresses: Vec<SocketAddr>,
    targets: Arc<Vec<Target>>,
    link: watch::Sender<Link>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub async fn start(nodes: &[SocketAddr]) -> Result<Self, Failure> {
        let target = |address: &SocketAddr| Target { address: *address, is_in_service: AtomicBool::new(true) };
        let targets: Arc<Vec<Target>> = Arc::new(nodes.iter().map(target).collect());
        let (link, mut tasks, mut addresses) = (watch::Sender::new(Link::default()), JoinSet::new(), Vec::new());
        for node in 0..nodes.len() {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            addresses.push(listener.local_addr()?);
            tasks.spawn(serve(listener, node, Arc::clone(&targets), link.subscribe()));
        }
        Ok(Self { addresses, targets, link, _tasks: tasks })
    }

    /// Takes a node out of service, as a proxy does that knows of its end, or puts it back.
    pub fn set_in_service(&self, node: usize, is_in_service: bool) {
        self.targets[node].is_in_service.store(is_in_service, Ordering::Relaxed);
    }

    /// Forwards nothing more, and tells neither side.
    pub fn stall(&self) {
        self.link.send_modify(|link| link.is_stalled = true);
    }

    /// Resets all connections, without what was not forwarded, and refuses new ones until `restore`.
    pub fn reset(&self) {
        self.link.send_modify(|link| {
            link.is_refusing = true;
            link.resets += 1;
        });
    }

    pub fn restore(&self) {
        self.link.send_modify(|link| {
            link.is_stalled = false;
            link.is_refusing = false;
        });
    }
}

async fn serve(listener: TcpListener, node: usize, targets: Arc<Vec<Target>>, link: watch::Receiver<Link>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                connections.spawn(forward(client, node, Arc::clone(&targets), link.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn forward(mut client: TcpStream, node: usize, targets: Arc<Vec<Target>>, mut link: watch::Receiver<Link>) {
    let Link { resets, is_refusing, .. } = *link.borrow();
    if is_refusing {
        return reset(&client);
    }
    let Some(mut server) = connect(node, &targets).await else {
        return reset(&client);
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let is_reset = {
        let (up, down) = (link.clone(), link.clone());
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        tokio::select! {
            biased; // what waits is not forwarded when the link is reset and no longer stalled
            _ = link.wait_for(|link| link.resets != resets) => true,
            () = copy(&mut from_client, &mut to_server, up) => false,
            () = copy(&mut from_server, &mut to_client, down) => false,
        }
    };
    if is_reset {
        reset(&client);
        reset(&server);
    }
}

/// Connects to a node, or to another one if it is out of service or does not listen. Where all are out of service there
/// is no better choice than one of them.
async fn connect(node: usize, targets: &[Target]) -> Option<TcpStream> {
    let in_order = || (0..targets.len()).map(|number| &targets[(node + number) % targets.len()]);
    let is_in_service = |target: &&Target| target.is_in_service.load(Ordering::Relaxed);
    for target in in_order().filter(is_in_service).chain(in_order().filter(|target| !is_in_service(target))) {
        if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(target.address)).await {
            return Some(stream);
        }
    }
    None
}

/// Copies until one side closes. What is read while the link is stalled waits here.
async fn copy(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    mut link: watch::Receiver<Link>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = link.wait_for(|link| !link.is_stalled).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
    // The end of a connection is news as well.
    let _ = link.wait_for(|link| !link.is_stalled).await;
}

/// Lets the connection end with RST when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
