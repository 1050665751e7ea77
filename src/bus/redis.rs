//! The bus of many nodes: logs are Redis streams, announcements are Redis Pub/Sub.
//!
//! | key or channel | type | what |
//! |---|---|---|
//! | `chat:{room}` | stream | the room's log; an entry has `data`, `node`, and `type` where it is no message |
//! | `chat:{room}` | channel | announcements (see [`announcement`]); anything else on it is foreign |
//! | `chat:{room}:present` | hash, 24 s after the last word | who is in the room, by process |
//! | `chat:{room}:key:KEY` | string, 10 min | `ID SHA1`: what was published under an idempotency key |
//! | `chat:rate:ADDRESS` | string, until it may send its burst again | how far a client address has spent its rate |
//! | `chat:streams:ADDRESS` | hash, 2 min after the last word | a client address' open streams, by process |
//! | `chat:processes` | sorted set, 4 s after the last word | when each process is taken for dead, unless it says something |
//!
//! `chat` is the prefix, and the braces are a cluster's hash tag: all keys of a room live together.
//! What an address may do is counted over all nodes ([`limits`]).
//! Only `publish.lua` writes to a log. Publishes go over a pipelined connection of each worker ([`link`]), reads
//! over a pool, since a large reply must not stand in front of a publish; announcements come over a
//! connection of their own ([`subscriber`]).

pub mod announcement;
mod limits;
mod link;
mod subscriber;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::{Manager, Pool, PoolError, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo, RedisError, Script};
use tokio::time::timeout;

use super::{
    Bus, Entry, KEY_TTL_MS, Listener, LogPage, PRESENCE_TTL, PROCESS_TTL, PresenceEntry, PublishError, Rate, Receipt,
    Retention, Span, StreamReservation, Unavailable,
};
use crate::chat::{Draft, Id, RoomName};
use crate::metrics::Metrics;
use limits::Limits;
use link::Links;
use subscriber::Subscriber;

/// How long a call waits for Redis. A publish may first have waited for a connection, see
/// [`link::PATIENCE`]; both together stay below 2 s.
const DEADLINE: Duration = Duration::from_secs(1);

/// Connections for reading logs.
const READERS: usize = 8;

/// The logs and channels of one Redis.
pub struct Redis {
    names: Names,
    node: String,
    retention: Retention,
    publish: Script,
    read: Script,
    attend: Script,
    limits: Limits,
    commands: Links,
    pool: Pool,
    subscriber: Subscriber,
    reached: Arc<AtomicBool>,
}

/// How rooms are called in Redis, and back.
#[derive(Clone, Debug)]
struct Names {
    prefix: String,
}

impl Names {
    fn log(&self, room: &RoomName) -> String {
        format!("{}:{{{room}}}", self.prefix)
    }

    fn key(&self, room: &RoomName, key: &str) -> String {
        format!("{}:{{{room}}}:key:{key}", self.prefix)
    }

    fn present(&self, room: &RoomName) -> String {
        format!("{}:{{{room}}}:present", self.prefix)
    }

    fn room<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')
    }
}

impl Redis {
    /// Begins to look for the server that the URL names, and never stops.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub fn open(
        url: &str,
        prefix: &str,
        node: &str,
        retention: Retention,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let client = client(url).map_err(|error| error.to_string())?;
        let pool = pool(&client).map_err(|error| error.to_string())?;
        let names = Names { prefix: prefix.into() };
        let reached = Arc::new(AtomicBool::new(false));
        Ok(Self {
            names: names.clone(),
            node: node.into(),
            retention,
            publish: Script::new(include_str!("redis/publish.lua")),
            read: Script::new(include_str!("redis/read.lua")),
            attend: Script::new(include_str!("redis/attend.lua")),
            limits: Limits::new(prefix),
            commands: Links::new(client.clone()),
            pool,
            subscriber: Subscriber::new(client, names, reached.clone(), metrics),
            reached,
        })
    }

    async fn run_publish(&self, room: &RoomName, draft: &Draft) -> Result<(String, String), Trouble> {
        let mut call = self.publish.prepare_invoke();
        call.key(self.names.log(room));
        if let Some(key) = draft.key() {
            call.key(self.names.key(room, key));
        }
        call.arg(draft.data())
            .arg(&self.node)
            .arg(self.retention.messages)
            .arg(self.retention.seconds)
            .arg(KEY_TTL_MS);
        self.commands.run(&call).await
    }

    async fn run_attend(&self, room: &RoomName, said: Option<&PresenceEntry>) -> Result<Vec<String>, Trouble> {
        let mut call = self.attend.key(self.names.present(room));
        call.key(self.names.log(room)).arg(PRESENCE_TTL.as_millis() as u64);
        if let Some(said) = said {
            let attendance = announcement::attendance(said);
            let kept = if said.count > 0 { attendance.as_str() } else { "" };
            call.arg(&said.process).arg(kept).arg(announcement::announce(&attendance));
        }
        self.commands.run(&call).await
    }

    async fn run_read(&self, room: &RoomName, span: Span, limit: usize) -> Result<RawReading, Trouble> {
        let (kind, id) = match span {
            Span::Newest => ("newest", Id::ZERO),
            Span::Before(id) => ("before", id),
            Span::After(id) => ("after", id),
            Span::From(id) => ("from", id),
        };
        let reading = async {
            let mut connection = self.pool.get().await?;
            let mut call = self.read.key(self.names.log(room));
            Ok::<_, Trouble>(call.arg(kind).arg(id.to_string()).arg(limit).invoke_async(&mut connection).await?)
        };
        timeout(DEADLINE, reading).await.map_err(|_| Trouble::Late)?
    }
}

#[async_trait]
impl Bus for Redis {
    async fn publish(&self, room: &RoomName, draft: &Draft) -> Result<Receipt, PublishError> {
        let (id, outcome) = self.run_publish(room, draft).await.map_err(|trouble| trouble.logged("publish"))?;
        match (id.parse(), outcome.as_str()) {
            (_, "reused") => Err(PublishError::KeyReused),
            (Ok(id), outcome) => Ok(Receipt { id, duplicate: outcome == "duplicate" }),
            (Err(_), _) => Err(PublishError::Unavailable),
        }
    }

    fn prepare_thread(&self) {
        self.commands.connect();
    }

    async fn read(&self, room: &RoomName, span: Span, limit: usize) -> Result<LogPage, Unavailable> {
        let raw = self.run_read(room, span, limit).await.map_err(|trouble| trouble.logged("read"))?;
        reading(raw, span, limit).ok_or(Unavailable)
    }

    async fn attend(
        &self,
        room: &RoomName,
        attendance: &PresenceEntry,
    ) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable> {
        attendances(self.run_attend(room, Some(attendance)).await)
    }

    async fn attendance(&self, room: &RoomName) -> Result<Vec<PresenceEntry>, Unavailable> {
        let all = attendances(self.run_attend(room, None).await)?;
        Ok(all.into_iter().map(|(attendance, _)| attendance).collect())
    }

    async fn spend(&self, address: IpAddr, rate: Rate) -> Result<Result<(), Duration>, Unavailable> {
        self.limits.spend(&self.commands, address, rate).await.map_err(|trouble| trouble.logged("spend"))
    }

    async fn claim(&self, process: &str, claims: &[StreamReservation], most: usize) -> Result<Vec<usize>, Unavailable> {
        self.limits
            .claim(&self.commands, process, claims, most)
            .await
            .map_err(|trouble| trouble.logged("claim"))
    }

    fn listen(&self, room: &RoomName) {
        self.subscriber.listen(self.names.log(room));
    }

    fn unlisten(&self, room: &RoomName) {
        self.subscriber.unlisten(&self.names.log(room));
    }

    fn attach(&self, listener: Weak<dyn Listener>) {
        self.subscriber.start(listener);
    }

    fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }
}

/// What `read.lua` answers: the first retained id, the last generated one, and the entries with
/// their fields in turn.
type RawReading = (String, String, Vec<(String, Vec<Vec<u8>>)>);

/// Understands the answer, and takes the one entry off that was read to see whether there are more.
fn reading((first, last, raw): RawReading, span: Span, limit: usize) -> Option<LogPage> {
    let mut entries: Vec<Entry> = raw.into_iter().filter_map(|(id, fields)| entry(&id, &fields)).collect();
    let anchor = match span {
        Span::From(id) => entries.first().is_some_and(|first| first.id <= id) as usize,
        _ => 0,
    };
    let more = entries.len() > limit + anchor;
    if more {
        match span {
            Span::Newest | Span::Before(_) => drop(entries.remove(0)),
            Span::After(_) | Span::From(_) => entries.truncate(limit + anchor),
        }
    }
    Some(LogPage { first: first.parse().ok(), last: last.parse().ok()?, entries, more })
}

/// What `attend.lua` answers: milliseconds for which it is believed yet, a space, the attendance.
fn attendances(answer: Result<Vec<String>, Trouble>) -> Result<Vec<(PresenceEntry, Duration)>, Unavailable> {
    let all = answer.map_err(|trouble| trouble.logged("attend"))?;
    let attendance = |text: &String| {
        let (left, said) = text.split_once(' ')?;
        Some((serde_json::from_str(said).ok()?, Duration::from_millis(left.parse().ok()?)))
    };
    Ok(all.iter().filter_map(attendance).collect())
}

/// An entry of a stream; fields that are not ours are passed over.
fn entry(id: &str, fields: &[Vec<u8>]) -> Option<Entry> {
    let field = |name: &str| {
        let value = fields.chunks_exact(2).find(|pair| pair[0] == name.as_bytes()).map(|pair| &pair[1]);
        value.map(|value| String::from_utf8_lossy(value).into_owned())
    };
    Some(Entry {
        id: id.parse().ok()?,
        kind: field("type").unwrap_or_default(),
        data: field("data")?,
        node: field("node"),
    })
}

/// Why a call to Redis gave no answer.
enum Trouble {
    Away,
    Late,
    Failed(String),
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        // Not the whole error: it may quote the command, and with it a message.
        Trouble::Failed(format!("{} {}", error.category(), error.code().unwrap_or_default()))
    }
}

impl From<PoolError> for Trouble {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => Trouble::Late,
            error => Trouble::Failed(error.to_string()),
        }
    }
}

impl Trouble {
    /// Said to the operator, never to a client. An outage as such is said once, by the subscriber.
    fn logged(self, call: &str) -> Unavailable {
        match self {
            Trouble::Away => tracing::debug!(call, "Redis is away"),
            Trouble::Late => tracing::debug!(call, "Redis did not answer in time"),
            Trouble::Failed(error) => tracing::warn!(call, error, "Redis refused"),
        }
        Unavailable
    }
}

/// A client whose connections send at once and notice a vanished server.
fn client(url: &str) -> Result<Client, RedisError> {
    let info = url.into_connection_info()?;
    let tcp = info.tcp_settings().clone().set_nodelay(true).set_user_timeout(Duration::from_secs(5));
    let resp3 = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
    Client::open(info.set_tcp_settings(tcp).set_redis_settings(resp3))
}

fn connection_config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(1)))
        .set_response_timeout(Some(DEADLINE))
        .set_pipeline_buffer_size(1024)
}

fn pool(client: &Client) -> Result<Pool, RedisError> {
    let manager = Manager::new_with_config(client.get_connection_info().clone(), connection_config())?;
    let limit = Some(Duration::from_secs(1));
    Pool::builder(manager)
        .max_size(READERS)
        .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| RedisError::from((redis::ErrorKind::Client, "pool", error.to_string())))
}
