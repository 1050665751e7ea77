//! What was measured, and what it means. Pure: no I/O, no clock.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Version;

use super::advice;
use super::ear::{Head, Tale};
use super::finding::Finding;

/// What may pass between an acknowledgement and the message in the stream. A buffer takes far longer.
pub const LATE: Duration = Duration::from_secs(1);

/// Events so near to each other came in one piece.
const TOGETHER: Duration = Duration::from_millis(50);

/// A message that was acknowledged.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// When it was acknowledged, on the clock of the stream that hears it.
    pub acked: Duration,
}

/// How a reader that named its place was served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resumed {
    /// The place that the stream began with.
    pub place: Option<String>,
    /// The messages that came.
    pub ids: Vec<String>,
}

/// Which version of HTTP browsers will speak.
pub fn version(version: Version, secure: bool) -> Finding {
    if version >= Version::HTTP_2 {
        return Finding::good("HTTP", format!("{version:?}: any number of tabs"));
    }
    let seen = "HTTP/1.1 only: a browser opens six connections to an address, and the stream of each tab takes one. This \
                program's own page shares one stream among its tabs; of other pages the seventh tab hangs.";
    let plain = if secure { "" } else { " Browsers speak HTTP/2 only over TLS." };
    Finding::note("HTTP", format!("{seen}{plain}")).advise(advice::HTTP_2)
}

/// Whether the stream's head came as the node wrote it.
pub fn head(head: &Head) -> [Finding; 2] {
    let coding = match head.coding.as_str() {
        "" => Finding::good("compression", "none, though gzip and brotli were offered"),
        coding => {
            let seen = format!("the stream is compressed on the way ({coding}): events wait in the compressor");
            Finding::broken("compression", seen).advise(advice::UNCOMPRESSED)
        }
    };
    let caching = match head.caching.contains("no-transform") && head.caching.contains("no-cache") {
        true => Finding::good("caching", "Cache-Control came through"),
        false => {
            let seen = format!(
                "Cache-Control was changed to {:?}: proxies nearer to the reader may now cache or compress",
                head.caching
            );
            Finding::note("caching", seen).advise(advice::NO_TRANSFORM)
        }
    };
    [coding, caching]
}

/// Whether the stream's first words came at once.
pub fn opening(tale: &Tale) -> Finding {
    match tale.blocks.first() {
        Some((at, _)) if *at <= 2 * LATE => Finding::good("first event", format!("after {}", ms(*at))),
        Some((at, _)) => {
            Finding::broken("first event", format!("only after {}: something on the way collects", ms(*at)))
                .advise(advice::UNBUFFERED)
        }
        None => held_back(),
    }
}

/// Nothing of the stream came at all.
pub fn held_back() -> Finding {
    let seen =
        "nothing came, although posts are answered: something on the way collects the stream before it passes it on";
    Finding::broken("buffering", seen).advise(advice::UNBUFFERED)
}

/// Whether each message came shortly after its acknowledgement. Where the nodes share no log, a message that did not come
/// tells nothing about the way.
pub fn delivery(tale: &Tale, sent: &[Sent], shared: bool) -> Finding {
    let arrivals: Vec<_> = sent.iter().filter_map(|sent| Some((tale.arrival(&sent.id)?, sent.acked))).collect();
    let slowest = arrivals.iter().map(|(at, acked)| at.saturating_sub(*acked)).max();
    let missing = sent.len() - arrivals.len();
    match slowest {
        Some(lag) if lag > LATE => {
            let seen = format!(
                "messages are held back: one came {} after it was acknowledged{}",
                ms(lag),
                how(tale, &arrivals)
            );
            Finding::broken("buffering", seen).advise(advice::UNBUFFERED)
        }
        _ if missing > 0 && (!shared || tale.end.is_some()) => {
            Finding::note("buffering", format!("cannot be told: {missing} of {} messages could not come", sent.len()))
        }
        _ if missing > 0 => {
            let seen =
                format!("{missing} of {} acknowledged messages did not come while the stream was heard", sent.len());
            Finding::broken("buffering", seen).advise(advice::UNBUFFERED)
        }
        None => Finding::note("buffering", "cannot be told: no message was taken"),
        Some(lag) => {
            let seen = format!(
                "none: {} messages came one by one, each within {} of its acknowledgement",
                sent.len(),
                ms(lag)
            );
            Finding::good("buffering", seen)
        }
    }
}

/// In which company late messages came.
fn how(tale: &Tale, arrivals: &[(Duration, Duration)]) -> &'static str {
    let near = |a: Duration, b: Duration| a.abs_diff(b) <= TOGETHER;
    let bunch = arrivals.windows(2).any(|pair| near(pair[0].0, pair[1].0) && !near(pair[0].1, pair[1].1));
    let is_beat = |event: Option<&str>| event == Some("heartbeat");
    let mut beats = tale.blocks.iter().filter(|(_, block)| is_beat(block.event.as_deref()));
    let beat = beats.any(|(at, _)| arrivals.iter().any(|(arrival, _)| near(*at, *arrival)));
    match (bunch, beat) {
        (_, true) => ", pushed out by a heartbeat",
        (true, false) => ", several in one piece",
        (false, false) => "",
    }
}

/// Whether silence was broken as often as the node says.
pub fn heartbeats(tale: &Tale, heartbeat: Duration, heard: Duration) -> Finding {
    let longest = silences(tale, heard).max().unwrap_or(heard);
    let beats = tale.blocks.iter().filter(|(_, block)| block.event.as_deref() == Some("heartbeat")).count();
    let allowed = heartbeat.mul_f64(1.25) + 2 * LATE;
    let every = heartbeat.as_secs();
    match (longest > allowed, beats) {
        (true, _) => {
            let seen = format!("nothing came for {}, though the node says something every {every} s", ms(longest));
            Finding::broken("heartbeats", seen).advise(advice::UNBUFFERED)
        }
        (false, 0) => Finding::note("heartbeats", format!("none was due: they come after {every} s of silence")),
        (false, _) => {
            Finding::good("heartbeats", format!("in time: {beats} came, never more than {} of silence", ms(longest)))
        }
    }
}

/// Whether the stream lived as long as it was listened to.
pub fn idle(tale: &Tale, heard: Duration) -> Finding {
    let Some((at, how)) = &tale.end else {
        let quiet = heard.saturating_sub(tale.messages().last().map_or(Duration::ZERO, |(at, _)| at));
        return Finding::good(
            "idle stream",
            format!("alive after {}, the last {} without a message", ms(heard), ms(quiet)),
        );
    };
    if let Some(why) = tale.event("backoff") {
        return Finding::note(
            "idle stream",
            format!("the node itself sent us away after {}: {}", ms(*at), why["reason"]),
        );
    }
    let silence = silences(tale, *at).last().unwrap_or(*at);
    let seen = format!("cut after {}, when nothing had come for {}: {how}", ms(*at), ms(silence));
    Finding::broken("idle stream", seen).advise(advice::PATIENT)
}

/// The silences of a stream: before, between and after its events.
fn silences(tale: &Tale, heard: Duration) -> impl Iterator<Item = Duration> {
    let end = tale.end.as_ref().map_or(heard, |(at, _)| *at);
    let times = tale.blocks.iter().map(|(at, _)| *at).chain([end]);
    times.scan(Duration::ZERO, |before, at| {
        let silence = at.saturating_sub(*before);
        *before = at;
        Some(silence)
    })
}

/// Whether a reader that names its place gets every later message, once and in order.
pub fn resume(asked: &str, later: &[String], header: &Resumed, query: &Resumed) -> Finding {
    let right = |resumed: &Resumed| resumed.place.as_deref() == Some(asked) && resumed.ids == later;
    if right(header) {
        return Finding::good("resume", format!("by Last-Event-ID: exactly the {} later messages came", later.len()));
    }
    if header.place.as_deref() == Some(asked) {
        let seen = format!("the place was understood, but {} came instead of {}", list(&header.ids), list(later));
        return Finding::broken("resume", seen).advise(advice::UNCACHED);
    }
    let query = match right(query) {
        true => "?lastEventId= works, but a browser that reconnects sends the header",
        false => "?lastEventId= does not help either",
    };
    let seen = format!("the header Last-Event-ID does not reach the node: who reconnects misses messages. {query}");
    Finding::broken("resume", seen).advise(advice::LAST_EVENT_ID)
}

/// Whether all nodes have the same log: how many of the readings found a message that was posted once.
pub fn nodes(names: &BTreeSet<String>, found: usize, asked: usize) -> Finding {
    let list = names.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let who = match names.len() {
        0 => "no stream said which node it is on".to_owned(),
        1 => format!("one answered: {list} (or several with one NODE)"),
        count => format!("{count} answered: {list}"),
    };
    if found < asked {
        let seen = format!(
            "{who}; a message posted once was found by {found} of {asked} requests: they do not share one Redis"
        );
        return Finding::broken("nodes", seen).advise(advice::ONE_REDIS);
    }
    Finding::good("nodes", format!("{who}; a message posted once was found by all of {asked} requests"))
}

/// Whether a post that is repeated with its key stays one message.
pub fn repeated(first: &str, second: Option<&str>, duplicate: bool) -> Finding {
    match second {
        Some(second) if second == first && duplicate => {
            Finding::good("repeated post", "with the same key it stayed one message")
        }
        Some(second) if second == first => {
            Finding::note("repeated post", "the same answer came, but from a cache on the way").advise(advice::UNCACHED)
        }
        Some(_) => {
            Finding::broken("repeated post", "the same key made a second message: the nodes do not share one Redis")
                .advise(advice::ONE_REDIS)
        }
        None => Finding::broken("repeated post", "it was not answered"),
    }
}

fn list(ids: &[String]) -> String {
    if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") }
}

/// A time as people read it.
pub fn ms(time: Duration) -> String {
    match time.as_millis() {
        0 => "1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests;
