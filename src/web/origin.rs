//! Requests from other sites: CORS headers for the origins that the operator allows, and the refusal
//! of messages from all others, which the log mentions.
//!
//! The headers are made here and not by a middleware crate, since middleware never sees the head of
//! a stream.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpMessage, HttpRequest};
use ipnet::IpNet;

use super::client::Client;
use super::error::Problem;
use super::refused_origins::RefusedOrigins;

/// Marks a request whose answer pages of every origin may read, without credentials.
struct ForAllOrigins;

/// The request headers that pages of other sites may set.
const CORS_REQUEST_HEADERS: &str = "Content-Type, Idempotency-Key, Last-Event-ID, Authorization";

/// How long a browser may cache the answer to a preflight, in seconds.
const PREFLIGHT_MAX_AGE_SECONDS: &str = "600";

/// The origins of other sites whose pages may subscribe and publish.
#[derive(Debug)]
pub(crate) struct AllowedOrigins {
    allowed: Vec<String>,
    refused: RefusedOrigins,
}

impl AllowedOrigins {
    /// Allows `origins`, each with scheme, host and any port, as browsers serialize them.
    pub(crate) fn new(allowed: Vec<String>) -> Self {
        Self { allowed, refused: RefusedOrigins::default() }
    }

    /// Returns the value of a request's `Origin` header if it is an allowed origin.
    fn matching<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(text)).then_some(origin)
    }

    /// Returns the CORS headers of the response to a request, and logs the first request of each origin that is not
    /// allowed.
    pub(super) fn answer_headers(
        &self,
        req: &HttpRequest,
        trusted_proxies: &[IpNet],
    ) -> Vec<(HeaderName, HeaderValue)> {
        if !is_for_all_origins(req) {
            self.log_refused(req, trusted_proxies);
        }
        self.cors_headers(req)
    }

    /// Returns the CORS headers of the response to a request.
    pub(super) fn cors_headers(&self, req: &HttpRequest) -> Vec<(HeaderName, HeaderValue)> {
        if is_for_all_origins(req) {
            return vec![(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))];
        }
        let mut cors = Vec::new();
        if !self.allowed.is_empty() {
            cors.push((header::VARY, HeaderValue::from_static("Origin")));
        }
        if let Some(origin) = self.matching(req.headers()) {
            cors.push((header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
            cors.push((header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After")));
        }
        cors
    }

    /// Returns the headers of the response to a preflight, or `None` if it is not one or its origin
    /// is not allowed.
    pub(super) fn preflight_headers(&self, headers: &HeaderMap) -> Option<[(HeaderName, HeaderValue); 3]> {
        self.matching(headers)?;
        headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
        Some([
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE")),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(CORS_REQUEST_HEADERS)),
            (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_MAX_AGE_SECONDS)),
        ])
    }

    /// Checks that a message comes from this site, from an allowed origin, or from no page at all.
    ///
    /// # Errors
    /// 403 if it comes from any other site.
    pub(super) fn refuse_cross_site(&self, req: &HttpRequest, client: Client) -> Result<(), Problem> {
        if is_same_site(req, client) || self.matching(req.headers()).is_some() {
            Ok(())
        } else {
            Err(Problem::cross_site())
        }
    }

    /// Logs the first request of each origin that is not allowed: its page cannot read the answer.
    fn log_refused(&self, req: &HttpRequest, trusted_proxies: &[IpNet]) {
        let headers = req.headers();
        let Some(origin) = headers.get(header::ORIGIN).filter(|_| self.matching(headers).is_none()) else {
            return;
        };
        if !is_same_site(req, Client::from_request(req, trusted_proxies)) {
            self.refused.log(origin.as_bytes());
        }
    }
}

/// Lets pages of every origin read the answer to a request, whatever it is.
pub(super) fn allow_all(req: &HttpRequest) {
    req.extensions_mut().insert(ForAllOrigins);
}

fn is_for_all_origins(req: &HttpRequest) -> bool {
    req.extensions().contains::<ForAllOrigins>()
}

/// Returns true if a request comes from a page of this server, or from no page at all.
fn is_same_site(req: &HttpRequest, client: Client) -> bool {
    let headers = req.headers();
    match (headers.get("sec-fetch-site"), headers.get(header::ORIGIN)) {
        (Some(site), _) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        // A browser too old for `Sec-Fetch-Site`.
        (None, Some(origin)) => origin.to_str().is_ok_and(|origin| has_host(origin, &requested_host(req, client))),
        // Not a browser: browsers send one of the two with every POST.
        (None, None) => true,
    }
}

/// Returns the host that the client asked for, which a trusted proxy passes on in `X-Forwarded-Host`.
fn requested_host(req: &HttpRequest, client: Client) -> String {
    let header = |name: &str| req.headers().get(name).and_then(|value| value.to_str().ok());
    let forwarded = header("x-forwarded-host").filter(|_| client.proxied).and_then(|hosts| hosts.rsplit(',').next());
    forwarded.or_else(|| header("host")).unwrap_or_default().trim().to_owned()
}

/// Returns true if an origin has this host and port. A missing port is the default of the origin's
/// scheme.
fn has_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let default_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let normalize = |host: &str| host.strip_suffix(default_port).unwrap_or(host).to_ascii_lowercase();
    !authority.is_empty() && normalize(authority) == normalize(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_host_if_host_and_port_are_equal() {
        assert!(has_host("http://chat.example", "chat.example"));
        assert!(has_host("https://chat.example", "Chat.Example:443"));
        assert!(has_host("http://localhost:8080", "localhost:8080"));
        for (origin, host) in [
            ("null", "chat.example"),
            ("http://chat.example:8080", "chat.example"),
            ("http://evil.example", "chat.example"),
            ("http://chat.example.evil.example", "chat.example"),
            ("http://", ""),
        ] {
            assert!(!has_host(origin, host), "{origin} {host}");
        }
    }
}
