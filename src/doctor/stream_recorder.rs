//! Records a stream in a task of its own, so that the arrival times are exact whatever else the examination does.

use std::time::Duration;

use reqwest::Response;
use reqwest::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::http::describe_error;
use super::recording::{Block, Recording, StreamHead};

/// Blocks between the reading task and the recording; beyond them the task waits.
const CHANNEL_BLOCKS: usize = 1000;

/// A stream with more bytes than this and no blank line is not an event stream.
const MAX_BLOCK_BYTES: usize = 1 << 20;

/// A block, or how the stream ended.
type Item = Result<Block, String>;

/// Records what a stream sends. Dropping it closes the stream.
#[derive(Debug)]
pub(super) struct StreamRecorder {
    /// When the stream was requested; the times of the recording count from here.
    pub(super) started_at: Instant,
    /// What [`Self::record_until`] and [`Self::wait_for`] have taken from the stream so far.
    pub(super) recording: Recording,
    items: mpsc::Receiver<(Instant, Item)>,
}

impl StreamRecorder {
    /// Starts to read the body of a response to a request that was sent at `started_at`.
    pub(super) fn start(started_at: Instant, response: Response) -> Self {
        let recording = Recording { head: head_of(&response), ..Recording::default() };
        let (sender, items) = mpsc::channel(CHANNEL_BLOCKS);
        tokio::spawn(read_stream(response, sender)); // ends when the receiver is dropped
        Self { started_at, recording, items }
    }

    /// Records until the condition holds, the stream ends or the deadline passes.
    pub(super) async fn wait_for(&mut self, deadline: Instant, condition: impl Fn(&Recording) -> bool) {
        while !condition(&self.recording) {
            match timeout_at(deadline, self.items.recv()).await {
                Ok(Some((at, item))) => self.record(at - self.started_at, item),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Records until the deadline passes or the stream ends.
    pub(super) async fn record_until(&mut self, deadline: Instant) {
        self.wait_for(deadline, |recording| recording.end.is_some()).await;
    }

    fn record(&mut self, at: Duration, item: Item) {
        match item {
            Ok(block) => self.recording.blocks.push((at, block)),
            Err(end) => self.recording.end = Some((at, end)),
        }
    }
}

fn head_of(response: &Response) -> StreamHead {
    let header = |name: HeaderName| {
        let values = response.headers().get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ").to_ascii_lowercase()
    };
    StreamHead {
        status: response.status().as_u16(),
        version: response.version(),
        content_type: header(CONTENT_TYPE),
        content_encoding: header(CONTENT_ENCODING).replace("identity", ""),
        cache_control: header(CACHE_CONTROL),
        transfer_encoding: header(TRANSFER_ENCODING),
        content_length: header(CONTENT_LENGTH),
    }
}

/// Sends each block with its time of arrival, and at last how the stream ended.
async fn read_stream(mut response: Response, sender: mpsc::Sender<(Instant, Item)>) {
    let mut unparsed = Vec::new();
    let end = loop {
        let chunk = tokio::select! {
            chunk = response.chunk() => chunk,
            () = sender.closed() => return,
        };
        match chunk {
            Ok(Some(chunk)) => unparsed.extend_from_slice(&chunk),
            Ok(None) => break "the response ended".to_owned(),
            Err(error) => break format!("the connection broke ({})", describe_error(&error)),
        }
        let now = Instant::now();
        while let Some(blank_line) = unparsed.windows(2).position(|pair| pair == b"\n\n") {
            let block = Block::parse(&String::from_utf8_lossy(&unparsed[..blank_line]));
            unparsed.drain(..blank_line + 2);
            if sender.send((now, Ok(block))).await.is_err() {
                return;
            }
        }
        if unparsed.len() > MAX_BLOCK_BYTES {
            break "the response is not an event stream".to_owned();
        }
    };
    let _ = sender.send((Instant::now(), Err(end))).await;
}
