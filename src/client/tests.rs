//! em-eventsource's own cases and the rest of what a source promises, against servers that follow a script.

mod publishing;
mod server;

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use server::{STREAM, Script, Server, answer, ended, open, read_request};

use super::{Builder, Happened, Source, State};

const DEADLINE: Duration = Duration::from_secs(20);

/// Describes a source that comes back soon.
fn source_of(server: &Server) -> Builder {
    Source::get(server.url("/events")).retry(Duration::from_millis(100))
}

async fn next(source: &mut Source) -> Option<Happened> {
    timeout(DEADLINE, source.next()).await.expect("something happens")
}

fn event(id: Option<&str>, event: &str, data: &str) -> Option<Happened> {
    Some(Happened::Event { id: id.map(str::to_owned), event: event.to_owned(), data: data.to_owned() })
}

fn message(id: Option<&str>, data: &str) -> Option<Happened> {
    event(id, "message", data)
}

fn error(text: &str) -> Option<Happened> {
    Some(Happened::Error(text.to_owned()))
}

fn lost() -> Option<Happened> {
    error("Connection lost. Reconnecting.")
}

/// Checks that a source is closed at once with this error.
async fn assert_closed_with(script: Script, text: &str) {
    let mut source = source_of(&Server::start([script]).await).open();
    assert_eq!(next(&mut source).await, error(text));
    assert_eq!((source.state(), next(&mut source).await), (State::Closed, None));
}

/// Returns the events of a source that reads these streams one after the other.
async fn events_of(streams: impl IntoIterator<Item = Script>, count: usize) -> Vec<(Option<String>, String, String)> {
    let server = Server::start(streams).await;
    let (mut source, mut events) = (source_of(&server).open(), Vec::new());
    while events.len() < count {
        if let Happened::Event { id, event, data } = next(&mut source).await.expect("an event") {
            events.push((id, event, data));
        }
    }
    events
}

#[tokio::test]
async fn a_source_connects_opens_and_closes_in_silence() {
    let server = Server::start([open("data: hi\n\n")]).await;
    let mut source = source_of(&server).open();
    assert_eq!(source.state(), State::Connecting);
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    assert_eq!(source.state(), State::Open);
    assert_eq!(next(&mut source).await, message(None, "hi"));
    source.close();
    assert_eq!((source.state(), next(&mut source).await), (State::Closed, None));
    let mut source = source_of(&server).open();
    source.close();
    assert_eq!(next(&mut source).await, None, "before the first connect, too");
}

#[tokio::test]
async fn request_has_the_headers_and_the_query_of_the_user() {
    let mut server = Server::start([open("")]).await;
    let url = server.url("/events?a=1");
    let source = Source::get(url).query("history", "20").query("q", "ü &").header("X-App", "1").since("7-1");
    let mut source = source.header("cache-control", "no-store").open();
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    let request = server.request();
    assert!(request.starts_with("GET /events?a=1&history=20&q=%C3%BC+%26 HTTP/1.1\r\n"), "{request}");
    for line in ["accept: text/event-stream", "cache-control: no-store", "x-app: 1", "last-event-id: 7-1"] {
        assert!(request.to_ascii_lowercase().contains(&format!("\r\n{line}\r\n")), "no {line} in {request}");
    }
    assert_eq!(source.url(), server.url("/events?a=1&history=20&q=%C3%BC+%26"));
    assert_eq!((source.last_event_id(), source.retry()), (Some("7-1"), Duration::from_secs(3)));
}

#[tokio::test]
async fn what_is_no_request_closes_the_source() {
    for source in [Source::get("plop"), Source::get("ftp://x/"), Source::get("http://x/").header("a b", "c")] {
        let mut source = source.open();
        assert!(matches!(next(&mut source).await, Some(Happened::Error(_))));
        assert_eq!((source.state(), next(&mut source).await), (State::Closed, None));
    }
}

#[tokio::test]
async fn wrong_status_closes_the_source() {
    for status in [400, 404, 401, 201, 206, 304, 501, 302] {
        assert_closed_with(answer(status, ""), &format!("Unexpected response status {status}")).await;
    }
    let mut source = source_of(&Server::start([answer(204, "")]).await).open();
    assert_eq!((next(&mut source).await, source.state()), (None, State::Closed), "204 is no error");
}

#[tokio::test]
async fn wrong_content_type_closes_the_source() {
    for content_type in ["text/plop", "text/event-streams", "text/html; charset=utf-8"] {
        let text = format!("The content-type '{content_type}' is not text/event-stream");
        assert_closed_with(answer(200, &format!("Content-Type: {content_type}\r\n")), &text).await;
    }
    assert_closed_with(answer(200, ""), "The content-type '' is not text/event-stream").await;
    for content_type in ["text/event-stream", "Text/Event-Stream ;charset=utf-8"] {
        let server = Server::start([answer(200, &format!("Content-Type: {content_type}\r\n"))]).await;
        assert_eq!(next(&mut source_of(&server).open()).await, Some(Happened::Open));
    }
}

#[tokio::test]
async fn status_of_a_proxy_during_a_deploy_is_tried_again() {
    let refusals = [408, 425, 429, 500, 502, 503, 504].map(|status| answer(status, "Retry-After: 0\r\n"));
    let server = Server::start(refusals.into_iter().take(3).chain([open("data: hi\n\n")])).await;
    let mut source = source_of(&server).open();
    for _ in 0..3 {
        assert_eq!((next(&mut source).await, source.state()), (lost(), State::Connecting));
    }
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    for status in [429, 500, 502, 503, 504] {
        let mut source = source_of(&Server::start([answer(status, "")]).await).open();
        assert_eq!((next(&mut source).await, source.why_lost()), (lost(), Some(&*format!("status {status}"))));
    }
}

#[tokio::test]
async fn retry_after_is_waited_for() {
    let server = Server::start([answer(503, "Retry-After: 1\r\n"), open("")]).await;
    let mut source = source_of(&server).open();
    assert_eq!(next(&mut source).await, lost());
    let since = Instant::now();
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    assert!(since.elapsed() >= Duration::from_millis(999), "{:?}", since.elapsed());
}

#[tokio::test]
async fn redirects_are_followed_and_permanent_ones_remembered() {
    for (status, remembered) in [(301, "/b"), (308, "/b"), (302, "/events"), (303, "/events"), (307, "/events")] {
        let hop = |to: &str| answer(status, &format!("Location: {to}\r\n"));
        let mut server = Server::start([hop("/b"), ended("id: 5\n\n"), open("")]).await;
        let mut source = source_of(&server).open();
        assert_eq!(next(&mut source).await, Some(Happened::Open));
        assert_eq!((next(&mut source).await, next(&mut source).await), (lost(), Some(Happened::Open)));
        let paths = [server.request(), server.request(), server.request()];
        for (request, path) in paths.iter().zip(["/events", "/b", remembered]) {
            assert!(request.starts_with(&format!("GET {path} ")), "{status}: {request}");
        }
        assert!(paths[2].contains("last-event-id: 5\r\n"), "{}", paths[2]);
        assert_eq!(source.url(), server.url(remembered));
    }
}

#[tokio::test]
async fn redirects_to_another_origin_get_no_credentials() {
    let mut there = Server::start([ended(""), open("")]).await;
    let to = format!("Location: {}\r\n", there.url("/b"));
    let mut here = Server::start([answer(301, "Location: /a\r\n"), answer(301, &to)]).await;
    let source = source_of(&here).header("Authorization", "Bearer x").header("Cookie", "y=z").header("X-App", "1");
    let mut source = source.open();
    for happened in [Some(Happened::Open), lost(), Some(Happened::Open)] {
        assert_eq!(next(&mut source).await, happened);
    }
    for request in [here.request(), here.request()] {
        assert!(request.contains("authorization: Bearer x\r\n") && request.contains("cookie: y=z\r\n"), "{request}");
    }
    for request in [there.request(), there.request()] {
        assert!(!request.contains("authorization") && !request.contains("cookie"), "{request}");
        assert!(request.contains("x-app: 1\r\n"), "{request}");
    }
}

#[tokio::test]
async fn more_than_10_redirects_close_the_source() {
    let hops = |count| (0..count).map(|_| answer(302, "Location: /again\r\n"));
    let server = Server::start(hops(10).chain([open("")])).await;
    assert_eq!(next(&mut source_of(&server).open()).await, Some(Happened::Open));
    let mut source = source_of(&Server::start(hops(11)).await).open();
    assert!(matches!(next(&mut source).await, Some(Happened::Error(_))));
    assert_eq!(next(&mut source).await, None);
    assert_closed_with(answer(302, "Location: ftp://x/\r\n"), "The redirect to 'ftp://x/' leads nowhere").await;
}

#[tokio::test]
async fn source_comes_back_with_its_id_after_end_and_error() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nid: 2\n\nid: 3\r\n";
    let streams = [
        ended("data: a\nid: 1\n\nid: 9\ndata: half"),
        Script { bytes: cut.into(), stays_open: false },
        ended("data: b\n\nid:\n\n"),
        open(""),
    ];
    let mut server = Server::start(streams).await;
    let mut source = source_of(&server).open();
    let expected = [
        Some(Happened::Open),
        message(Some("1"), "a"),
        lost(),
        Some(Happened::Open),
        lost(),
        Some(Happened::Open),
        message(Some("2"), "b"),
        lost(),
        Some(Happened::Open),
    ];
    for happened in expected {
        assert_eq!(next(&mut source).await, happened);
    }
    for id in [None, Some("1"), Some("2"), None] {
        let request = server.request();
        let sent = request.lines().find_map(|line| line.strip_prefix("last-event-id: "));
        assert_eq!(sent, id, "{request}");
    }
}

#[tokio::test]
async fn retry_of_the_server_is_obeyed_unless_the_user_chose_one() {
    let server = || Server::start([ended("retry: plop\nretry: 45plop\nretry: 1000\nretry:400\ndata: x\n\n"), open("")]);
    let mut source = Source::get(server().await.url("/")).open();
    assert_eq!(source.retry(), Duration::from_secs(3));
    assert_eq!((next(&mut source).await, next(&mut source).await), (Some(Happened::Open), message(None, "x")));
    assert_eq!(source.retry(), Duration::from_millis(400));
    assert_eq!(next(&mut source).await, lost());
    let since = Instant::now();
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    assert!(since.elapsed() >= Duration::from_millis(399) && since.elapsed() < Duration::from_secs(3));
    let mut source = source_of(&server().await).open();
    assert_eq!((next(&mut source).await, next(&mut source).await), (Some(Happened::Open), message(None, "x")));
    assert_eq!(source.retry(), Duration::from_millis(100));
}

#[tokio::test]
async fn silence_counts_as_lost() {
    let server = Server::start([open("data: x\n\n"), open("")]).await;
    let mut source = source_of(&server).inactivity(Duration::from_millis(50)).open();
    assert_eq!((next(&mut source).await, next(&mut source).await), (Some(Happened::Open), message(None, "x")));
    // What the reader does in between is no silence of the server.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let since = Instant::now();
    assert_eq!((next(&mut source).await, source.why_lost()), (lost(), Some("silence")));
    assert!(since.elapsed() >= Duration::from_millis(49));
    assert_eq!(next(&mut source).await, Some(Happened::Open));
}

#[tokio::test]
async fn silence_limit_is_60_s_or_twice_the_heartbeat() {
    let server = Server::start([open("event: status\ndata: {\"heartbeat\":45}\n\n")]).await;
    let mut source = source_of(&server).open();
    assert_eq!(source.silence_limit(), Some(Duration::from_secs(60)));
    next(&mut source).await;
    next(&mut source).await;
    assert_eq!(source.silence_limit(), Some(Duration::from_secs(90)));
    let never = source_of(&server).inactivity(Duration::ZERO).open();
    assert_eq!(never.silence_limit(), None);
}

#[tokio::test]
async fn server_that_does_not_answer_counts_as_lost() {
    let silent = Script { bytes: vec![], stays_open: true };
    let server = Server::start([silent, open("")]).await;
    let mut source = source_of(&server).inactivity(Duration::from_millis(100)).open();
    assert_eq!((next(&mut source).await, next(&mut source).await), (lost(), Some(Happened::Open)));
}

#[tokio::test]
async fn cancelling_loses_nothing() {
    let server = Server::start([open("data: a\n\ndata: b\n\n")]).await;
    let (mut source, mut happened) = (source_of(&server).open(), Vec::new());
    while happened.len() < 3 {
        happened.extend(timeout(Duration::from_micros(50), source.next()).await.ok().flatten());
    }
    assert_eq!(
        happened.into_iter().map(Some).collect::<Vec<_>>(),
        [Some(Happened::Open), message(None, "a"), message(None, "b")]
    );
}

#[tokio::test]
async fn block_over_1_mib_is_lost_and_then_closes_the_source() {
    let large = || open(format!("data: {}\n\n", "x".repeat(1 << 20)));
    let fits = "x".repeat((1 << 20) - 8);
    let server = Server::start([open(format!("data: {fits}\n\nid: 1\n\ndata: {fits}xxx")), large(), large()]).await;
    let mut source = source_of(&server).open();
    let mut errors = Vec::new();
    while let Some(happened) = next(&mut source).await {
        match happened {
            Happened::Error(text) => errors.push(text),
            Happened::Event { data, .. } => assert_eq!(data.len(), fits.len()),
            Happened::Open => {}
        }
    }
    assert_eq!(errors, ["Connection lost. Reconnecting.", "A block has more than 1 MiB"]);
}

/// The connection takes a few MiB, in the buffers of the sockets.
#[tokio::test]
async fn what_is_not_read_fills_up_the_connection() {
    const EVENT: &str = "data: 0123456789012345678901234567890123456789012345678901234\n\n";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, blocked) = tokio::sync::oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        socket.write_all(STREAM.as_bytes()).await.unwrap();
        let mut written = 0;
        while let Ok(result) = timeout(Duration::from_millis(500), socket.write_all(EVENT.as_bytes())).await {
            result.unwrap();
            written += 1;
        }
        sender.send(written).unwrap();
        socket
    });
    let mut source = Source::get(url).open();
    assert_eq!(next(&mut source).await, Some(Happened::Open));
    let written: usize = timeout(DEADLINE, blocked).await.expect("the server is blocked").unwrap();
    assert!(written * EVENT.len() < 64 << 20, "{written} events");
    for _ in 0..written {
        assert!(matches!(next(&mut source).await, Some(Happened::Event { data, .. }) if data.len() == 55));
    }
    drop(server.await.unwrap());
}

/// A stream with everything that a cut could garble: ids with and without data, several lines, characters of four
/// bytes, CRLF, comments, and a server that continues after the id that it is asked for.
#[tokio::test]
async fn stream_cut_after_any_byte_gives_the_same_events() {
    const BLOCKS: [&str; 7] = [
        "retry:100\nid: 1-0\nevent: status\ndata: {\"live\":true}\n\n",
        "id: 1-1\ndata: é😀\r\ndata: second\r\n\r\n",
        ": comment\r\rid: 1-2\r\r",
        "event: note\rdata\rid: 1-3\r\r",
        "id: 1-4\ndata: {\"sender\":\"a\"}\n\n",
        "id: 1-5\nevent: gap\ndata: {}\n\n",
        "id: 1-6\ndata:  last \n\n",
    ];
    let recording = BLOCKS.concat();
    let whole = events_of([open(&recording)], 6).await;
    let ends: Vec<usize> = (1..=BLOCKS.len()).map(|count| BLOCKS[..count].concat().len()).collect();
    let cases = (0..recording.len()).map(|cut| {
        // An id is taken with the blank line, of which CR is enough.
        let is_taken = |end: usize| {
            end <= cut
                || (end == cut + 1 && recording.as_bytes()[cut] == b'\n' && recording.as_bytes()[cut - 1] == b'\r')
        };
        let taken = ends.iter().filter(|end| is_taken(**end)).count();
        let rest = BLOCKS[taken..].concat();
        let (first, whole) = (recording.as_bytes()[..cut].to_vec(), &whole);
        async move {
            let events = events_of([ended(first), open(rest)], 6).await;
            assert_eq!(&events, whole, "cut after {cut} bytes");
        }
    });
    futures_util::future::join_all(cases).await;
}
