//! What a stream sent, and when. Pure: no I/O, no clock.

use std::time::Duration;

use reqwest::Version;

/// Everything that was received on a stream. Times count from its request.
#[derive(Clone, Debug, Default)]
pub(super) struct Recording {
    pub(super) head: StreamHead,
    /// The blocks in the order of their arrival.
    pub(super) blocks: Vec<(Duration, Block)>,
    /// When and why the stream ended; `None` while it is open.
    pub(super) end: Option<(Duration, String)>,
}

/// The status line and headers of a stream's response. Header values are in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamHead {
    pub(super) status: u16,
    pub(super) version: Version,
    pub(super) content_type: String,
    /// `Content-Encoding`; empty if the stream is not compressed.
    pub(super) content_encoding: String,
    pub(super) cache_control: String,
    /// `Transfer-Encoding`; empty over HTTP/2.
    pub(super) transfer_encoding: String,
    /// `Content-Length`; empty if there is none.
    pub(super) content_length: String,
}

/// The fields up to a blank line in an event stream (WHATWG HTML § 9.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) id: Option<String>,
    /// The name of the event; `None` for a message.
    pub(super) event: Option<String>,
    pub(super) data: String,
    /// Whether it has a `data` field, which may be empty.
    pub(super) has_data: bool,
    /// Whether it sets the reconnection time, as only the first block of a stream does.
    pub(super) has_retry: bool,
}

impl Recording {
    /// Returns the data of the first event with this name, parsed as JSON.
    pub(super) fn event(&self, name: &str) -> Option<serde_json::Value> {
        let (_, block) = self.blocks.iter().find(|(_, block)| block.is_event(name))?;
        serde_json::from_str(&block.data).ok()
    }

    /// Returns when the message with this id arrived.
    pub(super) fn arrival_of(&self, id: &str) -> Option<Duration> {
        self.messages().find(|(_, found)| *found == id).map(|(at, _)| at)
    }

    /// Returns the arrival and the id of each message.
    pub(super) fn messages(&self) -> impl Iterator<Item = (Duration, &str)> {
        let messages = self.blocks.iter().filter(|(_, block)| block.event.is_none() && !block.data.is_empty());
        messages.filter_map(|(at, block)| Some((*at, block.id.as_deref()?)))
    }

    /// Returns the arrival of each heartbeat.
    pub(super) fn heartbeats(&self) -> impl Iterator<Item = Duration> {
        self.blocks.iter().filter(|(_, block)| block.is_event("heartbeat")).map(|(at, _)| *at)
    }

    /// Returns the cursor that the stream starts after, as its first block states it.
    pub(super) fn start_cursor(&self) -> Option<&str> {
        let (_, first) = self.blocks.iter().find(|(_, block)| block.has_retry)?;
        first.id.as_deref()
    }
}

impl StreamHead {
    /// Returns true if the response is an event stream.
    pub(super) fn is_stream(&self) -> bool {
        self.status == 200 && self.content_type.starts_with("text/event-stream")
    }
}

impl Block {
    /// Parses the lines of a block.
    pub(super) fn parse(text: &str) -> Self {
        let mut block = Self::default();
        for line in text.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => block.id = Some(value.to_owned()),
                "event" => block.event = Some(value.to_owned()),
                "data" if !block.has_data => (block.has_data, block.data) = (true, value.to_owned()),
                "data" => block.data = format!("{}\n{value}", block.data),
                "retry" => block.has_retry = true,
                _ => {}
            }
        }
        block
    }

    fn is_event(&self, name: &str) -> bool {
        self.event.as_deref() == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_parsed_as_a_browser_parses_it() {
        let block = Block::parse("retry: 2000\nid: 1-1\nevent:gap\ndata: a\ndata:b\n: nothing");
        let expected = Block {
            id: Some("1-1".into()),
            event: Some("gap".into()),
            data: "a\nb".into(),
            has_data: true,
            has_retry: true,
        };
        assert_eq!(block, expected);
    }
}
