//! A table of values that are held elsewhere. Each takes its entry with it: a `Weak` that is left behind would keep the
//! memory of its value.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::shrink::Shrink;

/// Values by key.
pub struct WeakTable<K, T: ?Sized>(Arc<Mutex<HashMap<K, Weak<T>>>>);

/// The entry of a value, which holds it: it is removed when this is dropped.
pub struct WeakEntry<K: Eq + Hash, T: ?Sized> {
    table: Arc<Mutex<HashMap<K, Weak<T>>>>,
    key: K,
    value: Weak<T>,
}

impl<K, T: ?Sized> Default for WeakTable<K, T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Clone + Eq + Hash, T: ?Sized> WeakTable<K, T> {
    /// Returns a value, unless it is being dropped.
    pub fn get(&self, key: &K) -> Option<Arc<T>> {
        self.0.lock().get(key).and_then(Weak::upgrade)
    }

    /// Returns all values.
    pub fn values(&self) -> Vec<Arc<T>> {
        self.0.lock().values().filter_map(Weak::upgrade).collect()
    }

    /// Returns the number of entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Adds a value, in the place of another that may still be dropped.
    pub fn insert(&self, key: K, value: Weak<T>) -> WeakEntry<K, T> {
        self.0.lock().insert(key.clone(), value.clone());
        WeakEntry { table: self.0.clone(), key, value }
    }
}

impl<K: Eq + Hash, T: ?Sized> Drop for WeakEntry<K, T> {
    fn drop(&mut self) {
        let mut values = self.table.lock();
        if values.get(&self.key).is_some_and(|value| value.ptr_eq(&self.value)) {
            values.remove(&self.key);
            values.shrink_if_sparse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Value {
        _entry: WeakEntry<&'static str, Value>,
    }

    fn add(table: &WeakTable<&'static str, Value>, key: &'static str) -> Arc<Value> {
        Arc::new_cyclic(|value| Value { _entry: table.insert(key, value.clone()) })
    }

    #[test]
    fn an_entry_is_removed_with_its_value() {
        let table = WeakTable::default();
        let (first, second) = (add(&table, "first"), add(&table, "second"));
        assert_eq!(table.values().len(), 2);
        drop(first);
        assert!(table.get(&"first").is_none());
        assert_eq!(table.len(), 1);
        drop(second);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn a_value_that_was_replaced_leaves_the_new_entry_alone() {
        let table = WeakTable::default();
        let (old, new) = (add(&table, "key"), add(&table, "key"));
        drop(old);
        assert!(table.get(&"key").is_some_and(|value| Arc::ptr_eq(&value, &new)));
    }
}
