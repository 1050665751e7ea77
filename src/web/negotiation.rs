//! Content negotiation: what a client accepts, from its `Accept` and `Accept-Encoding` headers (RFC 9110 § 12.5).

use actix_web::HttpRequest;
use actix_web::http::header::{self, AcceptEncoding, ContentEncoding, Encoding, Header, HeaderMap};

/// The content codings a response can have, in order of preference.
const CODINGS: [ContentEncoding; 2] = [ContentEncoding::Brotli, ContentEncoding::Gzip];

/// The longest `Accept` or `Accept-Encoding` that is looked at, in bytes. A longer one counts as none.
const MAX_HEADER_BYTES: usize = 1024;

/// Returns true if a client prefers a page over JSON: a browser that navigates does, `fetch`,
/// `EventSource` and `curl` do not.
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = accept(headers);
    let html = quality(accept, "text", "html");
    html > quality(accept, "application", "json").max(quality(accept, "application", "problem+json"))
}

/// Returns true if a client prefers JSON over plain text. `*/*` is no preference.
pub(super) fn prefers_json(headers: &HeaderMap) -> bool {
    let accept = accept(headers);
    quality(accept, "application", "json") > quality(accept, "text", "plain")
}

/// Returns the content coding for a response, or `None` if it is sent uncompressed.
pub(super) fn content_coding(req: &HttpRequest) -> Option<ContentEncoding> {
    req.headers().get(header::ACCEPT_ENCODING).filter(|value| value.len() <= MAX_HEADER_BYTES)?;
    let accepted = AcceptEncoding::parse(req).ok()?;
    let mut supported: Vec<Encoding> = CODINGS.iter().map(|coding| Encoding::Known(*coding)).collect();
    supported.push(Encoding::identity());
    match accepted.negotiate(supported.iter())? {
        Encoding::Known(coding) => CODINGS.contains(&coding).then_some(coding),
        Encoding::Unknown(_) => None,
    }
}

fn accept(headers: &HeaderMap) -> &str {
    let accept = headers.get(header::ACCEPT).filter(|accept| accept.len() <= MAX_HEADER_BYTES);
    accept.and_then(|accept| accept.to_str().ok()).unwrap_or("*/*")
}

/// Returns the weight of a media type, from 0 to 1: that of the most specific range that matches it.
fn quality(accept: &str, kind: &str, subtype: &str) -> f32 {
    let ranges = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let (range_kind, range_subtype) = parts.next()?.split_once('/')?;
        let matches = |range: &str, wanted: &str| range == "*" || range.eq_ignore_ascii_case(wanted);
        let specificity = usize::from(range_kind != "*") + usize::from(range_subtype != "*");
        let weight = parts.find_map(|parameter| parameter.strip_prefix("q=")).map_or(1.0, |q| q.parse().unwrap_or(0.0));
        (matches(range_kind, kind) && matches(range_subtype, subtype)).then_some((specificity, weight))
    });
    ranges.max_by_key(|(specificity, _)| *specificity).map_or(0.0, |(_, weight)| weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_navigating_browser_prefers_html() {
        let prefers = |accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, header::HeaderValue::from_static(accept));
            prefers_html(&headers)
        };
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers("text/html"));
        for accept in
            ["*/*", "application/json", "text/event-stream", "application/json, text/html;q=0.5", "text/html;q=0"]
        {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }
}
