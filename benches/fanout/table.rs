//! Measurements as tables: the median of the rounds, the spread, and the median ratio to the reference of the same round.

use std::collections::BTreeMap;

use crate::hubs::page::{aligned_table, with_commas};

/// A quantity that is measured, and how it is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Measure {
    /// The order of the columns.
    order: u8,
    pub name: &'static str,
    decimals: usize,
    /// Whether the ratio to the reference is printed.
    compared: bool,
}

const fn measure(order: u8, name: &'static str, decimals: usize, compared: bool) -> Measure {
    Measure { order, name, decimals, compared }
}

pub const RATE: Measure = measure(0, "deliveries/s", 0, true);
pub const CPU: Measure = measure(1, "CPU per delivery, µs", 2, true);
pub const P50: Measure = measure(2, "p50, ms", 2, false);
pub const P99: Measure = measure(3, "p99, ms", 2, true);
pub const OF_ONE_ROOM: Measure = measure(4, "CPU × one room", 2, false);
pub const MEMORY: Measure = measure(5, "memory per reader, KiB", 2, false);
pub const BUSY: Measure = measure(6, "CPU, % of a core", 1, false);
pub const POSTS: Measure = measure(7, "posts/s", 0, false);
pub const OF_SCRIPT: Measure = measure(8, "of the script's rate", 2, false);
pub const OF_XADD: Measure = measure(9, "of XADD's rate", 2, false);
pub const ALL_BACK: Measure = measure(10, "all live, s after the cut", 2, false);
pub const AFTER_RETRY: Measure = measure(11, "s after the last retry", 2, false);
pub const LOG_READS: Measure = measure(12, "log readings", 0, false);
pub const COMMANDS: Measure = measure(13, "Redis commands", 0, false);
pub const PEAK: Measure = measure(14, "peak memory, MiB", 1, false);
pub const PER_RETURN: Measure = measure(15, "CPU per reader, µs", 1, false);
pub const PER_MISSED: Measure = measure(16, "CPU per message, µs", 2, false);
pub const PER_POST: Measure = measure(17, "CPU per post, µs", 1, false);
pub const REDIS_PER_POST: Measure = measure(18, "of Redis, µs", 1, false);
pub const CAUGHT_UP: Measure = measure(19, "all caught up, ms", 0, false);
pub const MINUTE: Measure = measure(20, "CPU over 60 s, % of a core", 2, true);
pub const BETWEEN: Measure = measure(21, "between heartbeats, %", 2, false);
pub const HEARTBEATS: Measure = measure(22, "heartbeats a reader", 1, false);
pub const PER_LOAD: Measure = measure(23, "CPU per page, µs", 0, false);
pub const COMMANDS_PER_LOAD: Measure = measure(24, "Redis commands per page", 2, false);
pub const RESPONSE_P50: Measure = measure(25, "p50, ms", 2, false);
pub const RESPONSE_P99: Measure = measure(26, "p99, ms", 2, false);
pub const LIVE_ONLY: Measure = measure(27, "CPU before, % of a core", 2, false);
pub const WITH_KNOWN: Measure = measure(28, "CPU after, % of a core", 2, false);
pub const GROWN: Measure = measure(29, "more memory, MiB", 1, false);
pub const OF_NODES: Measure = measure(30, "of the nodes, µs", 2, false);
pub const OF_PROXY: Measure = measure(31, "of the proxy, µs", 2, false);
pub const PROXY_MEMORY: Measure = measure(32, "memory of the proxy per reader, KiB", 1, false);
pub const NODE_MEMORY: Measure = measure(33, "of the nodes, KiB", 1, false);
pub const PROXY_SILENT: Measure = measure(34, "CPU of the proxy in silence, % of a core", 2, false);
pub const NODE_SILENT: Measure = measure(35, "of the nodes, %", 2, false);
pub const PROXY_HEARTBEAT: Measure = measure(36, "CPU of the proxy per heartbeat, µs", 2, false);
pub const NODE_HEARTBEAT: Measure = measure(37, "of the nodes, µs", 2, false);
pub const REDIS_CPU: Measure = measure(98, "of Redis, µs", 2, false);
pub const GENERATOR: Measure = measure(99, "readers' and publishers' CPU, %", 0, false);

/// One run of a workload against one server.
#[derive(Clone, Debug)]
pub struct Trial {
    pub subject: String,
    pub values: BTreeMap<Measure, f64>,
    /// Why the trial does not count, if it does not.
    pub void: Option<String>,
}

impl Trial {
    pub fn of(subject: &str, measure: Measure, value: f64) -> Self {
        Self { subject: subject.to_owned(), values: BTreeMap::from([(measure, value)]), void: None }
    }

    pub fn void(subject: &str, why: String) -> Self {
        Self { subject: subject.to_owned(), values: BTreeMap::new(), void: Some(why) }
    }
}

/// A workload and its trials, round by round.
pub struct Series {
    pub title: &'static str,
    /// The subject with which the others are compared.
    pub reference: &'static str,
    pub rounds: Vec<Vec<Trial>>,
}

/// The median, the least and the greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// Returns the spread of some values, or `None` if there are none.
pub fn spread(mut values: Vec<f64>) -> Option<Spread> {
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let half = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[half]
    } else {
        (values[half - 1] + values[half]) / 2.0
    };
    Some(Spread { median, least, most })
}

impl Series {
    /// Returns the subjects of all trials, in the order in which they first appear.
    pub fn subjects(&self) -> Vec<&str> {
        let mut subjects: Vec<&str> = Vec::new();
        for trial in self.rounds.iter().flatten() {
            if !subjects.contains(&trial.subject.as_str()) {
                subjects.push(&trial.subject);
            }
        }
        subjects
    }

    fn trials(&self, subject: &str) -> impl Iterator<Item = &Trial> {
        self.rounds.iter().flatten().filter(move |trial| trial.subject == subject)
    }

    /// Returns why a subject's row is void: one void trial is enough.
    pub fn void_reason(&self, subject: &str) -> Option<&str> {
        self.trials(subject).find_map(|trial| trial.void.as_deref())
    }

    /// Returns the spread of a measure over the rounds, or `None` if the subject's row is void.
    pub fn spread(&self, subject: &str, measure: Measure) -> Option<Spread> {
        if self.void_reason(subject).is_some() {
            return None;
        }
        spread(self.trials(subject).filter_map(|trial| trial.values.get(&measure).copied()).collect())
    }

    /// Returns the median over the rounds of the ratio between the subject and the reference, in the same round.
    pub fn ratio(&self, subject: &str, measure: Measure) -> Option<f64> {
        let value = |round: &Vec<Trial>, subject: &str| {
            let trial = round.iter().find(|trial| trial.subject == subject && trial.void.is_none())?;
            trial.values.get(&measure).copied().filter(|value| *value > 0.0)
        };
        let ratios = self
            .rounds
            .iter()
            .filter_map(|round| Some(value(round, subject)? / value(round, self.reference)?))
            .collect();
        self.void_reason(self.reference)
            .is_none()
            .then(|| spread(ratios))
            .flatten()
            .map(|ratios| ratios.median)
    }

    /// Returns whether the ratio to the reference is printed: to the floor where it has the same work, to tiny-chat for
    /// everything that a server needs.
    fn is_compared(&self, measure: Measure) -> bool {
        let of_hubs = [MEMORY, POSTS, PER_POST, REDIS_PER_POST, PER_RETURN];
        measure.compared || (self.reference != "floor" && of_hubs.contains(&measure))
    }

    /// Returns a line for each measure in which other servers need less than the reference, or do more.
    pub fn worse(&self) -> Vec<String> {
        let measures = self.measures().into_iter().filter(|measure| self.is_compared(*measure));
        measures
            .filter_map(|measure| {
                let is_other = |subject: &&str| !subject.starts_with(self.reference) && *subject != "floor";
                let others = self.subjects().into_iter().filter(is_other);
                let better: Vec<String> = others
                    .filter(|subject| self.void_reason(subject).is_none())
                    .filter_map(|subject| Some((subject, self.ratio(subject, measure)?)))
                    .filter(|(_, ratio)| if [RATE, POSTS].contains(&measure) { *ratio > 1.0 } else { *ratio < 1.0 })
                    .map(|(subject, ratio)| format!("{subject} {ratio:.2} ×"))
                    .collect();
                let heading = self.title.split(':').next().unwrap_or(self.title);
                (!better.is_empty()).then(|| format!("- {heading}; {}: {}", measure.name, better.join(", ")))
            })
            .collect()
    }

    /// Returns the measures that any trial has, in the order of the columns.
    fn measures(&self) -> Vec<Measure> {
        let mut measures: Vec<Measure> =
            self.rounds.iter().flatten().flat_map(|trial| trial.values.keys().copied()).collect();
        measures.sort_unstable();
        measures.dedup();
        measures
    }

    /// Returns the series as a table in Markdown, aligned so that it can be read in a terminal.
    pub fn markdown(&self) -> String {
        let measures = self.measures();
        let head = [String::new()].into_iter().chain(measures.iter().map(|measure| measure.name.to_owned()));
        let mut rows: Vec<Vec<String>> = vec![head.collect()];
        let mut notes = String::new();
        for subject in self.subjects() {
            let cells = measures.iter().map(|measure| self.cell(subject, *measure));
            let mut row: Vec<String> = [subject.to_owned()].into_iter().chain(cells).collect();
            if let Some(why) = self.void_reason(subject) {
                row[1..].fill("–".to_owned());
                row[0] += ": VOID";
                notes += &format!("\nVOID: {subject}: {why}.\n");
            }
            rows.push(row);
        }
        format!("### {}\n\n{}{notes}", self.title, aligned_table(&rows))
    }

    fn cell(&self, subject: &str, measure: Measure) -> String {
        let Some(Spread { median, least, most }) = self.spread(subject, measure) else {
            return "–".to_owned();
        };
        let number = |value: f64| with_commas(value, measure.decimals);
        let mut cell = number(median);
        if self.rounds.len() > 1 {
            cell += &format!(" ({}–{})", number(least), number(most));
        }
        match self.ratio(subject, measure) {
            Some(ratio) if self.is_compared(measure) && subject != self.reference => {
                format!("{cell}, {ratio:.2} × {}", self.reference)
            }
            _ => cell,
        }
    }
}
