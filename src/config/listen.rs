//! Where a node listens, which the command `health` needs to know as well.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};

use clap::Args;

/// The address of a node.
#[derive(Clone, Debug, Args)]
pub struct ListenOptions {
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8080, or 0.0.0.0:PORT if only PORT is set]
    #[arg(long, env = "BIND", value_name = "BIND", value_parser = parse_address)]
    pub bind: Option<SocketAddr>,

    /// Port to listen on, at all addresses of the host, if BIND is not set
    #[arg(long, env = "PORT", value_name = "PORT", value_parser = parse_port)]
    pub port: Option<u16>,
}

impl ListenOptions {
    /// Returns the address to listen on.
    pub fn address(&self) -> SocketAddr {
        match (self.bind, self.port) {
            (Some(bind), _) => bind,
            (None, Some(port)) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            (None, None) => SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        }
    }
}

/// Parses an address, or resolves a name to its first address.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses =
        text.trim().to_socket_addrs().map_err(|error| format!("{error}; write it as 127.0.0.1:8080"))?;
    addresses.next().ok_or_else(|| "this name has no address".to_owned())
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.trim().parse().map_err(|_| "a port is a number from 0 to 65535".to_owned())
}
