//! Reads the body of an open stream, at the pace of the caller.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use super::parser::{BlockTooLarge, Parsed, Parser};
use crate::http_client::describe_error;

/// An open stream.
#[derive(Debug)]
pub(super) struct Reader {
    response: Response,
    parser: Parser,
    /// When the caller began to wait for the next byte. The time in which it did not ask for one does not count.
    waits_since: Option<Instant>,
}

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// The connection was lost, or the body ended.
    Lost(String),
    /// A block was too large.
    BlockTooLarge,
}

impl From<BlockTooLarge> for End {
    fn from(_: BlockTooLarge) -> Self {
        Self::BlockTooLarge
    }
}

impl Reader {
    pub(super) fn new(response: Response) -> Self {
        Self { response, parser: Parser::new(), waits_since: None }
    }

    /// Returns what comes next. If no byte comes within the limit, the stream is lost. It may be cancelled.
    pub(super) async fn next(&mut self, silence_limit: Option<Duration>) -> Result<Parsed, End> {
        loop {
            if let Some(parsed) = self.parser.pull()? {
                return Ok(parsed);
            }
            let chunk = self.next_chunk(silence_limit).await?;
            self.parser.push(chunk);
        }
    }

    async fn next_chunk(&mut self, silence_limit: Option<Duration>) -> Result<Bytes, End> {
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        let lost = |why: String| End::Lost(why);
        let chunk = match silence_limit.and_then(|limit| since.checked_add(limit)) {
            Some(deadline) => timeout_at(deadline, self.response.chunk()).await.map_err(|_| lost("silence".into()))?,
            None => self.response.chunk().await,
        };
        self.waits_since = None;
        match chunk {
            Ok(Some(chunk)) => Ok(chunk),
            Ok(None) => Err(lost("the stream ended".into())),
            Err(error) => Err(lost(describe_error(&error))),
        }
    }
}
