//! What is summed up about a span of time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many keys a summary has at most: those that were used most. The others are counted together.
const MAX_KEYS: usize = 50;

/// What a process did from one time to another. The names are short, since each process stores 300 of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// When the slot begins, in Unix milliseconds.
    #[serde(rename = "t")]
    pub start: u64,
    /// From when to when it was observed, in Unix milliseconds.
    pub from: u64,
    pub to: u64,
    /// The number of samples.
    #[serde(rename = "n")]
    pub samples: u64,
    /// What was counted in each sample, summed up: the mean is that divided by `samples`.
    #[serde(rename = "s")]
    pub streams: u64,
    #[serde(rename = "r")]
    pub rooms: u64,
    #[serde(rename = "mem")]
    pub memory: u64,
    /// Round trips to the store that were measured, and their microseconds.
    #[serde(rename = "rtn")]
    pub round_trips: u64,
    #[serde(rename = "rtt")]
    pub round_trip_us: u64,
    /// Messages and events that were stored through this process.
    #[serde(rename = "m")]
    pub messages: u64,
    #[serde(rename = "d")]
    pub deliveries: u64,
    #[serde(rename = "res")]
    pub resumes: u64,
    #[serde(rename = "gap")]
    pub gaps: u64,
    /// Posts, streams and calls of apps that were refused.
    #[serde(rename = "ref")]
    pub refusals: u64,
    /// Deliveries by how long they took ([`LATENCY_BUCKETS`](crate::metrics::LATENCY_BUCKETS)).
    #[serde(rename = "lat", skip_serializing_if = "Vec::is_empty")]
    pub latency: Vec<u64>,
    /// The usage of apps by key; `""` stands for those beyond the most used.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, AppSummary>,
}

/// What one app used in the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AppSummary {
    /// Open streams in each sample, summed up.
    #[serde(rename = "s", skip_serializing_if = "is_zero")]
    pub streams: u64,
    #[serde(rename = "e", skip_serializing_if = "is_zero")]
    pub events: u64,
    #[serde(rename = "d", skip_serializing_if = "is_zero")]
    pub deliveries: u64,
    #[serde(rename = "k", skip_serializing_if = "is_zero")]
    pub sockets: u64,
    #[serde(rename = "x", skip_serializing_if = "is_zero")]
    pub refusals: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde passes a reference
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Summary {
    /// Adds what happened next, or elsewhere at the same time.
    pub fn add(&mut self, other: &Summary) {
        self.from = if self.samples == 0 { other.from } else { self.from.min(other.from) };
        self.to = self.to.max(other.to);
        for (sum, more) in [
            (&mut self.samples, other.samples),
            (&mut self.streams, other.streams),
            (&mut self.rooms, other.rooms),
            (&mut self.memory, other.memory),
            (&mut self.round_trips, other.round_trips),
            (&mut self.round_trip_us, other.round_trip_us),
            (&mut self.messages, other.messages),
            (&mut self.deliveries, other.deliveries),
            (&mut self.resumes, other.resumes),
            (&mut self.gaps, other.gaps),
            (&mut self.refusals, other.refusals),
        ] {
            *sum = sum.saturating_add(more);
        }
        if self.latency.len() < other.latency.len() {
            self.latency.resize(other.latency.len(), 0);
        }
        for (sum, more) in self.latency.iter_mut().zip(&other.latency) {
            *sum = sum.saturating_add(*more);
        }
        for (key, app) in &other.keys {
            self.keys.entry(key.clone()).or_default().add(*app);
        }
    }

    /// Counts the keys beyond the most used together.
    pub fn bound_keys(&mut self) {
        if self.keys.len() <= MAX_KEYS {
            return;
        }
        let mut keys: Vec<(String, AppSummary)> = std::mem::take(&mut self.keys).into_iter().collect();
        keys.sort_by_key(|(key, app)| (key.is_empty(), std::cmp::Reverse(app.total())));
        let mut others = AppSummary::default();
        keys.drain(MAX_KEYS..).for_each(|(_, app)| others.add(app));
        self.keys = keys.into_iter().collect();
        self.keys.entry(String::new()).or_default().add(others);
    }
}

impl AppSummary {
    /// Adds what happened next, or elsewhere at the same time.
    pub fn add(&mut self, other: AppSummary) {
        self.streams = self.streams.saturating_add(other.streams);
        self.events = self.events.saturating_add(other.events);
        self.deliveries = self.deliveries.saturating_add(other.deliveries);
        self.sockets = self.sockets.saturating_add(other.sockets);
        self.refusals = self.refusals.saturating_add(other.refusals);
    }

    /// Returns by how much an app is used, to compare it with others.
    pub fn total(&self) -> u64 {
        [self.streams, self.events, self.deliveries, self.sockets, self.refusals]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_beyond_the_most_used_are_counted_together() {
        let mut all = Summary::default();
        for number in 0..200_u64 {
            let app = AppSummary { events: number, ..AppSummary::default() };
            all.keys.insert(format!("key-{number:03}"), app);
        }
        all.bound_keys();
        assert_eq!(all.keys.len(), MAX_KEYS + 1);
        assert!(
            all.keys.contains_key("key-199") && all.keys.contains_key("key-150") && !all.keys.contains_key("key-149")
        );
        assert_eq!(all.keys[""].events, (0..150).sum::<u64>());
        let kept = all.keys.values().map(|app| app.events).sum::<u64>();
        all.bound_keys();
        assert_eq!(all.keys.values().map(|app| app.events).sum::<u64>(), kept);
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.len() < 2_000, "{} bytes", text.len());
    }
}
