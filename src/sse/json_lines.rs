//! Blocks of a stream as JSON, one object a line (`application/x-ndjson`).

use serde::Serialize;

use super::event::{Block, Text};
use super::event_stream::lines_joined;
use crate::chat::to_visible_json;

/// A line; its data is what a parser of the event stream makes of it.
#[derive(Serialize)]
struct Line<'a> {
    id: Option<String>,
    event: &'a str,
    data: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u32>,
}

/// Appends a block as one line.
pub fn push_line(out: &mut String, block: &Block<'_>, text: Text) {
    let data = block.data(text);
    let line = Line {
        id: block.cursor.map(ToString::to_string),
        event: block.event.kind.name().unwrap_or("message"),
        data: &lines_joined(&data),
        retry: block.retry_ms,
    };
    out.push_str(&to_visible_json(&line).unwrap_or_default());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Id;
    use crate::sse::event::{BackoffReason, Event};

    #[test]
    fn a_block_is_one_line_of_json() {
        let line = |block: &Block<'_>| {
            let mut out = String::new();
            push_line(&mut out, block, Text::Escaped);
            out
        };
        let id = Id { ms: 3, n: 4 };
        let event = Event::entry(id, "", "a\n\u{9b}".to_owned());
        assert_eq!(
            line(&Block { cursor: Some(&id.into()), ..Block::of(&event) }),
            "{\"id\":\"3-4\",\"event\":\"message\",\"data\":\"a\\n\\u009b\"}\n"
        );
        let event = Event::entry(id, "t", "a\rb\r\nc".to_owned());
        let joined = "{\"id\":null,\"event\":\"t\",\"data\":\"a\\nb\\nc\"}\n";
        assert_eq!(line(&Block::of(&event)), joined);
        let backoff = Event::backoff(BackoffReason::Slow, 1000);
        assert_eq!(
            line(&Block { retry_ms: Some(1000), ..Block::of(&backoff) }),
            "{\"id\":null,\"event\":\"backoff\",\"data\":\"{\\\"reason\\\":\\\"slow\\\",\\\"retry\\\":1000}\",\"retry\":1000}\n"
        );
    }
}
