//! People who talk. What one has to say is posted with a key until it is acknowledged, as the contract advises; the
//! next one answers after that, and after thinking.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::seq::SliceRandom;
use reqwest::{Client, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::{
    script::{DIALOGUES, Dialogue},
    sse::Id,
    tally::Shared,
};

/// How long an answer to a post may take.
const ANSWER: Duration = Duration::from_secs(5);

/// The longest that a chatter waits before it posts again, whatever it is told.
const LONGEST_WAIT: f64 = 5.0;

/// The way into a room, for one who speaks.
#[derive(Clone)]
pub struct Mouth {
    url: String,
    client: Client,
    tally: Shared,
}

#[derive(Deserialize)]
struct Acknowledgement {
    id: String,
}

impl Mouth {
    /// Each post takes a connection of its own, and so any node.
    pub fn new(url: &str, tally: &Shared) -> reqwest::Result<Self> {
        let client = Client::builder().no_proxy().timeout(ANSWER).pool_max_idle_per_host(0).build()?;
        Ok(Self { url: url.to_owned(), client, tally: Arc::clone(tally) })
    }

    /// Says it once, however often it has to be posted for that.
    pub async fn say(&self, sender: &str, message: &str) {
        let mut key = String::new();
        self.tally.send_modify(|tally| key = tally.say());
        let post = json!({ "sender": sender, "message": message, "key": key });
        loop {
            let answer = self.client.post(&self.url).json(&post).send().await;
            match judge(answer).await {
                Ok(id) => return self.tally.send_modify(|tally| tally.acknowledged(&key, id)),
                Err((what, wait)) => {
                    self.tally.send_modify(|tally| tally.post_failed(what));
                    sleep(wait).await;
                }
            }
        }
    }
}

/// The id, or what came instead and how long to wait before the next try.
async fn judge(answer: reqwest::Result<Response>) -> Result<Id, (String, Duration)> {
    let soon = || Duration::from_secs_f64(rand::random_range(0.2..0.6));
    let answer = answer.map_err(|_| ("no answer".to_owned(), soon()))?;
    let status = answer.status();
    let told: Option<f64> = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.parse().ok());
    let wait = told.map_or_else(soon, |seconds| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_WAIT)));
    if status != StatusCode::OK {
        return Err((status.as_u16().to_string(), wait));
    }
    let text = answer.json().await.ok().and_then(|Acknowledgement { id }| Id::parse(&id));
    text.ok_or_else(|| ("half an answer".to_owned(), wait))
}

/// What there is to talk about, in an order that is drawn anew when all was said. Shared by all.
#[derive(Clone, Default)]
pub struct Topics(Arc<Mutex<VecDeque<Dialogue>>>);

impl Topics {
    fn next(&self) -> Dialogue {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_empty() {
            let mut all = DIALOGUES.to_vec();
            all.shuffle(&mut rand::rng());
            left.extend(all);
        }
        left.pop_front().unwrap_or_default()
    }
}

/// A few people talk with each other until they are told to stop; what is begun to be said is said.
pub async fn talk(mouth: Mouth, people: Vec<&str>, topics: Topics, pause: Duration, mut stop: watch::Receiver<bool>) {
    loop {
        let mut cast = people.clone();
        cast.shuffle(&mut rand::rng());
        for (voice, line) in topics.next() {
            let thinking = pause.mul_f64(rand::random_range(0.5..1.5));
            if timeout(thinking, stop.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
            mouth.say(cast[voice % cast.len()], line).await;
        }
    }
}
