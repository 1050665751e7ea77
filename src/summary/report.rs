//! A time series for nodes and keys, made of what the store has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use utoipa::ToSchema;

use super::busy_rooms::BusyRoom;
use super::state::State;
use super::totals::{AppSummary, Summary};
use super::values::{KEY_VALUES, NODE_VALUES, Together, of_key, of_nodes};
use crate::bus::{Ring, SUMMARY_INTERVAL, StoredSummaries, SummaryStore, Unavailable};

/// How long after its last summary a process counts as alive.
const SILENCE_MS: u64 = 3 * SUMMARY_INTERVAL.as_millis() as u64 - 5_000;

/// How many rooms and keys are listed.
const MAX_LISTED: usize = 50;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ReportQuery {
    /// Over which time.
    pub ring: Ring,
    /// Of one process, or of all together.
    pub process: Option<String>,
    /// Of one key, or of nodes.
    pub key: Option<String>,
}

type Values = BTreeMap<&'static str, Option<f64>>;

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    range: &'static str,
    /// In Unix milliseconds.
    now: u64,
    /// The length of a slot.
    slot_seconds: u64,
    /// When each slot begins, in Unix seconds; the last one is not over yet.
    times: Vec<u64>,
    /// The values of each slot; `null` where nothing was written.
    series: BTreeMap<&'static str, Vec<Option<f64>>>,
    /// What goes on now.
    current: BTreeMap<&'static str, Option<f64>>,
    nodes: Vec<NodeReport>,
    keys: Vec<KeyReport>,
    rooms: Vec<BusyRoom>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NodeReport {
    process: String,
    node: String,
    /// Whether it wrote within the last seconds.
    alive: bool,
    /// When it wrote last, in Unix milliseconds.
    seen: u64,
    started: Option<u64>,
    version: String,
    leaving: bool,
    current: BTreeMap<&'static str, Option<f64>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct KeyReport {
    /// Empty for those beyond the most used.
    key: String,
    current: BTreeMap<&'static str, Option<f64>>,
    /// What it used over the range.
    events: u64,
    deliveries: u64,
    sockets: u64,
    refusals: u64,
}

/// What is known of a process.
struct Process {
    name: String,
    seen: u64,
    is_alive: bool,
    state: Option<State>,
    slots: Vec<Summary>,
}

/// Makes a report of what the store has at this time, in Unix milliseconds.
///
/// # Errors
/// If the store is unavailable.
pub async fn report(store: &dyn SummaryStore, query: &ReportQuery, now: u64) -> Result<Report, Unavailable> {
    let mut seen = store.processes().await?;
    let span = query.ring.span_ms();
    seen.retain(|(_, at)| at.saturating_add(span) > now);
    seen.sort();
    let names: Vec<String> = seen.iter().map(|(process, _)| process.clone()).collect();
    let stored = store.read(query.ring, &names).await?;
    let states = if query.ring == Ring::TenMinutes {
        stored.iter().map(|stored| stored.state.clone()).collect()
    } else {
        let alive: Vec<String> =
            seen.iter().filter(|(_, at)| is_alive(*at, now)).map(|(name, _)| name.clone()).collect();
        let read = store.read(Ring::TenMinutes, &alive).await?;
        let mut states: HashMap<String, Option<String>> =
            alive.into_iter().zip(read.into_iter().map(|read| read.state)).collect();
        names.iter().map(|name| states.remove(name).flatten()).collect::<Vec<_>>()
    };
    let processes = seen.into_iter().zip(stored).zip(states);
    let processes =
        processes.map(|(((name, seen), stored), state)| Process::read(name, seen, stored, state, query, now));
    Ok(Report::of(&processes.collect::<Vec<_>>(), query, now))
}

fn is_alive(seen: u64, now: u64) -> bool {
    seen.saturating_add(SILENCE_MS) > now
}

impl Process {
    /// Parses what a process wrote; what cannot be parsed is left out. Slots of an earlier turn of the ring are, too.
    fn read(
        name: String,
        seen: u64,
        stored: StoredSummaries,
        state: Option<String>,
        query: &ReportQuery,
        now: u64,
    ) -> Self {
        let first = first_slot(query.ring, now);
        let slots = stored.slots.iter().filter_map(|slot| serde_json::from_str::<Summary>(slot).ok());
        let slots = slots.filter(|slot| (first..=now).contains(&slot.start)).collect();
        let state = state.and_then(|state| serde_json::from_str(&state).ok());
        Self { is_alive: is_alive(seen, now), name, seen, state, slots }
    }

    /// Returns what it did last, if it is alive.
    fn sample(&self) -> Option<&Summary> {
        self.state.as_ref().filter(|_| self.is_alive).map(|state| &state.sample)
    }
}

fn first_slot(ring: Ring, now: u64) -> u64 {
    (ring.slot_start(now) + ring.slot_ms()).saturating_sub(ring.span_ms())
}

impl Report {
    fn of(processes: &[Process], query: &ReportQuery, now: u64) -> Self {
        let chosen = |process: &&Process| query.process.as_ref().is_none_or(|name| *name == process.name);
        let selected: Vec<&Process> = processes.iter().filter(chosen).collect();
        let samples: Vec<&Summary> = selected.iter().filter_map(|process| process.sample()).collect();
        let (slot_ms, first) = (query.ring.slot_ms(), first_slot(query.ring, now));
        let starts: Vec<u64> = (0..query.ring.slots()).map(|slot| first + slot * slot_ms).collect();
        let mut by_start: HashMap<u64, Vec<&Summary>> = HashMap::new();
        for slot in selected.iter().flat_map(|process| &process.slots) {
            by_start.entry(slot.start).or_default().push(slot);
        }
        let mut series: BTreeMap<&'static str, Vec<Option<f64>>> = BTreeMap::new();
        for start in &starts {
            let parts = by_start.get(start).map(Vec::as_slice).unwrap_or_default();
            for (name, value) in values(parts, query.key.as_deref(), Together::OverTime) {
                series.entry(name).or_default().push(value);
            }
        }
        let totals = selected.iter().flat_map(|process| &process.slots);
        Self {
            range: query.ring.name(),
            now,
            slot_seconds: slot_ms / 1000,
            times: starts.iter().map(|start| start / 1000).collect(),
            series,
            current: values(&samples, query.key.as_deref(), Together::Now),
            nodes: processes.iter().map(NodeReport::of).collect(),
            keys: keys(&samples, totals),
            rooms: busy_rooms(&selected),
        }
    }
}

fn values(parts: &[&Summary], key: Option<&str>, together: Together) -> Values {
    match key {
        Some(key) => KEY_VALUES.into_iter().zip(of_key(parts, key, together)).collect(),
        None => NODE_VALUES.into_iter().zip(of_nodes(parts, together)).collect(),
    }
}

impl NodeReport {
    fn of(process: &Process) -> Self {
        let state = process.state.clone().unwrap_or_default();
        // A process is named NODE~NUMBER.
        let node = process.name.rsplit_once('~').map_or(process.name.as_str(), |(node, _)| node);
        Self {
            process: process.name.clone(),
            node: node.to_owned(),
            alive: process.is_alive,
            seen: process.seen,
            started: process.state.as_ref().map(|state| state.started),
            version: state.version,
            leaving: state.leaving,
            current: values(process.sample().as_slice(), None, Together::Now),
        }
    }
}

/// Returns the keys that were used in these slots, or are used now, the most used first.
fn keys<'a>(samples: &[&Summary], slots: impl Iterator<Item = &'a Summary>) -> Vec<KeyReport> {
    let mut totals = BTreeMap::<&str, AppSummary>::new();
    for (key, app) in slots.flat_map(|slot| &slot.keys) {
        totals.entry(key).or_default().add(*app);
    }
    let used_now: BTreeSet<&str> = samples.iter().flat_map(|sample| sample.keys.keys().map(String::as_str)).collect();
    for key in used_now {
        totals.entry(key).or_default();
    }
    let mut totals: Vec<(&str, AppSummary)> = totals.into_iter().collect();
    totals.sort_by_key(|(key, app)| (key.is_empty(), std::cmp::Reverse(app.total()), *key));
    totals.truncate(MAX_LISTED);
    let report = |(key, app): (&str, AppSummary)| KeyReport {
        key: key.to_owned(),
        current: values(samples, Some(key), Together::Now),
        events: app.events,
        deliveries: app.deliveries,
        sockets: app.sockets,
        refusals: app.refusals,
    };
    totals.into_iter().map(report).collect()
}

/// Returns the busiest rooms of these processes together. Every node with subscribers gets all frames of a room.
fn busy_rooms(processes: &[&Process]) -> Vec<BusyRoom> {
    let alive = processes.iter().filter(|process| process.is_alive);
    let mut rooms = BTreeMap::<&str, BusyRoom>::new();
    for room in alive.filter_map(|process| process.state.as_ref()).flat_map(|state| &state.rooms) {
        let sum = rooms.entry(&room.room).or_insert_with(|| BusyRoom { streams: 0, frames: 0, ..room.clone() });
        sum.streams += room.streams;
        sum.frames = sum.frames.max(room.frames);
    }
    let mut rooms: Vec<BusyRoom> = rooms.into_values().collect();
    rooms.sort_by_key(|room| std::cmp::Reverse((room.frames.saturating_mul(room.streams as u64), room.streams)));
    rooms.truncate(MAX_LISTED);
    rooms
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::bus::SummaryUpdate;

    const MINUTE: u64 = 60_000;
    const NOW: u64 = 1_764_153_600_000 + MINUTE / 2;

    /// What two processes have written, the second of which has ended.
    struct Written;

    fn slot(start: u64, messages: u64) -> String {
        let summary = Summary {
            start,
            from: start,
            to: start + MINUTE,
            samples: 6,
            streams: 12,
            messages,
            ..Summary::default()
        };
        serde_json::to_string(&summary).unwrap()
    }

    #[async_trait]
    impl SummaryStore for Written {
        fn is_shared(&self) -> bool {
            true
        }

        async fn write(&self, _: &str, _: &SummaryUpdate) -> Result<(), Unavailable> {
            Err(Unavailable)
        }

        async fn processes(&self) -> Result<Vec<(String, u64)>, Unavailable> {
            let seen = [("here~1", NOW - 5_000), ("there~2", NOW - 30 * MINUTE), ("gone~3", NOW - 90 * MINUTE)];
            Ok(seen.map(|(name, at)| (name.to_owned(), at)).into())
        }

        async fn read(&self, ring: Ring, processes: &[String]) -> Result<Vec<StoredSummaries>, Unavailable> {
            let minute = Ring::Hour.slot_start(NOW);
            let read = |process: &String| match (process.as_str(), ring) {
                ("here~1", Ring::Hour) => StoredSummaries {
                    state: None,
                    slots: vec![
                        slot(minute - MINUTE, 60),
                        slot(minute - 40 * MINUTE, 120),
                        slot(minute - 60 * MINUTE, 9_000), // its place was not taken over
                        "nonsense".to_owned(),
                    ],
                },
                ("there~2", Ring::Hour) => StoredSummaries { state: None, slots: vec![slot(minute - 40 * MINUTE, 60)] },
                ("here~1", Ring::TenMinutes) => {
                    let sample = serde_json::from_str(&slot(minute, 30)).unwrap();
                    let state = State { node: "here".into(), sample, ..State::default() };
                    StoredSummaries { state: serde_json::to_string(&state).ok(), slots: vec![] }
                }
                other => panic!("{other:?} was read"),
            };
            Ok(processes.iter().map(read).collect())
        }
    }

    #[tokio::test]
    async fn slots_are_summed_up_and_what_nobody_wrote_is_a_hole() {
        let query =
            |process: Option<&str>| ReportQuery { ring: Ring::Hour, process: process.map(str::to_owned), key: None };
        let all = report(&Written, &query(None), NOW).await.unwrap();
        let known = |report: &Report, series: &str| {
            let values = report.series[series].iter().enumerate();
            values.filter_map(|(slot, value)| Some((slot, (*value)?))).collect::<Vec<_>>()
        };
        assert_eq!((all.times.len(), all.times[59] * 1000), (60, Ring::Hour.slot_start(NOW)));
        assert_eq!(known(&all, "messages"), [(19, 3.0), (58, 1.0)], "two processes, then one");
        assert_eq!(known(&all, "streams"), [(19, 4.0), (58, 2.0)]);
        assert_eq!((all.current["messages"], all.current["streams"]), (Some(0.5), Some(2.0)));
        let nodes: Vec<_> = all.nodes.iter().map(|node| (node.node.as_str(), node.alive)).collect();
        assert_eq!(nodes, [("here", true), ("there", false)]);
        let one = report(&Written, &query(Some("there~2")), NOW).await.unwrap();
        assert_eq!((known(&one, "messages"), one.current["messages"]), (vec![(19, 1.0)], None));
    }
}
