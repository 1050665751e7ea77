//! The tally as a table of 80 columns.

use std::{collections::BTreeMap, time::Duration};

use crate::tally::{Row, Tally};

/// The longest bar of readers.
const BAR: usize = 48;

/// The columns after the first, each two lines high.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("readers", "away", 8),
    ("longest", "away", 9),
    ("all back", "after", 10),
    ("", "said", 7),
    ("", "lost", 6),
    ("", "twice", 7),
];

const FIRST: usize = 31;

/// Writes with colours, or without.
#[derive(Clone, Copy)]
pub struct Pen {
    pub colours: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Faint = 2,
    Bad = 31,
    Good = 32,
    Busy = 33,
}

impl Pen {
    /// The text in an ink. It has to be padded before: what changes the colour has no width, but length.
    fn ink(self, ink: Ink, text: &str) -> String {
        match self.colours {
            true => format!("\x1b[{}m{text}\x1b[0m", ink as u8),
            false => text.to_owned(),
        }
    }

    /// A number that should be 0.
    fn fault(self, number: usize, width: usize) -> String {
        self.ink(if number == 0 { Ink::Good } else { Ink::Bad }, &format!("{number:>width$}"))
    }
}

/// All there is to see while it goes on.
pub fn whole(tally: &Tally, pen: Pen) -> String {
    machines(tally, pen) + &acts(tally, pen) + &sums(tally, pen)
}

/// Who is up, and who holds how many readers.
fn machines(tally: &Tally, pen: Pen) -> String {
    let nodes = tally.nodes();
    let mut names: Vec<&str> = tally.machines.keys().map(String::as_str).chain(nodes.keys().copied()).collect();
    names.sort_unstable();
    names.dedup();
    let mut text = String::new();
    for name in names {
        let readers = nodes.get(name).copied().unwrap_or_default();
        let state = tally.machines.get(name).copied().unwrap_or("up");
        let ink = if state == "up" { Ink::Good } else { Ink::Bad };
        let bar = pen.ink(Ink::Faint, &"▇".repeat((readers * BAR).div_ceil(tally.readers())));
        let number = if readers > 0 { format!(" {readers}") } else { String::new() };
        text += &format!("  {name:<13} {} {bar}{number}\n", pen.ink(ink, &format!("{state:<8}")));
    }
    text + "\n"
}

/// Who holds how many readers, in few words.
pub fn nodes(tally: &Tally) -> String {
    let nodes: Vec<String> = tally.nodes().iter().map(|(name, readers)| format!("{name} {readers}")).collect();
    nodes.join(", ")
}

/// What was done, an act a line.
pub fn acts(tally: &Tally, pen: Pen) -> String {
    let upper: String = COLUMNS.map(|(upper, _, width)| format!("{upper:>width$}")).concat();
    let lower: String = COLUMNS.map(|(_, lower, width)| format!("{lower:>width$}")).concat();
    let rule = "─".repeat(FIRST + COLUMNS.map(|(.., width)| width).iter().sum::<usize>());
    let head = format!("  {:FIRST$}{upper}\n  {:FIRST$}{lower}\n  {rule}\n", "", "what was done");
    let rows: String = tally.rows().iter().enumerate().map(|(number, row)| act(row, number == 0, pen)).collect();
    pen.ink(Ink::Faint, &head) + &rows + &pen.ink(Ink::Faint, &format!("  {rule}\n"))
}

fn act(row: &Row, calm: bool, pen: Pen) -> String {
    let [away, longest, recovery, said, lost, doubled] = COLUMNS.map(|(.., width)| width);
    let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
    let absence = if row.away == 0 { "–".to_owned() } else { seconds(row.longest) };
    let back = match row.recovery {
        _ if calm => format!("{:>recovery$}", "–"),
        Some(time) => format!("{:>recovery$}", seconds(time)),
        None => pen.ink(Ink::Busy, &format!("{:>recovery$}", "…")),
    };
    let name = format!("  {:FIRST$}{:>away$}{absence:>longest$}{back}{:>said$}", row.name, row.away, row.said);
    name + &pen.fault(row.lost, lost) + &pen.fault(row.doubled, doubled) + "\n"
}

/// What it came to.
pub fn sums(tally: &Tally, pen: Pen) -> String {
    let total = tally.total();
    let [said, acknowledged, due, read] = [total.said, total.acknowledged, total.due, total.read].map(grouped);
    let readers = tally.readers();
    let [lost, doubled, reordered, gaps] =
        [total.lost, total.doubled, tally.reordered, tally.gaps].map(|number| pen.fault(number, 0));
    format!(
        "  said {said}, acknowledged {acknowledged}; read by {readers} readers: {read} of {due}\n  \
         lost {lost}, twice {doubled}, out of order {reordered}, gaps {gaps}\n  {}\n",
        pen.ink(Ink::Faint, &refusals(tally))
    )
}

/// What was answered where an acknowledgement or a stream was hoped for.
fn refusals(tally: &Tally) -> String {
    let list = |answers: &BTreeMap<String, usize>| {
        let parts: Vec<String> = answers.iter().map(|(answer, count)| format!("{answer} ×{count}")).collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    let [posts, streams] = &tally.refusals;
    format!("posts repeated: {}; streams refused: {}", list(posts), list(streams))
}

pub fn verdict(tally: &Tally, pen: Pen) -> String {
    let total = tally.total();
    let text = match tally.is_flawless() {
        true => pen.ink(Ink::Good, "Nobody missed anything."),
        false if total.due == 0 => pen.ink(Ink::Bad, "Nothing was read, so this shows nothing."),
        false => pen.ink(Ink::Bad, "Not as promised."),
    };
    format!("\n  {text}\n")
}

/// With a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let head = (first > 0).then(|| head.to_owned());
    head.into_iter().chain(groups).collect::<Vec<_>>().join(",")
}
