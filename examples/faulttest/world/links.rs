//! The links between nodes and servers: a TCP proxy for each pair, on whose way bytes can be late or left out, and rules
//! of a packet filter between a node and its proxies.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Command,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::{Failure, isolation::find_program};

#[path = "../../../tests/it/support/resp.rs"]
mod resp;

/// The number of pieces that may be on the way at once, and the size of one.
const PIECES: usize = 64;
const PIECE_BYTES: usize = 65_536;

/// The command that makes a connection one for announcements, also the end of that of a cluster.
const SUBSCRIBE: &[u8] = b"SUBSCRIBE";

/// How a node's links behave.
#[derive(Clone, Copy, Default)]
pub struct Behaviour {
    /// How long a byte takes in each direction.
    pub delay: Duration,
    /// Whether announcements are left out.
    pub deaf: bool,
    /// Whether nothing is read from the server on connections for announcements.
    pub stalled: bool,
}

/// The links of one node.
pub struct Links {
    pub behaviour: watch::Sender<Behaviour>,
    /// The port of the proxy to each server.
    ports: Vec<u16>,
    /// The rules that lead the node's connections to the proxies.
    _redirections: Vec<Rule>,
    _tasks: JoinSet<()>,
}

impl Links {
    /// Starts the proxies of a node to all servers. With the id of its user, all its connections to the servers lead
    /// through them.
    pub async fn start(servers: &[SocketAddr], user: Option<u32>) -> Result<Self, Failure> {
        let (behaviour, mut tasks) = (watch::Sender::new(Behaviour::default()), JoinSet::new());
        let (mut ports, mut redirections) = (Vec::new(), Vec::new());
        for server in servers {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let port = listener.local_addr()?.port();
            tasks.spawn(serve(listener, *server, behaviour.subscribe()));
            ports.push(port);
            if let Some(user) = user {
                let rule = format!(
                    "-t nat OUTPUT -p tcp -d {} --dport {} -m owner --uid-owner {user} -j REDIRECT --to-ports {port}",
                    server.ip(),
                    server.port()
                );
                redirections.push(Rule::add(&rule).await?);
            }
        }
        Ok(Self { behaviour, ports, _redirections: redirections, _tasks: tasks })
    }

    /// Returns the address at which the node finds a server.
    pub fn address(&self, server: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.ports[server]))
    }

    /// Drops packets of the node to its servers, with this match in addition.
    pub async fn drop_requests(&self, matching: &str) -> Result<Vec<Rule>, Failure> {
        self.drop(|port| format!("INPUT -p tcp --dport {port} {matching} -j DROP")).await
    }

    /// Drops packets of the servers to the node, with this match in addition.
    pub async fn drop_responses(&self, matching: &str) -> Result<Vec<Rule>, Failure> {
        self.drop(|port| format!("OUTPUT -p tcp --sport {port} {matching} -j DROP")).await
    }

    async fn drop(&self, rule: impl Fn(u16) -> String) -> Result<Vec<Rule>, Failure> {
        let mut rules = Vec::new();
        for port in &self.ports {
            rules.push(Rule::add(&rule(*port)).await?);
        }
        Ok(rules)
    }
}

/// A rule of the packet filter in the network of this run.
pub struct Rule(Vec<String>);

impl Rule {
    /// Adds a rule: a chain, after `-t` and a table perhaps, then the rule.
    pub async fn add(rule: &str) -> Result<Self, Failure> {
        let rule = Self(rule.split_whitespace().map(str::to_owned).collect());
        rule.change("-A").await?;
        Ok(rule)
    }

    /// Takes the rule away.
    pub async fn remove(self) -> Result<(), Failure> {
        self.change("-D").await
    }

    async fn change(&self, verb: &str) -> Result<(), Failure> {
        let program = find_program("iptables").ok_or("there is no iptables")?;
        let chain = if self.0.first().is_some_and(|word| word == "-t") { 2 } else { 0 };
        let (table, rule) = self.0.split_at(chain);
        let mut command = Command::new(program);
        command
            .args(["-w", "5"])
            .args(table)
            .arg(verb)
            .args(rule)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let status = command.status().await?;
        status
            .success()
            .then_some(())
            .ok_or_else(|| format!("iptables {verb} {:?} failed", self.0.join(" ")).into())
    }
}

/// Takes away rules.
pub async fn remove_all(rules: Vec<Rule>) -> Result<(), Failure> {
    for rule in rules {
        rule.remove().await?;
    }
    Ok(())
}

async fn serve(listener: TcpListener, server: SocketAddr, behaviour: watch::Receiver<Behaviour>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => { connections.spawn(forward(client, server, behaviour.clone())); }
                Err(_) => sleep(Duration::from_millis(50)).await, // too many files are open
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Forwards until one side closes, and then closes both.
async fn forward(client: TcpStream, server: SocketAddr, behaviour: watch::Receiver<Behaviour>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let listens = Arc::new(AtomicBool::new(false));
    let up = Direction { from: from_client, to: to_server, behaviour: behaviour.clone() };
    let down = Direction { from: from_server, to: to_client, behaviour };
    let answers = Side::Answers { listens: Arc::clone(&listens), values: resp::Values::default() };
    tokio::select! {
        () = up.copy(Side::Requests { listens }) => {}
        () = down.copy(answers) => {}
    }
}

/// What passes in one direction of a connection, which is told to listen for announcements or not.
enum Side {
    Requests {
        listens: Arc<AtomicBool>,
    },
    Answers {
        listens: Arc<AtomicBool>,
        values: resp::Values,
    },
}

impl Side {
    /// Returns what is passed on of a piece. Where announcements come it waits while the link is stalled, and leaves
    /// them out while it is deaf.
    async fn pass(&mut self, piece: &[u8], behaviour: &mut watch::Receiver<Behaviour>) -> Vec<u8> {
        match self {
            Self::Requests { listens } => {
                if !listens.load(Ordering::Relaxed) && piece.windows(SUBSCRIBE.len()).any(|word| word == SUBSCRIBE) {
                    listens.store(true, Ordering::Relaxed);
                }
                piece.to_vec()
            }
            Self::Answers { listens, values } if listens.load(Ordering::Relaxed) => {
                let _ = behaviour.wait_for(|behaviour| !behaviour.stalled).await;
                // Only whole values are passed on, so that the first announcement left out is not half a one.
                values.take(piece, !behaviour.borrow().deaf)
            }
            Self::Answers { .. } => piece.to_vec(),
        }
    }
}

/// One direction of a connection.
struct Direction {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    behaviour: watch::Receiver<Behaviour>,
}

impl Direction {
    /// Copies what is passed on of each piece, as late as the link is.
    async fn copy(mut self, mut side: Side) {
        let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
        let reading = async {
            let sender = sender; // ends with the last piece, after which the rest is written
            let mut buffer = vec![0; PIECE_BYTES];
            while let Ok(count @ 1..) = self.from.read(&mut buffer).await {
                let piece = side.pass(&buffer[..count], &mut self.behaviour).await;
                let due = Instant::now() + self.behaviour.borrow().delay;
                if sender.send((due, piece)).await.is_err() {
                    return;
                }
            }
        };
        let writing = async {
            while let Some((due, piece)) = receiver.recv().await {
                sleep_until(due).await;
                if self.to.write_all(&piece).await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = writing => {}
            () = async { reading.await; std::future::pending().await } => {}
        }
    }
}
