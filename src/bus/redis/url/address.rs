//! The address of a server.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use redis::ConnectionAddr;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns the address of a host, however that is spelled.
    pub fn tcp(host: &str, port: u16) -> Self {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let spelled = host.parse().map_or_else(|_| host.to_ascii_lowercase(), |ip: IpAddr| ip.to_string());
        Self::Tcp(spelled, port)
    }

    /// Returns the address in settings of the library, unless it is of a kind that is not known here.
    pub fn of(address: &ConnectionAddr) -> Option<Self> {
        match address {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some(Self::tcp(host, *port)),
            ConnectionAddr::Unix(path) => Some(Self::Unix(path.clone())),
            _ => None,
        }
    }

    /// Parses `host:port`; the host may be an IPv6 address, in brackets or not.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Some(Self::tcp(host, port.parse().ok()?))
    }

    /// Returns the address of another port of the same host, as a server that does not know its own name gives it.
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Tcp(host, _) => Self::Tcp(host.clone(), port),
            Self::Unix(_) => self.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}
