//! Under what subscribers are present, and what is told of them.

use std::collections::BTreeSet;

use serde::Serialize;
use utoipa::ToSchema;

use crate::bus::PresenceEntry;
use crate::chat::Name;

/// The most names in a snapshot. If there are more, it has only the number of subscribers.
pub const MAX_SNAPSHOT_NAMES: usize = 100;

/// The most presence ids that an app is told of.
pub const MAX_IDS: usize = 1000;

/// Under what a subscriber is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PresentAs {
    /// Nothing: it is only counted.
    #[default]
    Unnamed,
    /// A name, which all subscribers see.
    Name(Name),
    /// The presence id of a socket, which only the app sees.
    Id(Name),
}

/// The subscribers of a room, as clients see them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct PresenceSnapshot {
    /// The number of subscribers, with or without a name.
    pub count: usize,
    /// Their names, each once, in order; `None` if there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

impl PresenceSnapshot {
    /// Combines the entries of all processes.
    pub fn of<'a>(entries: impl Iterator<Item = &'a PresenceEntry>) -> Self {
        let (mut count, mut names) = (0, BTreeSet::new());
        for entry in entries {
            // Any program that can publish may claim any number.
            count = usize::saturating_add(count, entry.count);
            names.extend(&entry.names);
        }
        let names = (names.len() <= MAX_SNAPSHOT_NAMES).then(|| names.into_iter().cloned().collect());
        Self { count, names }
    }
}

/// Returns the presence ids of these entries, each once, in order, and only the first of too many.
pub fn presence_ids<'a>(entries: impl Iterator<Item = &'a PresenceEntry>) -> Vec<String> {
    let ids: BTreeSet<_> = entries.flat_map(|entry| &entry.ids).collect();
    ids.into_iter().take(MAX_IDS).cloned().collect()
}
