//! Judges how a stream arrived: in chunks, in UTF-8, and in the blocks that the node wrote. Pure: no I/O, no clock.

use reqwest::Version;

use super::advice;
use super::finding::Finding;
use super::recording::{Recording, StreamHead};

/// Checks that the end of a connection can be told from the end of the stream.
pub(super) fn framing(head: &StreamHead) -> Finding {
    if !head.content_length.is_empty() {
        let text = format!(
            "a proxy gave the stream a length ({} bytes): it collects what it should pass on, or cuts it",
            head.content_length
        );
        return Finding::broken("framing", text).with_advice(advice::DISABLE_BUFFERING);
    }
    if head.version >= Version::HTTP_2 {
        return Finding::good("framing", format!("frames of {:?}, without a length", head.version));
    }
    if head.transfer_encoding.contains("chunked") {
        return Finding::good("framing", "in chunks");
    }
    let text = "the stream has no chunks any more: only the end of the connection ends it. Some clients take that for its \
                intended end and do not come back (fetch-event-source), others wait for hundreds of bytes before they \
                show a message (Python's requests)";
    Finding::note("framing", text).with_advice(advice::KEEP_CHUNKS)
}

/// Checks that the type of the stream states its charset.
pub(super) fn charset(head: &StreamHead) -> Finding {
    let charset = head.content_type.split(';').find_map(|parameter| parameter.trim().strip_prefix("charset="));
    match charset.map(|charset| charset.trim_matches('"')) {
        Some("utf-8") => Finding::good("charset", "utf-8"),
        other => {
            let found = other.map_or_else(|| "no charset".to_owned(), |charset| format!("the charset {charset}"));
            let text = format!(
                "the type arrived with {found}, not with utf-8: some clients then read ISO-8859-1 (Python's requests) and \
                 show é as Ã©"
            );
            Finding::note("charset", text).with_advice(advice::KEEP_CONTENT_TYPE)
        }
    }
}

/// Checks that nothing on the way made blocks of its own: a node writes none without data.
pub(super) fn blocks(recording: &Recording) -> Finding {
    let empty = recording.blocks.iter().filter(|(_, block)| !block.has_data);
    let (total, empty) = (recording.blocks.len(), empty.map(|(_, block)| block).collect::<Vec<_>>());
    if empty.is_empty() {
        return Finding::good("blocks", format!("all {total} have data"));
    }
    let count = empty.len();
    if empty.iter().any(|block| block.id.is_some()) {
        let text = format!(
            "{count} of {total} blocks came without data, with an id: from a proxy, or from an old node. Firefox and \
             several libraries forget the id then, and lose messages when they reconnect"
        );
        return Finding::broken("blocks", text).with_advice(advice::KEEP_BLOCKS);
    }
    let text = format!(
        "{count} of {total} blocks came without data, such as a proxy makes to keep a connection alive: some libraries \
         hand them on as empty messages"
    );
    Finding::note("blocks", text).with_advice(advice::KEEP_BLOCKS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doctor::finding::Verdict::{self, Broken, Good, Note};
    use crate::doctor::recording::Block;

    #[track_caller]
    fn assert_finding(finding: &Finding, verdict: Verdict, part: &str) {
        assert_eq!(finding.verdict, verdict, "{finding}");
        assert!(finding.text.contains(part), "{finding}");
        assert_eq!(verdict == Good, finding.advice.is_empty(), "{finding}");
    }

    fn head(version: Version, transfer_encoding: &str, content_length: &str) -> StreamHead {
        let (transfer_encoding, content_length) = (transfer_encoding.to_owned(), content_length.to_owned());
        StreamHead { version, transfer_encoding, content_length, ..StreamHead::default() }
    }

    #[test]
    fn a_stream_has_chunks_or_frames_and_no_length() {
        assert_finding(&framing(&head(Version::HTTP_11, "chunked", "")), Good, "in chunks");
        assert_finding(&framing(&head(Version::HTTP_2, "", "")), Good, "HTTP/2");
        assert_finding(&framing(&head(Version::HTTP_11, "", "")), Note, "no chunks");
        assert_finding(&framing(&head(Version::HTTP_10, "", "")), Note, "no chunks");
        assert_finding(&framing(&head(Version::HTTP_11, "", "123")), Broken, "(123 bytes)");
        assert_finding(&framing(&head(Version::HTTP_2, "", "123")), Broken, "(123 bytes)");
    }

    #[test]
    fn the_charset_is_utf_8() {
        let charset_of = |content_type: &str| {
            charset(&StreamHead { content_type: content_type.to_owned(), ..StreamHead::default() })
        };
        assert_finding(&charset_of("text/event-stream; charset=utf-8"), Good, "utf-8");
        assert_finding(&charset_of("text/event-stream;charset=\"utf-8\""), Good, "utf-8");
        assert_finding(&charset_of("text/event-stream"), Note, "no charset");
        assert_finding(&charset_of("text/event-stream; charset=iso-8859-1"), Note, "the charset iso-8859-1");
    }

    #[test]
    fn every_block_has_data() {
        let recording = |texts: &[&str]| Recording {
            blocks: texts.iter().map(|text| (Duration::ZERO, Block::parse(text))).collect(),
            ..Recording::default()
        };
        assert_finding(&blocks(&recording(&["id: 1-1\ndata: {}", "data:"])), Good, "all 2 have data");
        assert_finding(&blocks(&recording(&["id: 1-1\ndata: {}", ": ping"])), Note, "1 of 2 blocks");
        assert_finding(&blocks(&recording(&["retry:1000\nid: 1-1", ": ping"])), Broken, "2 of 2 blocks");
    }
}
