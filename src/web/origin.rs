//! Who may read and write from another site: nobody, except the origins that the operator named.
//!
//! The headers are made here and not by a middleware crate, since a stream's head does not pass
//! through actix: it takes them from the same place.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::client::Client;
use super::error::Problem;

/// The request headers that another site may send.
const ALLOWED_HEADERS: &str = "Content-Type, Idempotency-Key, Last-Event-ID, Authorization";

/// An origin by its scheme, host and port, as browsers write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// The origins that may subscribe and publish.
    pub fn new(allowed: Vec<String>) -> Self {
        Self(allowed)
    }

    /// The request's origin, if it is an allowed one.
    fn allowed<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.0.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)).then_some(origin)
    }

    /// What an answer to this request says about who may read it.
    pub fn cors_headers(&self, headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
        let mut answer = Vec::new();
        if !self.0.is_empty() {
            answer.push((header::VARY, HeaderValue::from_static("Origin")));
        }
        if let Some(origin) = self.allowed(headers) {
            answer.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
            answer.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After")));
        }
        answer
    }

    /// What a preflight is answered; `None` where the origin is not allowed.
    pub fn preflight(&self, headers: &HeaderMap) -> Option<[(HeaderName, HeaderValue); 3]> {
        self.allowed(headers)?;
        headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        Some([
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS)),
            (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
        ])
    }

    /// Refuses a publish from another site. `Sec-Fetch-Site` tells; where a browser does not send
    /// it, `Origin` has to name the host that was asked.
    pub fn refuse_cross_site(&self, req: &HttpRequest, client: Client) -> Result<(), Problem> {
        let headers = req.headers();
        let same = match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
            (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
            (None, Some(origin)) => origin.to_str().is_ok_and(|origin| is_at(origin, &asked_host(req, client))),
            (None, None) => true,
        };
        if same || self.allowed(headers).is_some() {
            Ok(())
        } else {
            Err(Problem::cross_site())
        }
    }
}

/// The host that the client asked for; a trusted proxy may have asked us for another.
fn asked_host(req: &HttpRequest, client: Client) -> String {
    let header = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let forwarded = header("x-forwarded-host").filter(|_| client.proxied).and_then(|hosts| hosts.rsplit(',').next());
    forwarded.or_else(|| header("host")).unwrap_or_default().trim().to_owned()
}

/// Whether an origin has this host and port; a missing port is the default of the origin's scheme.
fn is_at(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let bare = |host: &str| host.strip_suffix(default).unwrap_or(host).to_ascii_lowercase();
    !authority.is_empty() && bare(authority) == bare(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_at_a_host_when_host_and_port_are_the_same() {
        assert!(is_at("http://chat.example", "chat.example"));
        assert!(is_at("https://chat.example", "Chat.Example:443"));
        assert!(is_at("http://localhost:8080", "localhost:8080"));
        for (origin, host) in [
            ("null", "chat.example"),
            ("http://chat.example:8080", "chat.example"),
            ("http://evil.example", "chat.example"),
            ("http://chat.example.evil.example", "chat.example"),
            ("http://", ""),
        ] {
            assert!(!is_at(origin, host), "{origin} {host}");
        }
    }
}
