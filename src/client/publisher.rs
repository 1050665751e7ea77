//! Posts messages until it is known what became of them.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::delay::retry_after;
use crate::backoff::Backoff;
use crate::http_client::{self, describe_error, printable, read_body};

/// For how long a message is posted again while it is not known to be stored, unless the user says otherwise.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(30);

/// Limit on connecting, and on one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// The shortest time of the last attempt.
const MIN_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

const MAX_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What is read of an answer.
const MAX_ANSWER_BYTES: usize = 1 << 16;

const MAX_REDIRECTS: usize = 10;

/// Posts messages to one room.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    url: String,
    sender: Option<String>,
    headers: HeaderMap,
    patience: Duration,
}

/// The reason why a message is not stored, or not known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The server refused it, for this reason.
    Refused(String),
    /// It may have been stored or not; this was heard last.
    Unknown(String),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "Refused: {why}"),
            Self::Unknown(why) => write!(f, "Not known to be stored: {why}"),
        }
    }
}

impl std::error::Error for PublishError {}

/// What came of one attempt.
enum Attempt {
    Stored(String),
    Failed(PublishError),
    /// Nothing certain, or too early.
    Again {
        why: String,
        may_be_stored: bool,
        retry_after: Option<Duration>,
    },
}

impl Publisher {
    /// Returns a publisher to the room at this address.
    ///
    /// # Errors
    /// If no HTTP client can be made, as on a host without certificates.
    pub fn to(url: impl Into<String>) -> Result<Self, String> {
        let user_agent = concat!("tiny-chat/", env!("CARGO_PKG_VERSION"));
        // Others would turn the request into a GET.
        let keeps_method = redirect::Policy::custom(|attempt| {
            let is_kept = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if is_kept && attempt.previous().len() <= MAX_REDIRECTS {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let client = http_client::builder(user_agent, ATTEMPT_TIMEOUT).redirect(keeps_method).pool_max_idle_per_host(1);
        let client = client.build().map_err(|error| describe_error(&error))?;
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Ok(Self { client, url: url.into(), sender: None, headers, patience: DEFAULT_PATIENCE })
    }

    /// Sets the sender of the messages.
    #[must_use]
    pub fn sender(mut self, name: impl Into<String>) -> Self {
        self.sender = Some(name.into());
        self
    }

    /// Adds headers to each request.
    #[must_use]
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        // Those of the user replace ours, and may stand several times.
        let mut last: Option<HeaderName> = None;
        for (name, value) in headers {
            match (name, &last) {
                (Some(name), _) => {
                    self.headers.insert(name.clone(), value);
                    last = Some(name);
                }
                (None, Some(name)) => drop(self.headers.append(name.clone(), value)),
                (None, None) => {}
            }
        }
        self
    }

    /// Sets for how long a message is posted again while it is not known to be stored; 30 s otherwise.
    #[must_use]
    pub fn patience(mut self, limit: Duration) -> Self {
        self.patience = limit.min(MAX_PATIENCE);
        self
    }

    /// Posts a message with a key, one of its own if there is none here, and posts it again with the same key while the
    /// answer is 429, 5xx or none, as long as patience lasts. So it is stored once. Returns its id.
    ///
    /// # Errors
    /// If it was refused, or if it is not known what became of it.
    pub async fn publish(&self, text: &str, key: Option<&str>) -> Result<String, PublishError> {
        let key = key.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned);
        let deadline = Instant::now() + self.patience;
        let mut pauses = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, self.patience);
        let mut may_be_stored = false;
        loop {
            let (why, retry_after) = match self.post(text, &key, deadline).await {
                Attempt::Stored(id) => return Ok(id),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { why, may_be_stored: may_be, retry_after } => {
                    may_be_stored |= may_be;
                    (why, retry_after)
                }
            };
            if Instant::now() >= deadline {
                return Err(if may_be_stored {
                    PublishError::Unknown(why)
                } else {
                    PublishError::Refused(why)
                });
            }
            match retry_after.and_then(|pause| Instant::now().checked_add(pause)) {
                Some(at) => sleep_until(at.min(deadline)).await,
                None => drop(timeout_at(deadline, pauses.wait()).await),
            }
        }
    }

    async fn post(&self, text: &str, key: &str, deadline: Instant) -> Attempt {
        let mut message = json!({ "message": text, "key": key });
        if let Some(sender) = &self.sender {
            message["sender"] = sender.as_str().into();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let request = self.client.post(&self.url).json(&message).headers(self.headers.clone());
        match request.timeout(left.clamp(MIN_ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT)).send().await {
            Ok(response) => judge(response).await,
            Err(error) if error.is_builder() => Attempt::Failed(PublishError::Refused(describe_error(&error))),
            Err(error) => heard_nothing(&error),
        }
    }
}

fn heard_nothing(error: &reqwest::Error) -> Attempt {
    Attempt::Again { why: describe_error(error), may_be_stored: true, retry_after: None }
}

async fn judge(response: Response) -> Attempt {
    let (status, retry_after) = (response.status(), retry_after(response.headers()));
    let body = match read_body(response, MAX_ANSWER_BYTES).await {
        Ok(body) => body,
        Err(error) if status.is_success() => return heard_nothing(&error),
        Err(_) => Vec::new(),
    };
    let json: Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(id) = json["id"].as_str().filter(|_| status.is_success()) {
        return Attempt::Stored(printable(id));
    }
    let why = match json["detail"].as_str() {
        Some(detail) => format!("{} {}", status.as_u16(), printable(detail)),
        None => status.to_string(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
        Attempt::Again { why, may_be_stored: status.is_server_error(), retry_after }
    } else if status.is_success() {
        Attempt::Failed(PublishError::Unknown(format!("{why}, without an id")))
    } else {
        Attempt::Failed(PublishError::Refused(why))
    }
}
