//! The values of plots, made of the summaries of one or more processes.

use super::latency::percentile;
use super::totals::{AppSummary, Summary};

/// The names of the values of nodes, in the order of [`of_nodes`].
pub const NODE_VALUES: [&str; 11] = [
    "streams",
    "rooms",
    "messages",
    "deliveries",
    "p50",
    "p99",
    "resumes",
    "gaps",
    "refusals",
    "roundTrip",
    "memory",
];

/// The names of the values of a key, in the order of [`of_key`].
pub const KEY_VALUES: [&str; 5] = ["streams", "events", "deliveries", "sockets", "refusals"];

/// How the parts of a value are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// What each process does at the moment, added up.
    Now,
    /// The mean over the time that all parts cover: a process that was there for half of it counts half.
    OverTime,
}

/// Returns the values of processes together. Counts are per second, latencies and round trips in milliseconds.
pub fn of_nodes(parts: &[&Summary], together: Together) -> [Option<f64>; NODE_VALUES.len()] {
    let mean = |count: fn(&Summary) -> u64| weighted(parts, together, |part| count(part) as f64 / part.samples as f64);
    let rate = |count: fn(&Summary) -> u64| weighted(parts, together, |part| count(part) as f64 / seconds(part));
    let mut all = Summary::default();
    parts.iter().for_each(|part| all.add(part));
    let round_trip = (all.round_trips > 0).then(|| all.round_trip_us as f64 / all.round_trips as f64 / 1000.0);
    [
        mean(|part| part.streams),
        mean(|part| part.rooms),
        rate(|part| part.messages),
        rate(|part| part.deliveries),
        percentile(&all.latency, 0.5),
        percentile(&all.latency, 0.99),
        rate(|part| part.resumes),
        rate(|part| part.gaps),
        rate(|part| part.refusals),
        round_trip,
        mean(|part| part.memory),
    ]
}

/// Returns the values of a key in processes together, in the same units.
pub fn of_key(parts: &[&Summary], key: &str, together: Together) -> [Option<f64>; KEY_VALUES.len()] {
    let app = |part: &Summary| part.keys.get(key).copied().unwrap_or_default();
    let rate = |count: fn(AppSummary) -> u64| weighted(parts, together, |part| count(app(part)) as f64 / seconds(part));
    [
        weighted(parts, together, |part| app(part).streams as f64 / part.samples as f64),
        rate(|app| app.events),
        rate(|app| app.deliveries),
        rate(|app| app.sockets),
        rate(|app| app.refusals),
    ]
}

fn seconds(part: &Summary) -> f64 {
    part.to.saturating_sub(part.from) as f64 / 1000.0
}

/// Adds up a value of each part; `None` if there is no part.
fn weighted(parts: &[&Summary], together: Together, value: impl Fn(&Summary) -> f64) -> Option<f64> {
    let known = || parts.iter().filter(|part| part.samples > 0 && part.to > part.from);
    let (from, to) = (known().map(|part| part.from).min()?, known().map(|part| part.to).max()?);
    let whole = (to - from) as f64 / 1000.0;
    let weight = |part: &Summary| match together {
        Together::Now => 1.0,
        Together::OverTime => seconds(part) / whole,
    };
    Some(known().map(|part| value(part) * weight(part)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(from: u64, to: u64, streams: u64, messages: u64) -> Summary {
        Summary { from, to, samples: 1, streams, messages, ..Summary::default() }
    }

    fn streams_and_messages(parts: &[&Summary], together: Together) -> (f64, f64) {
        let values = of_nodes(parts, together);
        (values[0].unwrap(), values[2].unwrap())
    }

    #[test]
    fn processes_that_follow_each_other_are_not_counted_twice() {
        let (old, new) = (part(0, 4_000, 100, 40), part(4_000, 16_000, 100, 120));
        assert_eq!(streams_and_messages(&[&old, &new], Together::OverTime), (100.0, 10.0));
        let (here, there) = (part(0, 10_000, 3, 20), part(0, 10_000, 4, 30));
        for together in [Together::OverTime, Together::Now] {
            assert_eq!(streams_and_messages(&[&here, &there], together), (7.0, 5.0));
        }
        let young = part(8_000, 10_000, 4, 20);
        assert_eq!(streams_and_messages(&[&here, &young], Together::Now), (7.0, 12.0));
    }

    #[test]
    fn values_without_a_measurement_are_missing() {
        assert_eq!(of_nodes(&[], Together::Now), [None; 11]);
        assert_eq!(of_key(&[], "app", Together::Now), [None; 5]);
        let quiet = of_nodes(&[&part(0, 10_000, 0, 0)], Together::Now);
        assert_eq!((quiet[0], quiet[2]), (Some(0.0), Some(0.0)));
        assert_eq!((quiet[4], quiet[5], quiet[9]), (None, None, None), "nothing was delivered, no store was called");
    }
}
