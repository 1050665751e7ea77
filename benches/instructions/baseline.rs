//! The committed counts, and whether new ones are within 5 % of them. Free of I/O, so that the tests can show that it
//! finds a step that got dearer.

use std::collections::BTreeMap;

/// By how much a step may need more than its baseline: 1/20 of it.
const TOLERANCE: u64 = 20;

/// The compiler, which decides the counts as much as the source does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain(pub String);

/// What each step needed when the baseline was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    toolchain: String,
    counts: BTreeMap<String, u64>,
}

/// The comparison of some counts with the baseline.
pub struct Verdict {
    pub text: String,
    pub is_good: bool,
}

impl Baseline {
    /// Reads the file: the compiler, then a line for each step.
    pub fn parse(text: &str) -> Self {
        let (toolchain, rest) = text.split_once('\n').unwrap_or_default();
        let step = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_owned(), count.parse().ok()?))
        };
        Self { toolchain: toolchain.to_owned(), counts: rest.lines().filter_map(step).collect() }
    }

    /// Returns the text of the file.
    pub fn text(&self) -> String {
        let steps: String = self.counts.iter().map(|(name, count)| format!("{name} {count}\n")).collect();
        format!("{}\n{steps}", self.toolchain)
    }

    /// Returns the baseline after these counts. Those of another compiler are dropped.
    pub fn with(&self, toolchain: &Toolchain, counted: &[(&str, u64)]) -> Self {
        let mut counts = if self.toolchain == toolchain.0 {
            self.counts.clone()
        } else {
            BTreeMap::new()
        };
        counts.extend(counted.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        Self { toolchain: toolchain.0.clone(), counts }
    }

    /// Compares counts. With another compiler they are only reported.
    pub fn judge(&self, toolchain: &Toolchain, counted: &[(&str, u64)]) -> Verdict {
        let is_comparable = self.toolchain == toolchain.0;
        let mut text = String::from("| step | instructions | baseline | |\n|---|---|---|---|\n");
        let mut is_good = true;
        for (name, count) in counted {
            let (base, change) = match self.counts.get(*name) {
                Some(base) => {
                    let is_dearer = is_comparable && *count > base + base / TOLERANCE;
                    is_good &= !is_dearer;
                    let change = (*count as f64 / (*base).max(1) as f64 - 1.0) * 100.0;
                    (base.to_string(), format!("{change:+.1} %{}", if is_dearer { " TOO MUCH" } else { "" }))
                }
                None => {
                    is_good &= !is_comparable;
                    ("–".to_owned(), "NOT IN THE BASELINE".to_owned())
                }
            };
            text += &format!("| {name} | {count} | {base} | {change} |\n");
        }
        if !is_comparable {
            text += &format!(
                "\nNOT CHECKED: instructions of the steps of a message. The baseline is of {:?}, this is {:?}; \
                 scripts/instructions --write makes one.\n",
                self.toolchain, toolchain.0
            );
        } else if !is_good {
            text += "\nA step needs over 5 % more instructions. If that is worth it: scripts/instructions --write.\n";
        }
        Verdict { text, is_good }
    }
}
