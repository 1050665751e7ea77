//! A name server that has the same addresses for every name.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

/// A name server that runs until its test ends.
pub struct DnsServer {
    address: SocketAddr,
}

impl DnsServer {
    /// Starts a server that answers with these IPv4 addresses.
    pub async fn start(hosts: &[&str]) -> DnsServer {
        let hosts: Vec<Ipv4Addr> = hosts.iter().map(|host| host.parse().expect("an address")).collect();
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut query).await {
                let _ = socket.send_to(&answer(&query[..length], &hosts), client).await;
            }
        });
        DnsServer { address }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Answers a query with one question (RFC 1035 § 4.1): with all hosts if it asks for IPv4 addresses, else with none.
fn answer(query: &[u8], hosts: &[Ipv4Addr]) -> Vec<u8> {
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    let question = &query[12..name_end + 4];
    let asks_for_ipv4 = question[question.len() - 4..] == [0, 1, 0, 1];
    let hosts = if asks_for_ipv4 { hosts } else { &[] };
    let counts = [0, 1, 0, u8::try_from(hosts.len()).expect("few hosts"), 0, 0, 0, 0];
    let mut response = [&query[..2], &[0x81, 0x80], &counts[..], question].concat();
    for host in hosts {
        response.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]); // the name of the question; A, IN, 1 s, 4 bytes
        response.extend_from_slice(&host.octets());
    }
    response
}
