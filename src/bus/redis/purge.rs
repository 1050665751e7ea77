//! Removes what Redis has of an app. All keys are looked at, a page at a time, since nothing lists those of an app.

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd, pipe};
use serde::Deserialize;

use super::keys::Keys;
use super::topology::Topology;
use super::url::RedisServer;
use crate::bus::purge::{PurgeMode, PurgeTarget, Purged};
use crate::bus::summaries::without_app;

/// How many keys Redis looks at in one call: few enough that no other client notices.
const PAGE: usize = 500;

/// Removes what a server has of an app, or counts it.
///
/// # Errors
/// If the server cannot be reached, or fails meanwhile: then a part may have been removed.
pub async fn purge(
    server: RedisServer<'_>,
    redis_prefix: &str,
    target: PurgeTarget<'_>,
    mode: PurgeMode,
) -> Result<Purged, String> {
    let keys = Keys::new(redis_prefix);
    let topology = Topology::new(server, keys.clone())?;
    let masters = topology.masters();
    let connector = masters.servers().first().ok_or("there is no master")?;
    let connection = connector.attempt(None, |_| {}).await.map_err(|failure| failure.cause().to_owned())?;
    let mut purge = Purge { keys, connection, target, mode, purged: Purged::default(), marks: Vec::new() };
    purge.run().await.map_err(|error| error.category().to_owned())?;
    Ok(purge.purged)
}

struct Purge<'a> {
    keys: Keys,
    connection: MultiplexedConnection,
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
    async fn run(&mut self) -> RedisResult<()> {
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(self.keys.glob()).arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<String>) = scan.query_async(&mut self.connection).await?;
            for key in &page {
                if self.keys.has_summaries(key) {
                    self.remove_from_summaries(key).await?;
                }
            }
            let candidates = page.into_iter().filter_map(|key| self.candidate(key)).collect();
            for found in self.of_target(candidates).await? {
                self.remove(found).await?;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        for mark in std::mem::take(&mut self.marks) {
            self.unlink(&mark).await?;
        }
        Ok(())
    }

    /// Removes the app's usage from the summaries of a process.
    async fn remove_from_summaries(&mut self, key: &str) -> RedisResult<()> {
        let (app, prefix) = (self.target.key, self.target.prefix);
        let slots: Vec<(String, String)> = cmd("HGETALL").arg(key).query_async(&mut self.connection).await?;
        let changed = slots.iter().filter_map(|(slot, summary)| Some((slot, without_app(summary, app, prefix)?)));
        let changed: Vec<(&String, String)> = changed.collect();
        self.purged.usage += u64::from(!changed.is_empty());
        if self.mode == PurgeMode::Remove && !changed.is_empty() {
            () = cmd("HSET").arg(key).arg(&changed).query_async(&mut self.connection).await?;
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
    async fn of_target(&mut self, candidates: Vec<Candidate>) -> RedisResult<Vec<Candidate>> {
        let mut questions = pipe();
        for owner in candidates.iter().filter_map(|candidate| candidate.owner.as_ref()) {
            questions.get(owner);
        }
        // A value of another type is none that we have written.
        let answers: Vec<RedisResult<Option<String>>> = if questions.is_empty() {
            Vec::new()
        } else {
            questions.ignore_errors().query_async(&mut self.connection).await?
        };
        let (target, mut answers) = (self.target, answers.into_iter());
        let is_of_target = |candidate: &Candidate| {
            candidate.owner.is_none() || {
                let owner = answers.next().and_then(Result::ok).flatten();
                owner.is_some_and(|owner| is_owner(target, candidate.part, &owner))
            }
        };
        Ok(candidates.into_iter().filter(is_of_target).collect())
    }

    /// Counts the key, and removes it if that is wanted.
    async fn remove(&mut self, found: Candidate) -> RedisResult<()> {
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
    async fn unlink(&mut self, key: &str) -> RedisResult<u64> {
        cmd("UNLINK").arg(key).query_async(&mut self.connection).await
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
