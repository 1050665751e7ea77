//! The message store of many nodes: logs are Redis streams, announcements are Redis Pub/Sub.
//!
//! | key or channel | type | content |
//! |---|---|---|
//! | `chat:{room}` | stream, expires after `HISTORY_TTL` | the log; an entry has `data`, `node`, `prev`, `type` unless it is a message, and `key` if it is an app's event with one |
//! | `chat:{room}` | channel | announcements (see [`announcement`]); any other payload is foreign |
//! | `chat:{room}:deleted` | sorted set, expires with the log | the ids that were deleted, for the gap rule (`removal.lua`) |
//! | `chat:{room}:edits` | hash, expires with the log | the messages that were edited, as they are now (`log.lua`) |
//! | `chat:{room}:present` | hash, expires after 30 min | presence entries by process |
//! | `chat:present` | hash, expires after 12 s | the processes with presence entries that are alive, by when they are considered dead |
//! | `chat:{room}:key:KEY` | string, expires after 10 min | `ID SHA1`: what was published under an idempotency key |
//! | `chat:{room}:absent` | | never exists ([`Keys::absent`]) |
//! | `chat:{room}:offers` | hash, expires after 10 s | what nodes have of a log that a restart has lost (`heal.lua`) |
//! | `chat:{room}:filled` | string, expires after 10 s | exists if the log was filled with that |
//! | `chat:{room}:prefix` | string, expires after the log | the prefix of the app whose room this is, if the name is a hash |
//! | `chat:rate:{ADDRESS}` | string, expires when the bucket is full | a client address' token bucket |
//! | `chat:rate:key:KEY` | string, expires when the bucket is full | the token bucket of an app's key |
//! | `chat:streams:{limits}:ADDRESS` | hash, expires after 2 min | a client address' open streams, by process |
//! | `chat:processes:{limits}` | sorted set, expires after 4 s | the processes that are alive, by when they are considered dead |
//! | `chat:socket:{ID}` | string, expires after 90 s | a socket, as JSON |
//! | `chat:sockets:KEY` | sorted set, expires after 90 s | the living sockets of an app's key, by when they expire |
//! | `chat:{~dashboard}:processes` | hash, expires after 7 days | when each process wrote a summary last |
//! | `chat:{~dashboard}:PROCESS:RANGE` | hash, expires after its range: `10m`, `1h`, `1d`, `7d` | the summaries of a process, by slot |
//! | `chat:{~dashboard}` | channel | a foreign payload after each summary |
//! | `chat:users` | string, never expires | the last user id that was given out |
//! | `chat:salt` | string, never expires | the salt of marks |
//!
//! `chat` is the prefix, and the braces are a cluster's hash tag: what a script uses together has the same, but for the
//! bucket of a post on a single server. Only `publish.lua`, `append.lua`, `delete.lua`, `edit.lua` and `heal.lua` write to a
//! log. Publishing, presence, limits and user ids use a pipelined connection for each thread ([`connection`]), reads of logs
//! a pool, since a large response must not delay a publish, and announcements one of their own ([`pubsub`]).

pub mod announcement;
mod call_log;
mod check;
mod cluster;
mod connection;
mod connector;
mod durability;
mod entries;
mod error;
mod failure;
mod handshake;
mod hashed_rooms;
mod healing;
mod journal;
mod keys;
mod limits;
mod masters;
mod moving;
mod outage_log;
mod presence;
mod publisher;
mod pubsub;
mod purge;
mod read_pool;
mod reader;
mod route;
mod salt;
mod scripts;
mod sentinel;
mod server_run;
mod sockets;
mod summaries;
mod tls;
mod topology;
mod url;
mod user_ids;
mod watch;

use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;
use tokio::time::timeout;

use super::deletion::Deletion;
use super::error::{ChangeError, PublishError, Unavailable};
use super::limits::Charge;
use super::log::{Bus, Entry, Listener, LogPage, PageLimit, Receipt, Retention, Span};
use crate::chat::{Draft, Id, Mark, MessageText, RoomName};
use crate::metrics::Metrics;
use connection::ThreadConnections;
use error::CallError;
use hashed_rooms::RedisHashedRooms;
use healing::Healer;
use keys::Keys;
use limits::RedisLimits;
use moving::{CALL_TIMEOUT, until_moved};
use presence::RedisPresence;
use publisher::{Known, Publisher};
use pubsub::PubSub;
use read_pool::ReadPools;
use reader::{Reader, Wanted};
use salt::RedisSalt;
use scripts::Announcing;
use sockets::RedisSockets;
use summaries::RedisSummaries;
use topology::Topology;
use user_ids::RedisUserIds;

pub use purge::purge;
pub use tls::TlsFiles;
pub use url::RedisServer;

/// The reply to a call that changes entries: the id of the entry that says so, the outcome, the id of its predecessor, and
/// its data.
type ChangeReply = (String, String, String, String);

/// The value of `REDIS_PREFIX` unless it is set.
const DEFAULT_PREFIX: &str = "chat";

/// The logs and channels of one Redis.
pub struct Redis {
    keys: Keys,
    node: String,
    retention: Retention,
    announcing: Announcing,
    publisher: Arc<Publisher>,
    reader: Reader,
    delete: Script,
    edit: Script,
    /// `None` if nothing is restored.
    healer: Option<Arc<Healer>>,
    connections: Arc<ThreadConnections>,
    topology: Arc<Topology>,
    metrics: Arc<Metrics>,
    pubsub: PubSub,
}

impl Redis {
    /// Prepares connections to a server. `heal` is whether this node restores what it has lost.
    ///
    /// # Errors
    /// If the URL or the certificates cannot be understood.
    pub fn open(
        server: RedisServer<'_>,
        prefix: &str,
        node: &str,
        retention: Retention,
        heal: bool,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let keys = Keys::new(prefix);
        let topology = Topology::new(server, keys.clone(), heal)?;
        if topology.access().database() != 0 && prefix == DEFAULT_PREFIX {
            tracing::warn!(
                database = topology.access().database(),
                "a database does not separate chats: Pub/Sub ignores its number, so that another installation on this \
                 Redis shows its messages here; set REDIS_PREFIX to a name of this installation's own"
            );
        }
        let announcing = Announcing::new(topology.is_cluster());
        let read_pools = Arc::new(ReadPools::new(topology.clone()));
        let connections = Arc::new(ThreadConnections::new(topology.clone(), read_pools.clone(), metrics.clone()));
        let healer = heal.then(|| {
            let (topology, connections) = (topology.clone(), connections.clone());
            Arc::new(Healer::new(keys.clone(), retention.clone(), topology, connections, announcing, metrics.clone()))
        });
        let publisher = Publisher::new(keys.clone(), node, retention.clone(), connections.clone(), announcing);
        Ok(Self {
            keys: keys.clone(),
            node: node.into(),
            retention,
            announcing,
            publisher: Arc::new(publisher),
            reader: Reader::new(keys.clone(), connections.clone(), read_pools.clone()),
            delete: announcing.script(scripts::DELETE),
            edit: announcing.script(scripts::EDIT),
            healer,
            pubsub: PubSub::new(topology.clone(), connections.clone(), read_pools.clone(), keys, node, metrics.clone()),
            connections,
            topology,
            metrics,
        })
    }

    /// Returns the presence store of the same server.
    pub fn presence_store(&self) -> RedisPresence {
        RedisPresence::new(self.keys.clone(), self.connections.clone(), self.announcing)
    }

    /// Returns the limit store of the same server.
    pub fn limit_store(&self) -> RedisLimits {
        RedisLimits::new(self.keys.clone(), self.connections.clone(), !self.topology.is_cluster())
    }

    /// Returns the user ids of the same server.
    pub fn user_ids(&self) -> RedisUserIds {
        RedisUserIds::new(self.keys.clone(), self.connections.clone())
    }

    /// Returns the salt of marks of the same server.
    pub fn salt(&self) -> RedisSalt {
        RedisSalt::new(self.keys.clone(), self.connections.clone())
    }

    /// Returns the sockets of the same server.
    pub fn sockets(&self) -> RedisSockets {
        RedisSockets::new(self.keys.clone(), self.connections.clone())
    }

    /// Returns the summaries of the same server.
    pub fn summaries(&self) -> RedisSummaries {
        RedisSummaries::new(self.keys.clone(), self.connections.clone(), self.announcing)
    }

    /// Returns the rooms with hashes for names of the same server.
    pub fn hashed_rooms(&self) -> RedisHashedRooms {
        let log_ttl = Duration::from_secs(self.retention.seconds);
        RedisHashedRooms::new(self.keys.clone(), self.connections.clone(), log_ttl)
    }

    async fn run_delete(
        &self,
        room: &RoomName,
        deletion: Deletion,
        mark: Option<&Mark>,
    ) -> Result<ChangeReply, CallError> {
        let log = self.keys.log(room);
        let mut call = self.delete.key(&log);
        let target = match deletion {
            Deletion::Entry(id) => id.to_string(),
            Deletion::All => "*".to_owned(),
        };
        call.key(self.keys.deleted(room))
            .key(self.keys.edits(room))
            .key(self.keys.absent(room))
            .arg(target)
            .arg(mark.map_or(String::new(), Mark::to_string))
            .arg(deletion.data())
            .arg(&self.node)
            .arg(self.retention.messages)
            .arg(self.retention.seconds);
        until_moved(|| self.connections.run_on_log(&log, &call)).await
    }

    async fn run_edit(
        &self,
        room: &RoomName,
        id: Id,
        mark: &Mark,
        text: &MessageText,
    ) -> Result<ChangeReply, CallError> {
        let log = self.keys.log(room);
        let mut call = self.edit.key(&log);
        call.key(self.keys.deleted(room))
            .key(self.keys.edits(room))
            .key(self.keys.absent(room))
            .arg(id.to_string())
            .arg(mark.to_string())
            .arg(text.to_json())
            .arg(&self.node)
            .arg(self.retention.messages)
            .arg(self.retention.seconds);
        until_moved(|| self.connections.run_on_log(&log, &call)).await
    }

    async fn read_page(
        &self,
        room: &RoomName,
        span: Span,
        limit: PageLimit,
        wanted: Wanted,
    ) -> Result<LogPage, Unavailable> {
        let result = self.reader.read(room, span, limit, wanted).await;
        self.connections.calls().settle("read", Some(room.as_str()), result)?.ok_or(Unavailable)
    }

    /// Takes the reply to a call that changes entries and appends one of this type.
    fn settle_change(
        &self,
        kind: &'static str,
        room: &RoomName,
        result: Result<ChangeReply, CallError>,
    ) -> Result<Id, ChangeError> {
        let (id, outcome, prev, data) = self.connections.calls().settle(kind, Some(room.as_str()), result)?;
        match (id.parse(), outcome.as_str()) {
            (_, "missing") => Err(ChangeError::NotRetained),
            (_, "other") => Err(ChangeError::OfOther),
            (_, "forbidden") => Err(ChangeError::Forbidden),
            (Ok(id), _) => {
                self.note_acknowledged(room, id, &prev, kind, data, None);
                Ok(id)
            }
            (Err(_), _) => Err(ChangeError::Unavailable),
        }
    }

    /// Passes on an entry that is acknowledged, and notes it in case that Redis loses it.
    fn note_acknowledged(&self, room: &RoomName, id: Id, prev: &str, kind: &str, data: String, key: Option<&str>) {
        let entry = Entry { id, prev: prev.parse().ok(), kind: kind.into(), data, node: Some(self.node.clone()) };
        self.pubsub.tell_stored(room, &entry);
        if let Some(healer) = &self.healer {
            healer.note_acknowledged(room, entry, key);
        }
    }

    /// Publishes a draft. If the log is found to have lost entries that this node knows of, they are restored first.
    async fn publish_after_healing(
        &self,
        room: &RoomName,
        draft: &Draft,
        charge: Option<&Charge>,
    ) -> Result<publisher::Reply, CallError> {
        let last_known = |healer: &Arc<Healer>| healer.last_known(room).map_or(Known::Nothing, Known::Id);
        let known = self.healer.as_ref().map_or(Known::Healed, last_known);
        let reply = self.publisher.publish(room, draft, charge, known).await?;
        if reply.1 != "behind" {
            return Ok(reply);
        }
        if let Some(healer) = &self.healer {
            match healer.heal(room).await {
                // What Redis refuses to restore stays lost.
                Ok(_) | Err(CallError::Refused(_)) => {}
                // It may succeed later, and the post must not come first.
                Err(error) => return Err(error),
            }
        }
        // The token was taken by now.
        self.publisher.publish(room, draft, None, Known::Healed).await
    }
}

#[async_trait]
impl Bus for Redis {
    async fn publish(&self, room: &RoomName, draft: &Draft, charge: Option<&Charge>) -> Result<Receipt, PublishError> {
        let publishing = timeout(CALL_TIMEOUT, self.publish_after_healing(room, draft, charge));
        let result = publishing.await.unwrap_or(Err(CallError::TimedOut));
        let (id, outcome, prev) = self.connections.calls().settle("publish", Some(room.as_str()), result)?;
        match (id.parse(), outcome.as_str()) {
            (_, "reused") => Err(PublishError::KeyReused),
            (_, "limited") => Err(PublishError::RateLimited(Duration::from_micros(prev.parse().unwrap_or_default()))),
            (Ok(id), "duplicate") => Ok(Receipt { id, duplicate: true }),
            (Ok(id), _) => {
                let (data, key) = (draft.data().to_owned(), draft.key_beside_data());
                self.note_acknowledged(room, id, &prev, draft.kind(), data, key);
                Ok(Receipt { id, duplicate: false })
            }
            (Err(_), _) => Err(PublishError::Unavailable),
        }
    }

    async fn delete(&self, room: &RoomName, deletion: Deletion, mark: Option<&Mark>) -> Result<Id, ChangeError> {
        self.settle_change("delete", room, self.run_delete(room, deletion, mark).await)
    }

    async fn edit(&self, room: &RoomName, id: Id, mark: &Mark, text: &MessageText) -> Result<Id, ChangeError> {
        self.settle_change("edit", room, self.run_edit(room, id, mark, text).await)
    }

    async fn read(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        self.read_page(room, span, limit, Wanted::Stored).await
    }

    async fn read_edited(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        self.read_page(room, span, limit, Wanted::Edited).await
    }

    async fn read_sizes(&self, room: &RoomName, span: Span, limit: PageLimit) -> Result<LogPage, Unavailable> {
        self.read_page(room, span, limit, Wanted::Sizes).await
    }

    fn listen(&self, room: &RoomName) {
        self.pubsub.subscribe(&self.keys.log(room));
    }

    fn unlisten(&self, room: &RoomName) {
        self.pubsub.unsubscribe(&self.keys.log(room));
    }

    fn attach(&self, listener: Weak<dyn Listener>) {
        if let Some(healer) = &self.healer {
            healing::start(healer.clone(), listener.clone(), self.metrics.clone());
        }
        self.pubsub.attach(listener);
        watch::watch_masters(&self.topology, &self.metrics);
    }

    fn was_reached(&self) -> bool {
        self.pubsub.was_reached()
    }

    async fn unusable(&self) -> String {
        self.topology.unusable().await
    }

    async fn heal(&self, room: &RoomName) -> Result<bool, Unavailable> {
        let Some(healer) = &self.healer else {
            return Ok(false);
        };
        self.connections.calls().settle("heal", Some(room.as_str()), healer.heal(room).await)
    }

    fn prepare_thread(&self) {
        self.pubsub.start();
        self.connections.connect();
    }
}
