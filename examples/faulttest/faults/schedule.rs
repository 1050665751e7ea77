//! Which fault comes when: first each alone, in an order that the seed chooses, then two at once. Pure.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::Fault;

/// How much later than the first of two faults the second may begin, in seconds.
const MAX_OFFSET: f64 = 3.0;

/// The pause before a step, in seconds.
const PAUSE: std::ops::Range<f64> = 0.5..2.0;

/// A fault in a step.
#[derive(Clone)]
pub struct Entry {
    pub fault: Fault,
    /// When it begins after the step does.
    pub offset: Duration,
    pub length: Duration,
}

/// One fault, or two at once. The world recovers before the next step.
#[derive(Clone)]
pub struct Step {
    pub pause: Duration,
    pub entries: Vec<Entry>,
}

impl Step {
    /// Returns the names of its faults.
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.entries.iter().map(|entry| entry.fault.name).collect();
        names.join(" + ")
    }
}

/// An endless schedule.
pub struct Schedule {
    chance: StdRng,
    faults: Vec<Fault>,
    /// Those that have not been run alone, the next one last.
    alone: Vec<Fault>,
}

impl Schedule {
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        let mut chance = StdRng::seed_from_u64(seed);
        let mut alone = faults.clone();
        alone.shuffle(&mut chance);
        Self { chance, faults, alone }
    }

    /// Returns the next step; `None` if there is no fault.
    pub fn next(&mut self) -> Option<Step> {
        let faults = match self.alone.pop() {
            Some(fault) => vec![fault],
            None => self.pair()?,
        };
        let pause = self.seconds(PAUSE.start, PAUSE.end);
        let mut entries: Vec<Entry> = Vec::new();
        for fault in faults {
            let offset = if entries.is_empty() { Duration::ZERO } else { self.seconds(0.0, MAX_OFFSET) };
            let length = self.seconds(fault.seconds.0, fault.seconds.1);
            entries.push(Entry { fault, offset, length });
        }
        Some(Step { pause, entries })
    }

    /// Returns the faults that have not come yet.
    pub fn outstanding(&self) -> &[Fault] {
        &self.alone
    }

    /// Returns a fault, and another one that disturbs other parts, if there is one.
    fn pair(&mut self) -> Option<Vec<Fault>> {
        let mut faults = self.faults.clone();
        faults.shuffle(&mut self.chance);
        let (first, others) = faults.split_first()?;
        let second = others.iter().find(|fault| fault.is_compatible(first));
        Some([first].into_iter().chain(second).cloned().collect())
    }

    fn seconds(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(if from < to { self.chance.random_range(from..to) } else { from })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::all, *};

    /// Enough steps that every fault comes alone, and then as many pairs.
    fn steps(seed: u64) -> Vec<Step> {
        let mut schedule = Schedule::new(seed, all());
        (0..2 * all().len()).filter_map(|_| schedule.next()).collect()
    }

    #[test]
    fn every_fault_comes_alone_before_any_comes_in_a_pair() {
        let (alone, pairs) = (&steps(7)[..all().len()], &steps(7)[all().len()..]);
        let mut names: Vec<String> = alone.iter().map(Step::name).collect();
        let mut expected: Vec<&str> = all().iter().map(|fault| fault.name).collect();
        names.sort();
        expected.sort_unstable();
        assert_eq!(names, expected);
        assert!(pairs.iter().all(|step| step.entries.len() == 2));
    }

    #[test]
    fn faults_of_a_pair_disturb_different_parts() {
        let pairs = (1..50).flat_map(steps).filter(|step| step.entries.len() == 2);
        for step in pairs {
            assert!(step.entries[0].fault.is_compatible(&step.entries[1].fault), "{}", step.name());
        }
    }

    #[test]
    fn faults_last_as_long_as_they_may() {
        for entry in (1..50).flat_map(steps).flat_map(|step| step.entries) {
            let (shortest, longest) = entry.fault.seconds;
            assert!((shortest..=longest).contains(&entry.length.as_secs_f64()), "{}", entry.fault.name);
        }
    }

    #[test]
    fn seed_decides_order_lengths_and_pauses() {
        let of = |seed| -> Vec<_> {
            let lengths =
                |step: &Step| step.entries.iter().map(|entry| (entry.offset, entry.length)).collect::<Vec<_>>();
            steps(seed).iter().map(|step| (step.name(), step.pause, lengths(step))).collect()
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }
}
