//! The merged rooms of a node.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use super::merged::MergedRooms;
use super::ordered::OrderedRooms;
use crate::chat::Rooms;
use crate::hub::room::RoomGuard;
use crate::hub::room::context::RoomContext;

/// The merged rooms that have subscribers.
#[derive(Default)]
pub struct MergedByNames {
    /// By their names in the order of a URL.
    ordered: HashMap<Rooms, Weak<OrderedRooms>>,
    /// By their names, sorted.
    sets: HashMap<Rooms, Weak<MergedRooms>>,
}

impl MergedByNames {
    /// Returns these rooms, merged. `enter` enters each of them.
    pub fn enter(
        &mut self,
        names: &Rooms,
        enter: impl Fn(&Rooms) -> Vec<RoomGuard>,
        context: &Arc<RoomContext>,
    ) -> Arc<OrderedRooms> {
        if let Some(ordered) = self.ordered.get(names).and_then(Weak::upgrade) {
            return ordered;
        }
        self.ordered.retain(|_, ordered| ordered.strong_count() > 0);
        self.sets.retain(|_, merged| merged.strong_count() > 0);
        let set = names.sorted();
        let merged = self.sets.get(&set).and_then(Weak::upgrade).unwrap_or_else(|| {
            let merged = MergedRooms::new(set.clone(), enter(&set), context.clone());
            self.sets.insert(set, Arc::downgrade(&merged));
            merged
        });
        let ordered = Arc::new(OrderedRooms::new(names.clone(), enter(names), merged));
        self.ordered.insert(names.clone(), Arc::downgrade(&ordered));
        ordered
    }
}
