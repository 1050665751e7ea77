//! The pages into which benchmarks write what they have measured.

use std::{fs, thread};

use time::{OffsetDateTime, macros::format_description};

use crate::hubs::process::Failure;

/// A place in the page for a part of the report: between a line that begins with the first and one that is the second.
pub type Marks = (&'static str, &'static str);

/// Returns the date, and which machine this is.
pub fn machine() -> String {
    let date = OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day]")).unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let processor = processor.map_or("unknown processor", |(_, name)| name);
    format!("{date}, {cores} cores ({processor}), Linux {}", kernel.trim())
}

/// Replaces what stands between two marks. The line with the first of them stays as it is.
pub fn replace_between(page: &str, (begin, end): Marks, text: &str) -> Result<String, Failure> {
    let start = page.find(begin).and_then(|at| Some(at + page[at..].find('\n')?));
    let start = start.ok_or_else(|| format!("the file has no line {begin}"))?;
    let length = page[start..].find(end).ok_or_else(|| format!("the file has no line {end}"))?;
    Ok(format!("{}\n\n{}\n\n{}", &page[..start], text.trim_end(), &page[start + length..]))
}

/// Formats a number with commas between thousands.
pub fn with_commas(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = plain.split_once('.').map_or((&*plain, String::new()), |(a, b)| (a, format!(".{b}")));
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + &fraction
}

/// Returns a table in Markdown, aligned so that it can be read in a terminal. The first row is its head.
pub fn aligned_table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map(Vec::len).unwrap_or_default();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.insert(1, line(&rule));
    lines.concat()
}
