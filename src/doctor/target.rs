//! The public address under examination, and the requests that are sent to it.

use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::json;
use tokio::time::{Instant, timeout};

use super::app_key::AppKey;
use super::http::{BufferedResponse, describe_error, new_client, send};
use super::stream_recorder::StreamRecorder;

/// Limit on the wait for the head of a stream's response.
const STREAM_HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Times that a post is repeated after a 429 response.
const MAX_POST_RETRIES: usize = 2;

/// The longest `Retry-After`, in seconds, that is waited for in full.
const MAX_RETRY_AFTER_SECS: u64 = 5;

/// A public address, and the room that is used there.
#[derive(Clone, Debug)]
pub(super) struct Target {
    url: Url,
    room: String,
    client: Client,
}

/// How a stream request names its cursor.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamCursor<'a> {
    /// Not at all, like the first request of a browser.
    Absent,
    /// In the `Last-Event-ID` header.
    Header(&'a str),
    /// In the `lastEventId` query parameter.
    Query(&'a str),
}

impl Target {
    /// Parses the address. Its path is ignored: tiny-chat is served at the root of its host.
    ///
    /// # Errors
    /// If it is not an `http` or `https` URL, or there can be no HTTP client.
    pub(super) fn new(address: &str, room: String) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|error| format!("{address:?} is not a URL: {error}"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(format!("{address:?} is not an http or https URL; write it as https://chat.example.org"));
        }
        Ok(Self { url, room, client: new_client()? })
    }

    /// Returns the scheme, host and port.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    pub(super) fn room(&self) -> &str {
        &self.room
    }

    /// Returns true if the address is reached over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Gets `/healthz` as JSON, with an `X-Forwarded-For` of our own if there is one.
    pub(super) async fn health(&self, forwarded_for: Option<&str>) -> Result<BufferedResponse, String> {
        let mut request = self.get(&["healthz"]).header(ACCEPT, "application/json");
        if let Some(address) = forwarded_for {
            request = request.header("X-Forwarded-For", address);
        }
        send(request).await
    }

    /// Gets the history of the room, or one message of it.
    pub(super) async fn history(&self, id: Option<&str>) -> Result<BufferedResponse, String> {
        let path = ["history", &self.room].into_iter().chain(id).collect::<Vec<_>>();
        send(self.get(&path)).await
    }

    /// Posts a message with an idempotency key. Waits and tries again when the rate limit refuses it.
    pub(super) async fn post(&self, text: &str, key: &str) -> Result<BufferedResponse, String> {
        for _ in 0..MAX_POST_RETRIES {
            let response = self.post_once(text, key).await?;
            if response.status != 429 {
                return Ok(response);
            }
            let wait = response.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            tokio::time::sleep(Duration::from_secs(wait.unwrap_or(1).min(MAX_RETRY_AFTER_SECS))).await;
        }
        self.post_once(text, key).await
    }

    async fn post_once(&self, text: &str, key: &str) -> Result<BufferedResponse, String> {
        let message = json!({ "sender": "doctor", "message": text, "key": key });
        send(self.client.post(self.url(&[&self.room])).json(&message)).await
    }

    /// Makes a signed call, which stores nothing but a socket without a reader.
    pub(super) async fn signed_call(&self, key: &AppKey) -> Result<BufferedResponse, String> {
        let fields = [&key.signature()[..], &[("channel", self.room.clone())]].concat();
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(self.url(&["socket"])).body(body);
        send(request.header(CONTENT_TYPE, "application/x-www-form-urlencoded")).await
    }

    /// Opens a stream of the room. Returns `None` if not even the head of its response came in time.
    pub(super) async fn open_stream(
        &self,
        cursor: StreamCursor<'_>,
        accept_encoding: &'static str,
    ) -> Result<Option<StreamRecorder>, String> {
        let mut url = self.url(&["subscribe", &self.room]);
        if let StreamCursor::Query(id) = cursor {
            url.query_pairs_mut().append_pair("lastEventId", id);
        }
        let mut request = self.client.get(url).header(ACCEPT, "text/event-stream");
        if let StreamCursor::Header(id) = cursor {
            request = request.header("Last-Event-ID", id);
        }
        let started_at = Instant::now();
        match timeout(STREAM_HEAD_TIMEOUT, request.header(ACCEPT_ENCODING, accept_encoding).send()).await {
            Ok(Ok(response)) => Ok(Some(StreamRecorder::start(started_at, response))),
            Ok(Err(error)) => Err(describe_error(&error)),
            Err(_) => Ok(None),
        }
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }
}
