//! The faults: what happens to the nodes while a publisher posts and all clients read.

use std::{path::Path, time::Duration};

use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{audience::Audience, catalogue::Client, outcome::Outcome, publisher::Publisher};
use crate::support::{
    BINARY, LoadBalancer, Node, Proxy, Redis, free_port, live_streams_of, load_per_core, stalled_many,
};

/// How long clients get to open their streams, before something happens to them.
const START: Duration = Duration::from_secs(15);

/// How long clients get to come back, after something happened to them.
const RETURN: Duration = Duration::from_secs(12);

/// How long they get after a refusal, which sends them away for up to 30 s; some double that.
const RETURN_TO_FULL_NODE: Duration = Duration::from_secs(65);

/// All clients have one address here.
const UNLIMITED: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");

const PATH: &str = "/subscribe/lobby";

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    Killed,
    Drained,
    Full,
    WithoutRedis,
}

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::Killed, Fault::Drained, Fault::Full, Fault::WithoutRedis];

    pub fn title(self) -> &'static str {
        match self {
            Fault::Killed => "killed",
            Fault::Drained => "drained",
            Fault::Full => "full",
            Fault::WithoutRedis => "without Redis",
        }
    }

    /// Runs the clients through this fault.
    pub async fn run(self, clients: &[Client]) -> Vec<Outcome> {
        match self {
            Fault::Killed => killed(clients).await,
            Fault::Drained => drained(clients).await,
            Fault::Full => full(clients).await,
            Fault::WithoutRedis => without_redis(clients).await,
        }
    }
}

/// Kills the node twice, and starts it again while messages go on through another: first before the clients have
/// received anything but the opening, then in the middle of messages.
async fn killed(clients: &[Client]) -> Vec<Outcome> {
    let redis = Redis::start().await;
    let other = Node::on(&redis, &[]).await;
    let bind = format!("127.0.0.1:{}", free_port());
    let environment = [("BIND", bind.as_str()), UNLIMITED];
    let mut node = Node::on(&redis, &environment).await;
    let mut audience = Audience::start(clients, |_| node.url(PATH)).await;
    live(&[&node], clients.len()).await;
    node.kill();
    let publisher = Publisher::start(other.url("/lobby"));
    publisher.more(8).await;
    let mut node = Node::on(&redis, &environment).await;
    audience.catch_up(&publisher, RETURN).await;
    publisher.more(8).await;
    node.kill();
    publisher.more(8).await;
    let _node = Node::on(&redis, &environment).await;
    publisher.more(8).await;
    audience.outcomes(publisher, RETURN).await
}

/// Restarts two nodes behind one address, one after the other, as in a deploy.
async fn drained(clients: &[Client]) -> Vec<Outcome> {
    rolling_deploys(clients, &[Path::new(BINARY), Path::new(BINARY)]).await
}

/// Starts two nodes of the first of these programs behind one address, and restarts them, one after the other, as nodes
/// of each of the others.
pub async fn rolling_deploys(clients: &[Client], programs: &[&Path]) -> Vec<Outcome> {
    let redis = Redis::start().await;
    let binds = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
    let start = async |program, bind: &str| {
        Node::start_binary(program, &redis, &[("BIND", bind), UNLIMITED, ("DRAIN", "4")]).await
    };
    let mut nodes = [start(programs[0], &binds[0]).await, start(programs[0], &binds[1]).await];
    let load_balancer = LoadBalancer::start(nodes.iter().map(Node::address).collect()).await;
    let mut audience = Audience::start(clients, |_| load_balancer.url(PATH)).await;
    live(&[&nodes[0], &nodes[1]], clients.len()).await;
    let publisher = Publisher::start(load_balancer.url("/lobby"));
    audience.catch_up(&publisher, START).await;
    for program in &programs[1..] {
        for (node, bind) in nodes.iter_mut().zip(&binds) {
            node.terminate();
            node.exit().await;
            *node = start(program, bind).await;
            audience.catch_up(&publisher, RETURN).await;
        }
    }
    publisher.more(8).await;
    audience.outcomes(publisher, RETURN).await
}

/// Cuts the clients off and leads them to a node that is full, which others leave a little later.
async fn full(clients: &[Client]) -> Vec<Outcome> {
    let redis = Redis::start().await;
    let node = Node::on(&redis, &[UNLIMITED]).await;
    let limit = clients.len().to_string();
    let full = Node::on(&redis, &[UNLIMITED, ("MAX_STREAMS", &limit)]).await;
    let mut others = JoinSet::new();
    for stream in stalled_many(&full, "/subscribe/attic", clients.len()).await {
        others.spawn(read_to_end(stream)); // or it would be taken for a slow one
    }
    let mut proxies = Vec::new();
    for _ in clients {
        proxies.push(Proxy::to(node.address()).await);
    }
    let mut audience = Audience::start(clients, |at| proxies[at].url(PATH)).await;
    live(&[&node], clients.len()).await;
    let publisher = Publisher::start(node.url("/lobby"));
    publisher.more(8).await;
    audience.catch_up(&publisher, START).await;
    for proxy in &proxies {
        proxy.lead_to(full.address());
        proxy.cut();
        proxy.restore();
    }
    let connections: Vec<usize> = proxies.iter().map(Proxy::connections).collect();
    publisher.more(50).await;
    let refused = full.metric("tiny_chat_streams_refused_total{reason=\"full\"}").await;
    assert!(refused >= Some(1.0), "the node was not full");
    let tries = proxies.iter().zip(connections).map(|(proxy, before)| proxy.connections() - before);
    let tries: Vec<usize> = tries.collect();
    drop(others);
    let mut outcomes = audience.outcomes(publisher, RETURN_TO_FULL_NODE).await;
    outcomes.iter_mut().zip(tries).for_each(|(outcome, tries)| outcome.tries = Some(tries));
    outcomes
}

async fn read_to_end(mut stream: TcpStream) {
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

/// Kills Redis, cuts the clients off, so that they come back to a node without it, and starts Redis again.
async fn without_redis(clients: &[Client]) -> Vec<Outcome> {
    let mut redis = Redis::durable().await;
    let node = Node::on(&redis, &[UNLIMITED]).await;
    let proxy = Proxy::to(node.address()).await;
    let mut audience = Audience::start(clients, |_| proxy.url(PATH)).await;
    live(&[&node], clients.len()).await;
    let publisher = Publisher::start(node.url("/lobby"));
    publisher.more(8).await;
    audience.catch_up(&publisher, START).await;
    redis.kill();
    node.logged("lost the connection to Redis").await;
    let expected = proxy.connections() + clients.len();
    proxy.cut();
    proxy.restore();
    soon(RETURN, async || proxy.connections() >= expected).await;
    redis.restart().await;
    publisher.more(16).await;
    audience.outcomes(publisher, RETURN).await
}

/// Waits until so many streams are live at these nodes, for a while only: a client may be one that cannot stay.
async fn live(nodes: &[&Node], count: usize) {
    soon(START, async || live_streams_of(nodes.iter().copied()).await >= count as f64).await;
}

/// Waits until something has happened, but not longer than this, or a few times longer on a busy machine: a client that
/// is gone is waited for to the end.
pub async fn soon(limit: Duration, mut has_happened: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !has_happened().await {
            sleep(Duration::from_millis(100)).await; // between two looks
        }
    };
    let _ = timeout(limit.mul_f64(load_per_core().clamp(1.0, 3.0)), waiting).await;
}
