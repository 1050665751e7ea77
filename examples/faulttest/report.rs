//! A run in words: a progress line while it lasts; at its end a table of the faults and the totals, as plain text of at
//! most 110 columns and as Markdown.

use std::fmt::Write;

use crate::{
    judge::{Kind, Row, Verdict},
    load::Progress,
    table::with_commas,
};

/// What a report says of a run beside the verdict.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub command: String,
    /// The form of Redis, with versions.
    pub form: String,
    pub seed: u64,
    pub date: String,
    /// The server, as `tiny-chat --version` has it.
    pub version: String,
}

/// The columns after the name of the fault: a heading of two lines, and the width.
const COLUMNS: [(&str, &str, usize); 13] = [
    ("", "times", 6),
    ("posts", "refused", 8),
    ("no", "answer", 7),
    ("acked", "lost", 7),
    ("and", "told", 7),
    ("deliv.", "lost", 7),
    ("", "silent", 7),
    ("twice", "", 6),
    ("dis-", "order", 6),
    ("false", "gaps", 6),
    ("back in", "p50 s", 8),
    ("", "p99 s", 7),
    ("", "worst", 7),
];

/// The width of the first column in characters.
const NAME_WIDTH: usize = 20;

/// Returns a line that says how far a run is.
pub fn progress_line(progress: &Progress, fault: &str) -> String {
    let Progress { seconds, acknowledged, refused, unanswered, deliveries, resumes, gaps, broken, streams } = progress;
    format!(
        "{seconds:>6.0} s  {} posts, {} refused, {} unanswered, {} deliveries, {} resumes, {} gaps, {} streams broken, {streams} open  {fault}",
        with_commas(*acknowledged),
        with_commas(*refused),
        with_commas(*unanswered),
        with_commas(*deliveries),
        with_commas(*resumes),
        with_commas(*gaps),
        with_commas(*broken),
    )
}

/// Returns the report as plain text.
pub fn text(verdict: &Verdict, run: &Run) -> String {
    let mut text = format!("\n{}; seed {}, {}\n\n", run.form, run.seed, run.date);
    let upper: String = COLUMNS.map(|(upper, _, width)| format!("{upper:>width$}")).concat();
    let lower: String = COLUMNS.map(|(_, lower, width)| format!("{lower:>width$}")).concat();
    let rule = "─".repeat(NAME_WIDTH + COLUMNS.map(|(.., width)| width).iter().sum::<usize>());
    let _ = writeln!(text, "{:NAME_WIDTH$}{upper}\n{:NAME_WIDTH$}{lower}\n{rule}", "", "fault");
    for row in &verdict.rows {
        let cells: String =
            cells(row).iter().zip(COLUMNS).map(|(cell, (.., width))| format!("{cell:>width$}")).collect();
        let name = shortened(&row.name);
        match &row.not_run {
            Some(why) if row.times == 0 => text += &format!("{name:NAME_WIDTH$} not run: {why}\n"),
            _ => text += &format!("{name:NAME_WIDTH$}{cells}{}\n", mark(row)),
        }
    }
    let _ = writeln!(text, "{rule}\n· no client noticed it\n");
    for line in totals(verdict) {
        let _ = writeln!(text, "{line}");
    }
    text + &findings(verdict) + &conclusion(verdict) + "\n"
}

/// Returns the report as Markdown.
pub fn markdown(verdict: &Verdict, run: &Run) -> String {
    let mut text = format!("`{}`\n\n{}, {}; seed {}, {}.\n\n", run.command, run.form, run.version, run.seed, run.date);
    let headings = COLUMNS.map(|(upper, lower, _)| format!("{upper} {lower}").trim().replace("- ", ""));
    let _ = writeln!(text, "| fault | {} |\n|---{}|", headings.join(" | "), "|--:".repeat(COLUMNS.len()));
    for row in &verdict.rows {
        match &row.not_run {
            Some(why) if row.times == 0 => {
                let _ = writeln!(text, "| {} | not run: {why} {}|", row.name, "| ".repeat(COLUMNS.len()));
            }
            _ => {
                let _ = writeln!(text, "| {} | {} |", row.name, cells(row).join(" | "));
            }
        }
    }
    for line in totals(verdict) {
        let _ = write!(text, "\n- {line}");
    }
    text + "\n\n" + &conclusion(verdict)
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let of = |kind| number(row.counts.of(kind));
    let twice = row.counts.of(Kind::DoubledDelivery) + row.counts.of(Kind::DoubledPublish);
    let seconds = |share| match row.recovery(share) {
        _ if row.not_recovered > 0 && share > 0.5 => "never".to_owned(),
        Some(time) => format!("{:.2}", f64::from(time) / 1000.0),
        None => "–".to_owned(),
    };
    [
        if row.times > 0 { row.times.to_string() } else { String::new() },
        number(row.refused),
        number(row.unanswered),
        number(row.lost_acknowledged),
        number(row.told),
        of(Kind::LostDelivery),
        of(Kind::SilentGap),
        number(twice),
        of(Kind::Reordered),
        of(Kind::FalseGap),
        seconds(0.5),
        seconds(0.99),
        seconds(1.0),
    ]
}

/// Returns a number as it stands in a table.
fn number(number: usize) -> String {
    if number < 100_000 {
        number.to_string()
    } else {
        format!("{}k", number / 1000)
    }
}

/// Returns the sign of a fault of which no client noticed anything.
fn mark(row: &Row) -> &'static str {
    if row.times > 0 && !row.is_felt() { " ·" } else { "" }
}

fn shortened(name: &str) -> String {
    if name.chars().count() < NAME_WIDTH {
        name.to_owned()
    } else {
        name.chars().take(NAME_WIDTH - 2).chain(['…']).collect()
    }
}

fn totals(verdict: &Verdict) -> Vec<String> {
    let failed: Vec<String> = verdict
        .failed_attempts
        .iter()
        .map(|(status, count)| {
            let status = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
            format!("{status} ×{count}")
        })
        .collect();
    let counts = Kind::ALL.map(|kind| format!("{} {}", kind.name(), verdict.counts.of(kind)));
    let latency = |time: u64| format!("{:.0} ms", time as f64);
    vec![
        format!(
            "{} posts in {:.0} s: {} acknowledged, {} unknown, {} refused; attempts repeated: {}",
            with_commas(verdict.posted),
            verdict.seconds,
            with_commas(verdict.acknowledged),
            with_commas(verdict.unknown),
            with_commas(verdict.refused),
            if failed.is_empty() { "none".to_owned() } else { failed.join(", ") },
        ),
        format!(
            "{} deliveries to {} readers, {} resumes ({} with messages missed meanwhile), {} gaps; to staying readers \
             p50 {}, p99 {}",
            with_commas(verdict.deliveries),
            with_commas(verdict.readers),
            with_commas(verdict.resumes),
            with_commas(verdict.replays),
            with_commas(verdict.gaps),
            latency(verdict.latency.value_at_quantile(0.5)),
            latency(verdict.latency.value_at_quantile(0.99)),
        ),
        format!(
            "acknowledged and lost: {}; by a fault that may lose {}, told to all that had them {}, in rooms with \
             readers {}",
            with_commas(verdict.lost_acknowledged),
            with_commas(verdict.explained),
            with_commas(verdict.told),
            with_commas(verdict.lost_where_read),
        ),
        counts[..5].join(", "),
        counts[5..].join(", "),
    ]
}

fn findings(verdict: &Verdict) -> String {
    let mut text = String::new();
    for row in verdict.rows.iter().filter(|row| row.lost_acknowledged > 0) {
        let (name, lost, read) = (&row.name, row.lost_acknowledged, row.lost_where_read);
        let _ = writeln!(text, "\n{name}: {lost} acknowledged and lost, {read} in rooms with readers; the first:");
        for lost in &row.lost_texts {
            let _ = writeln!(text, "  {lost}");
        }
    }
    for kind in Kind::ALL {
        let texts: Vec<_> = verdict.texts.iter().filter(|(other, _)| *other == kind).collect();
        if !texts.is_empty() {
            let _ = writeln!(text, "\n{}, the first {} of {}:", kind.name(), texts.len(), verdict.counts.of(kind));
        }
        for (_, finding) in texts {
            let _ = writeln!(text, "  {finding}");
        }
    }
    text
}

fn conclusion(verdict: &Verdict) -> String {
    if !verdict.void.is_empty() {
        return format!("\nThis run shows nothing: {}.\n", verdict.void.join("; "));
    }
    let text = if verdict.is_passed() {
        "Passed: nothing was lost silently."
    } else {
        "FAILED."
    };
    format!("\n{text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(with_commas), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_table_has_at_most_110_columns() {
        let width = NAME_WIDTH + COLUMNS.map(|(.., width)| width).iter().sum::<usize>();
        assert!(width <= 110, "{width}");
    }
}
