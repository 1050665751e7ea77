//! Warns of settings of Redis with which it may lose what it has acknowledged.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};

use super::connector::Connector;

/// Logs a warning, once each, if Redis may evict logs when its memory is full, and if it keeps nothing on disk. Nothing
/// waits for it.
pub async fn warn(mut connection: MultiplexedConnection, connector: Arc<Connector>) {
    let (connection, connector) = (&mut connection, &*connector);
    // Every key of ours has an expiry, and an evicted log is a gap for every subscriber that resumes.
    let policy = info(connection, "memory", "maxmemory_policy:").await;
    if let Some(policy) = policy.filter(|policy| policy != "noeviction") {
        connector.log().warn_once(&format!(
            "Redis may evict logs when its memory is full (maxmemory-policy {policy}); set maxmemory-policy noeviction"
        ));
    }
    if info(connection, "persistence", "aof_enabled:").await.as_deref() == Some("0") {
        warn_of_snapshots(connection, connector).await;
    }
}

async fn warn_of_snapshots(connection: &mut MultiplexedConnection, connector: &Connector) {
    // The rule of docs/operations.md does not grant CONFIG; a try would only fill Redis' ACL log.
    let save: Option<RedisResult<(String, String)>> = match connector.has_user() {
        true => None,
        false => Some(cmd("CONFIG").arg("GET").arg("save").query_async(connection).await),
    };
    let seen = match save {
        Some(Ok((_, save))) if !save.is_empty() => return,
        Some(Ok(_)) => "takes no snapshots",
        _ => "perhaps takes no snapshots",
    };
    connector.log().warn_once(&format!(
        "Redis has no append-only file and {seen}: its restart loses messages that were acknowledged; set appendonly yes"
    ));
}

/// Returns the value of a line of INFO.
async fn info(connection: &mut MultiplexedConnection, section: &str, name: &str) -> Option<String> {
    let info: RedisResult<String> = cmd("INFO").arg(section).query_async(connection).await;
    info.ok()?.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}
