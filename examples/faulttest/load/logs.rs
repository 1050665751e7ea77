//! Reads the final log of each room twice: page by page, and as a new subscriber who asks for everything.

use std::{net::SocketAddr, time::Duration};

use reqwest::Client;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::message;
use crate::{
    Failure,
    history::{Entry, FinalLog, FinalLogs, Kind},
    load::{Load, stream::Recorder},
    sse::{Id, Parser},
};

/// How long a stream may bring nothing; what it has brought until then is what it has.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    last: String,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    message: Option<String>,
    key: Option<String>,
}

impl Load {
    /// Reads the logs of all rooms, which keep at least `retention` messages. Nothing may be posted any more.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub async fn final_logs(&self, retention: usize) -> Result<FinalLogs, Failure> {
        let client = Client::builder().no_proxy().timeout(READ_TIMEOUT).build()?;
        let mut rooms = Vec::new();
        for room in &self.shared.rooms {
            let reading =
                Reading { client: &client, front: self.shared.front, tag: &self.shared.tag, room: &room.name };
            let entries = reading.pages().await?;
            let streamed = reading.stream(entries.last().map(|entry| entry.id)).await?;
            rooms.push(FinalLog { entries, streamed });
        }
        Ok(FinalLogs { retention, rooms })
    }
}

struct Reading<'a> {
    client: &'a Client,
    front: SocketAddr,
    tag: &'a str,
    room: &'a str,
}

impl Reading<'_> {
    async fn pages(&self) -> Result<Vec<Entry>, Failure> {
        let (mut entries, mut after) = (Vec::new(), "0-0".to_owned());
        loop {
            let url = format!("http://{}/history/{}?limit=200&all=1&after={after}", self.front, self.room);
            let page: Page = self.client.get(url).send().await?.error_for_status()?.json().await?;
            let is_last = page.messages.is_empty() && page.last == after;
            for message in page.messages {
                let id = Id::parse(&message.id).ok_or("an entry without an id")?;
                let text = message.message.unwrap_or_default();
                entries.push(Entry { id, message: message::read(self.tag, message.key.as_deref(), &text).number });
            }
            if is_last {
                return Ok(entries);
            }
            after = page.last;
        }
    }

    /// Reads a stream from its beginning to the entry with the id `last`.
    async fn stream(&self, last: Option<Id>) -> Result<Vec<Entry>, Failure> {
        let Some(last) = last else { return Ok(Vec::new()) };
        let url = format!("http://{}/subscribe/{}?lastEventId=0-0", self.front, self.room);
        let client = Client::builder().no_proxy().build()?;
        let mut response = client.get(url).header("Accept", "text/event-stream").send().await?;
        let (mut parser, mut recorder) =
            (Parser::default(), Recorder::new(Kind::Old, &[0], vec![self.room.to_owned()], None));
        let (mut entries, mut newest_at) = (Vec::new(), Instant::now());
        while let Some(bytes) = timeout(READ_TIMEOUT, response.chunk()).await?? {
            for block in parser.feed(&bytes) {
                recorder.on_block(&block, self.tag, 0);
            }
            let deliveries = recorder.chain.rooms[0].deliveries.drain(..);
            let known = entries.len();
            entries.extend(deliveries.map(|delivery| Entry { id: delivery.id, message: delivery.message }));
            if entries.len() > known {
                newest_at = Instant::now();
            }
            // A stream that is never live still has heartbeats.
            let is_stuck = newest_at.elapsed() >= READ_TIMEOUT;
            if is_stuck || entries.last().is_some_and(|entry| entry.id >= last) {
                return Ok(entries);
            }
        }
        Err(format!("the stream of {} ended early", self.room).into())
    }
}
