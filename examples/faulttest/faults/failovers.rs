//! Faults in which another server takes a master's place, or some of its slots.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    Outcome,
    stage::{RECOVERY_LIMIT, Stage},
};
use crate::{
    Failure,
    world::{
        cluster,
        links::{Rule, remove_all},
        server::Server,
        servers::{Form, wait_until},
    },
};

/// How long keys may take to another server.
const MIGRATION_LIMIT: Duration = Duration::from_secs(10);

/// More keys than a room has.
const ALL_KEYS: &str = "1000000";

/// Has a replica take the place of its master, which lives.
pub async fn plan(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    let (servers, master) = (&stage.world.servers, stage.master().await?);
    if servers.form == Form::Sentinel {
        let words = ["SENTINEL", "FAILOVER", crate::world::sentinels::MASTER];
        let begins = async || servers.sentinels[0].command::<String>(&words).await.is_ok();
        wait_until("a failover that begins", RECOVERY_LIMIT, begins).await?;
    } else {
        let replicas = servers.replicas_of(master).await;
        let replica = stage.pick(&replicas).ok_or("the master has no replica")?;
        replica.command::<String>(&["CLUSTER", "FAILOVER"]).await?;
    }
    wait_for_election(stage, master).await?;
    Ok(Outcome::Ran)
}

/// Kills a master, and starts it again once another server has its place.
pub async fn kill(stage: &Stage, _: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    master.process.kill().await?;
    wait_for_election(stage, master).await?;
    master.launch().await?;
    Ok(Outcome::Ran)
}

/// Cuts the replicas of a master off for a time, and then kills it: another server takes its place that lacks what was
/// acknowledged meanwhile.
pub async fn kill_with_lag(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let master = stage.master().await?;
    let clients: String = master.command(&["CLIENT", "LIST", "TYPE", "replica"]).await?;
    let ports = clients.split_whitespace().filter_map(|word| word.strip_prefix("addr=127.0.0.1:"));
    let mut rules = Vec::new();
    for port in ports {
        rules.push(Rule::add(&format!("INPUT -p tcp --sport {} --dport {port} -j DROP", master.port)).await?);
    }
    if rules.is_empty() {
        return Ok(Outcome::NotRun("the master had no replica".to_owned()));
    }
    sleep(length).await;
    master.process.kill().await?;
    let elected = wait_for_election(stage, master).await;
    // Not before: what the kernel still holds for the replicas would reach them.
    remove_all(rules).await?;
    elected?;
    master.launch().await?;
    Ok(Outcome::Ran)
}

/// Waits until a server is no master any more, and every key has one that answers.
async fn wait_for_election(stage: &Stage, old: &Server) -> Result<(), Failure> {
    let servers = &stage.world.servers;
    let is_elected = async || {
        let masters = servers.masters().await.unwrap_or_default();
        !masters.iter().any(|master| master.port == old.port) && servers.has_masters().await
    };
    wait_until("another master", RECOVERY_LIMIT, is_elected).await
}

/// Moves the slots of half of the rooms at a master to another one, one after the other.
pub async fn move_slots(stage: &Stage, length: Duration) -> Result<Outcome, Failure> {
    let servers = &stage.world.servers;
    let from = stage.master().await?;
    let others: Vec<_> = servers.masters().await?.into_iter().filter(|master| master.port != from.port).collect();
    let to = stage.pick(&others).ok_or("there is no other master")?;
    let logs = from.logs().await?;
    let moved = &logs[..logs.len().div_ceil(2)];
    for log in moved {
        let slot: u16 = from.command(&["CLUSTER", "KEYSLOT", log]).await?;
        move_slot(stage, slot, from, to, length / u32::try_from(moved.len())?).await?;
    }
    let none = || Outcome::NotRun("there was no room at this master".to_owned());
    Ok(if moved.is_empty() { none() } else { Outcome::Ran })
}

/// Moves keys from one server to another.
async fn move_keys(from: &Server, to: &Server, keys: &[String]) -> Result<(), Failure> {
    let port = to.port.to_string();
    for keys in keys.chunks(100) {
        let migrate = ["MIGRATE", "127.0.0.1", &port, "", "0", "10000", "KEYS"];
        let words: Vec<&str> = migrate.into_iter().chain(keys.iter().map(String::as_str)).collect();
        from.command_within::<String>(MIGRATION_LIMIT, &words).await?;
    }
    Ok(())
}

/// Moves a slot, which is half at each server for this long.
async fn move_slot(stage: &Stage, slot: u16, from: &Server, to: &Server, length: Duration) -> Result<(), Failure> {
    let ids = [from, to].map(|server| server.command::<String>(&["CLUSTER", "MYID"]));
    let ids: Vec<String> = join_all(ids).await.into_iter().collect::<Result<_, _>>()?;
    let text = slot.to_string();
    to.command::<String>(&["CLUSTER", "SETSLOT", &text, "IMPORTING", &ids[0]]).await?;
    from.command::<String>(&["CLUSTER", "SETSLOT", &text, "MIGRATING", &ids[1]]).await?;
    sleep(length / 3).await;
    let keys: Vec<String> = from.command(&["CLUSTER", "GETKEYSINSLOT", &text, ALL_KEYS]).await?;
    let (some, others) = keys.split_at(keys.len() / 2);
    move_keys(from, to, some).await?;
    sleep(length / 3).await;
    move_keys(from, to, others).await?;
    sleep(length / 3).await;
    // What has been stored at the source meanwhile.
    let keys: Vec<String> = from.command(&["CLUSTER", "GETKEYSINSLOT", &text, ALL_KEYS]).await?;
    move_keys(from, to, &keys).await?;
    // The target first: it is the one that takes a new epoch for the slot.
    let masters = stage.world.servers.masters().await?;
    let others = masters.into_iter().filter(|master| ![from.port, to.port].contains(&master.port));
    for server in [to, from].into_iter().chain(others) {
        server.command::<String>(&["CLUSTER", "SETSLOT", &text, "NODE", &ids[1]]).await?;
    }
    let is_known = async || {
        let owner = |ranges: Vec<cluster::Range>| {
            ranges.iter().find(|range| (range.first..=range.last).contains(&slot)).map(|range| range.master)
        };
        let views = join_all(stage.world.servers.servers.iter().map(cluster::ranges)).await;
        views.into_iter().all(|ranges| owner(ranges) == Some(to.address()))
    };
    wait_until("a slot that all know to be moved", RECOVERY_LIMIT, is_known).await
}
