//! A program that posts all the time, and repeats each message with its key until it is acknowledged.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use reqwest::Client;
use tokio::{sync::watch, task::JoinHandle};

use crate::support::{Answer, eventually};

/// The pause between two messages.
const PAUSE: Duration = Duration::from_millis(120);

/// A message that was acknowledged.
#[derive(Debug, Clone)]
pub struct Sent {
    pub text: String,
    pub acknowledged: Instant,
}

pub struct Publisher {
    sent: Arc<Mutex<Vec<Sent>>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Publisher {
    /// Starts to post to the room at this address.
    pub fn start(url: String) -> Publisher {
        let (stop, stopped) = watch::channel(false);
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let task = tokio::spawn(publish(url, Arc::clone(&sent), stopped));
        Publisher { sent, stop, task }
    }

    /// Returns everything that was acknowledged so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// Waits until so many more messages are acknowledged.
    pub async fn more(&self, count: usize) {
        let goal = self.sent.lock().unwrap().len() + count;
        eventually("acknowledged messages", async || (self.sent.lock().unwrap().len() >= goal).then_some(())).await;
    }

    /// Stops once the message under way is acknowledged, and returns all of them.
    pub async fn stop(self) -> Vec<Sent> {
        self.stop.send_replace(true);
        self.task.await.expect("it does not panic");
        Arc::into_inner(self.sent).map(|sent| sent.into_inner().unwrap()).unwrap_or_default()
    }
}

async fn publish(url: String, sent: Arc<Mutex<Vec<Sent>>>, stopped: watch::Receiver<bool>) {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().expect("a client");
    for number in 1.. {
        // Two bytes, three and four in UTF-8, which a client that guesses the charset garbles.
        let text = format!("message {number}: naïve 新着 😀");
        let form = [("sender", "mason"), ("message", text.as_str()), ("key", &format!("key-{number}"))];
        loop {
            let answer = client.post(&url).form(&form).send().await;
            if let Ok(answer) = answer
                && Answer::read(answer).await.id_if_stored().is_some()
            {
                break;
            }
            tokio::time::sleep(PAUSE).await; // the node is without Redis
        }
        sent.lock().unwrap().push(Sent { text, acknowledged: Instant::now() });
        if *stopped.borrow() {
            return;
        }
        tokio::time::sleep(PAUSE).await; // between two messages
    }
}
