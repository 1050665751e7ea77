//! The metrics of a node, for `GET /metrics` in Prometheus' text format.
//!
//! No label takes a value that a client can choose, so only the operator's list of keys adds series.

mod usage;

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

pub use usage::{AppUsage, Usage};

/// Upper bounds of the latency buckets, in seconds.
pub const LATENCY_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// How long `/readyz` reports a task that panicked.
const FAILURE_REPORT: Duration = Duration::from_secs(10);

/// What a panic can end, the values of the label `task`: a task, a callback or a request.
pub const TASKS: &[&str] = &[
    "announcements",
    "connection",
    "fanout",
    "fanouts",
    "handoffs",
    "healing",
    "keys",
    "limits",
    "merging",
    "presence",
    "pushes",
    "request",
    "room",
    "sockets",
    "stream",
    "summaries",
    "ticks",
    "topology",
];

/// The counters, gauges and histograms of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Open streams.
    pub streams: IntGauge,
    /// Open streams that have become live.
    pub streams_live: IntGauge,
    /// Rooms in memory.
    pub rooms: IntGauge,
    /// Bytes of encoded frames in memory.
    pub buffered_bytes: IntGauge,
    /// Messages stored through this node, duplicates of an idempotency key excluded.
    pub published: IntCounter,
    /// Posts that were not stored, by reason: `rate_limit` or `store_unavailable`.
    pub posts_refused: IntCounterVec,
    /// Frames written to subscribers.
    pub delivered: IntCounter,
    /// Seconds from an announcement's arrival at this node to a subscriber's socket.
    pub delivery: Histogram,
    /// Seconds from a POST until its message is stored and announced.
    pub publish: Histogram,
    /// Subscribers that resumed from an id, by where their cursor was found: `memory` or `log`.
    pub resumes: IntCounterVec,
    /// Gap events sent, by reason.
    pub gaps: IntCounterVec,
    /// Streams that ended, by reason.
    pub streams_ended: IntCounterVec,
    /// Streams refused with `backoff`, by reason.
    pub streams_refused: IntCounterVec,
    /// Connections that were refused or had to make way for a newer one, by limit: `address` or `files`.
    pub connections_refused: IntCounterVec,
    /// 1 while announcements are received, else 0.
    pub store_connected: IntGauge,
    /// Pub/Sub connections made after the first.
    pub store_reconnects: IntCounter,
    /// Entries that Redis had lost and this node has restored.
    pub restored: IntCounter,
    /// Reads of a log, by purpose: `room` (shared by a room's subscribers), `subscriber` or `history`.
    pub log_reads: IntCounterVec,
    /// What each app uses.
    pub usage: Usage,
    /// Panics, by what they ended.
    task_panics: IntCounterVec,
    last_panics: Mutex<Vec<(&'static str, Instant)>>,
    /// Lines of the log that could not be written.
    pub log_lines_dropped: IntCounter,
}

impl Metrics {
    /// Registers every series, so that each is exported from the start.
    ///
    /// # Errors
    /// If two series share a name, which is a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = &Registry::new();
        #[cfg(target_os = "linux")]
        r.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        register(r, build_info()?)?;
        Ok(Self {
            streams: gauge(r, "tiny_chat_streams_open", "Open streams.")?,
            streams_live: gauge(r, "tiny_chat_streams_live", "Open streams that have become live.")?,
            rooms: gauge(r, "tiny_chat_rooms", "Rooms in memory.")?,
            buffered_bytes: gauge(r, "tiny_chat_buffered_bytes", "Bytes of encoded frames in memory.")?,
            published: counter(r, "tiny_chat_messages_published_total", "Messages stored through this node.")?,
            posts_refused: counters(
                r,
                "tiny_chat_posts_refused_total",
                "Posts that were not stored, by reason.",
                ("reason", &["rate_limit", "store_unavailable"]),
            )?,
            delivered: counter(r, "tiny_chat_frames_delivered_total", "Frames written to subscribers.")?,
            delivery: latency(
                r,
                "tiny_chat_delivery_seconds",
                "Seconds from an announcement's arrival at this node to a subscriber's socket.",
            )?,
            publish: latency(
                r,
                "tiny_chat_publish_seconds",
                "Seconds from a POST until its message is stored and announced.",
            )?,
            resumes: counters(
                r,
                "tiny_chat_resumes_total",
                "Subscribers that resumed, by where their cursor was found.",
                ("source", &["memory", "log"]),
            )?,
            gaps: counters(
                r,
                "tiny_chat_gaps_total",
                "Gap events sent, by reason.",
                ("reason", &["trimmed", "reset", "invalid"]),
            )?,
            streams_ended: counters(
                r,
                "tiny_chat_streams_ended_total",
                "Streams that ended, by reason.",
                ("reason", &["closed", "slow", "draining", "max_age"]),
            )?,
            streams_refused: counters(
                r,
                "tiny_chat_streams_refused_total",
                "Streams refused with a backoff, by reason.",
                ("reason", &["full", "draining"]),
            )?,
            connections_refused: counters(
                r,
                "tiny_chat_connections_refused_total",
                "Connections that were refused or had to make way for a newer one, by limit.",
                ("reason", &["address", "files"]),
            )?,
            store_connected: gauge(
                r,
                "tiny_chat_store_connected",
                "1 while this node receives announcements from the message store, else 0.",
            )?,
            store_reconnects: counter(
                r,
                "tiny_chat_store_reconnects_total",
                "Pub/Sub connections made after the first.",
            )?,
            restored: counter(
                r,
                "tiny_chat_restored_entries_total",
                "Entries that the message store had lost and this node has restored.",
            )?,
            log_reads: counters(
                r,
                "tiny_chat_log_reads_total",
                "Reads of a room's log, by purpose.",
                ("purpose", &["room", "subscriber", "history"]),
            )?,
            usage: Usage::new(r)?,
            task_panics: counters(r, "tiny_chat_task_panics_total", "Panics, by what they ended.", ("task", TASKS))?,
            last_panics: Mutex::default(),
            log_lines_dropped: counter(
                r,
                "tiny_chat_log_lines_dropped_total",
                "Lines of the log that could not be written.",
            )?,
            registry: r.clone(),
        })
    }

    /// Counts a panic that ended a task, one of [`TASKS`].
    pub fn count_panic(&self, task: &'static str) {
        self.task_panics.with_label_values(&[task]).inc();
        let mut last = self.last_panics.lock();
        last.retain(|(other, _)| *other != task);
        last.push((task, Instant::now()));
    }

    /// Returns which tasks a panic has ended within the last 10 s.
    pub fn failing_tasks(&self) -> Vec<&'static str> {
        let last = self.last_panics.lock();
        last.iter().filter(|(_, at)| at.elapsed() < FAILURE_REPORT).map(|(task, _)| *task).collect()
    }

    /// Returns all series as they are now.
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Renders all series in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.gather()).unwrap_or_default()
    }
}

/// Registers a metric and returns it.
fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Returns the gauge that carries the version as a label and is always 1.
fn build_info() -> Result<IntGauge, prometheus::Error> {
    let opts = Opts::new("tiny_chat_build_info", "Always 1; the label holds the version.");
    let gauge = IntGauge::with_opts(opts.const_label("version", env!("CARGO_PKG_VERSION")))?;
    gauge.set(1);
    Ok(gauge)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    register(registry, IntGauge::new(name, help)?)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::new(name, help)?)
}

fn latency(registry: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    register(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCY_BUCKETS.to_vec()))?)
}

/// Registers one counter for each value of a label, each starting at 0.
fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    (label, values): (&str, &[&str]),
) -> Result<IntCounterVec, prometheus::Error> {
    let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for value in values {
        counter.get_metric_with_label_values(&[value])?;
    }
    register(registry, counter)
}
