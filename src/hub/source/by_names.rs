//! The merged rooms of a node.

use std::sync::Arc;

use super::merged::MergedRooms;
use super::ordered::OrderedRooms;
use crate::chat::Rooms;
use crate::hub::room::RoomGuard;
use crate::hub::room::context::RoomContext;
use crate::hub::weak_table::WeakTable;

/// The merged rooms that have subscribers.
#[derive(Default)]
pub struct MergedByNames {
    /// By their names in the order of a URL.
    ordered: WeakTable<Rooms, OrderedRooms>,
    /// By their names, sorted.
    sets: WeakTable<Rooms, MergedRooms>,
}

impl MergedByNames {
    /// Returns these rooms, merged. `enter` enters each of them.
    pub fn enter(
        &self,
        names: &Rooms,
        enter: impl Fn(&Rooms) -> Vec<RoomGuard>,
        context: &Arc<RoomContext>,
    ) -> Arc<OrderedRooms> {
        if let Some(ordered) = self.ordered.get(names) {
            return ordered;
        }
        let set = names.sorted();
        let begin = || MergedRooms::new(set.clone(), enter(&set), context.clone(), &self.sets);
        let merged = self.sets.get(&set).unwrap_or_else(begin);
        OrderedRooms::new(names.clone(), enter(names), merged, &self.ordered)
    }

    /// Returns true if there are none.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.ordered.len() + self.sets.len() == 0
    }
}
