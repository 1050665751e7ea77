//! Gives back memory that a collection no longer needs: by itself it keeps what it had at its largest.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

/// The capacity up to which a collection is left as it is.
const MIN_CAPACITY: usize = 8;

/// A collection that can give memory back.
pub trait Shrink {
    /// Gives memory back if less than a quarter of it is in use. Called after each removal, it costs next to nothing.
    fn shrink_if_sparse(&mut self);
}

impl<K: Eq + Hash, V> Shrink for HashMap<K, V> {
    fn shrink_if_sparse(&mut self) {
        if let Some(capacity) = smaller_capacity(self.len(), self.capacity()) {
            self.shrink_to(capacity);
        }
    }
}

impl<T: Eq + Hash> Shrink for HashSet<T> {
    fn shrink_if_sparse(&mut self) {
        if let Some(capacity) = smaller_capacity(self.len(), self.capacity()) {
            self.shrink_to(capacity);
        }
    }
}

impl<T> Shrink for VecDeque<T> {
    fn shrink_if_sparse(&mut self) {
        if let Some(capacity) = smaller_capacity(self.len(), self.capacity()) {
            self.shrink_to(capacity);
        }
    }
}

/// Returns the capacity that a sparse collection should have, for those that [`Shrink`] cannot serve. It can double before it grows again.
pub fn smaller_capacity(len: usize, capacity: usize) -> Option<usize> {
    (capacity > MIN_CAPACITY && len < capacity / 4).then_some(2 * len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_gives_memory_back_and_moves_seldom() {
        let mut map: HashMap<u32, u32> = (0..10_000).map(|number| (number, 0)).collect();
        let mut moves = 0;
        for number in 0..10_000 {
            map.remove(&number);
            let capacity = map.capacity();
            map.shrink_if_sparse();
            assert!(map.capacity() <= (8 * (map.len() + 1)).max(MIN_CAPACITY));
            moves += usize::from(map.capacity() < capacity);
        }
        assert!((5..20).contains(&moves), "{moves}");
    }
}
