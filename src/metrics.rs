//! What the node counts, for `GET /metrics`. A leaf: everything may count, nothing else depends on it.
//!
//! No label holds anything that a user can choose, so the number of series is fixed.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Upper bounds of the latency buckets, in seconds.
const LATENCIES: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// The counters of one node.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Streams open now.
    pub streams: IntGauge,
    /// Rooms in this node's memory now.
    pub rooms: IntGauge,
    /// Bytes of frames in this node's memory now.
    pub cached_bytes: IntGauge,
    /// Messages stored through this node; repeats of a key are not counted.
    pub published: IntCounter,
    /// Messages that were not stored: `rate` (the address was too fast), `bus` (out of reach).
    pub posts_refused: IntCounterVec,
    /// Frames of rooms written to readers.
    pub delivered: IntCounter,
    /// From the announcement's arrival at this node to a reader's socket.
    pub delivery: Histogram,
    /// From the POST's arrival to a reader's socket, of messages posted to this node.
    pub post_to_socket: Histogram,
    /// Readers that came with an id and found their place, by where it was found: `memory`, `log`.
    pub resumes: IntCounterVec,
    /// Gaps told, by reason.
    pub gaps: IntCounterVec,
    /// Streams that ended, by reason.
    pub ended: IntCounterVec,
    /// Streams that were sent away before they began, by reason.
    pub refused: IntCounterVec,
    /// 1 while the bus is heard, else 0.
    pub bus_connected: IntGauge,
    /// Subscriber connections made after the first.
    pub reconnects: IntCounter,
    /// Reads of a log, by purpose: `room` (a room's own), `reader` (one reader's), `history`.
    pub log_reads: IntCounterVec,
}

impl Metrics {
    /// Registers every series, so that each is there from the start.
    ///
    /// # Errors
    /// When two series share a name, which is a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registry::new();
        #[cfg(target_os = "linux")]
        r.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        add(&r, build_info()?)?;
        Ok(Self {
            streams: add(&r, IntGauge::new("tinychat_streams_open", "Streams open now.")?)?,
            rooms: add(&r, IntGauge::new("tinychat_rooms", "Rooms in this node's memory now.")?)?,
            cached_bytes: add(
                &r,
                IntGauge::new("tinychat_cached_bytes", "Bytes of frames in this node's memory now.")?,
            )?,
            published: add(
                &r,
                IntCounter::new("tinychat_messages_published_total", "Messages stored through this node.")?,
            )?,
            posts_refused: add(
                &r,
                labelled(
                    "tinychat_posts_refused_total",
                    "Messages that were not stored, by reason.",
                    "reason",
                    &["rate", "bus"],
                )?,
            )?,
            delivered: add(&r, IntCounter::new("tinychat_messages_delivered_total", "Frames written to readers.")?)?,
            delivery: add(
                &r,
                latency("tinychat_delivery_seconds", "From the announcement's arrival to a reader's socket.")?,
            )?,
            post_to_socket: add(
                &r,
                latency(
                    "tinychat_post_to_socket_seconds",
                    "From the POST to a reader's socket, on the publishing node.",
                )?,
            )?,
            resumes: add(
                &r,
                labelled(
                    "tinychat_resumes_total",
                    "Readers that resumed, by where their place was found.",
                    "from",
                    &["memory", "log"],
                )?,
            )?,
            gaps: add(
                &r,
                labelled("tinychat_gaps_total", "Gaps told, by reason.", "reason", &["trimmed", "reset", "invalid"])?,
            )?,
            ended: add(
                &r,
                labelled(
                    "tinychat_streams_ended_total",
                    "Streams that ended, by reason.",
                    "reason",
                    &["left", "slow", "draining", "aged"],
                )?,
            )?,
            refused: add(
                &r,
                labelled(
                    "tinychat_streams_refused_total",
                    "Streams sent away at once, by reason.",
                    "reason",
                    &["full", "draining"],
                )?,
            )?,
            bus_connected: add(&r, IntGauge::new("tinychat_bus_connected", "1 while the bus is heard.")?)?,
            reconnects: add(
                &r,
                IntCounter::new(
                    "tinychat_subscriber_reconnects_total",
                    "Subscriber connections made after the first.",
                )?,
            )?,
            log_reads: add(
                &r,
                labelled(
                    "tinychat_log_reads_total",
                    "Reads of a log, by purpose.",
                    "for",
                    &["room", "reader", "history"],
                )?,
            )?,
            registry: r,
        })
    }

    /// All series in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// A latency in the unit of the histograms.
pub fn seconds(latency: Duration) -> f64 {
    latency.as_secs_f64()
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// Always 1; its label tells which version runs.
fn build_info() -> Result<IntGauge, prometheus::Error> {
    let opts = Opts::new("tinychat_build_info", "Always 1; the version stands in the label.");
    let gauge = IntGauge::with_opts(opts.const_label("version", env!("CARGO_PKG_VERSION")))?;
    gauge.set(1);
    Ok(gauge)
}

fn latency(name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(LATENCIES.to_vec()))
}

/// A counter whose every label value is there from the start, at 0.
fn labelled(name: &str, help: &str, label: &str, values: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let counter = IntCounterVec::new(Opts::new(name, help), &[label])?;
    for value in values {
        counter.get_metric_with_label_values(&[value])?;
    }
    Ok(counter)
}
