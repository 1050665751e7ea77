//! The report: the machine, the tables and the plot, for the terminal and for a file.

use std::{fs, path::Path, thread};

use time::{OffsetDateTime, macros::format_description};

use crate::{
    Failure, Workload,
    hubs::kind::KINDS,
    plot,
    plot::Panel,
    table::{self, Measure, Series, Trial},
    workloads::Size,
};

/// The lines of the file between which the report is written.
const BEGIN: &str = "<!-- measured: cargo bench --bench fanout -- --write docs/performance.md -->";
const END: &str = "<!-- /measured -->";

pub struct Report<'a> {
    pub workloads: &'a [Workload],
    pub series: &'a [Series],
    pub rounds: usize,
    pub size: Size,
}

impl Report<'_> {
    /// Returns the date, the machine and the tables.
    pub fn text(&self) -> String {
        let tables: Vec<String> = self.series.iter().map(Series::markdown).collect();
        format!("{}\n\n{}", self.machine(), tables.join("\n"))
    }

    fn machine(&self) -> String {
        let date = OffsetDateTime::now_utc().format(format_description!("[year]-[month]-[day]")).unwrap_or_default();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let processor = processor.map_or("unknown processor", |(_, name)| name);
        let rounds = if self.rounds == 1 {
            "one round".to_owned()
        } else {
            format!("{} rounds", self.rounds)
        };
        let mut text = format!("{date}, {cores} cores ({processor}), Linux {}, {rounds}.", kernel.trim());
        for kind in KINDS {
            if kind.missing().is_some() {
                text += &format!(" Not measured, since it is not installed: {}.", kind.name());
            }
        }
        if self.size.quick {
            text += " SMALL SIZES: these numbers say nothing about the cost of a delivery.";
        } else if self.size.max_readers < 10_000 {
            text += &format!(" Scaled down to {} readers by the limit of open files.", self.size.max_readers);
        }
        text
    }

    /// Writes the report into a file, between its marks, and the plot next to it.
    ///
    /// # Errors
    /// When the file cannot be written or has no marks.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let page = fs::read_to_string(file)?;
        let (before, rest) = page.split_once(BEGIN).ok_or("the file has no mark where the tables begin")?;
        let (_, after) = rest.split_once(END).ok_or("the file has no mark where the tables end")?;
        fs::write(file, format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.text()))?;
        let panels = [
            ("CPU per delivery, paced, µs", Workload::Paced, table::CPU),
            ("p99, paced, ms", Workload::Paced, table::P99),
            ("deliveries/s, saturated", Workload::Saturated, table::RATE),
            ("KiB per idle reader", Workload::Idle, table::MEMORY),
        ];
        let panels: Vec<Panel> = panels.into_iter().filter_map(|panel| self.panel(panel)).collect();
        plot::draw(&file.with_extension("svg"), &panels)
    }

    fn panel<'a>(&'a self, (heading, workload, measure): (&'a str, Workload, Measure)) -> Option<Panel<'a>> {
        let index = self.workloads.iter().position(|measured| *measured == workload)?;
        Some(Panel { heading, series: self.series.get(index)?, measure })
    }
}

/// Returns a trial as one line.
pub fn line(trial: &Trial) -> String {
    let values: Vec<String> =
        trial.values.iter().map(|(measure, value)| format!("{} {value:.2}", measure.name)).collect();
    let void = trial.void.as_ref().map(|why| format!("VOID: {why}; ")).unwrap_or_default();
    format!("  {:<28} {void}{}", trial.subject, values.join("; "))
}
