//! Reads logs in one step, or in several while a cluster moves the room's slot.

use std::sync::Arc;

use redis::{FromRedisValue, Script, cmd};
use tokio::time::{Instant, timeout_at};

use super::connection::ThreadConnections;
use super::entries::{RawEntry, RawPage, parse_page};
use super::error::CallError;
use super::keys::Keys;
use super::moving::{CALL_TIMEOUT, is_moving};
use super::read_pool::ReadPools;
use super::scripts;
use crate::bus::log::{LogPage, PageLimit, Span};
use crate::chat::{Id, RoomName};

/// What is read of the data of entries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// As it was stored.
    Stored,
    /// With the texts that messages have now.
    Edited,
    /// Its length.
    Sizes,
}

/// Reads the logs of one Redis.
pub struct Reader {
    keys: Keys,
    connections: Arc<ThreadConnections>,
    pools: Arc<ReadPools>,
    read: Script,
    is_deleted: Script,
}

/// What is read.
#[derive(Clone, Copy)]
struct Request<'a> {
    room: &'a RoomName,
    span: Span,
    limit: PageLimit,
    wanted: Wanted,
}

impl Reader {
    pub fn new(keys: Keys, connections: Arc<ThreadConnections>, pools: Arc<ReadPools>) -> Self {
        Self {
            keys,
            connections,
            pools,
            read: Script::new(scripts::READ),
            is_deleted: Script::new(scripts::IS_DELETED),
        }
    }

    /// Reads a page. Returns `None` if the reply is not understood.
    pub async fn read(
        &self,
        room: &RoomName,
        span: Span,
        limit: PageLimit,
        wanted: Wanted,
    ) -> Result<Option<LogPage>, CallError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let request = Request { room, span, limit, wanted };
        let mut beside = vec![self.keys.deleted(room)];
        if wanted == Wanted::Edited {
            beside.push(self.keys.edits(room));
        }
        let page = match self.run(request, &beside).await {
            Err(error) if is_moving(&error) => {
                let steps = timeout_at(deadline, self.read_in_steps(request)).await;
                steps.unwrap_or(Err(CallError::TimedOut))
            }
            result => result,
        };
        page.map(parse_page)
    }

    /// Runs the script with the log, and with what stands beside it in the same slot.
    async fn run<D: FromRedisValue>(&self, request: Request<'_>, beside: &[String]) -> Result<RawPage<D>, CallError> {
        let (kind, id) = match request.span {
            Span::Newest => ("newest", Id::ZERO),
            Span::Before(id) => ("before", id),
            Span::After(id) => ("after", id),
            Span::From(id) => ("from", id),
        };
        let log = self.keys.log(request.room);
        let mut call = self.read.key(&log);
        for key in beside {
            call.key(key);
        }
        let wanted = if request.wanted == Wanted::Sizes { "size" } else { "text" };
        call.arg(kind).arg(id.to_string()).arg(request.limit.entries).arg(request.limit.bytes).arg(wanted);
        self.pools.run(&log, &call).await
    }

    /// Reads with calls of one key each.
    async fn read_in_steps(&self, request: Request<'_>) -> Result<RawPage<bool>, CallError> {
        let (first, last, more, mut entries, up_to): RawPage<String> = self.run(request, &[]).await?;
        if request.wanted == Wanted::Edited {
            self.apply_edits(request.room, &mut entries).await?;
        }
        let only_deleted = match request.span {
            Span::From(id) if !up_to.is_empty() => self.is_deleted(request.room, id, &up_to).await?,
            _ => false,
        };
        Ok((first, last, more, entries, only_deleted))
    }

    /// Replaces the data of messages that were edited by those that they have now.
    async fn apply_edits(&self, room: &RoomName, entries: &mut [RawEntry]) -> Result<(), CallError> {
        let key = self.keys.edits(room);
        let mut get = cmd("HMGET");
        get.arg(&key);
        for (id, _) in &*entries {
            get.arg(id);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let edits: Vec<Option<String>> = match self.connections.command(&key, &get).await {
            // A user without the right to see them reads what was stored.
            Err(CallError::Refused(_)) => return Ok(()),
            result => result?,
        };
        for ((_, fields), edit) in entries.iter_mut().zip(edits) {
            let now = edit.as_deref().and_then(|edit| edit.split_once(' ')).map(|(_, message)| message);
            let data = fields.chunks_exact_mut(2).find(|field| field[0] == b"data");
            if let (Some(now), Some(data)) = (now, data) {
                data[1] = now.into();
            }
        }
        Ok(())
    }

    /// Returns true if everything between two ids and the latter was deleted.
    async fn is_deleted(&self, room: &RoomName, after: Id, up_to: &str) -> Result<bool, CallError> {
        let key = self.keys.deleted(room);
        let mut call = self.is_deleted.key(&key);
        self.connections.run(&key, call.arg(after.to_string()).arg(up_to)).await
    }
}
