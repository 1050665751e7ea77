use std::net::{IpAddr, Ipv6Addr};
use std::sync::Once;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

/// Where proxies write for whom they ask.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who sent a request, as far as the proxies in between can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The address that limits count: an IPv6 address stands for its /64.
    pub address: IpAddr,
    /// Whether the request came through a trusted proxy.
    pub proxied: bool,
    /// Whether the request came with an `X-Forwarded-For`, believed or not.
    pub forwarded: bool,
}

impl Client {
    /// The peer, unless it is a trusted proxy: then the right-most hop of `X-Forwarded-For` that is
    /// none. A forged header so gains nothing: what the client wrote stands to the left of what
    /// the proxy added.
    pub fn of(req: &HttpRequest, trusted: &[IpNet]) -> Self {
        let peer = req.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let forwarded = req.headers().contains_key(FORWARDED_FOR);
        let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
        if !is_trusted(&peer) {
            warn_of_a_proxy(req.headers(), peer);
            return Self { address: counted(peer), proxied: false, forwarded };
        }
        let mut address = peer;
        for hop in forwarded_for(req.headers()) {
            let Some(hop) = hop else { break };
            address = hop;
            if !is_trusted(&hop) {
                break;
            }
        }
        Self { address: counted(address), proxied: true, forwarded }
    }
}

/// The hops of all `X-Forwarded-For` headers from right to left; `None` for what is no address.
fn forwarded_for(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).map(|value| value.to_str().unwrap_or("?")).collect();
    lines
        .join(",")
        .rsplit(',')
        .filter(|hop| !hop.trim().is_empty())
        .map(|hop| address(hop.trim()))
        .collect()
}

/// An address as proxies write it: bare, in brackets, with or without a port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(bare, _)| bare);
    let parsed = bare.unwrap_or(hop).parse().ok();
    parsed
        .or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|with_port| with_port.ip()))
        .map(|ip| ip.to_canonical())
}

fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u64::MAX as u128))),
        v4 => v4,
    }
}

/// Behind a proxy that is not named, all its clients share one limit: said once.
fn warn_of_a_proxy(headers: &HeaderMap, peer: IpAddr) {
    static WARNED: Once = Once::new();
    let private = match peer {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    };
    if private && headers.contains_key(FORWARDED_FOR) {
        WARNED.call_once(|| tracing::warn!(%peer, "X-Forwarded-For comes from an untrusted private address; if this is your proxy, name it in TRUSTED_PROXIES"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let mut req = TestRequest::get().peer_addr(format!("{peer}:1").parse().unwrap());
        for line in forwarded {
            req = req.append_header(("X-Forwarded-For", *line));
        }
        Client::of(&req.to_http_request(), &["10.0.0.0/8".parse().unwrap()]).address.to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_about_the_hop_it_saw() {
        assert_eq!(client("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.7"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(client("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_64() {
        assert_eq!(client("10.0.0.1", &["[2001:db8:1:2:3:4:5:6]:80"]), "2001:db8:1:2::");
        assert_eq!(client("10.0.0.1", &["2001:db8:1:2::ffff"]), "2001:db8:1:2::");
    }
}
