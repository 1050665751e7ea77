use std::fmt;

use super::advice::Advice;

/// Where sentences begin, and where they end on a terminal.
const INDENT: usize = 24;
const WIDTH: usize = 100;

/// What one check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen, in plain words.
    pub seen: String,
    /// The lines to change, one a proxy.
    pub advice: Vec<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, but there is something to know, or something that could not be seen.
    Note,
    /// Somebody will miss something, wait or be counted wrongly.
    Broken,
}

impl Finding {
    /// All is well.
    pub fn good(check: &'static str, seen: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Good, seen: seen.into(), advice: Vec::new() }
    }

    /// Something to know.
    pub fn note(check: &'static str, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, ..Self::good(check, seen) }
    }

    /// Something to mend.
    pub fn broken(check: &'static str, seen: impl Into<String>) -> Self {
        Self { verdict: Verdict::Broken, ..Self::good(check, seen) }
    }

    /// The same finding, with what to change in which proxy.
    pub fn advise(mut self, advice: Advice) -> Self {
        self.advice.extend(advice.iter().map(|(who, what)| format!("{who:<11} {what}")));
        self
    }

    /// The same finding, with a line of advice that was made for it.
    pub fn say(mut self, line: impl Into<String>) -> Self {
        self.advice.push(line.into());
        self
    }
}

impl Finding {
    /// The finding for a terminal, whose lines are of a length that can be read. Programs get one line.
    pub fn wrapped(&self) -> String {
        let text = self.to_string();
        let indent = " ".repeat(INDENT);
        let options = textwrap::Options::new(WIDTH).subsequent_indent(&indent).break_words(false);
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
        write!(f, "{:<7} {:<15} {}", self.verdict, self.check, self.seen)?;
        self.advice.iter().try_for_each(|line| write!(f, "\n{:INDENT$}-> {line}", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_for_programs_and_several_for_people() {
        let finding = Finding::broken("idle stream", "word ".repeat(30).trim()).say("nginx  one line ".repeat(9));
        assert_eq!(finding.to_string().lines().count(), 2);
        let wrapped = finding.wrapped();
        let lines: Vec<_> = wrapped.lines().collect();
        assert_eq!(lines.len(), 3, "{wrapped}");
        assert!(lines[0].starts_with("BROKEN  idle stream     word") && lines[0].len() <= WIDTH, "{wrapped}");
        assert!(lines[1].starts_with(&format!("{:INDENT$}word", "")), "{wrapped}");
    }
}
