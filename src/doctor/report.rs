//! Prints findings to standard output as they come, and counts them.

use std::io::{self, IsTerminal, Write};

use super::finding::{Finding, Verdict};

/// The findings of an examination.
pub(super) struct Report {
    stdout: io::Stdout,
    is_terminal: bool,
    verdicts: Vec<Verdict>,
}

impl Report {
    /// Returns a report without findings.
    pub(super) fn new() -> Self {
        let stdout = io::stdout();
        Self { is_terminal: stdout.is_terminal(), stdout, verdicts: Vec::new() }
    }

    /// Prints a finding and counts it.
    pub(super) fn add(&mut self, finding: Finding) {
        self.verdicts.push(finding.verdict);
        self.print_line(&if self.is_terminal { finding.wrapped() } else { finding.to_string() });
    }

    /// Prints a line that is not a finding.
    pub(super) fn print_line(&mut self, line: &str) {
        // A closed pipe does not end the examination, since its exit code may still be wanted.
        let _ = writeln!(self.stdout, "{line}").and_then(|()| self.stdout.flush());
    }

    /// Prints how many findings there are of each verdict. Returns true if nothing is broken.
    pub(super) fn print_summary(&mut self) -> bool {
        let count = |verdict| self.verdicts.iter().filter(|found| **found == verdict).count();
        let (good, notes, broken) = (count(Verdict::Good), count(Verdict::Note), count(Verdict::Broken));
        let summary = if broken == 0 {
            format!("Nothing is broken: {good} good, {notes} to note.")
        } else {
            format!("Broken: {broken}. Good: {good}. To note: {notes}.")
        };
        self.print_line(&format!("\n{summary}"));
        broken == 0
    }
}
