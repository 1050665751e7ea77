//! A stream that is requested again, after the last id, whenever it is lost.

use std::mem::take;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Sleep, sleep, timeout};

use super::delay::Delays;
use super::parser::{Block, Parsed};
use super::reader::{End, Reader};
use super::request::{Answer, Request};

/// How long a stream may be silent, if neither the user nor the server says otherwise.
const DEFAULT_INACTIVITY: Duration = Duration::from_secs(60);

/// The text of the error after which the source connects again.
const LOST: &str = "Connection lost. Reconnecting.";

/// A stream of events, which is opened by [`Builder::open`] and read by [`next`](Self::next).
pub struct Source {
    url: String,
    /// `None` if what was given is no request.
    request: Option<Request>,
    phase: Phase,
    last_event_id: Option<String>,
    delays: Delays,
    inactivity: Option<Duration>,
    /// Twice the interval in which the server says that it sends heartbeats.
    told_inactivity: Duration,
    why_lost: Option<String>,
    /// The id after which a block was too large.
    too_large_after: Option<Option<String>>,
}

/// What a source is made of.
#[derive(Clone, Debug)]
pub struct Builder {
    url: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    since: Option<String>,
    retry: Option<Duration>,
    inactivity: Option<Duration>,
}

/// What happened to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The stream is open, for the first time or again.
    Open,
    /// An event arrived.
    Event {
        /// The last id of the stream, whether or not it came with this event.
        id: Option<String>,
        /// The name, `message` if it has none.
        event: String,
        /// The data, its lines separated by LF.
        data: String,
    },
    /// The connection was lost, and the source connects again; or the source is closed, as [`Source::state`] then says.
    Error(String),
}

/// What a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for an answer, or until it may ask again.
    Connecting,
    /// It reads a stream.
    Open,
    /// It has ended for good.
    Closed,
}

/// An answer with the request to send next time; `None` if none came in time.
type PendingAnswer = Pin<Box<dyn Future<Output = Option<(Request, Answer)>> + Send>>;

enum Phase {
    /// What was given is no request.
    Invalid(String),
    /// It was not read yet.
    Idle,
    Requesting(PendingAnswer),
    Waiting(Pin<Box<Sleep>>),
    Open(Box<Reader>),
    Closed,
}

impl Builder {
    /// Adds a pair to the query of the address.
    #[must_use]
    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a header. `Authorization` and `Cookie` are not sent to other origins, to which the server may redirect.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Begins after this id, instead of with what comes next.
    #[must_use]
    pub fn since(mut self, id: impl Into<String>) -> Self {
        self.since = Some(id.into()).filter(|id| !id.is_empty());
        self
    }

    /// Sets the delay before the source connects again, 100 ms at least, whatever the server says.
    #[must_use]
    pub fn retry(mut self, delay: Duration) -> Self {
        self.retry = Some(delay);
        self
    }

    /// Sets for how long the stream may bring no byte before it counts as lost; zero: for ever.
    #[must_use]
    pub fn inactivity(mut self, limit: Duration) -> Self {
        self.inactivity = Some(limit);
        self
    }

    /// Returns the source, which connects when it is read for the first time.
    pub fn open(self) -> Source {
        let (request, phase) = match Request::new(&self.url, &self.query, &self.headers) {
            Ok(request) => (Some(request), Phase::Idle),
            Err(why) => (None, Phase::Invalid(why)),
        };
        Source {
            url: request.as_ref().map_or(self.url, |request| request.url().to_owned()),
            request,
            phase,
            last_event_id: self.since,
            delays: Delays::new(self.retry),
            inactivity: self.inactivity,
            told_inactivity: Duration::ZERO,
            why_lost: None,
            too_large_after: None,
        }
    }
}

impl Source {
    /// Begins to describe a source: the stream at this address.
    pub fn get(url: impl Into<String>) -> Builder {
        let url = url.into();
        Builder { url, query: vec![], headers: vec![], since: None, retry: None, inactivity: None }
    }

    /// Waits for what happens next. Returns `None` if the source is closed for good.
    ///
    /// What arrives is not read before it is asked for here: a source that is not read fills up its connection, and no
    /// memory. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Happened> {
        loop {
            let silence_limit = self.silence_limit();
            let happened = match &mut self.phase {
                Phase::Closed => return None,
                Phase::Invalid(why) => {
                    let why = take(why);
                    Some(self.refuse(why))
                }
                Phase::Idle => {
                    self.connect();
                    None
                }
                Phase::Waiting(pause) => {
                    pause.as_mut().await;
                    self.connect();
                    None
                }
                Phase::Requesting(answer) => {
                    let answer = answer.as_mut().await;
                    self.on_answer(answer)
                }
                Phase::Open(reader) => match reader.next(silence_limit).await {
                    Ok(Parsed::Retry(delay)) => {
                        self.delays.on_retry(delay);
                        None
                    }
                    Ok(Parsed::Block(block)) => self.on_block(block),
                    Err(end) => Some(self.on_end(end)),
                },
            };
            if happened.is_some() {
                return happened;
            }
        }
    }

    /// Returns what the source does now.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Closed => State::Closed,
            Phase::Open(..) => State::Open,
            _ => State::Connecting,
        }
    }

    /// Returns the id after which the source resumes.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// Returns the delay before the source connects again after a first failure: the one that was chosen, or else the
    /// one that the server said last, or else 3 s.
    pub fn retry(&self) -> Duration {
        self.delays.base()
    }

    /// Returns the address, with its whole query. A permanent redirect replaces it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns why the connection was lost last, for people: what [`Happened::Error`] does not say.
    pub fn why_lost(&self) -> Option<&str> {
        self.why_lost.as_deref()
    }

    /// Closes the source for good, in silence: [`next`](Self::next) returns `None` from now on.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
    }

    /// Returns for how long the stream may be silent.
    pub(super) fn silence_limit(&self) -> Option<Duration> {
        let limit = self.inactivity.unwrap_or_else(|| self.told_inactivity.max(DEFAULT_INACTIVITY));
        Some(limit).filter(|limit| !limit.is_zero())
    }

    fn connect(&mut self) {
        let Some(request) = self.request.clone() else {
            return self.close();
        };
        let answer = request.send(self.last_event_id.clone());
        let limit = self.silence_limit();
        self.phase = Phase::Requesting(Box::pin(async move {
            match limit {
                Some(limit) => timeout(limit, answer).await.ok(),
                None => Some(answer.await),
            }
        }));
    }

    fn on_answer(&mut self, answer: Option<(Request, Answer)>) -> Option<Happened> {
        let Some((request, answer)) = answer else {
            return Some(self.lose("no answer".into(), None));
        };
        request.url().clone_into(&mut self.url);
        self.request = Some(request);
        match answer {
            Answer::Stream(response) => {
                self.phase = Phase::Open(Box::new(Reader::new(response)));
                Some(Happened::Open)
            }
            Answer::NoContent => {
                self.close();
                None
            }
            Answer::Refused(why) => Some(self.refuse(why)),
            Answer::Lost { why, retry_after } => Some(self.lose(why, retry_after)),
        }
    }

    fn on_block(&mut self, Block { id, event }: Block) -> Option<Happened> {
        if let Some(id) = id {
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        let (event, data) = event?;
        self.delays.on_event();
        if event == "status"
            && let Some(interval) = heartbeat(&data)
        {
            self.told_inactivity = interval.saturating_mul(2);
        }
        Some(Happened::Event { id: self.last_event_id.clone(), event, data })
    }

    fn on_end(&mut self, end: End) -> Happened {
        let why = match end {
            End::Lost(why) => why,
            End::BlockTooLarge => {
                let again = self.too_large_after.replace(self.last_event_id.clone());
                let why = "A block has more than 1 MiB".to_owned();
                if again.is_some_and(|id| id == self.last_event_id) {
                    return self.refuse(why);
                }
                why
            }
        };
        self.lose(why, None)
    }

    fn lose(&mut self, why: String, retry_after: Option<Duration>) -> Happened {
        self.why_lost = Some(why);
        self.phase = Phase::Waiting(Box::pin(sleep(self.delays.on_failure(retry_after))));
        Happened::Error(LOST.to_owned())
    }

    fn refuse(&mut self, why: String) -> Happened {
        self.close();
        Happened::Error(why)
    }
}

/// Returns the interval of heartbeats that the data of a `status` tells.
fn heartbeat(status: &str) -> Option<Duration> {
    let status: Value = serde_json::from_str(status).ok()?;
    status["heartbeat"].as_u64().map(Duration::from_secs)
}
