//! The table in docs/clients.md.

use time::{OffsetDateTime, macros::format_description};

use super::{
    catalogue::{Client, Usage},
    faults::Fault,
    outcome::Outcome,
};

const BEGIN: &str = "<!-- measured: scripts/clients --write docs/clients.md -->";
const END: &str = "<!-- /measured -->";

/// What one client made of all faults.
pub struct Row {
    name: String,
    source: &'static str,
    usage: &'static str,
    cells: Vec<String>,
    tries: Option<usize>,
}

impl Row {
    pub fn of(client: &Client) -> Row {
        let usage = match client.usage {
            Usage::AsDocumented => "as documented",
            Usage::Mended => "mended",
            Usage::Replayed => "replayed",
        };
        Row { name: client.name(), source: client.source(), usage, cells: Vec::new(), tries: None }
    }

    pub fn add(&mut self, outcome: &Outcome) {
        self.cells.push(cell(outcome));
        self.tries = self.tries.or(outcome.tries);
    }
}

/// Returns what happened to the messages in words, and how late the latest one came.
pub fn cell(outcome: &Outcome) -> String {
    let faults = [
        (outcome.lost, "lost"),
        (outcome.doubled, "twice"),
        (outcome.reordered, "out of order"),
        (outcome.garbled, "garbled"),
        (outcome.unreadable, "unreadable"),
    ];
    let lost_in_between = usize::from(outcome.is_gone); // those after a client was gone are not counted
    let faults = faults.iter().skip(lost_in_between).filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = faults.map(|(count, what)| format!("{count} {what}")).collect();
    if outcome.is_gone {
        words.push("gone".to_owned());
    }
    let latest = outcome.latest.as_secs_f64();
    if words.is_empty() {
        format!("all; {latest:.1} s")
    } else {
        format!("**{}**", words.join(", "))
    }
}

/// Returns the table with the day on which it was made.
pub fn format(faults: &[Fault], rows: &[Row]) -> String {
    let today = OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day]")).expect("a date");
    let titles: String = faults.iter().map(|fault| format!(" {} |", fault.title())).collect();
    let mut table =
        format!("Made on {today}.\n\n| client | from | used |{titles} requests to the full node |\n|---|---|---|");
    table.push_str(&"---|".repeat(faults.len() + 1));
    for row in rows {
        let cells: String = row.cells.iter().map(|cell| format!(" {cell} |")).collect();
        let tries = row.tries.map_or("–".to_owned(), |tries| tries.to_string());
        table.push_str(&format!("\n| {} | {} | {} |{cells} {tries} |", row.name, row.source, row.usage));
    }
    table
}

/// Returns a text with this table between its marks.
pub fn replace(text: &str, table: &str) -> String {
    let (before, rest) = text.split_once(BEGIN).expect("a mark where the table begins");
    let (_, after) = rest.split_once(END).expect("a mark where the table ends");
    format!("{before}{BEGIN}\n\n{table}\n\n{END}{after}")
}
