//! The metrics of this process at one time, and what happened between two of them.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricFamily};

use super::totals::{AppSummary, Summary};
use crate::metrics::Metrics;

/// The counters and gauges at one time.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// When, in Unix milliseconds.
    at: u64,
    /// As they stand in `/metrics`: counters since the start, gauges now.
    values: Summary,
}

impl Reading {
    /// Reads the metrics.
    pub fn take(metrics: &Metrics, at: u64) -> Self {
        let families: BTreeMap<String, MetricFamily> =
            metrics.gather().into_iter().map(|family| (family.name().to_owned(), family)).collect();
        let all = |name: &str| families.get(name).map(MetricFamily::get_metric).unwrap_or_default();
        let sum = |names: &[&str]| names.iter().flat_map(|name| all(name)).map(value).sum::<f64>() as u64;
        let mut keys = BTreeMap::<String, AppSummary>::new();
        let mut read_apps = |name: &str, set: fn(&mut AppSummary, u64)| {
            for metric in all(name) {
                let key = metric.get_label().iter().find(|label| label.name() == "key");
                if let Some(key) = key {
                    set(keys.entry(key.value().to_owned()).or_default(), value(metric) as u64);
                }
            }
        };
        read_apps("tiny_chat_app_streams_open", |app, value| app.streams = value);
        read_apps("tiny_chat_app_events_total", |app, value| app.events = value);
        read_apps("tiny_chat_app_deliveries_total", |app, value| app.deliveries = value);
        read_apps("tiny_chat_app_sockets_total", |app, value| app.sockets = value);
        read_apps("tiny_chat_app_refusals_total", |app, value| app.refusals = value);
        let refusals =
            ["tiny_chat_posts_refused_total", "tiny_chat_streams_refused_total", "tiny_chat_app_refusals_total"];
        let values = Summary {
            streams: sum(&["tiny_chat_streams_open"]),
            rooms: sum(&["tiny_chat_rooms"]),
            memory: sum(&["process_resident_memory_bytes"]),
            messages: sum(&["tiny_chat_messages_published_total"]),
            deliveries: sum(&["tiny_chat_frames_delivered_total"]),
            resumes: sum(&["tiny_chat_resumes_total"]),
            gaps: sum(&["tiny_chat_gaps_total"]),
            refusals: sum(&refusals),
            latency: all("tiny_chat_delivery_seconds").first().map(latency).unwrap_or_default(),
            keys,
            ..Summary::default()
        };
        Self { at, values }
    }

    /// Returns what happened since an earlier reading. The round trip is that of the last call to the store, if there was
    /// one.
    pub fn since(&self, before: &Reading, round_trip_us: Option<u64>) -> Summary {
        let (now, then) = (&self.values, &before.values);
        let app_since = |(key, app): (&String, &AppSummary)| {
            let then = then.keys.get(key).copied().unwrap_or_default();
            let app = AppSummary {
                streams: app.streams,
                events: app.events.saturating_sub(then.events),
                deliveries: app.deliveries.saturating_sub(then.deliveries),
                sockets: app.sockets.saturating_sub(then.sockets),
                refusals: app.refusals.saturating_sub(then.refusals),
            };
            (app.total() > 0).then(|| (key.clone(), app))
        };
        let bucket_then = then.latency.iter().copied().chain(std::iter::repeat(0));
        let mut summary = Summary {
            start: 0,
            from: before.at,
            to: self.at,
            samples: 1,
            round_trips: round_trip_us.is_some().into(),
            round_trip_us: round_trip_us.unwrap_or_default(),
            messages: now.messages.saturating_sub(then.messages),
            deliveries: now.deliveries.saturating_sub(then.deliveries),
            resumes: now.resumes.saturating_sub(then.resumes),
            gaps: now.gaps.saturating_sub(then.gaps),
            refusals: now.refusals.saturating_sub(then.refusals),
            latency: now.latency.iter().zip(bucket_then).map(|(now, then)| now.saturating_sub(then)).collect(),
            keys: now.keys.iter().filter_map(app_since).collect(),
            ..*now
        };
        summary.bound_keys();
        summary
    }
}

/// Returns the value of a counter or a gauge.
fn value(metric: &Metric) -> f64 {
    metric.get_counter().get_value() + metric.get_gauge().get_value()
}

/// Returns the counts of a histogram's buckets, and then of what exceeds the last bound.
fn latency(metric: &Metric) -> Vec<u64> {
    let histogram = metric.get_histogram();
    let cumulative = histogram.get_bucket().iter().map(|bucket| bucket.cumulative_count());
    let mut below = 0;
    let counts = cumulative.chain([histogram.get_sample_count()]).map(|count| {
        let within = count.saturating_sub(below);
        below = count;
        within
    });
    counts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_the_difference_of_two_readings() {
        let metrics = Metrics::new().unwrap();
        metrics.published.inc_by(5);
        metrics.streams.set(2);
        metrics.delivery.observe(0.0007);
        let first = Reading::take(&metrics, 10_000);
        metrics.published.inc_by(3);
        metrics.streams.set(7);
        metrics.gaps.with_label_values(&["trimmed"]).inc();
        metrics.gaps.with_label_values(&["reset"]).inc();
        metrics.posts_refused.with_label_values(&["rate_limit"]).inc();
        metrics.streams_refused.with_label_values(&["full"]).inc();
        metrics.delivery.observe(0.0007);
        metrics.delivery.observe(60.0);
        let summary = Reading::take(&metrics, 20_000).since(&first, Some(400));
        assert_eq!((summary.from, summary.to, summary.samples), (10_000, 20_000, 1));
        assert_eq!((summary.messages, summary.streams), (3, 7));
        assert_eq!((summary.gaps, summary.refusals, summary.resumes), (2, 2, 0));
        assert_eq!((summary.round_trips, summary.round_trip_us), (1, 400));
        assert_eq!((summary.latency[3], *summary.latency.last().unwrap()), (1, 1));
        assert_eq!(summary.latency.iter().sum::<u64>(), 2);
        #[cfg(target_os = "linux")]
        assert!(summary.memory > 1 << 20, "{}", summary.memory);
    }
}
