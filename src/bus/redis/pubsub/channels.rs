//! The channels that a node wants, and what was sent for them on the current connection. Pure.

use std::collections::HashMap;

/// The channels by name. Each connection has a generation, so that a late push from an old one is ignored.
#[derive(Default)]
pub struct Channels {
    generation: u64,
    states: HashMap<String, ChannelState>,
}

/// The state of a channel on the current connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    /// SUBSCRIBE has to be sent.
    Wanted,
    /// SUBSCRIBE has to be sent again: only a new confirmation shows from when on nothing is missed.
    WantedAgain,
    /// SUBSCRIBE was sent and is not confirmed yet.
    Requested,
    /// Announcements arrive.
    Confirmed,
    /// UNSUBSCRIBE has to be sent.
    Unwanted,
}

impl Channels {
    /// Returns the generation of the current connection.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Starts a new connection's generation, on which nothing is subscribed yet.
    pub fn start_generation(&mut self) -> u64 {
        self.states.retain(|_, state| *state != ChannelState::Unwanted);
        for state in self.states.values_mut() {
            *state = ChannelState::Wanted;
        }
        self.generation += 1;
        self.generation
    }

    /// Notes that a channel is wanted.
    pub fn want(&mut self, channel: String) {
        let state = self.states.entry(channel).or_insert(ChannelState::Wanted);
        if *state != ChannelState::Wanted {
            *state = ChannelState::WantedAgain;
        }
    }

    /// Notes that a channel is no longer wanted.
    pub fn release(&mut self, channel: &str) {
        match self.states.get_mut(channel) {
            Some(ChannelState::Wanted) | None => drop(self.states.remove(channel)),
            Some(state) => *state = ChannelState::Unwanted,
        }
    }

    /// Notes that the server has confirmed a channel.
    pub fn confirm(&mut self, channel: &str) {
        if let Some(state @ ChannelState::Requested) = self.states.get_mut(channel) {
            *state = ChannelState::Confirmed;
        }
    }

    /// Returns the channels to unsubscribe from and those to subscribe to, and marks the latter as requested.
    pub fn take_changes(&mut self) -> (Vec<String>, Vec<String>) {
        let unwanted = self.states.extract_if(|_, state| *state == ChannelState::Unwanted);
        let unwanted = unwanted.map(|(channel, _)| channel).collect();
        let mut wanted = Vec::new();
        for (channel, state) in &mut self.states {
            if [ChannelState::Wanted, ChannelState::WantedAgain].contains(state) {
                *state = ChannelState::Requested;
                wanted.push(channel.clone());
            }
        }
        (unwanted, wanted)
    }

    /// Returns on how many channels the server must count this node, after all commands were answered.
    pub fn subscribed(&self) -> usize {
        self.states.values().filter(|state| **state != ChannelState::Wanted).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_counts_what_was_sent_and_not_what_is_wanted() {
        let mut channels = Channels::default();
        channels.want("a".into());
        channels.want("b".into());
        assert_eq!(channels.subscribed(), 0);
        assert_eq!(channels.take_changes().1.len(), 2);
        channels.confirm("a");
        channels.want("c".into());
        channels.want("a".into());
        channels.release("b");
        assert_eq!(channels.subscribed(), 2, "a is requested again, b not yet given up, c not yet requested");
        let (unwanted, mut wanted) = channels.take_changes();
        wanted.sort();
        assert_eq!((unwanted, wanted), (vec!["b".into()], vec!["a".into(), "c".into()]));
        assert_eq!(channels.subscribed(), 2);
        channels.start_generation();
        assert_eq!(channels.subscribed(), 0);
    }

    #[test]
    fn a_channel_released_and_wanted_in_between_is_requested_again() {
        let mut channels = Channels::default();
        channels.want("a".into());
        channels.take_changes();
        channels.release("a");
        channels.want("a".into());
        assert_eq!(channels.take_changes(), (vec![], vec!["a".into()]));
        channels.release("a");
        assert_eq!(channels.take_changes(), (vec!["a".into()], vec![]));
    }
}
