//! The table, and where it stands.

use std::{fs, path::Path, time::Duration};

use crate::{
    Failure,
    hubs::page::{self, Marks, replace_between, with_commas},
    machine::Capacity,
};

const TABLE: Marks = ("<!-- measured: scripts/million", "<!-- /measured: scripts/million -->");

/// What was measured.
pub struct Report {
    pub readers: usize,
    nodes: usize,
    limits: String,
    pub connecting: Duration,
    /// Memory of the nodes for a reader.
    pub own_kib: f64,
    /// Memory of the kernel for a reader, with both ends of its connection.
    pub kernel_kib: f64,
    /// For each message: seconds until the last reader had it, CPU seconds for a million deliveries, commands of Redis.
    pub last_reader: Vec<f64>,
    pub cpu: Vec<f64>,
    pub commands: Vec<u64>,
    /// Time from the kill until all readers are back with all messages.
    pub back: Duration,
    pub commands_of_return: u64,
    pub returned: usize,
    pub lost: usize,
    pub twice: usize,
    pub disordered: usize,
    pub gaps: usize,
}

impl Report {
    pub fn new(readers: usize, nodes: usize, capacity: &Capacity) -> Self {
        Self {
            readers,
            nodes,
            limits: capacity.limits(),
            connecting: Duration::ZERO,
            own_kib: 0.0,
            kernel_kib: 0.0,
            last_reader: Vec::new(),
            cpu: Vec::new(),
            commands: Vec::new(),
            back: Duration::ZERO,
            commands_of_return: 0,
            returned: 0,
            lost: 0,
            twice: 0,
            disordered: 0,
            gaps: 0,
        }
    }

    /// Returns true if each reader received each message once and in order, and none was told of a gap.
    pub fn is_whole(&self) -> bool {
        self.lost + self.twice + self.disordered + self.gaps == 0
    }

    /// Returns the date, the machine and the table.
    pub fn text(&self) -> String {
        let mut commands = self.commands.clone();
        commands.sort_unstable();
        let rows = [
            ("readers of one room", with_commas(self.readers as f64, 0)),
            ("nodes", self.nodes.to_string()),
            ("until all are live, s", format!("{:.1}", self.connecting.as_secs_f64())),
            ("memory of the nodes for a reader, KiB", format!("{:.2}", self.own_kib)),
            ("memory of the kernel for a reader, both ends, KiB", format!("{:.2}", self.kernel_kib)),
            ("one message: until the last reader has it, s", median(&self.last_reader)),
            ("one message: CPU seconds of the nodes for a million deliveries", median(&self.cpu)),
            (
                "one message: commands of Redis, with those of the nodes' clocks",
                commands.get(commands.len() / 2).map_or_else(String::new, u64::to_string),
            ),
            ("readers of the node that is killed", with_commas(self.returned as f64, 0)),
            ("until all are back, with what was posted meanwhile, s", format!("{:.1}", self.back.as_secs_f64())),
            ("commands of Redis for that", self.commands_of_return.to_string()),
            ("messages lost", self.lost.to_string()),
            ("twice · out of order · gaps", format!("{} · {} · {}", self.twice, self.disordered, self.gaps)),
        ];
        let rows: String = rows.iter().map(|(name, value)| format!("| {name} | {value} |\n")).collect();
        format!("{}. Limits: {}.\n\n| | |\n|---|---|\n{rows}", page::machine(), self.limits)
    }
}

/// Returns the median of some values, and between which they are.
fn median(values: &[f64]) -> String {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(least), Some(median), Some(most)) => format!("{median:.2} ({least:.2}–{most:.2})"),
        _ => String::new(),
    }
}

/// Writes the text into a file, between its marks.
///
/// # Errors
/// When the file cannot be written or has no marks.
pub fn write(file: &Path, text: &str) -> Result<(), Failure> {
    fs::write(file, replace_between(&fs::read_to_string(file)?, TABLE, text)?)?;
    Ok(())
}
