//! The request for a stream: it follows redirects by itself and judges the answer.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, LOCATION,
    PROXY_AUTHORIZATION,
};
use reqwest::{Client, Response, Url};

use super::delay::retry_after;
use crate::http_client::{self, describe_error};

/// Limit on connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client of all sources of this process, which loads the certificates once.
static CLIENT: LazyLock<Result<Client, String>> = LazyLock::new(|| {
    let user_agent = concat!("tiny-chat/", env!("CARGO_PKG_VERSION"));
    http_client::builder(user_agent, CONNECT_TIMEOUT).build().map_err(|error| describe_error(&error))
});

const MAX_REDIRECTS: usize = 10;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Headers that only the origin gets for which they were meant.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION];

/// Where a stream is requested, and with which headers.
#[derive(Clone, Debug)]
pub(super) struct Request {
    client: Client,
    url: Url,
    headers: HeaderMap,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The stream is open.
    Stream(Response),
    /// The server says that there is nothing to listen to (204).
    NoContent,
    /// The answer would be the same next time.
    Refused(String),
    /// There may be a stream next time.
    Lost { why: String, retry_after: Option<Duration> },
}

impl Request {
    /// Returns a request with these pairs added to the query, and with these headers in place of its own.
    ///
    /// # Errors
    /// If the address is not a URL of HTTP, or a header is none.
    pub(super) fn new(url: &str, query: &[(String, String)], own: &[(String, String)]) -> Result<Self, String> {
        let mut url = Url::parse(url).map_err(|error| format!("'{url}' is not a URL: {error}"))?;
        if !is_http(&url) {
            return Err(format!("'{url}' is not a URL of HTTP"));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut headers = parse_headers(own)?;
        for (name, value) in [(ACCEPT, "text/event-stream"), (CACHE_CONTROL, "no-cache")] {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        Ok(Self { client: CLIENT.clone()?, url, headers })
    }

    /// Returns the address of the next request.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Requests the stream after an id. Returns the answer and the request to send next time, which leads to another
    /// address after a permanent redirect.
    pub(super) async fn send(self, last_event_id: Option<String>) -> (Self, Answer) {
        let (mut next_time, mut current, mut is_permanent) = (self.clone(), self, true);
        for _ in 0..=MAX_REDIRECTS {
            let response = match current.get(last_event_id.as_deref()).await {
                Ok(response) => response,
                Err(error) => return (next_time, Answer::Lost { why: describe_error(&error), retry_after: None }),
            };
            let status = response.status().as_u16();
            let Some(location) = location_of(&response) else {
                return (next_time, judge(response));
            };
            match current.url.join(location).ok().filter(is_http) {
                Some(url) => current.move_to(url),
                None => return (next_time, Answer::Refused(format!("The redirect to '{location}' leads nowhere"))),
            }
            is_permanent &= matches!(status, 301 | 308);
            if is_permanent {
                next_time = current.clone();
            }
        }
        (next_time, Answer::Refused(format!("More than {MAX_REDIRECTS} redirects")))
    }

    async fn get(&self, last_event_id: Option<&str>) -> reqwest::Result<Response> {
        let mut headers = self.headers.clone();
        // An id that cannot stand in a header cannot be resumed from.
        if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_bytes(id.as_bytes()).ok()) {
            headers.insert(LAST_EVENT_ID, id);
        }
        self.client.get(self.url.clone()).headers(headers).send().await
    }

    /// Goes to another address, without credentials if it is of another origin.
    fn move_to(&mut self, url: Url) {
        if url.origin() != self.url.origin() {
            for name in CREDENTIALS {
                self.headers.remove(name);
            }
        }
        self.url = url;
    }
}

/// Parses headers, of which the same may stand several times.
pub(super) fn parse_headers(headers: &[(String, String)]) -> Result<HeaderMap, String> {
    let mut parsed = HeaderMap::new();
    for (name, value) in headers {
        let is_invalid = || format!("'{name}: {value}' is not a header");
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| is_invalid())?;
        parsed.append(name, HeaderValue::from_str(value).map_err(|_| is_invalid())?);
    }
    Ok(parsed)
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Returns where an answer redirects to.
fn location_of(response: &Response) -> Option<&str> {
    let location = response.headers().get(LOCATION)?;
    let location = std::str::from_utf8(location.as_bytes()).ok()?;
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308).then_some(location)
}

fn judge(response: Response) -> Answer {
    match response.status().as_u16() {
        200 => {}
        204 => return Answer::NoContent,
        // What proxies answer while a server is started anew.
        status @ (408 | 425 | 429 | 500 | 502 | 503 | 504) => {
            return Answer::Lost { why: format!("status {status}"), retry_after: retry_after(response.headers()) };
        }
        status => return Answer::Refused(format!("Unexpected response status {status}")),
    }
    let content_type = response.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let content_type = String::from_utf8_lossy(content_type);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("text/event-stream") {
        Answer::Stream(response)
    } else {
        Answer::Refused(format!("The content-type '{content_type}' is not text/event-stream"))
    }
}
