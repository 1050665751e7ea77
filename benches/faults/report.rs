//! The tables: a row for each server under each fault, and where another is better than tiny-chat.

use std::time::Duration;

use crate::{
    Failure,
    audit::Interruption,
    fault::Fault,
    hubs::{
        kind::Kind,
        page::{self, Marks, aligned_table, replace_between, with_commas},
    },
    trial::Outcome,
};

const TABLES: Marks = ("<!-- faults", "<!-- /faults -->");

/// Differences that are not worth a word.
const TOLERANCE: Duration = Duration::from_millis(200);

const HEAD: [&str; 9] = [
    "",
    "lost",
    "twice",
    "out of order",
    "told",
    "longest post, s",
    "interruption, s: median",
    "worst",
    "posts not acknowledged",
];

/// What a server did under a fault, or why that is not known.
pub struct Row {
    pub kind: Kind,
    pub fault: Fault,
    pub outcome: Result<Outcome, String>,
}

impl Row {
    /// Returns what is wrong with the row, if it is one of tiny-chat: a message that came twice or out of order, or
    /// that was lost, which may happen only where Redis lost it while no reader was there, and is told then.
    pub fn flaw(&self) -> Option<String> {
        let outcome = match &self.outcome {
            _ if self.kind != Kind::Ours => return None,
            Ok(outcome) => outcome,
            Err(error) => return Some(error.clone()),
        };
        let (losers, told) = outcome.losers();
        let may_lose = self.fault == Fault::RedisEmptyAway;
        let is_flawless = (losers == 0 || may_lose && told == losers)
            && outcome.sum(|findings| findings.twice + findings.out_of_order) == 0;
        (!is_flawless).then(|| self.line())
    }

    /// Returns the row as a line of progress.
    pub fn line(&self) -> String {
        let cells = self.cells();
        let named: Vec<String> = HEAD.iter().zip(&cells).skip(1).map(|(head, cell)| format!("{head} {cell}")).collect();
        match &self.outcome {
            Ok(_) => format!("  {:<16} {}", cells[0], named.join("; ")),
            Err(error) => format!("  {:<16} {error}", cells[0]),
        }
    }

    fn cells(&self) -> Vec<String> {
        let name = self.kind.name().to_owned() + if self.kind.max_nodes() == 1 { ", one node" } else { "" };
        let Ok(outcome) = &self.outcome else {
            return [name].into_iter().chain(HEAD[1..].iter().map(|_| "–".to_owned())).collect();
        };
        let number = |count: usize| with_commas(count as f64, 0);
        let expected = outcome.sum(|findings| findings.expected);
        vec![
            name,
            format!("{} of {}", number(outcome.sum(|findings| findings.lost)), number(expected)),
            number(outcome.sum(|findings| findings.twice)),
            number(outcome.sum(|findings| findings.out_of_order)),
            told(outcome),
            seconds(outcome.longest_post),
            interruption(outcome.median_interruption()),
            interruption(outcome.worst_interruption()),
            format!("{} of {}", number(outcome.unknown), number(outcome.posts)),
        ]
    }

    /// Returns what is said below the table.
    fn note(&self) -> Option<String> {
        let name = self.kind.name();
        match &self.outcome {
            Err(error) => Some(format!("{name}: {error}.")),
            Ok(outcome) => {
                let status = outcome.ended.first()?;
                Some(format!("{name}: {} of its streams were ended for good by a {status}.", outcome.ended.len()))
            }
        }
    }
}

/// Returns whether the readers that lost something were told.
fn told(outcome: &Outcome) -> String {
    let loss = match outcome.losers() {
        (0, _) => "–".to_owned(),
        (_, 0) => "no".to_owned(),
        (losers, told) if losers == told => "yes".to_owned(),
        (losers, told) => format!("{told} of {losers}"),
    };
    match outcome.told_needlessly() {
        0 => loss,
        count => format!("{loss}, {count} needlessly"),
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64())
}

fn interruption(interruption: Option<Interruption>) -> String {
    match interruption {
        None => "–".to_owned(),
        Some(Interruption::For(time)) => seconds(time),
        Some(Interruption::ForGood) => "for good".to_owned(),
    }
}

/// Returns the report: the date, where others are better, and the tables.
pub fn text(rows: &[Row], kinds: &[Kind], faults: &[Fault], rounds: usize) -> String {
    let missing: Vec<&str> = kinds.iter().filter(|kind| kind.missing().is_some()).map(|kind| kind.name()).collect();
    let mut text = format!("{}, {rounds} round{}.", page::machine(), if rounds == 1 { "" } else { "s" });
    if !missing.is_empty() {
        text += &format!(" Not measured, since not installed here: {}.", missing.join(", "));
    }
    let worse: Vec<String> = faults.iter().flat_map(|fault| worse(rows, *fault)).collect();
    text += "\n\nWhere tiny-chat is worse, by more than 0.2 s:\n\n";
    text += &if worse.is_empty() {
        "- In nothing that was measured.".to_owned()
    } else {
        worse.join("\n")
    };
    for fault in faults {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.fault == *fault).collect();
        let head = HEAD.map(str::to_owned).to_vec();
        let cells: Vec<Vec<String>> = [head].into_iter().chain(rows.iter().map(|row| row.cells())).collect();
        text += &format!("\n\n### {}\n\n{}", fault.title(), aligned_table(&cells));
        for note in rows.iter().filter_map(|row| row.note()) {
            text += &format!("\n{note}\n");
        }
        text.truncate(text.trim_end().len());
    }
    text + "\n"
}

/// Returns a line for each measure in which others are better than tiny-chat under a fault.
fn worse(rows: &[Row], fault: Fault) -> Vec<String> {
    let outcome = |row: &Row| row.outcome.as_ref().ok().filter(|_| row.fault == fault).cloned();
    let Some(ours) = rows.iter().filter(|row| row.kind == Kind::Ours).find_map(outcome) else {
        return Vec::new();
    };
    let others: Vec<(Kind, Outcome)> = rows
        .iter()
        .filter(|row| row.kind != Kind::Ours)
        .filter_map(|row| Some((row.kind, outcome(row)?)))
        .collect();
    let line = |measure: &str, is_better: &dyn Fn(Kind, &Outcome) -> bool, value: &dyn Fn(&Outcome) -> String| {
        let better: Vec<String> = others
            .iter()
            .filter(|(kind, other)| is_better(*kind, other))
            .map(|(kind, other)| format!("{} {}{}", kind.name(), value(other), reservation(other)))
            .collect();
        (!better.is_empty())
            .then(|| format!("- {}; {measure}: tiny-chat {}; {}.", fault.name(), value(&ours), better.join(", ")))
    };
    let lost = |outcome: &Outcome| outcome.sum(|findings| findings.lost);
    // While the only node is away nothing is posted, and readers have nothing to be behind with: the posts wait instead.
    let is_comparable = |kind: Kind| kind.max_nodes() > 1 || !fault.is_of_node();
    let (median, worst) = (Outcome::median_interruption, Outcome::worst_interruption);
    [
        line("lost", &|_, other| lost(other) < lost(&ours), &|outcome| lost(outcome).to_string()),
        line("longest post", &|_, other| other.longest_post + TOLERANCE < ours.longest_post, &|outcome| {
            format!("{} s", seconds(outcome.longest_post))
        }),
        line(
            "interruption, median",
            &|kind, other| is_comparable(kind) && is_shorter(median(other), median(&ours)),
            &|outcome| format!("{} s", interruption(median(outcome))),
        ),
        line(
            "interruption, worst",
            &|kind, other| is_comparable(kind) && is_shorter(worst(other), worst(&ours)),
            &|outcome| format!("{} s", interruption(worst(outcome))),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns what a better value has to be seen with: deliveries that were lost, and posts that failed.
fn reservation(outcome: &Outcome) -> String {
    let lost = outcome.sum(|findings| findings.lost);
    let mut parts = Vec::new();
    if lost > 0 {
        parts.push(format!("{} deliveries lost", with_commas(lost as f64, 0)));
    }
    if outcome.unknown > 0 {
        parts.push(format!("{} posts not acknowledged", outcome.unknown));
    }
    if parts.is_empty() {
        String::new()
    } else {
        format!(" (with {})", parts.join(" and "))
    }
}

fn is_shorter(one: Option<Interruption>, other: Option<Interruption>) -> bool {
    match (one, other) {
        (Some(Interruption::For(one)), Some(Interruption::For(other))) => one + TOLERANCE < other,
        (one, other) => one < other,
    }
}

/// Writes the report into a page, between its marks.
///
/// # Errors
/// When the file cannot be written or has no marks.
pub fn write(file: &std::path::Path, text: &str) -> Result<(), Failure> {
    let page = replace_between(&std::fs::read_to_string(file)?, TABLES, text)?;
    Ok(std::fs::write(file, page)?)
}
