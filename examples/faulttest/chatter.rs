//! Clients that post. A message is posted with a key until it is acknowledged, as the contract advises; the next one of
//! the conversation follows after a pause.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use parking_lot::Mutex;
use rand::seq::SliceRandom;
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    ledger::SharedLedger,
    script::{DIALOGUES, Dialogue},
    sse::Id,
};

/// How long the response to a post may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait before a post is repeated, in seconds, even if `Retry-After` asks for more.
const MAX_RETRY_SECONDS: f64 = 5.0;

/// Posts to a room.
#[derive(Clone)]
pub struct Publisher {
    url: String,
    client: Client,
    ledger: SharedLedger,
}

#[derive(Deserialize)]
struct Acknowledgement {
    id: String,
}

impl Publisher {
    /// Creates a publisher that opens a connection for each post, so that any node may get it.
    pub fn new(url: &str, ledger: &SharedLedger) -> reqwest::Result<Self> {
        let client = Client::builder().no_proxy().timeout(RESPONSE_TIMEOUT).pool_max_idle_per_host(0).build()?;
        Ok(Self { url: url.to_owned(), client, ledger: Arc::clone(ledger) })
    }

    /// Posts a message until it is acknowledged.
    pub async fn publish(&self, sender: &str, message: &str) {
        let mut key = String::new();
        self.ledger.send_modify(|ledger| key = ledger.add_message());
        let post = json!({ "sender": sender, "message": message, "key": key });
        loop {
            let response = self.client.post(&self.url).json(&post).send().await;
            match acknowledged_id(response).await {
                Ok(id) => return self.ledger.send_modify(|ledger| ledger.acknowledge(&key, id)),
                Err((what, wait)) => {
                    self.ledger.send_modify(|ledger| ledger.post_failed(what));
                    sleep(wait).await;
                }
            }
        }
    }
}

/// Returns the id of the message, or else what came instead of it and how long to wait before the next attempt.
async fn acknowledged_id(response: reqwest::Result<Response>) -> Result<Id, (String, Duration)> {
    let soon = || Duration::from_secs_f64(rand::random_range(0.2..0.6));
    let response = response.map_err(|_| ("no answer".to_owned(), soon()))?;
    let status = response.status();
    let retry_after: Option<f64> = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse().ok());
    let wait = retry_after.map_or_else(soon, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, MAX_RETRY_SECONDS)));
    if status != StatusCode::OK {
        return Err((status.as_u16().to_string(), wait));
    }
    let id = response.json().await.ok().and_then(|Acknowledgement { id }| Id::parse(&id));
    id.ok_or_else(|| ("half an answer".to_owned(), wait))
}

/// All dialogues in random order, shuffled again when the last one was taken. Shared by all conversations.
#[derive(Clone, Default)]
pub struct Dialogues(Arc<Mutex<VecDeque<Dialogue>>>);

impl Dialogues {
    fn next(&self) -> Dialogue {
        let mut left = self.0.lock();
        if left.is_empty() {
            let mut all = DIALOGUES.to_vec();
            all.shuffle(&mut rand::rng());
            left.extend(all);
        }
        left.pop_front().unwrap_or_default()
    }
}

/// Posts one dialogue after the other in the names of some people, until `stop` is set. A message that was begun is
/// posted until it is acknowledged.
pub async fn talk(
    publisher: Publisher,
    people: Vec<&str>,
    dialogues: Dialogues,
    pause: Duration,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let mut speakers = people.clone();
        speakers.shuffle(&mut rand::rng());
        for (speaker, line) in dialogues.next() {
            let pause = pause.mul_f64(rand::random_range(0.5..1.5));
            if timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
            publisher.publish(speakers[speaker % speakers.len()], line).await;
        }
    }
}
