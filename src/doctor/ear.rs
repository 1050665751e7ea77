use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use reqwest::{Response, Version};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::door::explain;

/// Blocks that may wait to be looked at.
const WAITING: usize = 1000;

/// The longest block that is read.
const LONGEST: usize = 1 << 20;

/// Hears a stream and notes when what came. A task of its own reads, so that the times are true.
#[derive(Debug)]
pub struct Ear {
    /// What stood before the stream.
    pub head: Head,
    /// When it was asked for; all times count from here.
    pub began: Instant,
    /// What was heard so far.
    pub tale: Tale,
    coming: mpsc::Receiver<(Instant, Heard)>,
}

/// The head of a stream's answer.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The version of HTTP that was agreed on.
    pub version: Version,
    /// `Content-Type`, `Content-Encoding` and `Cache-Control`.
    pub kind: String,
    /// How it is compressed; empty if it is not.
    pub coding: String,
    /// What caches and proxies are told.
    pub caching: String,
}

/// What came and when, counted from the request.
#[derive(Clone, Debug, Default)]
pub struct Tale {
    /// The blocks, in order.
    pub blocks: Vec<(Duration, Block)>,
    /// When and how the stream ended, if it has.
    pub end: Option<(Duration, String)>,
}

/// A block of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// Its id.
    pub id: Option<String>,
    /// Its event; `None` for a message.
    pub event: Option<String>,
    /// Its data.
    pub data: String,
    /// Whether it sets a delay, as the opening does.
    pub retry: bool,
}

#[derive(Debug)]
enum Heard {
    Block(Block),
    End(String),
}

impl Ear {
    /// Begins to listen.
    pub fn new(began: Instant, response: Response) -> Self {
        let head = Head::of(&response);
        let (tell, coming) = mpsc::channel(WAITING);
        tokio::spawn(listen(response, tell)); // ends when nobody wants to know any more
        Self { head, began, tale: Tale::default(), coming }
    }

    /// Listens until what was heard is enough, the stream ends, or the time is over. Whether it was enough.
    pub async fn until(&mut self, deadline: Instant, enough: impl Fn(&Tale) -> bool) -> bool {
        while !enough(&self.tale) {
            match timeout_at(deadline, self.coming.recv()).await {
                Ok(Some((at, heard))) => self.tale.note(at - self.began, heard),
                Ok(None) | Err(_) => return enough(&self.tale),
            }
        }
        true
    }

    /// Listens until the time is over or the stream is.
    pub async fn listen(&mut self, until: Instant) {
        self.until(until, |tale| tale.end.is_some()).await;
    }
}

impl Head {
    fn of(response: &Response) -> Self {
        let text = |name| header(response.headers(), name);
        Self {
            status: response.status().as_u16(),
            version: response.version(),
            kind: text(CONTENT_TYPE),
            coding: text(CONTENT_ENCODING).replace("identity", ""),
            caching: text(CACHE_CONTROL),
        }
    }

    /// Whether it is the head of an event stream.
    pub fn is_stream(&self) -> bool {
        self.status == 200 && self.kind.starts_with("text/event-stream")
    }
}

impl Tale {
    fn note(&mut self, at: Duration, heard: Heard) {
        match heard {
            Heard::Block(block) => self.blocks.push((at, block)),
            Heard::End(how) => self.end = Some((at, how)),
        }
    }

    /// The first event of a name, as JSON.
    pub fn event(&self, name: &str) -> Option<serde_json::Value> {
        let (_, block) = self.blocks.iter().find(|(_, block)| block.event.as_deref() == Some(name))?;
        serde_json::from_str(&block.data).ok()
    }

    /// When the message with this id came.
    pub fn arrival(&self, id: &str) -> Option<Duration> {
        self.messages().find(|(_, found)| *found == id).map(|(at, _)| at)
    }

    /// The messages' ids and when they came.
    pub fn messages(&self) -> impl Iterator<Item = (Duration, &str)> {
        let messages = self.blocks.iter().filter(|(_, block)| block.event.is_none() && !block.data.is_empty());
        messages.filter_map(|(at, block)| Some((*at, block.id.as_deref()?)))
    }
}

impl Block {
    /// The block in these lines.
    pub fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => block.id = Some(value.to_owned()),
                "event" => block.event = Some(value.to_owned()),
                "data" if block.data.is_empty() => block.data = value.to_owned(),
                "data" => block.data = format!("{}\n{value}", block.data),
                "retry" => block.retry = true,
                _ => {}
            }
        }
        block
    }
}

async fn listen(mut response: Response, tell: mpsc::Sender<(Instant, Heard)>) {
    let mut unread = Vec::new();
    let end = loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            () = tell.closed() => return,
        };
        match chunk {
            Ok(Some(chunk)) => unread.extend_from_slice(&chunk),
            Ok(None) => break "it ended".to_owned(),
            Err(error) => break format!("the connection broke ({})", explain(&error)),
        }
        let now = Instant::now();
        while let Some(at) = unread.windows(2).position(|pair| pair == b"\n\n") {
            let block = Block::parse(&String::from_utf8_lossy(&unread[..at]));
            unread.drain(..at + 2);
            if tell.send((now, Heard::Block(block))).await.is_err() {
                return;
            }
        }
        if unread.len() > LONGEST {
            break "it sent what is no event stream".to_owned();
        }
    };
    let _ = tell.send((Instant::now(), Heard::End(end))).await;
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> String {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(", ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_a_browser_reads_it() {
        let block = Block::parse("retry: 2000\nid: 1-1\nevent:gap\ndata: a\ndata:b\n: nothing");
        let expected = Block { id: Some("1-1".into()), event: Some("gap".into()), data: "a\nb".into(), retry: true };
        assert_eq!(block, expected);
    }
}
