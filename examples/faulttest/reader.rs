//! A client that reads a stream, resumes it with the last id, and records everything in the ledger.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Response, header};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    ledger::{Ledger, SharedLedger},
    sse::{Block, Id, MessageData, Parser, StatusData},
};

/// How long a stream may take to open and to send its first event.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);

/// How much longer than two heartbeats a stream may be silent before the reader reconnects.
const SILENCE_MARGIN: Duration = Duration::from_secs(1);

pub struct Reader {
    number: usize,
    url: String,
    client: Client,
    ledger: SharedLedger,
    last_id: Option<Id>,
    retry: Duration,
    max_silence: Duration,
}

impl Reader {
    /// Creates a reader. With a name, it is present in the room under it.
    pub fn new(number: usize, url: &str, name: Option<&str>, client: Client, ledger: &SharedLedger) -> Self {
        let name = name.map(|name| format!("?name={name}")).unwrap_or_default();
        Self {
            number,
            url: format!("{url}{name}"),
            client,
            ledger: Arc::clone(ledger),
            last_id: None,
            retry: Duration::from_secs(2),
            max_silence: OPENING_TIMEOUT,
        }
    }

    /// Reads, and reconnects whenever the stream ends, until the task is aborted.
    pub async fn run(mut self) {
        loop {
            let silent_since = self.read_stream().await;
            self.ledger.send_modify(|ledger| ledger.reader_away(self.number, silent_since));
            sleep(self.retry).await;
        }
    }

    /// Reads one stream to its end, and returns the time from which nothing came any more.
    async fn read_stream(&mut self) -> Instant {
        self.max_silence = OPENING_TIMEOUT;
        let Some(mut stream) = self.open().await else {
            return Instant::now();
        };
        let mut parser = Parser::default();
        let mut last_received = Instant::now();
        loop {
            match timeout(self.max_silence, stream.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    last_received = Instant::now();
                    for block in parser.feed(&bytes) {
                        self.handle(block);
                    }
                }
                Ok(_) => return Instant::now(),
                Err(_) => return last_received,
            }
        }
    }

    /// Opens a stream; returns `None` if there is no response, or another one.
    async fn open(&self) -> Option<Response> {
        let mut request = self.client.get(&self.url).header(header::ACCEPT, "text/event-stream");
        if let Some(id) = self.last_id {
            request = request.header("Last-Event-ID", id.to_string());
        }
        let response = timeout(OPENING_TIMEOUT, request.send()).await.ok()?.ok()?;
        if response.status() == 200 {
            return Some(response);
        }
        let status = response.status().as_u16();
        self.ledger.send_modify(|ledger| ledger.stream_refused(status));
        None
    }

    fn handle(&mut self, block: Block) {
        if let Some(retry) = block.retry {
            self.retry = Duration::from_millis(retry);
        }
        match block.event.as_str() {
            "" => self.handle_message(&block),
            "status" => self.handle_status(&block.data),
            "gap" => self.ledger.send_modify(Ledger::add_gap),
            _ => {}
        }
        self.last_id = block.id.as_deref().and_then(Id::parse).or(self.last_id);
    }

    fn handle_message(&self, block: &Block) {
        let id = block.id.as_deref().and_then(Id::parse);
        if let (Some(id), Ok(MessageData { key })) = (id, serde_json::from_str(&block.data)) {
            self.ledger.send_modify(|ledger| ledger.record(self.number, id, key.as_deref()));
        }
    }

    fn handle_status(&mut self, data: &str) {
        let Ok(StatusData { live, node, heartbeat }) = serde_json::from_str(data) else {
            return;
        };
        self.max_silence = Duration::from_secs(2 * heartbeat) + SILENCE_MARGIN;
        self.ledger.send_modify(|ledger| {
            if live {
                ledger.reader_live(self.number, node);
            } else {
                ledger.reader_away(self.number, Instant::now());
            }
        });
    }
}
