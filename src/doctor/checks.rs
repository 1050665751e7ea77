//! Judges what was measured. Pure: no I/O, no clock.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Version;

use super::advice;
use super::finding::Finding;
use super::recording::{Recording, StreamHead};
use super::text::{format_duration, printable};

/// The longest time between the acknowledgement of a message and its arrival in the stream that is not taken for buffering,
/// which delays messages much longer.
pub(super) const MAX_DELIVERY_LAG: Duration = Duration::from_secs(1);

/// Events at most this far apart are taken to have arrived together.
const SIMULTANEOUS: Duration = Duration::from_millis(50);

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub(super) struct PostedMessage {
    pub(super) id: String,
    /// When it was acknowledged, counted as the times of the recording are.
    pub(super) acked_at: Duration,
}

/// Checks that browsers will speak HTTP/2.
pub(super) fn http_version(version: Version, is_secure: bool) -> Finding {
    if version >= Version::HTTP_2 {
        return Finding::good("HTTP", format!("{version:?}: any number of tabs can be open"));
    }
    let text = "HTTP/1.1 only: a browser opens at most six connections to a host, and each tab's stream takes one. \
                tiny-chat's own page shares one stream among all tabs; with any other page, the seventh tab hangs.";
    let condition = if is_secure { "" } else { " Browsers speak HTTP/2 only over TLS." };
    Finding::note("HTTP", format!("{text}{condition}")).with_advice(advice::ENABLE_HTTP_2)
}

/// Checks that the stream is not compressed on the way.
pub(super) fn compression(head: &StreamHead) -> Finding {
    if head.content_encoding.is_empty() {
        return Finding::good("compression", "none, although gzip and Brotli were offered");
    }
    let text = format!("a proxy compresses the stream ({}), so events wait in its compressor", head.content_encoding);
    Finding::broken("compression", text).with_advice(advice::DISABLE_COMPRESSION)
}

/// Checks that the `Cache-Control` of the stream arrived as the node sent it.
pub(super) fn caching(head: &StreamHead) -> Finding {
    if head.cache_control.contains("no-transform") && head.cache_control.contains("no-cache") {
        return Finding::good("caching", "Cache-Control arrived unchanged");
    }
    let text = format!(
        "Cache-Control was changed to {:?}: proxies closer to the client may now cache or compress the stream",
        head.cache_control
    );
    Finding::note("caching", text).with_advice(advice::KEEP_CACHE_CONTROL)
}

/// Checks that the first event of the stream arrived at once.
pub(super) fn first_event(recording: &Recording) -> Finding {
    let Some((at, _)) = recording.blocks.first() else {
        return nothing_received();
    };
    if *at <= 2 * MAX_DELIVERY_LAG {
        return Finding::good("first event", format!("received after {}", format_duration(*at)));
    }
    let text = format!("received only after {}: a proxy buffers the stream", format_duration(*at));
    Finding::broken("first event", text).with_advice(advice::DISABLE_BUFFERING)
}

/// Returns the finding for a stream of which nothing arrived.
pub(super) fn nothing_received() -> Finding {
    let text = "nothing was received, although posts are answered: a proxy buffers the stream before it passes it on";
    Finding::broken("buffering", text).with_advice(advice::DISABLE_BUFFERING)
}

/// Checks that each message arrived soon after its acknowledgement. A missing message only means something if the nodes
/// share one log.
pub(super) fn buffering(recording: &Recording, posted: &[PostedMessage], nodes_share_log: bool) -> Finding {
    let arrivals: Vec<_> = posted
        .iter()
        .filter_map(|message| Some((recording.arrival_of(&message.id)?, message.acked_at)))
        .collect();
    let longest_lag = arrivals.iter().map(|(at, acked_at)| at.saturating_sub(*acked_at)).max();
    let (total, missing) = (posted.len(), posted.len() - arrivals.len());
    match longest_lag {
        Some(lag) if lag > MAX_DELIVERY_LAG => {
            let text = format!(
                "messages are delayed: one was received {} after its acknowledgement{}",
                format_duration(lag),
                cause_of_delay(recording, &arrivals)
            );
            Finding::broken("buffering", text).with_advice(advice::DISABLE_BUFFERING)
        }
        _ if missing > 0 && (!nodes_share_log || recording.end.is_some()) => Finding::note(
            "buffering",
            format!("cannot tell: {missing} of {total} messages could not reach this stream"),
        ),
        _ if missing > 0 => {
            let text =
                format!("{missing} of {total} acknowledged messages were not received while the stream was open");
            Finding::broken("buffering", text).with_advice(advice::DISABLE_BUFFERING)
        }
        None => Finding::note("buffering", "cannot tell: no message was accepted"),
        Some(lag) => {
            let lag = format_duration(lag);
            let text = format!("none: {total} messages came one by one, each within {lag} of its acknowledgement");
            Finding::good("buffering", text)
        }
    }
}

/// Describes what late messages arrived together with. Each arrival is paired with its acknowledgement.
fn cause_of_delay(recording: &Recording, arrivals: &[(Duration, Duration)]) -> &'static str {
    let together = |a: Duration, b: Duration| a.abs_diff(b) <= SIMULTANEOUS;
    if recording.heartbeats().any(|beat| arrivals.iter().any(|(arrival, _)| together(beat, *arrival))) {
        ", pushed out by a heartbeat"
    } else if arrivals.windows(2).any(|pair| together(pair[0].0, pair[1].0) && !together(pair[0].1, pair[1].1)) {
        ", together with others"
    } else {
        ""
    }
}

/// Checks that the stream was never silent for longer than the heartbeat interval.
pub(super) fn heartbeats(recording: &Recording, interval: Duration, listened: Duration) -> Finding {
    let longest = silences(recording, listened).max().unwrap_or(listened);
    let count = recording.heartbeats().count();
    let (longest_text, secs) = (format_duration(longest), interval.as_secs());
    if longest > interval.mul_f64(1.25) + 2 * MAX_DELIVERY_LAG {
        let text = format!("nothing was received for {longest_text}, although heartbeats are due every {secs} s");
        return Finding::broken("heartbeats", text).with_advice(advice::DISABLE_BUFFERING);
    }
    if count == 0 {
        return Finding::note("heartbeats", format!("none was due: they are sent after {secs} s of silence"));
    }
    Finding::good("heartbeats", format!("in time: {count} received, never more than {longest_text} of silence"))
}

/// What came of a second stream, after the first one was cut.
#[derive(Debug)]
pub(super) enum SecondLook {
    /// There was no reason for one: the first stream is open, or its node closed it.
    Unneeded,
    /// No further stream could be opened, for this reason.
    Unreachable(String),
    /// It was listened to for longer than the first one had been open.
    Listened(Recording),
}

/// Returns true if the stream ended, and not because its node said so.
pub(super) fn was_cut(recording: &Recording) -> bool {
    recording.end.is_some() && recording.event("backoff").is_none()
}

/// Checks that the stream stayed open as long as it was listened to. A cut that does not happen again is that of a node or
/// of a network, not of a setting.
pub(super) fn idle_stream(recording: &Recording, listened: Duration, second: &SecondLook) -> Finding {
    let Some((end, reason)) = &recording.end else {
        let last_message = recording.messages().last().map_or(Duration::ZERO, |(at, _)| at);
        let text = format!(
            "still open after {}, the last {} without a message",
            format_duration(listened),
            format_duration(listened.saturating_sub(last_message))
        );
        return Finding::good("idle stream", text);
    };
    if let Some(backoff) = recording.event("backoff") {
        let text = format!("the node itself closed it after {}: {}", format_duration(*end), backoff["reason"]);
        return Finding::note("idle stream", text);
    }
    let silence = last_silence(recording);
    let cut = format!("cut after {}, after {} of silence: {reason}", format_duration(*end), format_duration(silence));
    match second {
        SecondLook::Unneeded => Finding::broken("idle stream", cut),
        SecondLook::Unreachable(why) => {
            Finding::broken("idle stream", format!("{cut}. No other stream could be opened after that: {why}"))
        }
        SecondLook::Listened(again) => match &again.end {
            Some((end_again, _)) if was_cut(again) => {
                let finding = format!("{cut}; a second one after {}", format_duration(*end_again));
                let finding = Finding::broken("idle stream", finding);
                // Timeouts count from the last byte, or from the beginning.
                if is_about(silence, last_silence(again)) || is_about(*end, *end_again) {
                    finding.with_advice(advice::RAISE_READ_TIMEOUT)
                } else {
                    finding
                }
            }
            _ => {
                let text = format!("{cut}. It did not happen again: {} may have stopped", node_of(recording));
                Finding::note("idle stream", format!("{text}; a second stream, of {}, was not cut", node_of(again)))
            }
        },
    }
}

/// Returns true if two times are so similar that one setting may be the cause of both.
fn is_about(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= MAX_DELIVERY_LAG + one.max(other).mul_f64(0.1)
}

/// Returns the time from the last event to the end of the stream.
fn last_silence(recording: &Recording) -> Duration {
    let end = recording.end.as_ref().map_or(Duration::ZERO, |(at, _)| *at);
    silences(recording, end).last().unwrap_or(end)
}

/// Returns the name of the node that a stream comes from.
fn node_of(recording: &Recording) -> String {
    let status = recording.event("status");
    status
        .and_then(|status| status["node"].as_str().map(printable))
        .unwrap_or_else(|| "its node".to_owned())
}

/// Returns the time before the first, between all and after the last event.
fn silences(recording: &Recording, listened: Duration) -> impl Iterator<Item = Duration> {
    let end = recording.end.as_ref().map_or(listened, |(at, _)| *at);
    let times = recording.blocks.iter().map(|(at, _)| *at).chain([end]);
    times.scan(Duration::ZERO, |previous, at| {
        let silence = at.saturating_sub(*previous);
        *previous = at;
        Some(silence)
    })
}

/// Checks that a stream resumed after `cursor` replays exactly the later messages, in order. The cursor was sent in the
/// `Last-Event-ID` header of one request, and in the query of the other.
pub(super) fn resume(cursor: &str, later: &[String], by_header: &Recording, by_query: &Recording) -> Finding {
    let starts_at_cursor = |recording: &Recording| recording.start_cursor() == Some(cursor);
    let received = |recording: &Recording| recording.messages().map(|(_, id)| printable(id)).collect::<Vec<_>>();
    let is_right = |recording: &Recording| starts_at_cursor(recording) && received(recording) == later;
    if is_right(by_header) {
        return Finding::good("resume", format!("with Last-Event-ID, exactly the {} later messages came", later.len()));
    }
    if starts_at_cursor(by_header) {
        let (received, expected) = (list(&received(by_header)), list(later));
        let text = format!("the node received the cursor, but the stream held {received} instead of {expected}");
        return Finding::broken("resume", text).with_advice(advice::DISABLE_CACHING);
    }
    let alternative = if is_right(by_query) {
        "?lastEventId= works, but a browser that reconnects sends the header"
    } else {
        "?lastEventId= does not help either"
    };
    let text = format!(
        "the header Last-Event-ID does not reach the node, so clients that reconnect miss messages. {alternative}"
    );
    Finding::broken("resume", text).with_advice(advice::KEEP_LAST_EVENT_ID)
}

/// Checks that all nodes share one log: a message that was posted once must be found by all requests for it.
pub(super) fn nodes(names: &BTreeSet<String>, found: usize, requests: usize) -> Finding {
    let list = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let answered = match names.len() {
        0 => "no stream named its node".to_owned(),
        1 => format!("one answered: {list} (or several with the same NODE)"),
        count => format!("{count} answered: {list}"),
    };
    if found < requests {
        let text = format!(
            "{answered}; a message posted once was found by {found} of {requests} requests: the nodes do not share one Redis"
        );
        return Finding::broken("nodes", text).with_advice(advice::SHARE_ONE_REDIS);
    }
    Finding::good("nodes", format!("{answered}; a message posted once was found by all {requests} requests"))
}

/// Checks that repeating a post with its idempotency key stores no second message. `first` and `second` are the ids in the
/// two responses.
pub(super) fn repeated_post(first: &str, second: Option<&str>, is_duplicate: bool) -> Finding {
    let Some(second) = second else {
        return Finding::broken("repeated post", "the repetition was not answered");
    };
    if second != first {
        let text = "the same key stored a second message: the nodes do not share one Redis";
        return Finding::broken("repeated post", text).with_advice(advice::SHARE_ONE_REDIS);
    }
    if !is_duplicate {
        let text = "the same response was received again, from a cache on the way";
        return Finding::note("repeated post", text).with_advice(advice::DISABLE_CACHING);
    }
    Finding::good("repeated post", "the same key stored only one message")
}

fn list(ids: &[String]) -> String {
    if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") }
}

#[cfg(test)]
mod tests;
