//! Measures: sends the requests of an examination, step by step, and reports the findings.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::app_key::{self, AppKey, CallAnswer};
use super::checks::{self, MAX_DELIVERY_LAG, PostedMessage, SecondLook};
use super::client_address::{self, FORGED_ADDRESS, ObservedClient};
use super::finding::Finding;
use super::framing;
use super::http::BufferedResponse;
use super::recording::Recording;
use super::report::Report;
use super::stream_recorder::StreamRecorder;
use super::target::{StreamCursor, Target};
use super::text::{format_duration, printable};

/// Messages that are posted before the resumed streams are opened; one more follows.
const MESSAGES: usize = 4;

/// Time between two posts, long enough that a slow network cannot be mistaken for a buffer.
const POST_INTERVAL: Duration = Duration::from_millis(300);

/// Connections that are opened at once, so that a load balancer leads to each of its nodes.
const PARALLEL_CONNECTIONS: usize = 8;

/// Limit on the wait for the first events of a stream.
const FIRST_EVENTS_TIMEOUT: Duration = Duration::from_secs(10);

/// The heartbeat interval, in seconds, that is assumed if the node does not state one.
const DEFAULT_HEARTBEAT_SECS: u64 = 15;

/// Added to the idle time, because the other streams of the examination may still cause presence events as they close.
const PRESENCE_SETTLING_TIME: Duration = Duration::from_secs(3);

/// An examination in progress.
pub(super) struct Examination<'a> {
    target: &'a Target,
    report: &'a mut Report,
    /// Makes the idempotency keys of this run differ from those of others.
    run_id: String,
    /// The start of the main stream, which the times of posted messages count from.
    started_at: Instant,
    posted: Vec<PostedMessage>,
    nodes_share_log: bool,
    proxy: Option<String>,
}

impl<'a> Examination<'a> {
    pub(super) fn new(target: &'a Target, report: &'a mut Report, run_id: String) -> Self {
        let started_at = Instant::now();
        Self { target, report, run_id, started_at, posted: Vec::new(), nodes_share_log: true, proxy: None }
    }

    /// Runs all checks and reports their findings. `idle` is how long the stream is left without messages; by default
    /// two heartbeat intervals and a few seconds. `key` is that of an app, if it is to be tried.
    ///
    /// # Errors
    /// If there is nothing to examine, with the reason.
    pub(super) async fn run(mut self, idle: Option<Duration>, key: Option<&AppKey>) -> Result<(), String> {
        self.check_reachable().await?;
        let mut stream = self.open_main_stream().await?;
        self.started_at = stream.as_ref().map_or_else(Instant::now, |stream| stream.started_at);
        self.post_messages().await;
        self.check_nodes().await;
        self.check_repeated_post().await;
        if stream.is_some() {
            self.check_resume().await;
        }
        self.check_client_address().await;
        if let Some(key) = key {
            self.check_app_key(key).await;
        }
        match &mut stream {
            Some(stream) => self.check_idle_stream(stream, idle).await,
            None => self.report.add(checks::nothing_received()),
        }
        Ok(())
    }

    async fn check_reachable(&mut self) -> Result<(), String> {
        let response = self.target.history(None).await?;
        if let Some(location) = response.redirect() {
            return Err(format!("the address redirects; examine {} instead", printable(location)));
        }
        self.proxy = response.proxy();
        let via = self.proxy.as_ref().map_or_else(String::new, |proxy| format!(" via {proxy}"));
        match (response.status, response.text("last"), response.text("detail")) {
            (200, Some(_), _) => {}
            (503, _, Some(detail)) => return Err(format!("a node answers, but reports: {}", printable(detail))),
            (status, ..) => return Err(format!("no tiny-chat answers there: /history returned {status}{via}")),
        }
        self.report.add(Finding::good("reachable", format!("tiny-chat answers{via}")));
        Ok(())
    }

    /// Opens the stream that is recorded until the end. Returns `None` if not even the head of its response arrives.
    async fn open_main_stream(&mut self) -> Result<Option<StreamRecorder>, String> {
        let Some(mut stream) = self.target.open_stream(StreamCursor::Absent, "gzip, br").await? else {
            return Ok(None);
        };
        let head = &stream.recording.head;
        if !head.is_stream() {
            let (status, content_type) = (head.status, printable(&head.content_type));
            return Err(format!("/subscribe returned {status} {content_type} instead of an event stream"));
        }
        self.report.add(checks::http_version(head.version, self.target.is_secure()));
        self.report.add(checks::compression(head));
        self.report.add(checks::caching(head));
        self.report.add(framing::framing(head));
        self.report.add(framing::charset(head));
        if !head.content_encoding.is_empty() {
            // The recorder does not decompress, so the other checks need a stream without compression.
            match self.target.open_stream(StreamCursor::Absent, "identity").await? {
                Some(uncompressed) => stream = uncompressed,
                None => return Ok(None),
            }
        }
        self.check_first_events(&mut stream).await?;
        Ok(Some(stream))
    }

    async fn check_first_events(&mut self, stream: &mut StreamRecorder) -> Result<(), String> {
        let is_enough = |recording: &Recording| recording.event("status").is_some() || recording.end.is_some();
        stream.wait_for(Instant::now() + FIRST_EVENTS_TIMEOUT, is_enough).await;
        if let Some(backoff) = stream.recording.event("backoff") {
            return Err(format!("the node turns subscribers away: {}", backoff["reason"]));
        }
        if stream.recording.event("status").is_some_and(|status| status["live"] == false) {
            self.report.add(Finding::broken("Redis", "the node has lost its connection to Redis: see its log"));
        }
        self.report.add(checks::first_event(&stream.recording));
        Ok(())
    }

    async fn post_messages(&mut self) {
        for number in 1..=MESSAGES {
            match self.post_acknowledged(number).await {
                Ok(message) => self.posted.push(message),
                Err(why) => {
                    self.report.add(Finding::broken("posts", format!("message {number} was not accepted: {why}")));
                    return;
                }
            }
            sleep(POST_INTERVAL).await;
        }
        self.report.add(Finding::good("posts", format!("{MESSAGES} messages were acknowledged")));
    }

    /// Posts a message, or repeats it: the same number always has the same text and idempotency key.
    async fn post(&self, number: usize) -> Result<BufferedResponse, String> {
        let (text, key) = (format!("examination, message {number}"), format!("{}-{number}", self.run_id));
        self.target.post(&text, &key).await
    }

    async fn post_acknowledged(&self, number: usize) -> Result<PostedMessage, String> {
        let response = self.post(number).await?;
        match (response.status, response.text("id")) {
            (200, Some(id)) => Ok(PostedMessage { id: printable(id), acked_at: self.started_at.elapsed() }),
            (status, _) => Err(format!("{status} {}", printable(response.text("detail").unwrap_or_default()))),
        }
    }

    /// Asks for the first message on several connections at once, so that each node has to find it in its log.
    async fn check_nodes(&mut self) {
        // All streams stay open until each has named its node: to a proxy that counts connections, a stream that ended
        // leaves its node as empty as before.
        let streams = join_all((0..PARALLEL_CONNECTIONS).map(|_| self.open_named_stream())).await;
        let names = streams.iter().flatten().filter_map(node_name).collect::<BTreeSet<_>>();
        drop(streams);
        let Some(first) = self.posted.first() else { return };
        let responses = join_all((0..PARALLEL_CONNECTIONS).map(|_| self.target.history(Some(&first.id)))).await;
        let statuses = responses.into_iter().flatten().map(|response| response.status);
        let statuses: Vec<u16> = statuses.filter(|status| matches!(status, 200 | 404)).collect();
        let found = statuses.iter().filter(|status| **status == 200).count();
        self.nodes_share_log = found == statuses.len();
        self.report.add(checks::nodes(&names, found, statuses.len()));
    }

    /// Opens a stream and reads it until its node has given its name, or is overdue.
    async fn open_named_stream(&self) -> Option<StreamRecorder> {
        let mut stream = self.target.open_stream(StreamCursor::Absent, "identity").await.ok()??;
        let deadline = Instant::now() + 2 * MAX_DELIVERY_LAG;
        stream.wait_for(deadline, |recording| recording.event("status").is_some()).await;
        Some(stream)
    }

    async fn check_repeated_post(&mut self) {
        let Some(first) = self.posted.first() else { return };
        let response = self.post(1).await.ok();
        let is_duplicate = response.as_ref().is_some_and(|response| response.json["duplicate"] == true);
        let id = response.as_ref().and_then(|response| response.text("id"));
        self.report.add(checks::repeated_post(&first.id, id, is_duplicate));
    }

    async fn check_resume(&mut self) {
        let finding = self.resume().await;
        self.report
            .add(finding.unwrap_or_else(|why| Finding::note("resume", format!("cannot tell: {why}"))));
    }

    /// Opens streams that resume after the second message, then posts one more.
    async fn resume(&mut self) -> Result<Finding, String> {
        let second = self.posted.get(1).filter(|_| self.nodes_share_log);
        let cursor = second.ok_or("there are no messages that all nodes have")?.id.clone();
        let by_header = self.open_resumed_stream(StreamCursor::Header(&cursor)).await?;
        let by_query = self.open_resumed_stream(StreamCursor::Query(&cursor)).await?;
        let last = self.post_acknowledged(MESSAGES + 1).await;
        let last = last.map_err(|why| format!("a message was not accepted: {why}"))?;
        let by_header = record_until_message(by_header, &last.id).await;
        let by_query = record_until_message(by_query, &last.id).await;
        self.posted.push(last);
        if by_header.start_cursor().is_none() {
            return Err("the resumed stream did not state its cursor".to_owned());
        }
        let later: Vec<_> = self.posted.iter().skip(2).map(|message| message.id.clone()).collect();
        Ok(checks::resume(&cursor, &later, &by_header, &by_query))
    }

    async fn open_resumed_stream(&self, cursor: StreamCursor<'_>) -> Result<StreamRecorder, String> {
        let stream = self.target.open_stream(cursor, "identity").await?;
        stream.ok_or_else(|| "the resumed stream was not answered".to_owned())
    }

    async fn check_client_address(&mut self) {
        let honest = self.target.health(None).await.ok();
        let forged = self.target.health(Some(FORGED_ADDRESS)).await.ok();
        let local = honest.as_ref().and_then(BufferedResponse::local_address);
        // A node does not speak TLS itself, so something in front of it does, even if it does not identify itself.
        let tls_proxy = self.target.is_secure().then_some("unnamed, it terminates TLS");
        let honest = honest.as_ref().and_then(ObservedClient::from_health);
        let forged = forged.as_ref().and_then(ObservedClient::from_health);
        let proxy = self.proxy.as_deref().or(tls_proxy);
        self.report.add(client_address::clients(honest.as_ref(), forged.as_ref(), proxy, local));
    }

    /// Makes signed calls on several connections at once, so that each node has to know the key.
    async fn check_app_key(&mut self, key: &AppKey) {
        let answers = join_all((0..PARALLEL_CONNECTIONS).map(|_| self.target.signed_call(key))).await;
        let answers: Vec<_> = answers.iter().flatten().map(CallAnswer::of).collect();
        self.report.add(app_key::signed_calls(&answers));
    }

    /// Listens without posting until two heartbeats were due, then judges the whole recording of the stream.
    async fn check_idle_stream(&mut self, stream: &mut StreamRecorder, idle: Option<Duration>) {
        let announced = stream.recording.event("status").and_then(|status| status["heartbeat"].as_u64());
        let heartbeat = Duration::from_secs(announced.unwrap_or(DEFAULT_HEARTBEAT_SECS).clamp(1, 60));
        let idle = idle.unwrap_or(2 * heartbeat + PRESENCE_SETTLING_TIME);
        self.report.print_line(&format!("… listening for {} without posting", format_duration(idle)));
        stream.record_until(Instant::now() + idle).await;
        let listened = stream.started_at.elapsed();
        let second = self.look_again(&stream.recording).await;
        self.report.add(checks::idle_stream(&stream.recording, listened, &second));
        self.report.add(checks::heartbeats(&stream.recording, heartbeat, listened));
        self.report.add(framing::blocks(&stream.recording));
        self.report.add(checks::buffering(&stream.recording, &self.posted, self.nodes_share_log));
    }

    /// Listens to a second stream if the first one was cut, for somewhat longer than that was open: a node can have
    /// stopped by chance.
    async fn look_again(&mut self, cut: &Recording) -> SecondLook {
        let Some((end, _)) = cut.end.as_ref().filter(|_| checks::was_cut(cut)) else {
            return SecondLook::Unneeded;
        };
        let listening = *end + PRESENCE_SETTLING_TIME;
        let text = format!("… the stream was cut, listening to another one for {}", format_duration(listening));
        self.report.print_line(&text);
        match self.target.open_stream(StreamCursor::Absent, "identity").await {
            Ok(Some(mut stream)) if stream.recording.head.is_stream() => {
                stream.record_until(stream.started_at + listening).await;
                SecondLook::Listened(stream.recording)
            }
            Ok(Some(stream)) => SecondLook::Unreachable(format!("its status is {}", stream.recording.head.status)),
            Ok(None) => SecondLook::Unreachable("it was not answered".to_owned()),
            Err(why) => SecondLook::Unreachable(why),
        }
    }
}

/// Returns the name of the node that a stream comes from.
fn node_name(stream: &StreamRecorder) -> Option<String> {
    Some(printable(stream.recording.event("status")?["node"].as_str()?))
}

/// Records a stream until a message arrives or is overdue.
async fn record_until_message(mut stream: StreamRecorder, id: &str) -> Recording {
    let deadline = Instant::now() + 2 * MAX_DELIVERY_LAG;
    stream.wait_for(deadline, |recording| recording.arrival_of(id).is_some()).await;
    stream.recording
}
