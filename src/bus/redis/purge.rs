//! Removes what Redis has of an app. All keys of all masters are looked at, a page at a time, since nothing lists those of
//! an app. What is found is removed where it is by then.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::cmd;
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::connection::ThreadConnections;
use super::connector::Connector;
use super::error::CallError;
use super::keys::{Keys, SLOTS};
use super::masters::Masters;
use super::read_pool::ReadPools;
use super::topology::Topology;
use super::url::RedisServer;
use super::watch::watch_masters;
use crate::bus::purge::{PurgeMode, PurgeTarget, Purged};
use crate::bus::summaries::without_app;
use crate::metrics::Metrics;

/// How many keys Redis looks at in one call: few enough that no other client notices.
const PAGE: usize = 500;

/// How long it may take until the masters of all keys are known.
const MASTERS_WAIT: Duration = Duration::from_secs(10);

/// After how long it is known that a cluster has moved a slot: its masters are asked each second.
const MOVES_KNOWN_AFTER: Duration = Duration::from_millis(1500);

/// How often all keys are looked at while a cluster moves some.
const MAX_PASSES: u32 = 10;

/// Removes what a store has of an app, or counts it.
///
/// # Errors
/// If a master cannot be reached, or fails meanwhile: then a part may have been removed.
pub async fn purge(
    server: RedisServer<'_>,
    redis_prefix: &str,
    target: PurgeTarget<'_>,
    mode: PurgeMode,
) -> Result<Purged, String> {
    let keys = Keys::new(redis_prefix);
    let topology = Topology::new(server, keys.clone(), false)?;
    let metrics = Arc::new(Metrics::new().map_err(|error| error.to_string())?);
    watch_masters(&topology, &metrics);
    let read_pools = Arc::new(ReadPools::new(topology.clone()));
    let connections = ThreadConnections::new(topology.clone(), read_pools, metrics);
    let mut purge = Purge { keys, topology, connections, target, mode, purged: Purged::default(), marks: Vec::new() };
    purge.run().await?;
    Ok(purge.purged)
}

struct Purge<'a> {
    keys: Keys,
    topology: Arc<Topology>,
    connections: ThreadConnections,
    target: PurgeTarget<'a>,
    mode: PurgeMode,
    purged: Purged,
    /// The keys that say whose rooms with hashed names are. They go last: without them nothing more of a room is found.
    marks: Vec<String>,
}

/// What a key in Redis is part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Log,
    DeletedIds,
    Edits,
    Presence,
    IdempotencyKey,
    Mark,
    Socket,
    Usage,
}

/// A key that is the app's, if the value of another key says so.
struct Candidate {
    part: Part,
    key: String,
    /// The key whose value says whose it is, unless its own name does.
    owner: Option<String>,
}

/// The member of a socket that says whose it is.
#[derive(Deserialize)]
struct SocketOwner {
    key: String,
}

impl Purge<'_> {
    async fn run(&mut self) -> Result<(), String> {
        let mut before = None;
        for _ in 0..MAX_PASSES {
            let masters = self.masters().await?;
            if self.mode == PurgeMode::Count {
                self.purged = Purged::default();
            }
            for server in masters.servers() {
                self.look_at(server).await?;
            }
            // A key may have been moved to a master that had been looked at. It is there in the next pass.
            if self.topology.is_cluster() {
                sleep(MOVES_KNOWN_AFTER).await;
            }
            let is_moving = (0..SLOTS).any(|slot| masters.importing(slot).is_some());
            let was_same = before.replace(masters.clone()).is_some_and(|before| masters.is_same(&before));
            if self.topology.masters().is_same(&masters) && (was_same || !is_moving) {
                for mark in std::mem::take(&mut self.marks) {
                    self.unlink(&mark).await.map_err(cause)?;
                }
                return Ok(());
            }
        }
        Err("its keys are moved from master to master".into())
    }

    /// Returns the masters of all keys, as soon as they are known.
    async fn masters(&self) -> Result<Arc<Masters>, String> {
        let mut changes = self.topology.changes();
        let is_complete = |masters: &Arc<Masters>| (0..SLOTS).all(|slot| masters.of_slot(slot).is_some());
        tokio::select! {
            why = self.topology.unusable() => Err(why),
            masters = timeout(MASTERS_WAIT, changes.wait_for(is_complete)) => match masters {
                Ok(Ok(masters)) => Ok(masters.clone()),
                _ => Err("not all of its masters are known".into()),
            },
        }
    }

    /// Looks at all keys of a master.
    async fn look_at(&mut self, server: &Connector) -> Result<(), String> {
        let scanning = server.attempt(None, |_| {}).await;
        let mut scanning = scanning.map_err(|failure| failure.cause().to_owned())?;
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(self.keys.glob()).arg("COUNT").arg(PAGE);
            let page = scan.query_async(&mut scanning).await.map_err(|error| cause(error.into()))?;
            let (next, page): (u64, Vec<String>) = page;
            self.purge_page(page).await.map_err(cause)?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn purge_page(&mut self, page: Vec<String>) -> Result<(), CallError> {
        for key in &page {
            if self.keys.has_summaries(key) {
                self.remove_from_summaries(key).await?;
            }
        }
        let candidates = page.into_iter().filter_map(|key| self.candidate(key)).collect();
        for found in self.of_target(candidates).await? {
            self.remove(found).await?;
        }
        Ok(())
    }

    /// Removes the app's usage from the summaries of a process.
    async fn remove_from_summaries(&mut self, key: &str) -> Result<(), CallError> {
        let (app, prefix) = (self.target.key, self.target.prefix);
        let slots: Vec<(String, String)> = self.connections.command(key, cmd("HGETALL").arg(key)).await?;
        let changed = slots.iter().filter_map(|(slot, summary)| Some((slot, without_app(summary, app, prefix)?)));
        let changed: Vec<(&String, String)> = changed.collect();
        self.purged.usage += u64::from(!changed.is_empty());
        if self.mode == PurgeMode::Remove && !changed.is_empty() {
            () = self.connections.command(key, cmd("HSET").arg(key).arg(&changed)).await?;
        }
        Ok(())
    }

    /// Returns the key if it may be one of the app's.
    fn candidate(&self, key: String) -> Option<Candidate> {
        if self.keys.usage_of_app(self.target.key).contains(&key) {
            return Some(Candidate { part: Part::Usage, key, owner: None });
        }
        if self.keys.is_socket(&key) {
            return Some(Candidate { part: Part::Socket, owner: Some(key.clone()), key });
        }
        let (room, rest) = self.keys.room_and_rest(&key)?;
        let part = match rest {
            "" => Part::Log,
            ":deleted" => Part::DeletedIds,
            ":edits" => Part::Edits,
            ":present" => Part::Presence,
            ":prefix" => Part::Mark,
            _ if rest.starts_with(":key:") => Part::IdempotencyKey,
            _ => return None,
        };
        let mark = self.keys.prefix_of_room(room);
        let is_named = room.starts_with(self.target.prefix);
        Some(Candidate { part, owner: (!is_named).then_some(mark), key })
    }

    /// Returns those of the keys that are the app's.
    async fn of_target(&self, candidates: Vec<Candidate>) -> Result<Vec<Candidate>, CallError> {
        let owners = candidates.iter().filter_map(|candidate| candidate.owner.as_deref());
        let answers = try_join_all(owners.map(|owner| self.get(owner))).await?;
        let (target, mut answers) = (self.target, answers.into_iter());
        let is_of_target = |candidate: &Candidate| {
            candidate.owner.is_none() || {
                let owner = answers.next().flatten();
                owner.is_some_and(|owner| is_owner(target, candidate.part, &owner))
            }
        };
        Ok(candidates.into_iter().filter(is_of_target).collect())
    }

    /// Counts the key, and removes it if that is wanted.
    async fn remove(&mut self, found: Candidate) -> Result<(), CallError> {
        let removed = match self.mode {
            PurgeMode::Remove if found.part == Part::Mark => {
                self.marks.push(found.key);
                return Ok(());
            }
            PurgeMode::Remove => self.unlink(&found.key).await?,
            PurgeMode::Count => 1,
        };
        let purged = &mut self.purged;
        match found.part {
            Part::Log => purged.logs += removed,
            Part::Presence => purged.presence += removed,
            Part::IdempotencyKey => purged.idempotency_keys += removed,
            Part::Socket => purged.sockets += removed,
            Part::Usage => purged.usage += removed,
            Part::DeletedIds | Part::Edits | Part::Mark => {}
        }
        Ok(())
    }

    /// Removes a key. Returns 1 if it was there.
    async fn unlink(&self, key: &str) -> Result<u64, CallError> {
        self.connections.command(key, cmd("UNLINK").arg(key)).await
    }

    /// Returns the value of a key. One of another type is none that we have written.
    async fn get(&self, key: &str) -> Result<Option<String>, CallError> {
        match self.connections.command(key, cmd("GET").arg(key)).await {
            Err(CallError::Refused(code)) if code == "WRONGTYPE" => Ok(None),
            result => result,
        }
    }
}

/// Returns true if a value says that what it is of is the app's.
fn is_owner(target: PurgeTarget<'_>, part: Part, value: &str) -> bool {
    if part == Part::Socket {
        serde_json::from_str(value).is_ok_and(|socket: SocketOwner| socket.key == target.key)
    } else {
        value == target.prefix
    }
}

/// Returns why a call failed, in words.
fn cause(error: CallError) -> String {
    match error {
        CallError::Disconnected => "a master cannot be reached".into(),
        CallError::Unreachable(failure) => failure.cause().to_owned(),
        CallError::TimedOut => "no answer in time".into(),
        CallError::Away(cause) => cause,
        CallError::Refused(code) => code,
        CallError::Redirected(_) => "its keys are moved from master to master".into(),
    }
}
