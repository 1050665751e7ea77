//! A cluster of three masters and a replica for each.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use futures_util::future::join_all;

use super::{server::Server, servers::wait_until};
use crate::Failure;

pub const MASTERS: usize = 3;

const SLOTS: u16 = 16384;

/// How long servers may take to know each other.
const MEET_LIMIT: Duration = Duration::from_secs(20);

/// Returns the options of a server of a cluster whose servers speak with each other on another port.
pub fn options(bus: &str) -> Vec<&str> {
    let mut options = vec!["--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "1500"];
    options.extend(["--cluster-require-full-coverage", "no", "--cluster-announce-ip", "127.0.0.1"]);
    // A replica takes its master's place however old its data is.
    options.extend(["--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no"]);
    options
}

/// Makes a cluster of servers: first the masters, then a replica of each.
pub async fn form(servers: &[Server]) -> Result<(), Failure> {
    for (number, server) in (0..).zip(servers) {
        server.command::<String>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]).await?;
        if number < MASTERS {
            let first = |master: usize| usize::from(SLOTS) * master / MASTERS;
            let slots = (first(number)..first(number + 1)).map(|slot| slot.to_string());
            let words: Vec<String> = ["CLUSTER", "ADDSLOTS"].map(str::to_owned).into_iter().chain(slots).collect();
            server.command::<String>(&words).await?;
        }
        for other in &servers[..number] {
            let bus: Vec<String> = other.command(&["CONFIG", "GET", "cluster-port"]).await?;
            let port = other.port.to_string();
            let words = ["CLUSTER", "MEET", "127.0.0.1", &port].into_iter().chain(bus.get(1).map(String::as_str));
            server.command::<String>(&words.collect::<Vec<_>>()).await?;
        }
    }
    for (master, replica) in servers.iter().zip(&servers[MASTERS..]) {
        let id: String = master.command(&["CLUSTER", "MYID"]).await?;
        let follows = async || replica.command::<String>(&["CLUSTER", "REPLICATE", &id]).await.is_ok();
        wait_until("a master known to its replica", MEET_LIMIT, follows).await?;
    }
    Ok(())
}

/// A range of slots with the addresses of its master and its replicas.
#[derive(Clone, Debug)]
pub struct Range {
    pub first: u16,
    pub last: u16,
    pub master: SocketAddr,
    replicas: usize,
}

/// Returns the ranges of slots as one server knows them, or none if it does not answer.
pub async fn ranges(server: &Server) -> Vec<Range> {
    type Place = (String, u16, String, redis::Value);
    let answer: redis::RedisResult<Vec<Vec<redis::Value>>> = server.command(&["CLUSTER", "SLOTS"]).await;
    let parse = |members: Vec<redis::Value>| {
        let mut members = members.into_iter();
        let mut bound = || redis::from_redis_value::<u16>(members.next()?).ok();
        let (first, last) = (bound()?, bound()?);
        let (host, port, ..): Place = redis::from_redis_value(members.next()?).ok()?;
        Some(Range { first, last, master: SocketAddr::new(host.parse().ok()?, port), replicas: members.count() })
    };
    answer.unwrap_or_default().into_iter().filter_map(parse).collect()
}

/// Returns the masters that have slots, as more than half of the servers know them.
pub async fn masters(servers: &[Server]) -> Vec<SocketAddr> {
    let views = join_all(servers.iter().map(ranges)).await;
    let views: Vec<BTreeSet<_>> =
        views.iter().map(|ranges| ranges.iter().map(|range| range.master).collect()).collect();
    let is_most = |view: &&BTreeSet<_>| views.iter().filter(|other| other == view).count() > servers.len() / 2;
    views.iter().find(is_most).into_iter().flatten().copied().collect()
}

/// Returns true if no server that answers misses a slot.
pub async fn is_covered(servers: &[Server]) -> bool {
    let infos = join_all(servers.iter().map(|server| server.command::<String>(&["CLUSTER", "INFO"]))).await;
    let full = format!("cluster_slots_ok:{SLOTS}\r\n");
    infos.iter().flatten().all(|info| info.contains("cluster_state:ok") && info.contains(&full))
}

/// Returns true if all servers know each other, and every range of slots has a replica.
pub async fn is_whole(servers: &[Server]) -> bool {
    let nodes = join_all(servers.iter().map(|server| server.command::<String>(&["CLUSTER", "NODES"]))).await;
    let knows_all = |nodes: &String| {
        let trouble = ["fail", "handshake", "noaddr", "[", "disconnected"];
        nodes.lines().count() == servers.len() && !trouble.iter().any(|word| nodes.contains(word))
    };
    let views = join_all(servers.iter().map(ranges)).await;
    nodes.iter().all(|nodes| nodes.as_ref().is_ok_and(knows_all))
        && views.iter().all(|ranges| !ranges.is_empty() && ranges.iter().all(|range| range.replicas > 0))
}
