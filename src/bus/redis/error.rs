//! Why a call to Redis failed.

use deadpool_redis::PoolError;
use redis::RedisError;

use crate::bus::error::Unavailable;

/// The reason why a call to Redis returned no result.
pub enum CallError {
    /// There is no connection.
    Disconnected,
    /// Redis did not respond in time.
    TimedOut,
    /// Redis responded with an error.
    Refused(String),
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        // Only category and code: the whole error may quote the command, and with it the text of a message.
        CallError::Refused(format!("{} {}", error.category(), error.code().unwrap_or_default()))
    }
}

impl From<PoolError> for CallError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => error.into(),
            PoolError::Timeout(_) => CallError::TimedOut,
            error => CallError::Refused(error.to_string()),
        }
    }
}

impl CallError {
    /// Logs the error for the operator. Clients only learn that the store is unavailable, and an outage as such is
    /// logged once, by the Pub/Sub connection.
    pub fn log(self, call: &str) -> Unavailable {
        match self {
            CallError::Disconnected => tracing::debug!(call, "Redis is not connected"),
            CallError::TimedOut => tracing::debug!(call, "Redis did not respond in time"),
            CallError::Refused(error) => tracing::warn!(call, error, "Redis refused the call"),
        }
        Unavailable
    }
}
