//! Sends one HTTP request, each on a connection of its own, and reads the whole response.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use super::text::printable;
use crate::http_client;

/// Limit on connecting, and on a request with its whole response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Once more bytes than this have been read of a body, the rest is ignored.
const MAX_RESPONSE_BODY_BYTES: usize = 1 << 20;

/// A response whose body has been read.
#[derive(Debug)]
pub(super) struct BufferedResponse {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The address at the other end of the connection.
    pub(super) peer: Option<SocketAddr>,
    /// The body as text.
    pub(super) body: String,
    /// The body; `null` if it is not JSON.
    pub(super) json: Value,
}

impl BufferedResponse {
    /// Returns a string member of the JSON body.
    pub(super) fn text(&self, member: &str) -> Option<&str> {
        self.json[member].as_str()
    }

    /// Returns the target of a redirect.
    pub(super) fn redirect(&self) -> Option<&str> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        (300..400).contains(&self.status).then_some(location)
    }

    /// Returns the names by which proxies identify themselves. A node sends neither of these headers.
    pub(super) fn proxy(&self) -> Option<String> {
        let values = ["via", "server"].into_iter().flat_map(|name| self.headers.get_all(name));
        let names: Vec<_> = values.filter_map(|value: &HeaderValue| value.to_str().ok()).collect();
        (!names.is_empty()).then(|| printable(&names.join(", ")))
    }

    /// Returns the address of this machine on the route to the peer.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        let peer = self.peer?;
        let unspecified = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(unspecified).ok()?;
        socket.connect(peer).ok()?; // chooses the route and sends nothing
        Some(socket.local_addr().ok()?.ip().to_canonical())
    }
}

/// Returns the client of an examination. It reads the system's certificates, so one for each request would keep the
/// streams from being recorded meanwhile.
pub(super) fn new_client() -> Result<Client, String> {
    let user_agent = concat!("tiny-chat-doctor/", env!("CARGO_PKG_VERSION"));
    let client = http_client::builder(user_agent, REQUEST_TIMEOUT).no_proxy();
    client.build().map_err(|error| describe_error(&error))
}

/// Sends a request and reads the response.
pub(super) async fn send(request: RequestBuilder) -> Result<BufferedResponse, String> {
    let mut response = request.timeout(REQUEST_TIMEOUT).send().await.map_err(|error| describe_error(&error))?;
    let (status, peer) = (response.status().as_u16(), response.remote_addr());
    let headers = std::mem::take(response.headers_mut());
    let body = http_client::read_body(response, MAX_RESPONSE_BODY_BYTES)
        .await
        .map_err(|error| describe_error(&error))?;
    let json = serde_json::from_slice(&body).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(BufferedResponse { status, headers, peer, body, json })
}

/// Describes a failed request in a few words.
pub(super) fn describe_error(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", REQUEST_TIMEOUT.as_secs());
    }
    http_client::describe_error(error)
}
