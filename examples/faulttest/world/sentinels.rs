//! Three Sentinels over a master and its replicas.

use std::{collections::HashMap, net::SocketAddr, path::Path, time::Duration};

use futures_util::future::{join_all, try_join_all};

use super::{server::Server, servers::wait_until};
use crate::Failure;

/// The name of the master.
pub const MASTER: &str = "mymaster";

const SENTINELS: usize = 3;

/// What each Sentinel is told about the master, besides its address.
const SETTINGS: [&str; 3] = [
    "down-after-milliseconds mymaster 1000",
    "failover-timeout mymaster 4000",
    "parallel-syncs mymaster 2",
];

/// How long a replica may take to have what its master has.
const SYNC_LIMIT: Duration = Duration::from_secs(20);

/// Makes the first server the master of the others, and starts the Sentinels.
pub async fn start(
    servers: &[Server],
    folder: &Path,
    logs: Option<&Path>,
    port: &mut impl FnMut() -> Result<u16, &'static str>,
) -> Result<Vec<Server>, Failure> {
    let (master, replicas) = servers.split_first().ok_or("no server")?;
    for replica in replicas {
        replica.command::<String>(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]).await?;
        // A Sentinel that meets a replica too early looks at it again only after 10 s.
        let is_synced = async || replica.info("replication").await.contains("master_link_status:up");
        wait_until("a replica in sync", SYNC_LIMIT, is_synced).await?;
    }
    let monitor = format!("sentinel monitor {MASTER} 127.0.0.1 {} {}\n", master.port, SENTINELS / 2 + 1);
    let settings: String = SETTINGS.iter().map(|setting| format!("sentinel {setting}\n")).collect();
    let mut sentinels = Vec::new();
    for number in 0..SENTINELS {
        let name = format!("sentinel-{}", number + 1);
        let mut sentinel = Server::sentinel(port()?, folder.join(&name), &format!("{monitor}{settings}"))?;
        sentinel.log_to(logs, &name);
        sentinels.push(sentinel);
    }
    try_join_all(sentinels.iter().map(Server::start)).await?;
    Ok(sentinels)
}

/// Returns the master that more than half of the Sentinels name.
pub async fn master(sentinels: &[Server]) -> Option<SocketAddr> {
    let words = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER];
    let answers = sentinels.iter().map(|sentinel| sentinel.command::<(String, u16)>(&words));
    let named: Vec<_> = join_all(answers).await.into_iter().flatten().collect();
    let is_most = |answer: &&(String, u16)| named.iter().filter(|other| other == answer).count() > SENTINELS / 2;
    let (host, port) = named.iter().find(is_most)?;
    Some(SocketAddr::new(host.parse().ok()?, *port))
}

/// Returns true if all Sentinels know the same master and this number of replicas, and are busy with nothing.
pub async fn are_agreed(sentinels: &[Server], replicas: usize) -> bool {
    let Some(master) = master(sentinels).await else {
        return false;
    };
    let expected = format!("status=ok,address={master},slaves={replicas},sentinels={SENTINELS}");
    let infos = join_all(sentinels.iter().map(|sentinel| sentinel.info("sentinel"))).await;
    infos.iter().all(|info| info.contains(&expected)) && replicas_are_up(sentinels).await
}

/// Returns true if every Sentinel takes every replica for nothing but a replica.
async fn replicas_are_up(sentinels: &[Server]) -> bool {
    type Replicas = Vec<HashMap<String, String>>;
    let lists = sentinels.iter().map(|sentinel| sentinel.command::<Replicas>(&["SENTINEL", "REPLICAS", MASTER]));
    let is_up = |replica: &HashMap<String, String>| replica.get("flags").is_some_and(|flags| flags == "slave");
    join_all(lists).await.iter().all(|list| list.as_ref().is_ok_and(|list| list.iter().all(is_up)))
}
