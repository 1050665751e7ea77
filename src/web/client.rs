//! The client of a request, and the address its limits are counted under.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Once;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use ipnet::IpNet;

const X_FORWARDED_FOR: &str = "x-forwarded-for";

/// The client of a request, as far as the proxies in between can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The address that limits count; an IPv6 address is reduced to its /64.
    pub address: IpAddr,
    /// Whether the request came through a trusted proxy.
    pub proxied: bool,
    /// Whether the request has an `X-Forwarded-For` header, trusted or not.
    pub forwarded: bool,
}

impl Client {
    /// Returns the client of a request: the peer or, if that is a trusted proxy, the right-most
    /// address in `X-Forwarded-For` that is not one.
    pub(super) fn from_request(req: &HttpRequest, trusted_proxies: &[IpNet]) -> Self {
        let peer = req.peer_addr().map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let forwarded = req.headers().contains_key(X_FORWARDED_FOR);
        if !is_trusted(&peer, trusted_proxies) {
            warn_about_untrusted_proxy(req.headers(), peer);
            return Self { address: limit_address(peer), proxied: false, forwarded };
        }
        let mut address = peer;
        // From right to left: a client can forge only what stands to the left of the trusted proxies' own entries.
        for hop in forwarded_for(req.headers()) {
            let Some(hop) = hop else { break };
            address = hop;
            if !is_trusted(&hop, trusted_proxies) {
                break;
            }
        }
        Self { address: limit_address(address), proxied: true, forwarded }
    }
}

/// Returns the entries of all `X-Forwarded-For` headers from right to left, `None` for one that is
/// not an address. Each is parsed when it is asked for: a client can forge thousands.
fn forwarded_for(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let values: Vec<&str> = headers.get_all(X_FORWARDED_FOR).map(|value| value.to_str().unwrap_or("?")).collect();
    let hops = values.into_iter().rev().flat_map(|value| value.rsplit(',')).map(str::trim);
    hops.filter(|hop| !hop.is_empty()).map(parse_address)
}

/// Parses an address as proxies write it: bare or in brackets, with or without a port.
fn parse_address(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let address = bracketed.unwrap_or(hop).parse().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address| address.to_canonical())
}

/// Returns true if an address is that of a trusted proxy.
pub(super) fn is_trusted(address: &IpAddr, trusted_proxies: &[IpNet]) -> bool {
    trusted_proxies.iter().any(|net| net.contains(address))
}

/// Returns the address under which limits count: an IPv6 client usually has a whole /64 to itself.
pub(super) fn limit_address(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !(u64::MAX as u128))),
        v4 => v4,
    }
}

/// Warns, once per process, that the clients of a proxy seem to share one address and so one limit.
fn warn_about_untrusted_proxy(headers: &HeaderMap, peer: IpAddr) {
    static WARNED: Once = Once::new();
    let private = match peer {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
    };
    if private && headers.contains_key(X_FORWARDED_FOR) {
        WARNED.call_once(|| {
            tracing::warn!(
                %peer,
                "ignoring X-Forwarded-For from an untrusted private address; if it is your proxy, add it to TRUSTED_PROXIES"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn address_of(peer: &str, forwarded_for: &[&str]) -> String {
        let mut req = TestRequest::get().peer_addr(format!("{peer}:1").parse().unwrap());
        for value in forwarded_for {
            req = req.append_header(("X-Forwarded-For", *value));
        }
        Client::from_request(&req.to_http_request(), &["10.0.0.0/8".parse().unwrap()]).address.to_string()
    }

    #[test]
    fn only_the_hops_that_trusted_proxies_added_count() {
        assert_eq!(address_of("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(address_of("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(address_of("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.7"]), "203.0.113.9");
        assert_eq!(address_of("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address_of("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.7"]), "10.0.0.7");
        assert_eq!(address_of("10.0.0.1", &["203.0.113.9:4711"]), "203.0.113.9");
    }

    #[test]
    fn an_ipv6_client_is_counted_by_its_64_bit_prefix() {
        assert_eq!(address_of("10.0.0.1", &["[2001:db8:1:2:3:4:5:6]:80"]), "2001:db8:1:2::");
        assert_eq!(address_of("10.0.0.1", &["2001:db8:1:2::ffff"]), "2001:db8:1:2::");
    }
}
