//! Why a connection to Redis was not established or is lost, in words that an operator can act on.

use std::io;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::handshake::{self, Found};
use super::url::{Access, Address};

/// How long looking at an address may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(1);

/// What is sent to find out what answers at an address: Redis replies with an error, an HTTP server with its status.
const LOOK_REQUEST: &[u8] = b"PING / HTTP/1.0\r\n\r\n";

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Redis does not answer, or not yet.
    Away(String),
    /// Redis answered, and someone has to change its configuration or this node's.
    Refused(String),
    /// Redis answered, and this node can never work with it.
    Unfit(String),
    /// What answers does not speak as expected; [`Failure::explained`] finds out what it is.
    Unclear(String),
}

impl Failure {
    /// Returns the reason.
    pub fn cause(&self) -> &str {
        match self {
            Failure::Away(cause) | Failure::Refused(cause) | Failure::Unfit(cause) | Failure::Unclear(cause) => cause,
        }
    }

    /// Looks at the address if the reason is unclear.
    pub async fn explained(self, access: &Access, address: &Address) -> Self {
        let Failure::Unclear(cause) = self else { return self };
        match timeout(LOOK_TIMEOUT, look(access, address)).await {
            Ok(Some(explanation)) => Failure::Refused(explanation),
            _ => Failure::Away(cause),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::BusyLoading) => {
                Failure::Away("Redis is still loading its data (LOADING)".into())
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown) => {
                Failure::Away("the cluster is down (CLUSTERDOWN)".into())
            }
            ErrorKind::Server(_) | ErrorKind::Extension => refused(&error),
            ErrorKind::RESP3NotSupported => Failure::Refused("the server is older than Redis 6".into()),
            ErrorKind::Parse => Failure::Unclear("the answer is not in Redis' protocol".into()),
            ErrorKind::Io => io_failure(&error),
            _ => Failure::Away(error.to_string()),
        }
    }
}

/// Returns the words for an error that Redis replied with. It belongs to the greeting, so it quotes no message.
fn refused(error: &RedisError) -> Failure {
    let detail = error.detail().unwrap_or_default();
    let code = error.code().unwrap_or_default();
    Failure::Refused(match code {
        "WRONGPASS" | "NOAUTH" => format!("the user or the password in its URL is wrong ({code} {detail})"),
        "NOPERM" if detail.contains("channel") => format!("its user may not subscribe to its channels ({detail})"),
        "NOPERM" => format!("its user lacks a right ({detail})"),
        _ if detail.contains("DB index") => format!("the database in its URL does not exist ({detail})"),
        _ => format!("{code} {detail}"),
    })
}

fn io_failure(error: &RedisError) -> Failure {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_else(|| error.to_string());
    if error.is_timeout() {
        return Failure::Unclear("no answer in time".into());
    }
    if cause.contains("lookup") {
        return Failure::Away(format!("the host name cannot be resolved ({cause})"));
    }
    if let Some(refusal) = handshake::refusal(error) {
        return Failure::Refused(refusal);
    }
    if error.is_connection_refusal() {
        return Failure::Away(format!("nothing listens there ({cause})"));
    }
    Failure::Unclear(cause)
}

/// Returns what is wrong at the address, if it is not what the URL says or does not take this node's certificate.
async fn look(access: &Access, address: &Address) -> Option<String> {
    let Address::Tcp(host, port) = address else { return None };
    let answer = talk(host, *port).await.unwrap_or_default();
    let found = match answer.as_slice() {
        [b'H', b'T', b'T', b'P', ..] => Some("an HTTP server answers there, not Redis"),
        [b'+' | b'-', ..] if access.is_tls() => {
            Some("Redis answers there without TLS: use redis:// instead of rediss://")
        }
        [b'+' | b'-', ..] => None,
        _ => return look_at_tls(access, host, *port).await,
    };
    found.map(str::to_owned)
}

async fn look_at_tls(access: &Access, host: &str, port: u16) -> Option<String> {
    match handshake::find_out(host, port, access.identity()).await? {
        Found::Refusal(why) if access.is_tls() => Some(why),
        Found::Refusal(_) | Found::Tls if !access.is_tls() => {
            Some("the port expects TLS: use rediss:// instead of redis://".to_owned())
        }
        _ => None,
    }
}

async fn talk(host: &str, port: u16) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(LOOK_REQUEST).await?;
    let mut answer = vec![0; 16];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}
