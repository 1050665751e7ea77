//! The newest slot of each ring, as this process has seen it.

use super::totals::Summary;
use crate::bus::Ring;

/// What this process did in the slots that are not over.
#[derive(Debug, Default)]
pub struct History {
    current: Vec<(Ring, Summary)>,
}

impl History {
    /// Adds a sample to a slot of each ring: that with the middle of its time. Returns the slots.
    pub fn add(&mut self, sample: &Summary) -> &[(Ring, Summary)] {
        let middle = sample.from + sample.to.saturating_sub(sample.from) / 2;
        if self.current.is_empty() {
            self.current = Ring::ALL.map(|ring| (ring, Summary::default())).into();
        }
        for (ring, slot) in &mut self.current {
            let start = ring.slot_start(middle);
            if slot.start != start {
                *slot = Summary { start, ..Summary::default() };
            }
            slot.add(sample);
            slot.bound_keys();
        }
        &self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_added_up_until_their_slot_is_over() {
        let mut history = History::default();
        let hour = 1_764_151_200_000;
        let mut messages = |ring: Ring, seconds: u64| {
            let from = hour + seconds * 1000;
            let sample = Summary { from, to: from + 10_000, samples: 1, messages: 1, streams: 4, ..Summary::default() };
            let slots = history.add(&sample);
            let slot = &slots.iter().find(|(of, _)| *of == ring).unwrap().1;
            assert_eq!(slot.streams, 4 * slot.samples);
            (slot.start - hour, slot.messages)
        };
        assert_eq!(messages(Ring::Hour, 0), (0, 1));
        assert_eq!(messages(Ring::Hour, 10), (0, 2));
        assert_eq!(messages(Ring::TenMinutes, 20), (20_000, 1));
        assert_eq!(messages(Ring::Hour, 50), (0, 4));
        assert_eq!(messages(Ring::Hour, 60), (60_000, 1));
        assert_eq!(messages(Ring::Day, 70), (0, 6));
        assert_eq!(messages(Ring::Day, 900), (900_000, 1));
    }
}
