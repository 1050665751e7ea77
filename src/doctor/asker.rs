//! For whom the node takes its clients.

use std::net::IpAddr;

use super::advice;
use super::door::{Answer, FORGED, plain};
use super::finding::Finding;

/// What `/healthz` says about who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The address that limits count.
    pub client: String,
    /// Whether the request came through a trusted proxy.
    pub proxied: bool,
    /// Whether it had an `X-Forwarded-For`.
    pub forwarded: bool,
}

/// What is known about the way of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What a proxy calls itself, or the sign that there is one.
    pub proxy: Option<String>,
    /// Our own address.
    pub own: Option<IpAddr>,
}

impl Seen {
    /// What the answer says, if it is a node's.
    pub fn of(answer: &Answer) -> Option<Self> {
        Some(Self {
            client: plain(answer.text("client")?),
            proxied: answer.json["proxied"].as_bool()?,
            forwarded: answer.json["forwarded"].as_bool()?,
        })
    }

    /// The network that `TRUSTED_PROXIES` would have to hold; an IPv6 client is told by its /64.
    fn network(&self) -> String {
        let wide = self.client.contains(':');
        format!("{}{}", self.client, if wide { "/64" } else { "" })
    }
}

/// Whether limits count the client and not the proxy, and nobody can choose whom they count.
pub fn clients(plain: Option<&Seen>, forged: Option<&Seen>, way: &Way) -> Finding {
    let Some(plain) = plain else {
        let seen = "cannot be told: /healthz does not come through, or its node is older than the doctor";
        return Finding::note("clients", seen);
    };
    if forged.is_some_and(|forged| forged.client == FORGED) {
        return believed(plain, way);
    }
    match (plain.proxied, plain.forwarded, &way.proxy) {
        (true, true, _) => told(plain),
        (false, true, _) => ignored(plain),
        (true, false, Some(proxy)) | (false, false, Some(proxy)) => unsaid(plain, proxy),
        (true, false, None) => Finding::note(
            "clients",
            format!(
                "no proxy shows itself, and the node trusts our own address, {}: ask from another machine",
                plain.client
            ),
        ),
        (false, false, None) => direct(plain, way),
    }
}

fn told(plain: &Seen) -> Finding {
    let seen =
        format!("the proxy tells who asks: we are {}, and a forged X-Forwarded-For changed nothing", plain.client);
    Finding::good("clients", seen)
}

fn believed(plain: &Seen, way: &Way) -> Finding {
    let ours = way.own.is_some_and(|own| own.to_string() == plain.client);
    let inside = if ours {
        "; unless only our own network is trusted: then ask from outside"
    } else {
        ""
    };
    let seen = format!("a forged X-Forwarded-For is believed, so that anybody can dodge the limits{inside}");
    Finding::broken("clients", seen)
        .advise(advice::FORWARDED_FOR)
        .say("every node  TRUSTED_PROXIES with the addresses of your proxies and no others")
}

fn ignored(plain: &Seen) -> Finding {
    let seen = format!("the proxy says who asks, but is not believed: all of its clients count as {}", plain.client);
    Finding::broken("clients", seen).say(format!("every node  TRUSTED_PROXIES={}", plain.network()))
}

fn unsaid(plain: &Seen, proxy: &str) -> Finding {
    let seen = format!("the proxy ({proxy}) does not say who asks: all of its clients count as {}", plain.client);
    let finding = Finding::broken("clients", seen).advise(advice::FORWARDED_FOR);
    if plain.proxied {
        finding
    } else {
        finding.say(format!("every node  TRUSTED_PROXIES={}", plain.network()))
    }
}

fn direct(plain: &Seen, way: &Way) -> Finding {
    if way.own.is_some_and(|own| own.to_string() == plain.client) {
        return Finding::good(
            "clients",
            format!("no proxy shows itself; the node sees our own address, {}", plain.client),
        );
    }
    let seen = format!(
        "no proxy shows itself; the node counts us as {}. If that is not your address, all clients of what stands between count as one",
        plain.client
    );
    Finding::note("clients", seen).advise(advice::FORWARDED_FOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Verdict::{self, Broken, Good, Note};

    fn seen(client: &str, proxied: bool, forwarded: bool) -> Seen {
        Seen { client: client.into(), proxied, forwarded }
    }

    fn way(proxy: Option<&str>, own: &str) -> Way {
        Way { proxy: proxy.map(Into::into), own: own.parse().ok() }
    }

    #[track_caller]
    fn is(plain: &Seen, forged: &str, way: &Way, verdict: Verdict, part: &str) {
        let finding = clients(Some(plain), Some(&seen(forged, plain.proxied, true)), way);
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.to_string().contains(part), "{finding}");
    }

    #[test]
    fn who_is_counted_and_whether_that_can_be_forged() {
        let nginx = way(Some("nginx"), "198.51.100.1");
        is(&seen("198.51.100.1", true, true), "198.51.100.1", &nginx, Good, "we are 198.51.100.1");
        is(&seen("198.51.100.1", true, true), FORGED, &nginx, Broken, "anybody can dodge the limits; unless");
        is(&seen("10.0.0.2", false, true), "10.0.0.2", &nginx, Broken, "TRUSTED_PROXIES=10.0.0.2");
        is(&seen("fd00::", false, true), "fd00::", &nginx, Broken, "TRUSTED_PROXIES=fd00::/64");
        is(&seen("10.0.0.2", false, false), "10.0.0.2", &nginx, Broken, "TRUSTED_PROXIES=10.0.0.2");
        is(&seen("10.0.0.2", true, false), "10.0.0.2", &nginx, Broken, "does not say who asks");
    }

    #[test]
    fn a_direct_way_is_fine_as_far_as_it_can_be_seen() {
        is(&seen("10.0.0.9", false, false), "10.0.0.9", &way(None, "10.0.0.9"), Good, "our own address");
        is(
            &seen("10.0.0.1", false, false),
            "10.0.0.1",
            &way(None, "192.168.0.9"),
            Note,
            "If that is not your address",
        );
        is(&seen("10.0.0.9", true, false), "10.0.0.9", &way(None, "10.0.0.9"), Note, "ask from another machine");
        assert_eq!(clients(None, None, &Way::default()).verdict, Note);
    }
}
