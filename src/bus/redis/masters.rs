//! The masters among which the keys of a store are divided, at one time.

use std::collections::HashMap;
use std::sync::Arc;

use super::connector::Connector;
use super::url::Address;

/// Stands for no master.
const NONE: u16 = u16::MAX;

/// The master of each slot.
#[derive(Clone, Default)]
pub struct Masters {
    servers: Vec<Arc<Connector>>,
    /// The place of each slot's master among the servers; empty if all slots have the first one.
    by_slot: Vec<u16>,
    /// Where slots are being moved to.
    importing: HashMap<u16, Arc<Connector>>,
}

impl Masters {
    /// Returns the masters where there is one at most, which has all keys.
    pub fn one(server: Option<Arc<Connector>>) -> Self {
        Self { servers: server.into_iter().collect(), ..Self::default() }
    }

    /// Returns the masters of a cluster, and for each slot the place of its master among them.
    pub fn of_cluster(servers: Vec<Arc<Connector>>, owners: &[Option<usize>]) -> Self {
        let place = |owner: &Option<usize>| owner.and_then(|place| u16::try_from(place).ok()).unwrap_or(NONE);
        Self { servers, by_slot: owners.iter().map(place).collect(), importing: HashMap::new() }
    }

    /// Returns the master of a slot.
    pub fn of_slot(&self, slot: u16) -> Option<&Arc<Connector>> {
        let place = self.by_slot.get(usize::from(slot)).copied().unwrap_or_default();
        self.servers.get(usize::from(place))
    }

    /// Returns the server that a slot is being moved to: it may have the slot's key already.
    pub fn importing(&self, slot: u16) -> Option<&Arc<Connector>> {
        self.importing.get(&slot)
    }

    /// Returns all masters with slots.
    pub fn servers(&self) -> &[Arc<Connector>] {
        &self.servers
    }

    /// Returns true if the server has slots, or gets some.
    pub fn contains(&self, address: &Address) -> bool {
        self.servers.iter().chain(self.importing.values()).any(|server| server.address() == address)
    }

    /// Returns the first slot of a server.
    pub fn first_slot_of(&self, address: &Address) -> Option<u16> {
        let place = self.servers.iter().position(|server| server.address() == address)?;
        let slot = self.by_slot.iter().position(|owner| usize::from(*owner) == place)?;
        u16::try_from(slot).ok()
    }

    /// Notes that a slot has another master.
    pub fn give(&mut self, slot: u16, owner: Arc<Connector>) {
        if self.importing(slot).is_some_and(|to| to.address() == owner.address()) {
            self.importing.remove(&slot);
        }
        let known = self.servers.iter().position(|server| server.address() == owner.address());
        let place = known.unwrap_or_else(|| {
            self.servers.push(owner);
            self.servers.len() - 1
        });
        if let (Some(entry), Ok(place)) = (self.by_slot.get_mut(usize::from(slot)), u16::try_from(place)) {
            *entry = place;
        }
    }

    /// Notes that a slot is being moved to a server.
    pub fn import(&mut self, slot: u16, to: Arc<Connector>) {
        self.importing.insert(slot, to);
    }

    /// Returns true if both say the same of every slot.
    pub fn is_same(&self, other: &Self) -> bool {
        let addresses = |masters: &Self| -> Vec<Address> {
            masters.servers.iter().map(|server| server.address().clone()).collect()
        };
        let importing = |masters: &Self| -> HashMap<u16, Address> {
            masters.importing.iter().map(|(slot, server)| (*slot, server.address().clone())).collect()
        };
        addresses(self) == addresses(other) && self.by_slot == other.by_slot && importing(self) == importing(other)
    }
}
