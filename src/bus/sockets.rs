//! The store of sockets: short-lived passes to the stream of one channel, known to all processes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::Unavailable;
use super::log::unix_ms;

/// How long a socket lives after it was made or renewed.
pub const SOCKET_TTL: Duration = Duration::from_secs(90);

/// How long after it was made a socket ends for good.
pub const SOCKET_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The most living sockets of one app's key.
pub const MAX_SOCKETS_PER_KEY: usize = 100_000;

/// The id of a socket. A client that has it may read the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketId(Uuid);

/// What a socket is a pass to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// The key of the app that made it.
    pub key: Arc<str>,
    /// The channel, as the app wrote it.
    pub channel: String,
    /// The prefix that the key had then, if that was not the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The name under which its reader is present, unescaped.
    pub presence_id: Option<String>,
    /// When it was made, in Unix milliseconds.
    pub made: u64,
}

/// Why a socket was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateError {
    /// The key has as many living sockets as it may have.
    TooMany,
    /// The store is unreachable or refused to store.
    Unavailable,
}

/// The sockets of all processes that share the store. A socket that is not renewed for [`SOCKET_TTL`] is gone, and so is
/// one that was made [`SOCKET_MAX_AGE`] ago.
///
/// Every call returns within 2 s.
#[async_trait]
pub trait SocketStore: Send + Sync {
    /// Stores a new socket.
    async fn create(&self, id: SocketId, socket: &Socket) -> Result<(), CreateError>;

    /// Returns the socket with this id if it lives.
    async fn find(&self, id: SocketId) -> Result<Option<Socket>, Unavailable>;

    /// Lets these sockets live for another [`SOCKET_TTL`], and stores those anew that the store has lost.
    async fn renew(&self, sockets: &[(SocketId, Arc<Socket>)]) -> Result<(), Unavailable>;
}

impl SocketId {
    /// Returns a new id that cannot be guessed.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Parses an id as [`SocketId`] displays it. Returns `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok().map(Self)?;
        (id.to_string() == text).then_some(id) // the parser also accepts braces, capitals and more
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl Socket {
    /// Returns how long the socket lives if it is made or renewed now; `None` if its time is over.
    pub fn ttl(&self) -> Option<Duration> {
        let left = (self.made + SOCKET_MAX_AGE.as_millis() as u64).saturating_sub(unix_ms());
        (left > 0).then(|| SOCKET_TTL.min(Duration::from_millis(left)))
    }
}

impl From<Unavailable> for CreateError {
    fn from(_: Unavailable) -> Self {
        CreateError::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_displayed_form_of_an_id_is_parsed() {
        let id = SocketId::random();
        let text = id.to_string();
        assert_eq!(SocketId::parse(&text), Some(id));
        assert_eq!((text.len(), text.as_bytes()[14]), (36, b'4'), "version 4");
        let simple = text.replace('-', "");
        for other in [simple, format!("{{{text}}}"), text.to_uppercase(), format!("urn:uuid:{text}"), String::new()] {
            assert_eq!(SocketId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_socket_is_never_renewed_beyond_a_day() {
        let age = |age: u64| Socket {
            key: "k".into(),
            channel: "c".into(),
            prefix: None,
            presence_id: None,
            made: unix_ms() - age,
        };
        let day = SOCKET_MAX_AGE.as_millis() as u64;
        assert_eq!(age(0).ttl(), Some(SOCKET_TTL));
        assert!(age(day - 30_000).ttl().is_some_and(|ttl| ttl <= Duration::from_secs(30)));
        assert_eq!(age(day).ttl(), None);
    }
}
