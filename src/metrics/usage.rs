//! What each app uses, by its key.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The usage of all apps. The label holds keys that the operator configured, and nothing else.
#[derive(Debug)]
pub struct Usage {
    streams: IntGaugeVec,
    events: IntCounterVec,
    delivered: IntCounterVec,
    sockets: IntCounterVec,
    refused: IntCounterVec,
}

/// The usage of one app on this node.
#[derive(Clone, Debug)]
pub struct AppUsage {
    /// Open streams of the app's sockets.
    pub streams: IntGauge,
    /// Events that were stored, duplicates of an idempotency key excluded.
    pub events: IntCounter,
    /// Entries written to the streams of the app's sockets.
    pub delivered: IntCounter,
    /// Sockets that were made.
    pub sockets: IntCounter,
    /// Calls and streams that were refused, for whatever reason.
    pub refused: IntCounter,
}

impl Usage {
    /// Registers the series.
    ///
    /// # Errors
    /// If two series share a name, which is a mistake in this file.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str| {
            let counters = IntCounterVec::new(Opts::new(name, help), &["key"])?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let streams =
            IntGaugeVec::new(Opts::new("tiny_chat_app_streams_open", "Open streams of an app's sockets."), &["key"])?;
        registry.register(Box::new(streams.clone()))?;
        Ok(Self {
            streams,
            events: counters("tiny_chat_app_events_total", "Events of an app that were stored.")?,
            delivered: counters(
                "tiny_chat_app_deliveries_total",
                "Entries written to the streams of an app's sockets.",
            )?,
            sockets: counters("tiny_chat_app_sockets_total", "Sockets that were made for an app.")?,
            refused: counters("tiny_chat_app_refusals_total", "Calls and streams of an app that were refused.")?,
        })
    }

    /// Returns the usage of an app. From now on its series are exported.
    pub fn of(&self, key: &str) -> AppUsage {
        AppUsage {
            streams: self.streams.with_label_values(&[key]),
            events: self.events.with_label_values(&[key]),
            delivered: self.delivered.with_label_values(&[key]),
            sockets: self.sockets.with_label_values(&[key]),
            refused: self.refused.with_label_values(&[key]),
        }
    }
}
