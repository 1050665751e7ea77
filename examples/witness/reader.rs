//! One reader: it holds a stream, comes back with the last id it saw, and reports everything to the tally.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Response, header};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    sse::{Block, Id, Keyed, Parser, Status},
    tally::{Shared, Tally},
};

/// How long a stream may take to say its first word.
const FIRST_WORD: Duration = Duration::from_secs(5);

/// A second beyond two missed heartbeats a stream is given up.
const PATIENCE: Duration = Duration::from_secs(1);

pub struct Reader {
    number: usize,
    url: String,
    client: Client,
    tally: Shared,
    place: Option<Id>,
    retry: Duration,
    silence: Duration,
}

impl Reader {
    /// The reader of this number; with a name it is seen in the room.
    pub fn new(number: usize, url: &str, name: Option<&str>, client: Client, tally: &Shared) -> Self {
        let name = name.map(|name| format!("?name={name}")).unwrap_or_default();
        Self {
            number,
            url: format!("{url}{name}"),
            client,
            tally: Arc::clone(tally),
            place: None,
            retry: Duration::from_secs(2),
            silence: FIRST_WORD,
        }
    }

    /// Reads until the task is ended.
    pub async fn run(mut self) {
        loop {
            let end = self.follow().await;
            self.tally.send_modify(|tally| tally.away(self.number, end));
            sleep(self.retry).await;
        }
    }

    /// One stream, from its opening to its end; gives the moment from which nothing came any more.
    async fn follow(&mut self) -> Instant {
        self.silence = FIRST_WORD;
        let Some(mut stream) = self.open().await else {
            return Instant::now();
        };
        let mut parser = Parser::default();
        let mut heard = Instant::now();
        loop {
            match timeout(self.silence, stream.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    heard = Instant::now();
                    parser.feed(&bytes).into_iter().for_each(|block| self.take(block));
                }
                Ok(_) => return Instant::now(),
                Err(_) => return heard,
            }
        }
    }

    async fn open(&self) -> Option<Response> {
        let mut request = self.client.get(&self.url).header(header::ACCEPT, "text/event-stream");
        if let Some(place) = self.place {
            request = request.header("Last-Event-ID", place.to_string());
        }
        let answer = timeout(FIRST_WORD, request.send()).await.ok()?.ok()?;
        if answer.status() == 200 {
            return Some(answer);
        }
        let status = answer.status().as_u16();
        self.tally.send_modify(|tally| tally.stream_answered(status));
        None
    }

    fn take(&mut self, block: Block) {
        if let Some(retry) = block.retry {
            self.retry = Duration::from_millis(retry);
        }
        match block.event.as_str() {
            "" => self.message(&block),
            "status" => self.status(&block.data),
            "gap" => self.tally.send_modify(Tally::gap),
            _ => {}
        }
        self.place = block.id.or(self.place);
    }

    fn message(&self, block: &Block) {
        if let (Some(id), Ok(Keyed { key })) = (block.id, serde_json::from_str(&block.data)) {
            self.tally.send_modify(|tally| tally.read(self.number, id, key.as_deref()));
        }
    }

    fn status(&mut self, data: &str) {
        let Ok(Status { live, node, heartbeat }) = serde_json::from_str(data) else {
            return;
        };
        self.silence = Duration::from_secs(2 * heartbeat) + PATIENCE;
        self.tally.send_modify(|tally| match live {
            true => tally.live(self.number, node),
            false => tally.away(self.number, Instant::now()),
        });
    }
}
