use std::io::{self, IsTerminal, Write};

use super::finding::{Finding, Verdict};

/// Writes down findings as they come, and counts them.
pub struct Report {
    out: io::Stdout,
    for_people: bool,
    run: String,
    verdicts: Vec<Verdict>,
}

impl Report {
    /// A report to stdout, of a run with this name.
    pub fn new(run: String) -> Self {
        let out = io::stdout();
        Self { for_people: out.is_terminal(), out, run, verdicts: Vec::new() }
    }

    /// What tells this run from others.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Adds a finding.
    pub fn tell(&mut self, finding: Finding) {
        self.verdicts.push(finding.verdict);
        self.say(&if self.for_people { finding.wrapped() } else { finding.to_string() });
    }

    /// Adds a line that is no finding. Who closes the pipe does not want to read on, but may want the exit code.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// The last line; whether nothing is broken.
    pub fn sum_up(&mut self) -> bool {
        let count = |verdict| self.verdicts.iter().filter(|found| **found == verdict).count();
        let (good, notes, broken) = (count(Verdict::Good), count(Verdict::Note), count(Verdict::Broken));
        let line = match broken {
            0 => format!("Nothing is broken: {good} good, {notes} to note."),
            _ => format!("Broken: {broken}. Good: {good}. To note: {notes}."),
        };
        self.say(&format!("\n{line}"));
        broken == 0
    }
}
