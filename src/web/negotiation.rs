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

/// A media type in which a stream is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamType {
    /// `text/event-stream`.
    EventStream,
    /// `text/plain`, for people.
    Lines,
    /// `application/x-ndjson`, one object a line.
    JsonLines,
}

/// Returns the type of stream that a client prefers: an event stream if it has no preference.
pub(super) fn stream_type(headers: &HeaderMap) -> StreamType {
    let accept = accept(headers);
    let offers = [
        (StreamType::EventStream, quality(accept, "text", "event-stream")),
        (StreamType::Lines, quality(accept, "text", "plain")),
        (StreamType::JsonLines, quality(accept, "application", "x-ndjson")),
    ];
    let best = offers.into_iter().reduce(|best, offer| if offer.1 > best.1 { offer } else { best });
    best.map_or(StreamType::EventStream, |(best, _)| best)
}

/// Returns true if a client prefers an event stream over a page, as `EventSource` does. `*/*` is no preference.
pub(super) fn prefers_event_stream(headers: &HeaderMap) -> bool {
    let accept = accept(headers);
    quality(accept, "text", "event-stream") > quality(accept, "text", "html")
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

    /// What a browser accepts when it opens a page.
    const NAVIGATION: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn headers(accept: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static(accept));
        headers
    }

    #[test]
    fn only_a_navigating_browser_prefers_html() {
        let prefers = |accept: &'static str| prefers_html(&headers(accept));
        assert!(prefers(NAVIGATION));
        assert!(prefers("text/html"));
        for accept in
            ["*/*", "application/json", "text/event-stream", "application/json, text/html;q=0.5", "text/html;q=0"]
        {
            assert!(!prefers(accept), "{accept}");
        }
        assert!(!prefers_html(&HeaderMap::new()));
    }

    #[test]
    fn a_stream_is_an_event_stream_unless_another_type_is_preferred() {
        let preferred = |accept: &'static str| stream_type(&headers(accept));
        for accept in [
            "text/event-stream",
            "text/event-stream, text/plain, application/x-ndjson",
            "*/*",
            "text/*",
            "application/json, text/plain, */*",
            NAVIGATION,
            "application/json",
            "text/plain;q=0",
            "",
            "nonsense",
        ] {
            assert_eq!(preferred(accept), StreamType::EventStream, "{accept}");
        }
        assert_eq!(stream_type(&HeaderMap::new()), StreamType::EventStream);
        for accept in [
            "text/plain",
            "TEXT/PLAIN; charset=utf-8",
            "text/plain, */*;q=0.9",
            "text/event-stream;q=0.5, text/plain",
            "text/plain, application/x-ndjson;q=0.9",
            "*/*;q=0.1, text/plain;q=0.2",
        ] {
            assert_eq!(preferred(accept), StreamType::Lines, "{accept}");
        }
        for accept in ["application/x-ndjson", "application/x-ndjson, text/plain;q=0.9", "application/*"] {
            assert_eq!(preferred(accept), StreamType::JsonLines, "{accept}");
        }
    }

    #[test]
    fn only_an_event_source_prefers_a_stream_over_a_page() {
        for accept in ["text/event-stream", "text/event-stream, */*;q=0.5", "text/event-stream, text/html;q=0.9"] {
            assert!(prefers_event_stream(&headers(accept)), "{accept}");
        }
        for accept in
            ["*/*", "text/*", NAVIGATION, "text/html, text/event-stream", "text/plain", "application/x-ndjson"]
        {
            assert!(!prefers_event_stream(&headers(accept)), "{accept}");
        }
        assert!(!prefers_event_stream(&HeaderMap::new()));
    }
}
