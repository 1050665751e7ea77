//! The channels that a node wants of one server, and what was sent for them on the current connection. Pure.

use std::collections::{HashMap, HashSet};

use crate::shrink::Shrink;

/// The channels by name. Each connection has a generation, so that a late push from an old one is ignored.
#[derive(Default)]
pub struct Channels {
    generation: u64,
    by_name: HashMap<String, Channel>,
    /// Those for which something has to be sent.
    changed: HashSet<String>,
    /// Those that were requested and are not confirmed, by the number of times they were missed.
    unconfirmed: HashMap<String, u32>,
}

#[derive(Clone, Copy)]
struct Channel {
    state: ChannelState,
    /// Whether the server does not have the channel's slot yet, so that ASKING has to go first.
    asking: bool,
}

/// The state of a channel on the current connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    /// It has to be subscribed to.
    Wanted,
    /// It has to be subscribed to again: only a new confirmation shows from when on nothing is missed.
    WantedAgain,
    /// The subscription was sent and is not confirmed yet.
    Requested,
    /// Announcements arrive.
    Confirmed,
    /// The subscription has to be ended.
    Unwanted,
}

/// What has to be sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The channels to unsubscribe from.
    pub unwanted: Vec<String>,
    /// The channels to subscribe to, and whether ASKING goes first.
    pub wanted: Vec<(String, bool)>,
}

impl Channels {
    /// Returns the generation of the current connection.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts a new connection's generation, on which nothing is subscribed yet.
    pub fn start_generation(&mut self, generation: u64) {
        self.by_name.retain(|_, channel| channel.state != ChannelState::Unwanted);
        for channel in self.by_name.values_mut() {
            channel.state = ChannelState::Wanted;
        }
        self.changed = self.by_name.keys().cloned().collect();
        self.unconfirmed.clear();
        self.generation = generation;
    }

    /// Returns the channels that are wanted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let wanted = self.by_name.iter().filter(|(_, channel)| channel.state != ChannelState::Unwanted);
        wanted.map(|(name, _)| name.as_str())
    }

    /// Returns true if no channel is left, and none has to be unsubscribed from.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Notes that a channel is wanted, with ASKING if the server does not have its slot yet.
    pub fn want(&mut self, name: &str, asking: bool) {
        let wanted = Channel { state: ChannelState::Wanted, asking };
        let channel = self.by_name.entry(name.to_owned()).or_insert(wanted);
        channel.asking = asking;
        if channel.state != ChannelState::Wanted {
            channel.state = ChannelState::WantedAgain;
        }
        self.changed.insert(name.to_owned());
    }

    /// Notes that the server has got the slot of a channel that it already announces, or may lose it.
    pub fn set_asking(&mut self, name: &str, asking: bool) {
        if let Some(channel) = self.by_name.get_mut(name) {
            channel.asking = asking;
        }
    }

    /// Notes that a channel is no longer wanted.
    pub fn release(&mut self, name: &str) {
        self.unconfirmed.remove(name);
        match self.by_name.get_mut(name) {
            Some(Channel { state: ChannelState::Wanted, .. }) | None => {
                self.by_name.remove(name);
                self.changed.remove(name);
            }
            Some(channel) => {
                channel.state = ChannelState::Unwanted;
                self.changed.insert(name.to_owned());
            }
        }
    }

    /// Notes that the server has confirmed a channel. Returns true if that was waited for.
    pub fn confirm(&mut self, name: &str) -> bool {
        self.unconfirmed.remove(name);
        match self.by_name.get_mut(name) {
            Some(channel) if channel.state == ChannelState::Requested => {
                channel.state = ChannelState::Confirmed;
                true
            }
            _ => false,
        }
    }

    /// Notes that the server has ended a subscription. Returns true if the channel is wanted.
    pub fn on_dropped(&mut self, name: &str) -> bool {
        self.unconfirmed.remove(name);
        match self.by_name.get_mut(name) {
            Some(channel) if channel.state != ChannelState::Unwanted => {
                channel.state = ChannelState::Wanted;
                self.changed.insert(name.to_owned());
                true
            }
            _ => false,
        }
    }

    /// Returns true if the channel is wanted; and whether its announcements arrive.
    pub fn is_confirmed(&self, name: &str) -> Option<bool> {
        let channel = self.by_name.get(name).filter(|channel| channel.state != ChannelState::Unwanted)?;
        Some(channel.state == ChannelState::Confirmed)
    }

    /// Has those requested again that were not confirmed since the call before the last one. Returns how many these are.
    pub fn request_unconfirmed(&mut self) -> usize {
        let late: Vec<String> = self
            .unconfirmed
            .extract_if(|_, missed| {
                *missed += 1;
                *missed > 1
            })
            .map(|(name, _)| name)
            .collect();
        for name in &late {
            if let Some(channel) = self.by_name.get_mut(name) {
                channel.state = ChannelState::WantedAgain;
                self.changed.insert(name.clone());
            }
        }
        late.len()
    }

    /// Returns what has to be sent, and notes that it is.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        for name in std::mem::take(&mut self.changed) {
            match self.by_name.get_mut(&name) {
                Some(channel) if channel.state == ChannelState::Unwanted => {
                    self.by_name.remove(&name);
                    changes.unwanted.push(name);
                }
                Some(channel) if [ChannelState::Wanted, ChannelState::WantedAgain].contains(&channel.state) => {
                    channel.state = ChannelState::Requested;
                    self.unconfirmed.insert(name.clone(), 0);
                    changes.wanted.push((name, channel.asking));
                }
                _ => {}
            }
        }
        self.by_name.shrink_if_sparse();
        self.unconfirmed.shrink_if_sparse();
        changes
    }

    /// Returns on how many channels the server must count this node, after all commands were answered; `None` while some
    /// are not confirmed.
    pub fn subscribed(&self) -> Option<usize> {
        let sent = self.by_name.values().filter(|channel| channel.state != ChannelState::Wanted).count();
        self.unconfirmed.is_empty().then_some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Vec<(String, bool)> {
        names.iter().map(|name| ((*name).to_owned(), false)).collect()
    }

    #[test]
    fn the_server_counts_what_was_sent_and_not_what_is_wanted() {
        let mut channels = Channels::default();
        channels.want("a", false);
        channels.want("b", false);
        assert_eq!(channels.subscribed(), Some(0));
        assert_eq!(channels.take_changes().wanted.len(), 2);
        assert_eq!(channels.subscribed(), None, "not before both are confirmed");
        channels.confirm("a");
        channels.confirm("b");
        channels.want("c", false);
        channels.want("a", false);
        channels.release("b");
        assert_eq!(channels.subscribed(), Some(2), "a is requested again, b not yet given up, c not yet requested");
        let mut changes = channels.take_changes();
        changes.wanted.sort();
        assert_eq!(changes, Changes { unwanted: vec!["b".into()], wanted: wanted(&["a", "c"]) });
        channels.confirm("a");
        channels.confirm("c");
        assert_eq!(channels.subscribed(), Some(2));
        channels.start_generation(2);
        assert_eq!(channels.subscribed(), Some(0));
    }

    #[test]
    fn a_channel_released_and_wanted_in_between_is_requested_again() {
        let mut channels = Channels::default();
        channels.want("a", false);
        channels.take_changes();
        channels.release("a");
        channels.want("a", false);
        assert_eq!(channels.take_changes(), Changes { unwanted: vec![], wanted: wanted(&["a"]) });
        channels.release("a");
        assert_eq!(channels.take_changes(), Changes { unwanted: vec!["a".into()], wanted: vec![] });
    }

    #[test]
    fn channels_that_were_released_leave_no_memory_behind() {
        let mut channels = Channels::default();
        let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        names.iter().for_each(|name| channels.want(name, false));
        channels.take_changes();
        assert!(names.iter().all(|name| channels.confirm(name)));
        names.iter().for_each(|name| channels.release(name));
        assert_eq!(channels.take_changes().unwanted.len(), 1000);
        let Channels { by_name, changed, unconfirmed, .. } = channels;
        assert_eq!((by_name.capacity(), changed.capacity(), unconfirmed.capacity()), (0, 0, 0));
    }

    #[test]
    fn a_dropped_or_unconfirmed_channel_is_requested_again() {
        let mut channels = Channels::default();
        channels.want("a", true);
        assert_eq!(channels.take_changes().wanted, [("a".to_owned(), true)]);
        assert!(channels.confirm("a"));
        assert!(!channels.on_dropped("b"));
        assert!(channels.on_dropped("a"));
        assert_eq!(channels.take_changes().wanted.len(), 1);
        assert_eq!(channels.request_unconfirmed(), 0, "it has a second");
        assert_eq!(channels.request_unconfirmed(), 1);
        assert_eq!(channels.take_changes().wanted.len(), 1);
    }
}
