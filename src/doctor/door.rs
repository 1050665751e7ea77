use std::error::Error;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, RequestBuilder, Response, Url, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::ear::Ear;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the head of a stream may take.
const HEAD: Duration = Duration::from_secs(5);

/// The longest answer that is read.
const LONGEST: usize = 1 << 20;

/// The longest wait that a node asks for and gets.
const LONGEST_WAIT: u64 = 5;

/// An address that belongs to nobody (RFC 5737), for claiming to be somebody else.
pub const FORGED: &str = "192.0.2.77";

/// The public address, and how to ask there.
#[derive(Clone, Debug)]
pub struct Door {
    origin: Url,
    room: String,
}

/// How a reader names its place.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// Not at all.
    Fresh,
    /// By the header `Last-Event-ID`.
    Header(&'a str),
    /// By `?lastEventId=`.
    Query(&'a str),
}

/// An answer that came whole.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// Who answered, as far as the socket tells.
    pub peer: Option<SocketAddr>,
    /// The body; `null` if it is no JSON.
    pub json: Value,
}

impl Door {
    /// The address that was given, without its path: tiny-chat lives at the root of its host.
    ///
    /// # Errors
    /// When it is no address of a web site.
    pub fn new(address: &str, room: String) -> Result<Self, String> {
        let origin = Url::parse(address).map_err(|error| format!("{address:?} is no address: {error}"))?;
        if !matches!(origin.scheme(), "http" | "https") || !origin.has_host() {
            return Err(format!("{address:?} is no address of a web site; write it as https://chat.example.org"));
        }
        Ok(Self { origin, room })
    }

    /// The address without path and query.
    pub fn origin(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// The room that is used.
    pub fn room(&self) -> &str {
        &self.room
    }

    /// Whether it is reached by TLS.
    pub fn is_secure(&self) -> bool {
        self.origin.scheme() == "https"
    }

    /// What `/healthz` says about who asks; a forger claims to be somebody else.
    pub async fn health(&self, forger: bool) -> Result<Answer, String> {
        let request = self.get(&["healthz"])?.header(ACCEPT, "application/json");
        answer(if forger { request.header("X-Forwarded-For", FORGED) } else { request }).await
    }

    /// The history of the room, or one message of it, on a connection of its own.
    pub async fn history(&self, id: Option<&str>) -> Result<Answer, String> {
        let path = ["history", &self.room].into_iter().chain(id).collect::<Vec<_>>();
        answer(self.get(&path)?).await
    }

    /// Posts a message under a key; waits a moment where the node asks for that.
    pub async fn post(&self, text: &str, key: &str) -> Result<Answer, String> {
        for _ in 0..2 {
            let answer = self.post_once(text, key).await?;
            if answer.status != 429 {
                return Ok(answer);
            }
            let wait = answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
            tokio::time::sleep(Duration::from_secs(wait.unwrap_or(1).min(LONGEST_WAIT))).await;
        }
        self.post_once(text, key).await
    }

    async fn post_once(&self, text: &str, key: &str) -> Result<Answer, String> {
        let message = json!({ "sender": "doctor", "message": text, "key": key });
        answer(client()?.post(self.url(&[&self.room])).json(&message)).await
    }

    /// Opens a stream of the room on a connection of its own. `None` when nothing came in time, not even its head.
    pub async fn stream(&self, place: Place<'_>, codings: &'static str) -> Result<Option<Ear>, String> {
        let mut url = self.url(&["subscribe", &self.room]);
        if let Place::Query(id) = place {
            url.query_pairs_mut().append_pair("lastEventId", id);
        }
        let mut request = client()?.get(url).header(ACCEPT, "text/event-stream");
        if let Place::Header(id) = place {
            request = request.header("Last-Event-ID", id);
        }
        let began = Instant::now();
        match timeout(HEAD, request.header(ACCEPT_ENCODING, codings).send()).await {
            Ok(Ok(response)) => Ok(Some(Ear::new(began, response))),
            Ok(Err(error)) => Err(explain(&error)),
            Err(_) => Ok(None),
        }
    }

    fn get(&self, path: &[&str]) -> Result<RequestBuilder, String> {
        Ok(client()?.get(self.url(path)))
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.origin.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }
}

impl Answer {
    /// A member of the body that is text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.json[member].as_str()
    }

    /// Where it sends us on to, if it does.
    pub fn elsewhere(&self) -> Option<&str> {
        let location = self.headers.get(LOCATION)?.to_str().ok()?;
        (300..400).contains(&self.status).then_some(location)
    }

    /// The headers by which a proxy shows itself: a node sends none of them.
    pub fn proxy(&self) -> Option<String> {
        let said = ["via", "server"].into_iter().flat_map(|name| self.headers.get_all(name));
        let names: Vec<_> = said.filter_map(|value: &HeaderValue| value.to_str().ok()).collect();
        (!names.is_empty()).then(|| plain(&names.join(", ")))
    }

    /// Our own address on the way there.
    pub fn own_address(&self) -> Option<IpAddr> {
        let peer = self.peer?;
        let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(peer).ok()?; // sends nothing
        Some(socket.local_addr().ok()?.ip().to_canonical())
    }
}

/// A client with no connection yet: behind a balancer each may lead to another node.
fn client() -> Result<Client, String> {
    let _ = rustls::crypto::ring::default_provider().install_default(); // in vain if it is there already
    let client = Client::builder()
        .user_agent(concat!("tiny-chat-doctor/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .no_proxy();
    client.build().map_err(|error| explain(&error))
}

async fn answer(request: RequestBuilder) -> Result<Answer, String> {
    let mut response = request.timeout(PATIENCE).send().await.map_err(|error| explain(&error))?;
    let (status, peer) = (response.status().as_u16(), response.remote_addr());
    let headers = std::mem::take(response.headers_mut());
    let body = body(response).await.map_err(|error| explain(&error))?;
    let json = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Answer { status, headers, peer, json })
}

async fn body(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST {
            break;
        }
    }
    Ok(body)
}

/// A failure in words: the innermost cause says the most.
pub fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let what = match (error.is_timeout(), error.is_connect()) {
        (true, _) => return format!("no answer within {} s", PATIENCE.as_secs()),
        (false, true) => "no connection: ",
        (false, false) => "",
    };
    plain(&format!("{what}{cause}"))
}

/// What others wrote, fit for a terminal.
pub fn plain(text: &str) -> String {
    let text = text.chars().take(200);
    text.map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
