//! Watches which servers of a cluster have which slots.
//!
//! Each second all masters are asked for their view (CLUSTER NODES): a server says only of itself which of its slots are
//! being moved, and announces nothing to those who have not subscribed at the right one of two servers.

mod map;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisResult, ServerErrorKind, Value, pipe};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::connector::Connector;
use super::failure::Failure;
use super::masters::Masters;
use super::topology::Topology;
use super::url::Address;
use map::{SlotMap, View, merge};

/// How often the masters are asked.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How often they are asked while one of them does not answer: all nodes are to find the next master at about the same time.
const URGENT_INTERVAL: Duration = Duration::from_millis(200);

/// How often they are asked for the addresses that clients are to use, unless something has changed.
const ENDPOINTS_INTERVAL: Duration = Duration::from_secs(30);

/// How long a server may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How much longer than half of the servers the others may take.
const ANSWER_GRACE: Duration = Duration::from_millis(200);

/// The pause after the masters were asked, however often something asks for it.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Keeps the masters of a topology as the cluster has them, without end. `seeds` are asked while no master answers.
pub async fn watch(topology: &Arc<Topology>, seeds: &[Address]) {
    let mut watcher = Watcher {
        topology: topology.clone(),
        connections: HashMap::new(),
        endpoints: HashMap::new(),
        endpoints_at: None,
    };
    loop {
        let interval = if watcher.ask(seeds).await { ASK_INTERVAL } else { URGENT_INTERVAL };
        sleep(SHORTEST_PAUSE).await;
        if timeout(interval, topology.refresh_requested()).await.is_ok() {
            watcher.endpoints_at = None;
        }
    }
}

struct Watcher {
    topology: Arc<Topology>,
    connections: HashMap<Address, MultiplexedConnection>,
    /// The addresses that clients are to use, by the ids of the servers.
    endpoints: HashMap<String, Address>,
    endpoints_at: Option<Instant>,
}

impl Watcher {
    /// Asks the masters, or else the seeds. Returns true if all masters that are known have answered.
    async fn ask(&mut self, seeds: &[Address]) -> bool {
        let masters = self.topology.masters();
        let known: Vec<Address> = masters.servers().iter().map(|server| server.address().clone()).collect();
        let mut views = self.views_of(&known).await;
        let have_all_answered = views.len() == known.len() && !known.is_empty();
        if views.is_empty() {
            views = self.views_of(seeds).await;
        }
        if views.is_empty() {
            return false;
        }
        if let Some(view) = views.iter().find(|view| !view.endpoints().is_empty()) {
            self.endpoints.clone_from(view.endpoints());
        }
        views.iter_mut().for_each(|view| view.or_endpoints_of(&self.endpoints));
        match self.masters(&merge(&views)) {
            Ok(masters) => self.topology.set(masters),
            Err(cause) => tracing::warn!(cause, "the cluster names a server that cannot be connected to"),
        }
        have_all_answered
    }

    /// Returns what these servers say, as far as they answer.
    async fn views_of(&mut self, servers: &[Address]) -> Vec<View> {
        let with_endpoints = self.endpoints_at.is_none_or(|at| at.elapsed() >= ENDPOINTS_INTERVAL);
        let answered = watch::Sender::new(0_usize);
        let asking = servers.iter().filter_map(|address| {
            let server = self.topology.connector(address).ok()?;
            let connection = self.connections.get(address).cloned();
            let (answered, mut most) = (&answered, answered.subscribe());
            let too_late = async move {
                let half = most.wait_for(|answered| 2 * answered >= servers.len());
                if timeout(ANSWER_TIMEOUT, half).await.is_ok() {
                    sleep(ANSWER_GRACE).await;
                }
            };
            Some(async move {
                let answer = tokio::select! {
                    answer = view_of(&server, connection, with_endpoints) => answer,
                    () = too_late => Err(Failure::Away("no answer to CLUSTER NODES".into())),
                };
                answered.send_modify(|answered| *answered += 1);
                (server, answer)
            })
        });
        let answers = join_all(asking).await;
        self.connections.clear();
        let mut views = Vec::new();
        for (server, answer) in answers {
            match answer {
                Ok((connection, view)) => {
                    self.connections.insert(server.address().clone(), connection);
                    views.push(view);
                }
                Err(Failure::Unfit(why)) if self.topology.masters().servers().is_empty() => self.topology.give_up(&why),
                Err(failure) => server.failed(failure).await,
            }
        }
        if with_endpoints && !views.is_empty() {
            self.endpoints_at = Some(Instant::now());
        }
        views
    }

    fn masters(&self, map: &SlotMap) -> Result<Masters, String> {
        let servers = map.servers.iter().map(|address| self.topology.connector(address)).collect::<Result<_, _>>()?;
        let mut masters = Masters::of_cluster(servers, &map.owners);
        for (slot, address) in &map.importing {
            masters.import(*slot, self.topology.connector(address)?);
        }
        Ok(masters)
    }
}

/// Asks one server, over a connection that is established if there is none.
async fn view_of(
    server: &Connector,
    connection: Option<MultiplexedConnection>,
    with_endpoints: bool,
) -> Result<(MultiplexedConnection, View), Failure> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => server.attempt_for_map().await?,
    };
    let mut questions = pipe();
    questions.cmd("CLUSTER").arg("NODES");
    if with_endpoints {
        questions.cmd("CLUSTER").arg("SLOTS");
    }
    let replies: Vec<RedisResult<Value>> = questions.ignore_errors().query_async(&mut connection).await?;
    let mut view = View::default();
    let mut lacking = Vec::new();
    for (reply, right) in replies.into_iter().zip(["CLUSTER|NODES", "CLUSTER|SLOTS"]) {
        match reply {
            Ok(reply @ Value::Array(_)) => view.parse_slots(&reply, server.address()),
            Ok(reply) => {
                let text: String = redis::from_redis_value(reply).unwrap_or_default();
                view.parse_nodes(&text, server.address());
            }
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => lacking.push(right),
            Err(error) => return Err(error.into()),
        }
    }
    if view.is_empty() {
        let why = match lacking.is_empty() {
            true => "it knows no server of its cluster".to_owned(),
            false => {
                format!("its user lacks the commands {}; docs/operations.md has the whole rule", lacking.join(", "))
            }
        };
        return Err(Failure::Refused(why));
    }
    Ok((connection, view))
}
