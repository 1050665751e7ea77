//! The result of one check, and how it is printed.

use std::fmt;

use super::advice::Advice;

/// Column at which the text of a finding begins, after its verdict and check.
const TEXT_COLUMN: usize = 24;

/// Columns after which the text of a finding is wrapped on a terminal.
const TERMINAL_COLUMNS: usize = 100;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The name of the check.
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    /// What was observed, and what it means.
    pub(super) text: String,
    /// What to change, one line for each proxy.
    pub(super) advice: Vec<String>,
}

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Works as intended.
    Good,
    /// Works with a limitation, or could not be determined.
    Note,
    /// Loses or delays messages, or makes limits count the wrong client.
    Broken,
}

impl Finding {
    pub(super) fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, text: text.into(), advice: Vec::new() }
    }

    pub(super) fn note(check: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::good(check, text) }
    }

    pub(super) fn broken(check: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Broken, ..Self::good(check, text) }
    }

    /// Adds what to change in each proxy.
    pub(super) fn with_advice(mut self, advice: Advice) -> Self {
        self.advice.extend(advice.iter().map(|(proxy, change)| format!("{proxy:<11} {change}")));
        self
    }

    /// Adds one line that says what to change.
    pub(super) fn with_advice_line(mut self, line: impl Into<String>) -> Self {
        self.advice.push(line.into());
        self
    }

    /// Returns the finding with its text wrapped for a terminal. [`Display`](fmt::Display) does not wrap it, so that other
    /// programs can read one finding from one line.
    pub(super) fn wrapped(&self) -> String {
        let text = self.to_string();
        let indent = " ".repeat(TEXT_COLUMN);
        let options = textwrap::Options::new(TERMINAL_COLUMNS).subsequent_indent(&indent).break_words(false);
        let mut lines = text.lines();
        let first = lines.next().map(|line| textwrap::fill(line, options));
        first.into_iter().chain(lines.map(str::to_owned)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Broken => "BROKEN",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<7} {:<15} {}", self.verdict, self.check, self.text)?;
        self.advice.iter().try_for_each(|line| write!(f, "\n{:TEXT_COLUMN$}-> {line}", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_except_on_a_terminal() {
        let finding = Finding::broken("idle stream", "word ".repeat(30).trim());
        let finding = finding.with_advice_line("nginx  one line ".repeat(9));
        assert_eq!(finding.to_string().lines().count(), 2);
        let wrapped = finding.wrapped();
        let lines: Vec<_> = wrapped.lines().collect();
        assert_eq!(lines.len(), 3, "{wrapped}");
        assert!(
            lines[0].starts_with("BROKEN  idle stream     word") && lines[0].len() <= TERMINAL_COLUMNS,
            "{wrapped}"
        );
        assert!(lines[1].starts_with(&format!("{:TEXT_COLUMN$}word", "")), "{wrapped}");
    }
}
