//! The ledger as a table of 80 columns.

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use crate::ledger::{Ledger, Row};

/// The length of the bar of a node that has all readers, in characters.
const MAX_BAR_CHARS: usize = 48;

/// The columns after the first: two lines of heading, and the width in characters.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("readers", "away", 8),
    ("longest", "away", 9),
    ("all back", "after", 10),
    ("", "said", 7),
    ("", "lost", 6),
    ("", "twice", 7),
];

/// The width of the first column in characters.
const NAME_WIDTH: usize = 31;

/// Formats text with colours, or without.
#[derive(Clone, Copy)]
pub struct Pen {
    pub colours: bool,
}

#[derive(Clone, Copy)]
/// Colours by their SGR codes.
enum Colour {
    Faint = 2,
    Bad = 31,
    Good = 32,
    Busy = 33,
}

impl Pen {
    /// Returns the text in a colour. It must be padded before, since padding counts the bytes that switch the colour.
    fn colour(self, colour: Colour, text: &str) -> String {
        if self.colours {
            format!("\x1b[{}m{text}\x1b[0m", colour as u8)
        } else {
            text.to_owned()
        }
    }

    /// Returns a number of faults, in green if it is 0.
    fn fault(self, number: usize, width: usize) -> String {
        self.colour(if number == 0 { Colour::Good } else { Colour::Bad }, &format!("{number:>width$}"))
    }
}

/// Returns what is shown during a run.
pub fn view(ledger: &Ledger, pen: Pen) -> String {
    processes(ledger, pen) + &acts(ledger, pen) + &totals(ledger, pen)
}

/// Returns a line for each process: its state and its readers.
fn processes(ledger: &Ledger, pen: Pen) -> String {
    let nodes = ledger.readers_per_node();
    let mut names: Vec<&str> = ledger.process_states.keys().map(String::as_str).chain(nodes.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let readers = nodes.get(name).copied().unwrap_or_default();
        let state = ledger.process_states.get(name).copied().unwrap_or("up");
        let colour = if state == "up" { Colour::Good } else { Colour::Bad };
        let bar = pen.colour(Colour::Faint, &"▇".repeat((readers * MAX_BAR_CHARS).div_ceil(ledger.readers())));
        let number = if readers > 0 { format!(" {readers}") } else { String::new() };
        text += &format!("  {name:<13} {} {bar}{number}\n", pen.colour(colour, &format!("{state:<8}")));
    }
    text + "\n"
}

/// Returns how many readers each node has, in one line.
pub fn readers_per_node(ledger: &Ledger) -> String {
    let nodes: Vec<String> =
        ledger.readers_per_node().iter().map(|(name, readers)| format!("{name} {readers}")).collect();
    nodes.join(", ")
}

/// Returns the table of acts, one per line.
pub fn acts(ledger: &Ledger, pen: Pen) -> String {
    let upper: String = COLUMNS.map(|(upper, _, width)| format!("{upper:>width$}")).concat();
    let lower: String = COLUMNS.map(|(_, lower, width)| format!("{lower:>width$}")).concat();
    let rule = "─".repeat(NAME_WIDTH + COLUMNS.map(|(.., width)| width).iter().sum::<usize>());
    let head = format!("  {:NAME_WIDTH$}{upper}\n  {:NAME_WIDTH$}{lower}\n  {rule}\n", "", "what was done");
    let rows: String = ledger.rows().iter().enumerate().map(|(number, row)| act_row(row, number == 0, pen)).collect();
    pen.colour(Colour::Faint, &head) + &rows + &pen.colour(Colour::Faint, &format!("  {rule}\n"))
}

fn act_row(row: &Row, calm: bool, pen: Pen) -> String {
    let [away, longest, recovery, said, lost, duplicated] = COLUMNS.map(|(.., width)| width);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let absence = if row.away == 0 { "–".to_owned() } else { seconds(row.longest) };
    let back = match row.recovery {
        _ if calm => format!("{:>recovery$}", "–"),
        Some(time) => format!("{:>recovery$}", seconds(time)),
        None => pen.colour(Colour::Busy, &format!("{:>recovery$}", "…")),
    };
    let name = format!("  {:NAME_WIDTH$}{:>away$}{absence:>longest$}{back}{:>said$}", row.name, row.away, row.posted);
    name + &pen.fault(row.lost, lost) + &pen.fault(row.duplicated, duplicated) + "\n"
}

/// Returns the totals of the run.
pub fn totals(ledger: &Ledger, pen: Pen) -> String {
    let total = ledger.total();
    let [said, acknowledged, expected, read] =
        [total.posted, total.acknowledged, total.expected, total.read].map(with_commas);
    let readers = ledger.readers();
    let [lost, duplicated, reordered, gaps] =
        [total.lost, total.duplicated, ledger.reordered, ledger.gaps].map(|number| pen.fault(number, 0));
    format!(
        "  said {said}, acknowledged {acknowledged}; read by {readers} readers: {read} of {expected}\n  \
         lost {lost}, twice {duplicated}, out of order {reordered}, gaps {gaps}\n  {}\n",
        pen.colour(Colour::Faint, &refusals(ledger))
    )
}

/// Returns the responses to posts and subscriptions that failed.
fn refusals(ledger: &Ledger) -> String {
    let list = |responses: &BTreeMap<String, usize>| {
        let parts: Vec<String> = responses.iter().map(|(response, count)| format!("{response} ×{count}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let [posts, streams] = &ledger.refusals;
    format!("posts repeated: {}; streams refused: {}", list(posts), list(streams))
}

/// Returns the verdict on the run.
pub fn verdict(ledger: &Ledger, pen: Pen) -> String {
    let total = ledger.total();
    let text = if ledger.is_flawless() {
        pen.colour(Colour::Good, "Nobody missed anything.")
    } else if total.expected == 0 {
        pen.colour(Colour::Bad, "Nothing was read, so this shows nothing.")
    } else {
        pen.colour(Colour::Bad, "Not as promised.")
    };
    format!("\n  {text}\n")
}

/// Formats a number with commas between thousands.
pub fn with_commas(number: impl Display) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}
