//! Judges which address the node counts a client by, and whether the client can forge it. Pure: no I/O.

use std::net::IpAddr;

use super::advice;
use super::finding::Finding;
use super::http::BufferedResponse;
use super::text::printable;

/// An address reserved for documentation (RFC 5737), sent in a forged `X-Forwarded-For`.
pub(super) const FORGED_ADDRESS: &str = "192.0.2.77";

/// How a node sees the client of a request, as its `/healthz` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObservedClient {
    /// The address that limits are counted by; the /64 network of an IPv6 client.
    address: String,
    /// Whether the request came through a trusted proxy.
    via_trusted_proxy: bool,
    /// Whether the request had an `X-Forwarded-For` header.
    has_forwarded_for: bool,
}

impl ObservedClient {
    /// Reads a response of `/healthz`. Returns `None` if it is not that of a node.
    pub(super) fn from_health(response: &BufferedResponse) -> Option<Self> {
        Some(Self {
            address: printable(response.text("client")?),
            via_trusted_proxy: response.json["proxied"].as_bool()?,
            has_forwarded_for: response.json["forwarded"].as_bool()?,
        })
    }

    fn is_at(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| address.to_string() == self.address)
    }

    /// Returns the value of `TRUSTED_PROXIES` that would make the node trust the address.
    fn trusted_proxies(&self) -> String {
        let prefix = if self.address.contains(':') { "/64" } else { "" };
        format!("TRUSTED_PROXIES={}{prefix}", self.address)
    }
}

/// Checks that limits count the client instead of the proxy, and that a client cannot choose the address it is counted by.
///
/// `honest` is how the node saw an ordinary request, `forged` one with [`FORGED_ADDRESS`]. `proxy` names the proxy, if any
/// is visible, and `local` is the address of this machine.
pub(super) fn clients(
    honest: Option<&ObservedClient>,
    forged: Option<&ObservedClient>,
    proxy: Option<&str>,
    local: Option<IpAddr>,
) -> Finding {
    let Some(honest) = honest else {
        return note("cannot tell: /healthz is not passed on, or its node is older than this doctor");
    };
    if forged.is_some_and(|forged| forged.address == FORGED_ADDRESS) {
        // A proxy that passes on what the client sends has nothing to pass on of an honest one.
        let trusts_this_machine = honest.via_trusted_proxy && honest.is_at(local);
        if trusts_this_machine && (honest.has_forwarded_for || proxy.is_none()) {
            return this_machine_is_trusted(honest);
        }
        return forgery_is_believed();
    }
    match (honest.via_trusted_proxy, honest.has_forwarded_for, proxy) {
        (true, true, _) => good(format!(
            "the proxy forwards the client's address: this machine is {}, and a forged X-Forwarded-For had no effect",
            honest.address
        )),
        (false, true, _) => proxy_is_not_trusted(honest),
        (_, false, Some(proxy)) => address_is_not_forwarded(honest, proxy),
        (true, false, None) => this_machine_is_trusted(honest),
        (false, false, None) => no_visible_proxy(honest, local),
    }
}

fn forgery_is_believed() -> Finding {
    broken("a forged X-Forwarded-For is believed, so any client can evade the limits".to_owned())
        .with_advice(advice::SET_FORWARDED_FOR)
        .with_advice_line("every node  TRUSTED_PROXIES with the addresses of your proxies and no others")
}

fn this_machine_is_trusted(honest: &ObservedClient) -> Finding {
    note(format!(
        "cannot tell from here: the node trusts this machine's own address, {}, as that of a proxy. Run the doctor on \
         another machine",
        honest.address
    ))
}

fn proxy_is_not_trusted(honest: &ObservedClient) -> Finding {
    broken(format!(
        "the proxy forwards the client's address, but the node does not trust it: all of its clients count as {}",
        honest.address
    ))
    .with_advice_line(format!("every node  {}", honest.trusted_proxies()))
}

fn address_is_not_forwarded(honest: &ObservedClient, proxy: &str) -> Finding {
    let finding = broken(format!(
        "the proxy ({proxy}) does not forward the client's address: all of its clients count as {}",
        honest.address
    ))
    .with_advice(advice::SET_FORWARDED_FOR);
    if honest.via_trusted_proxy {
        finding
    } else {
        finding.with_advice_line(format!("every node  {}", honest.trusted_proxies()))
    }
}

fn no_visible_proxy(honest: &ObservedClient, local: Option<IpAddr>) -> Finding {
    if honest.is_at(local) {
        return good(format!("no proxy is visible; the node sees this machine's own address, {}", honest.address));
    }
    note(format!(
        "no proxy is visible; the node counts this machine as {}. If that is not its address, all clients of whatever is \
         in between count as one",
        honest.address
    ))
    .with_advice(advice::SET_FORWARDED_FOR)
}

fn good(text: String) -> Finding {
    Finding::good("clients", text)
}

fn note(text: impl Into<String>) -> Finding {
    Finding::note("clients", text)
}

fn broken(text: String) -> Finding {
    Finding::broken("clients", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict::{self, Broken, Good, Note};

    const NGINX: Option<&str> = Some("nginx");
    const LOCAL: &str = "198.51.100.1";

    fn observed(address: &str, via_trusted_proxy: bool, has_forwarded_for: bool) -> ObservedClient {
        ObservedClient { address: address.into(), via_trusted_proxy, has_forwarded_for }
    }

    /// Asserts the finding for a client that is seen as `honest`, and by the address `forger` if it forges the header.
    #[track_caller]
    fn check(honest: &ObservedClient, forger: &str, proxy: Option<&str>, local: &str, verdict: Verdict, part: &str) {
        let forged = observed(forger, honest.via_trusted_proxy, true);
        let finding = clients(Some(honest), Some(&forged), proxy, local.parse().ok());
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.to_string().contains(part), "{finding}");
    }

    #[test]
    fn a_proxy_must_forward_the_address_and_reject_forged_ones() {
        let behind_proxy = |client: &ObservedClient, forger: &str, verdict: Verdict, part: &str| {
            check(client, forger, NGINX, LOCAL, verdict, part);
        };
        behind_proxy(&observed(LOCAL, true, true), LOCAL, Good, "this machine is 198.51.100.1");
        behind_proxy(&observed(LOCAL, true, false), FORGED_ADDRESS, Broken, "any client can evade the limits");
        behind_proxy(&observed("10.0.0.2", true, false), FORGED_ADDRESS, Broken, "any client can evade the limits");
        behind_proxy(&observed("10.0.0.2", false, true), "10.0.0.2", Broken, "TRUSTED_PROXIES=10.0.0.2");
        behind_proxy(&observed("fd00::", false, true), "fd00::", Broken, "TRUSTED_PROXIES=fd00::/64");
        behind_proxy(&observed("10.0.0.2", false, false), "10.0.0.2", Broken, "TRUSTED_PROXIES=10.0.0.2");
        behind_proxy(&observed("10.0.0.2", true, false), "10.0.0.2", Broken, "does not forward the client's address");
    }

    #[test]
    fn a_machine_that_the_node_trusts_cannot_tell() {
        let direct = observed(LOCAL, true, false);
        check(&direct, FORGED_ADDRESS, None, LOCAL, Note, "trusts this machine's own address, 198.51.100.1");
        let on_the_proxy = observed(LOCAL, true, true);
        check(&on_the_proxy, FORGED_ADDRESS, NGINX, LOCAL, Note, "trusts this machine's own address");
        check(&direct, FORGED_ADDRESS, None, "192.168.0.9", Broken, "any client can evade the limits");
    }

    #[test]
    fn without_a_visible_proxy_only_the_local_address_is_good() {
        let node = observed("10.0.0.9", false, false);
        check(&node, "10.0.0.9", None, "10.0.0.9", Good, "this machine's own address");
        let other = observed("10.0.0.1", false, false);
        check(&other, "10.0.0.1", None, "192.168.0.9", Note, "If that is not its address");
        let trusted = observed("10.0.0.9", true, false);
        check(&trusted, "10.0.0.9", None, "10.0.0.9", Note, "Run the doctor on another machine");
        assert_eq!(clients(None, None, None, None).verdict, Note);
    }
}
