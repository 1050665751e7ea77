//! Publishes in one step, or in several while a cluster moves the room's slot.

use std::sync::Arc;
use std::time::Duration;

use redis::{Script, ScriptInvocation, cmd};
use sha1::{Digest, Sha1};
use tokio::time::{Instant, sleep, timeout_at};

use super::connection::ThreadConnections;
use super::entries::{RawEntry, parse_entry};
use super::error::CallError;
use super::keys::Keys;
use super::moving::{CALL_TIMEOUT, RETRY_PAUSE, is_moving};
use super::scripts::{self, Announcing};
use crate::bus::limits::Charge;
use crate::bus::log::{KEY_TTL_MS, Retention};
use crate::chat::{Draft, Id, RoomName};

/// The most entries that one call looks at for an idempotency key.
const PAGE: usize = 500;

/// For how long it is tried to write down what was published under an idempotency key, after it was stored.
const RECORD_TIMEOUT: Duration = Duration::from_secs(10);

/// The reply to a publish: the id; `stored`, `duplicate`, `reused`, `behind` or `limited`; and the id of the predecessor if
/// it was stored, or how long to wait for a token, in microseconds.
pub type Reply = (String, String, String);

/// What a log is known to have had before it may have lost something.
#[derive(Clone, Copy)]
pub enum Known {
    Nothing,
    Id(Id),
    /// What could be restored was restored.
    Healed,
}

impl Known {
    fn argument(self) -> String {
        match self {
            Known::Nothing => String::new(),
            Known::Id(id) => id.to_string(),
            Known::Healed => "-".to_owned(),
        }
    }
}

/// Publishes to the logs of one Redis.
pub struct Publisher {
    keys: Keys,
    node: String,
    retention: Retention,
    connections: Arc<ThreadConnections>,
    publish: Script,
    append: Script,
    find_key: Script,
}

impl Publisher {
    pub fn new(
        keys: Keys,
        node: &str,
        retention: Retention,
        connections: Arc<ThreadConnections>,
        announcing: Announcing,
    ) -> Self {
        Self {
            keys,
            node: node.into(),
            retention,
            connections,
            publish: announcing.script(scripts::PUBLISH),
            append: announcing.script(scripts::APPEND),
            find_key: Script::new(scripts::FIND_KEY),
        }
    }

    /// Publishes a draft, unless the log has to be healed first.
    pub async fn publish(
        self: &Arc<Self>,
        room: &RoomName,
        draft: &Draft,
        charge: Option<&Charge>,
        known: Known,
    ) -> Result<Reply, CallError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        match self.publish_at_once(room, draft, charge, known).await {
            Err(error) if is_moving(&error) => {}
            result => return result,
        }
        let post = Post {
            publisher: self.clone(),
            log: self.keys.log(room),
            room: room.clone(),
            draft: draft.clone(),
        };
        // A client that goes away does not end it: what is stored under a key has to be written down.
        let steps = tokio::spawn(post.publish(deadline));
        match timeout_at(deadline, steps).await {
            Ok(Ok(result)) => result,
            _ => Err(CallError::TimedOut),
        }
    }

    async fn publish_at_once(
        &self,
        room: &RoomName,
        draft: &Draft,
        charge: Option<&Charge>,
        known: Known,
    ) -> Result<Reply, CallError> {
        let log = self.keys.log(room);
        let mut call = self.publish.key(&log);
        call.key(self.keys.deleted(room)).key(self.keys.edits(room));
        let (record, digest) = match draft.key() {
            Some(key) => (self.keys.idempotency(room, key), digest_of(draft)),
            None => (self.keys.absent(room), String::new()),
        };
        call.key(record).key(self.keys.offers(room)).key(self.keys.filled(room));
        self.add_entry(&mut call, draft);
        call.arg(digest).arg(KEY_TTL_MS).arg(known.argument());
        match charge {
            Some(Charge { bucket, rate }) => {
                call.arg(self.keys.rate(bucket)).arg(rate.per_second.get()).arg(rate.burst.get())
            }
            None => call.arg(""),
        };
        self.connections.run_on_log(&log, &call).await
    }

    /// Adds the arguments that say what is appended.
    fn add_entry(&self, call: &mut ScriptInvocation<'_>, draft: &Draft) {
        call.arg(draft.data())
            .arg(&self.node)
            .arg(self.retention.messages)
            .arg(self.retention.seconds)
            .arg(draft.kind())
            .arg(draft.key_beside_data().unwrap_or_default());
    }
}

/// A post whose slot is being moved: each of its calls is about one key.
struct Post {
    publisher: Arc<Publisher>,
    room: RoomName,
    log: String,
    draft: Draft,
}

/// What was found of an idempotency key in a log.
enum Search {
    Found(Reply),
    /// It is not there up to this entry.
    Absent {
        newest: String,
    },
}

impl Post {
    async fn publish(self, deadline: Instant) -> Result<Reply, CallError> {
        let Some(key) = self.draft.key() else {
            let reply = self.append("", "").await?;
            self.keep_beside().await;
            return Ok(reply);
        };
        let record = self.publisher.keys.idempotency(&self.room, key);
        let known: Option<String> = self.publisher.connections.command(&record, cmd("GET").arg(&record)).await?;
        if let Some(known) = known {
            return Ok(self.judge_record(&known));
        }
        let (id, outcome, prev) = self.find_or_append(key, deadline).await?;
        if outcome != "reused" {
            let (kept, ()) = tokio::join!(self.keep_record(&record, &id), self.keep_beside());
            kept?;
        }
        Ok((id, outcome, prev))
    }

    /// Judges what was published under the key.
    fn judge_record(&self, known: &str) -> Reply {
        let (id, digest) = known.split_once(' ').unwrap_or_default();
        (id.to_owned(), outcome_of_known(digest == digest_of(&self.draft)), String::new())
    }

    /// Appends the draft, unless its key is in the log.
    async fn find_or_append(&self, key: &str, deadline: Instant) -> Result<Reply, CallError> {
        let mut after = String::new();
        while Instant::now() < deadline {
            match self.find(key, &after).await? {
                Search::Found(reply) => return Ok(reply),
                Search::Absent { newest } => after = newest,
            }
            match self.append(key, &after).await {
                Ok((_, outcome, _)) if outcome == "unseen" => {}
                // It may have been executed, and is found then.
                Err(CallError::TimedOut | CallError::Away(_)) => sleep(RETRY_PAUSE).await,
                result => return result,
            }
        }
        Err(CallError::TimedOut)
    }

    /// Looks for the key among the entries after one, or among all since a key is remembered.
    async fn find(&self, key: &str, after: &str) -> Result<Search, CallError> {
        let (mut before, mut newest) = ("+".to_owned(), None);
        loop {
            let mut call = self.publisher.find_key.key(&self.log);
            call.arg(key).arg(&before).arg(after).arg(KEY_TTL_MS).arg(PAGE);
            let (found, first, last): (Vec<RawEntry>, String, String) =
                self.publisher.connections.run_on_log(&self.log, &call).await?;
            if let Some((id, fields)) = found.into_iter().next() {
                let known = parse_entry(&id, fields);
                let is_same =
                    known.is_some_and(|known| known.kind == self.draft.kind() && known.data == self.draft.data());
                return Ok(Search::Found((id, outcome_of_known(is_same), String::new())));
            }
            let newest = newest.get_or_insert(first);
            if last.is_empty() {
                return Ok(Search::Absent { newest: std::mem::take(newest) });
            }
            before = last;
        }
    }

    async fn append(&self, key: &str, after: &str) -> Result<Reply, CallError> {
        let mut call = self.publisher.append.key(&self.log);
        self.publisher.add_entry(&mut call, &self.draft);
        call.arg(key).arg(after).arg(PAGE);
        self.publisher.connections.run_on_log(&self.log, &call).await
    }

    /// Writes down what was published under the key: when the slot has been moved, only that is looked at.
    async fn keep_record(&self, record: &str, id: &str) -> Result<(), CallError> {
        let started = Instant::now();
        let mut set = cmd("SET");
        set.arg(record).arg(format!("{id} {}", digest_of(&self.draft))).arg("PX").arg(KEY_TTL_MS);
        loop {
            match self.publisher.connections.command(record, &set).await {
                Err(_) if started.elapsed() < RECORD_TIMEOUT => sleep(RETRY_PAUSE).await,
                result => return result,
            }
        }
    }

    /// Keeps what stands beside the log as long as the log. If that fails, the next post does it.
    async fn keep_beside(&self) {
        let publisher = &self.publisher;
        let keep = async |key: String| {
            let mut expire = cmd("PEXPIRE");
            expire.arg(&key).arg(publisher.retention.seconds.saturating_mul(1000));
            let _: Result<(), CallError> = publisher.connections.command(&key, &expire).await;
        };
        tokio::join!(keep(publisher.keys.deleted(&self.room)), keep(publisher.keys.edits(&self.room)));
    }
}

/// Returns the outcome if the key was used before, for the same or for something else.
fn outcome_of_known(is_same: bool) -> String {
    if is_same { "duplicate" } else { "reused" }.to_owned()
}

/// Returns by what a draft is recognized when its key is used again. No type has a line break, so the two are not mistaken
/// for others.
fn digest_of(draft: &Draft) -> String {
    let digest = match draft.kind() {
        "" => Sha1::digest(draft.data()),
        kind => Sha1::digest(format!("{kind}\n{}", draft.data())),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
