//! The report: the machine, the tables and the plot, for the terminal and for a file.

use std::{fs, path::Path};

use crate::{
    Failure, Page, Workload,
    hubs::page::{self, Marks, replace_between},
    plot,
    plot::Panel,
    setup::Size,
    table::{self, Measure, Series, Trial},
};

const TABLES: Marks = ("<!-- measured", "<!-- /measured -->");
const WORSE: Marks = ("<!-- worse", "<!-- /worse -->");

/// A plotted measure: its heading, its workload and the measure.
type Plotted = (&'static str, Workload, Measure);

const PERFORMANCE_PLOT: [Plotted; 4] = [
    ("CPU per delivery, paced, µs", Workload::Paced, table::CPU),
    ("p99, paced, ms", Workload::Paced, table::P99),
    ("deliveries/s, saturated", Workload::Saturated, table::RATE),
    ("KiB per idle reader", Workload::Idle, table::MEMORY),
];

const COMPARISON_PLOT: [Plotted; 6] = [
    ("one room, 800 readers: CPU per delivery, µs", Workload::Paced, table::CPU),
    ("1,000 rooms of 5 readers: CPU per delivery, µs", Workload::Rooms, table::CPU),
    ("one room, as fast as acknowledged: deliveries/s", Workload::Saturated, table::RATE),
    ("16 connections: posts/s", Workload::Posts, table::POSTS),
    ("8,000 readers of one room: KiB each", Workload::Idle, table::MEMORY),
    ("8,000 readers, a room each: KiB each", Workload::Silent, table::MEMORY),
];

pub struct Report<'a> {
    pub page: Page,
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
        let rounds = if self.rounds == 1 {
            "one round".to_owned()
        } else {
            format!("{} rounds", self.rounds)
        };
        let mut text = format!("{}, {rounds}.", page::machine());
        let missing = self.page.missing();
        if !missing.is_empty() {
            text += &format!(" Not measured, since not installed here: {}.", missing.join(", "));
        }
        if self.size.quick {
            text += " SMALL SIZES: these numbers say nothing about the cost of a delivery.";
        } else if self.size.max_readers < 10_000 {
            text += &format!(" Scaled down to {} readers by the limit of open files.", self.size.max_readers);
        }
        text
    }

    /// Writes the report into a file, between its marks, and the plots next to it.
    ///
    /// # Errors
    /// When the file cannot be written or has no marks.
    pub fn write(&self, file: &Path) -> Result<(), Failure> {
        let mut page = replace_between(&fs::read_to_string(file)?, TABLES, &self.text())?;
        if self.page == Page::Comparison {
            let worse: Vec<String> = self.series.iter().flat_map(Series::worse).collect();
            let worse = if worse.is_empty() {
                "- In nothing that was measured.".to_owned()
            } else {
                worse.join("\n")
            };
            page = replace_between(&page, WORSE, &worse)?;
        }
        fs::write(file, page)?;
        let panels: &[Plotted] = match self.page {
            Page::Performance => &PERFORMANCE_PLOT,
            Page::Comparison => &COMPARISON_PLOT,
            Page::Proxies => return Ok(()),
        };
        let panels: Vec<Panel> = panels.iter().filter_map(|panel| self.panel(*panel)).collect();
        if self.page == Page::Comparison {
            plot::draw(&file.with_extension("dark.svg"), &panels, plot::DARK)?;
        }
        plot::draw(&file.with_extension("svg"), &panels, plot::LIGHT)
    }

    fn panel(&self, (heading, workload, measure): Plotted) -> Option<Panel<'_>> {
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
