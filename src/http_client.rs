//! What the client and the doctor share: an HTTP client that speaks HTTP/1.1 and 2 and verifies certificates, and what
//! is shown of its errors.

use std::error::Error;
use std::time::Duration;

use reqwest::{ClientBuilder, Response, redirect};

use crate::chat::visible_line;

/// Characters of a text from the network that are shown.
const MAX_PRINTABLE_CHARS: usize = 200;

/// Returns the builder of a client that follows no redirects. Each of its requests gets a connection of its own: behind
/// a load balancer that may lead to another node, and one that is lost is not used again.
pub fn builder(user_agent: &'static str, connect_timeout: Duration) -> ClientBuilder {
    // Fails if a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(user_agent)
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_max_idle_per_host(0)
}

/// Describes a failed request by its innermost cause, which is the most specific one.
pub fn describe_error(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let prefix = if error.is_connect() { "no connection: " } else { "" };
    printable(&format!("{prefix}{cause}"))
}

/// Returns a text from the network cut to a fixed length and without control characters, so that it cannot send escape
/// sequences to the terminal.
pub fn printable(text: &str) -> String {
    visible_line(&text.chars().take(MAX_PRINTABLE_CHARS).collect::<String>())
}

/// Reads the body of a response, up to the piece with which it exceeds this size.
pub async fn read_body(mut response: Response, max_bytes: usize) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await? {
        body.extend_from_slice(&piece);
        if body.len() > max_bytes {
            break;
        }
    }
    Ok(body)
}
