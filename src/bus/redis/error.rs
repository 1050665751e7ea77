//! Why a call to Redis failed.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::failure::Failure;

/// The reason why a call to Redis returned no result.
pub enum CallError {
    /// There is no connection.
    Disconnected,
    /// No connection could be established for this call.
    Unreachable(Failure),
    /// Redis did not respond in time.
    TimedOut,
    /// The connection ended, or what arrived cannot be understood.
    Away(String),
    /// Redis responded with an error: its code.
    Refused(String),
    /// Another server of the cluster has the key.
    Redirected(Redirect),
}

/// Where a cluster has a key.
#[derive(Debug)]
pub struct Redirect {
    /// The slot of the key.
    pub slot: u16,
    /// Host and port; without the host it is that of the server which said so.
    pub address: String,
    /// Whether only this key is there already, and the slot is not.
    pub asking: bool,
}

impl From<RedisError> for CallError {
    fn from(error: RedisError) -> Self {
        // Only category or code: the whole error may quote the command, and with it the text of a message.
        match error.kind() {
            ErrorKind::Server(kind @ (ServerErrorKind::Moved | ServerErrorKind::Ask)) => {
                let asking = kind == ServerErrorKind::Ask;
                match error.redirect_node() {
                    Some((address, slot)) => Self::Redirected(Redirect { slot, address: address.to_owned(), asking }),
                    None => Self::Refused(code(&error).to_owned()),
                }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => CallError::Refused(code(&error).to_owned()),
            ErrorKind::Io if error.is_timeout() => CallError::TimedOut,
            _ => CallError::Away(error.category().to_owned()),
        }
    }
}

/// Returns the code of the reply. Up to Redis 7.0 a missing right within a script has none.
fn code(error: &RedisError) -> &str {
    let code = error.code().unwrap_or("ERR");
    let lacks_right = error.detail().is_some_and(|detail| detail.contains("The user executing the script can't"));
    if code != "NOPERM" && lacks_right { "NOPERM" } else { code }
}

impl CallError {
    /// Returns true if the connection leads to a server that is no longer a master, or its user has lost a right: a new
    /// connection is checked before it is used.
    pub fn needs_new_connection(&self) -> bool {
        matches!(self, CallError::Refused(code) if ["READONLY", "NOPERM", "NOAUTH"].contains(&code.as_str()))
    }

    /// Returns true if another server may be the master by now.
    pub fn may_concern_topology(&self) -> bool {
        match self {
            CallError::Refused(code) => ["READONLY", "CLUSTERDOWN", "MASTERDOWN"].contains(&code.as_str()),
            CallError::Redirected(_) => true,
            CallError::Disconnected | CallError::Unreachable(_) | CallError::TimedOut | CallError::Away(_) => true,
        }
    }
}
