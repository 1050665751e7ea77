//! Which server announces which rooms to this node. Pure.
//!
//! A room is *heard* if every server confirms its channel that may announce it: the master of its slot and, while the slot
//! is being moved, the server that gets it.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Notify;

use super::channels::Channels;
use crate::bus::redis::keys::slot_of;
use crate::bus::redis::masters::Masters;
use crate::bus::redis::url::Address;
use crate::shrink::Shrink;

/// The wanted channels, and the servers that announce them.
#[derive(Default)]
pub struct Subscriptions {
    /// Whether each room is heard, by its channel.
    heard: HashMap<String, bool>,
    by_server: HashMap<Address, Server>,
    /// How many connections were begun.
    generations: u64,
}

/// What concerns the connection to one server.
#[derive(Default)]
pub struct Server {
    pub channels: Channels,
    /// Whether a task keeps the connection.
    pub has_task: bool,
    /// Whether announcements arrive.
    pub is_connected: bool,
    /// Notified when the channels have changed.
    pub changed: Arc<Notify>,
}

/// The channels of rooms that are heard from now on, and of those that no longer are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Turns {
    pub heard: Vec<String>,
    pub lost: Vec<String>,
}

impl Subscriptions {
    /// Notes that a room is wanted. Returns true if a server needs a task for it.
    pub fn want(&mut self, channel: &str, masters: &Masters) -> bool {
        self.heard.insert(channel.to_owned(), false);
        let mut needs_task = false;
        for (address, asking) in announcers(channel, masters) {
            let server = self.by_server.entry(address).or_default();
            server.channels.want(channel, asking);
            server.changed.notify_one();
            needs_task |= !server.has_task;
        }
        needs_task
    }

    /// Notes that a room is no longer wanted.
    pub fn release(&mut self, channel: &str) {
        self.heard.remove(channel);
        self.heard.shrink_if_sparse();
        for server in self.by_server.values_mut() {
            if server.channels.is_confirmed(channel).is_some() {
                server.channels.release(channel);
                server.changed.notify_one();
            }
        }
    }

    /// Divides the rooms among the masters anew. Servers that are no masters are forgotten.
    pub fn assign(&mut self, masters: &Masters) -> Turns {
        self.by_server.retain(|address, _| masters.contains(address));
        for server in masters.servers() {
            self.by_server.entry(server.address().clone()).or_default();
        }
        let mut wanted: HashMap<Address, HashMap<&str, bool>> = HashMap::new();
        for channel in self.heard.keys() {
            for (address, asking) in announcers(channel, masters) {
                wanted.entry(address).or_default().insert(channel, asking);
            }
        }
        for (address, channels) in &wanted {
            let server = self.by_server.entry(address.clone()).or_default();
            for (channel, asking) in channels {
                match server.channels.is_confirmed(channel) {
                    Some(_) => server.channels.set_asking(channel, *asking),
                    None => server.channels.want(channel, *asking),
                }
            }
        }
        for (address, server) in &mut self.by_server {
            let wanted = wanted.get(address);
            let is_unwanted = |channel: &&str| wanted.is_none_or(|wanted| !wanted.contains_key(channel));
            let unwanted: Vec<String> = server.channels.names().filter(is_unwanted).map(str::to_owned).collect();
            unwanted.iter().for_each(|channel| server.channels.release(channel));
            server.changed.notify_one();
        }
        self.turn_all()
    }

    /// Returns the server's part, as long as it is a master.
    pub fn server(&mut self, address: &Address) -> Option<&mut Server> {
        self.by_server.get_mut(address)
    }

    /// Returns the servers that are known, with what concerns their connections.
    pub fn servers(&mut self) -> impl Iterator<Item = (&Address, &mut Server)> {
        self.by_server.iter_mut()
    }

    /// Begins a new connection to a server, on which nothing is subscribed. Returns its generation, and the rooms that are
    /// no longer heard.
    pub fn begin(&mut self, address: &Address) -> Option<(u64, Turns)> {
        let server = self.by_server.get_mut(address)?;
        server.is_connected = false;
        self.generations += 1;
        let generation = self.generations;
        server.channels.start_generation(generation);
        let channels: Vec<String> = server.channels.names().map(str::to_owned).collect();
        let lost = channels.into_iter().filter(|channel| self.heard.insert(channel.clone(), false) == Some(true));
        Some((generation, Turns { lost: lost.collect(), heard: Vec::new() }))
    }

    /// Notes a confirmation. Returns true if the room is heard from now on.
    pub fn confirm(&mut self, address: &Address, generation: u64, channel: &str) -> bool {
        let Some(server) = self.current(address, generation) else {
            return false;
        };
        if !server.channels.confirm(channel) || !self.is_heard(channel) {
            return false;
        }
        match self.heard.get_mut(channel) {
            Some(heard) => {
                *heard = true;
                true
            }
            None => false,
        }
    }

    /// Notes that a server has ended a subscription. Returns `None` if that was wanted, or else whether the room was heard
    /// until now.
    pub fn on_dropped(&mut self, address: &Address, generation: u64, channel: &str) -> Option<bool> {
        let server = self.current(address, generation)?;
        if !server.channels.on_dropped(channel) {
            return None;
        }
        server.changed.notify_one();
        self.heard.get_mut(channel).map(|heard| std::mem::replace(heard, false))
    }

    /// Returns true if this is the current connection to the server.
    pub fn is_current(&mut self, address: &Address, generation: u64) -> bool {
        self.current(address, generation).is_some()
    }

    fn current(&mut self, address: &Address, generation: u64) -> Option<&mut Server> {
        self.by_server.get_mut(address).filter(|server| server.channels.generation() == generation)
    }

    fn is_heard(&self, channel: &str) -> bool {
        let mut states = self.by_server.values().filter_map(|server| server.channels.is_confirmed(channel)).peekable();
        states.peek().is_some() && states.all(|confirmed| confirmed)
    }

    /// Finds the rooms that are heard from now on, and those that no longer are.
    fn turn_all(&mut self) -> Turns {
        let mut turns = Turns::default();
        let channels: Vec<String> = self.heard.keys().cloned().collect();
        for channel in channels {
            let is_heard = self.is_heard(&channel);
            let was_heard = self.heard.insert(channel.clone(), is_heard);
            match (was_heard, is_heard) {
                (Some(true), false) => turns.lost.push(channel),
                (Some(false), true) => turns.heard.push(channel),
                _ => {}
            }
        }
        turns
    }
}

/// Returns the servers that may announce a room, and whether ASKING goes first there.
fn announcers(channel: &str, masters: &Masters) -> Vec<(Address, bool)> {
    let slot = slot_of(channel);
    let owner = masters.of_slot(slot).map(|server| (server.address().clone(), false));
    let next = masters.importing(slot).map(|server| (server.address().clone(), true));
    let mut announcers: Vec<(Address, bool)> = owner.into_iter().chain(next).collect();
    announcers.dedup_by(|next, owner| next.0 == owner.0);
    announcers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::redis::connector::Connector;
    use crate::bus::redis::keys::{Keys, SLOTS};
    use crate::bus::redis::tls::TlsFiles;
    use crate::bus::redis::topology::Topology;
    use crate::bus::redis::url::RedisServer;

    /// A cluster of two masters: the first has the slots up to that of the room `chat:{a}`.
    struct Pair {
        old: Arc<Connector>,
        new: Arc<Connector>,
    }

    const ROOM: &str = "chat:{a}";

    impl Pair {
        fn new() -> Self {
            let server = RedisServer {
                variable: "REDIS_URL",
                url: "redis-cluster://127.0.0.1:1,127.0.0.1:2",
                tls: TlsFiles::default(),
                is_user_optional: false,
                sentinel_user: None,
                sentinel_password: None,
            };
            let topology = Topology::new(server, Keys::new("chat"), false).unwrap();
            let connector = |port| topology.connector(&Address::Tcp("127.0.0.1".into(), port)).unwrap();
            Self { old: connector(1), new: connector(2) }
        }

        fn masters(&self) -> Masters {
            let owners: Vec<Option<usize>> = (0..SLOTS).map(|slot| Some(usize::from(slot > slot_of(ROOM)))).collect();
            Masters::of_cluster(vec![self.old.clone(), self.new.clone()], &owners)
        }
    }

    /// Sends what is wanted of a server, and has the server confirm it.
    fn confirm(subscriptions: &mut Subscriptions, server: &Connector, generation: u64) -> bool {
        let changes = subscriptions.server(server.address()).unwrap().channels.take_changes();
        changes
            .wanted
            .iter()
            .any(|(channel, _)| subscriptions.confirm(server.address(), generation, channel))
    }

    #[test]
    fn a_room_whose_slot_is_moved_is_heard_from_both() {
        let (pair, mut subscriptions) = (Pair::new(), Subscriptions::default());
        let mut masters = pair.masters();
        subscriptions.assign(&masters);
        let (at_old, _) = subscriptions.begin(pair.old.address()).unwrap();
        let (at_new, _) = subscriptions.begin(pair.new.address()).unwrap();
        subscriptions.want(ROOM, &masters);
        assert!(!confirm(&mut subscriptions, &pair.new, at_new), "it has no room");
        assert!(confirm(&mut subscriptions, &pair.old, at_old));

        masters.import(slot_of(ROOM), pair.new.clone());
        let lost = Turns { lost: vec![ROOM.into()], heard: vec![] };
        assert_eq!(subscriptions.assign(&masters), lost, "the new server may announce it already");
        assert!(confirm(&mut subscriptions, &pair.new, at_new));

        masters.give(slot_of(ROOM), pair.new.clone());
        assert_eq!(subscriptions.assign(&masters), Turns::default(), "it is still confirmed");
        let unwanted = subscriptions.server(pair.old.address()).unwrap().channels.take_changes().unwanted;
        assert_eq!(unwanted, [ROOM]);
        assert_eq!(subscriptions.on_dropped(pair.old.address(), at_old, ROOM), None, "that was asked for");
        assert_eq!(subscriptions.on_dropped(pair.new.address(), at_new, ROOM), Some(true));
        assert!(confirm(&mut subscriptions, &pair.new, at_new));
    }

    #[test]
    fn a_move_that_is_given_up_leaves_the_room_heard() {
        let (pair, mut subscriptions) = (Pair::new(), Subscriptions::default());
        let mut masters = pair.masters();
        subscriptions.assign(&masters);
        let (at_old, _) = subscriptions.begin(pair.old.address()).unwrap();
        subscriptions.want(ROOM, &masters);
        confirm(&mut subscriptions, &pair.old, at_old);
        masters.import(slot_of(ROOM), pair.new.clone());
        subscriptions.assign(&masters);
        let heard = Turns { heard: vec![ROOM.into()], lost: vec![] };
        assert_eq!(subscriptions.assign(&pair.masters()), heard);
    }

    #[test]
    fn a_lost_connection_loses_its_rooms_alone() {
        let (pair, mut subscriptions) = (Pair::new(), Subscriptions::default());
        let masters = pair.masters();
        subscriptions.assign(&masters);
        let (at_old, _) = subscriptions.begin(pair.old.address()).unwrap();
        let (at_new, _) = subscriptions.begin(pair.new.address()).unwrap();
        let other = (0..).map(|n| format!("chat:{{{n}}}")).find(|room| slot_of(room) > slot_of(ROOM)).unwrap();
        subscriptions.want(ROOM, &masters);
        subscriptions.want(&other, &masters);
        confirm(&mut subscriptions, &pair.old, at_old);
        confirm(&mut subscriptions, &pair.new, at_new);
        let (again, turns) = subscriptions.begin(pair.old.address()).unwrap();
        assert_eq!(turns, Turns { lost: vec![ROOM.into()], heard: vec![] });
        assert!(!subscriptions.confirm(pair.old.address(), at_old, ROOM), "a late push of the old connection");
        assert!(confirm(&mut subscriptions, &pair.old, again));

        let gone = Masters::one(Some(pair.new.clone()));
        assert_eq!(subscriptions.assign(&gone), Turns { lost: vec![ROOM.into()], heard: vec![] });
        assert!(subscriptions.server(pair.old.address()).is_none(), "it is no master");
    }
}
