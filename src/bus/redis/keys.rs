//! The names of keys and channels in Redis. What a script uses together has one hash tag (a room's is `{room}`), so that
//! a cluster keeps it in one slot.

use std::net::IpAddr;

use crc::{CRC_16_XMODEM, Crc};

use crate::bus::limits::Bucket;
use crate::bus::sockets::SocketId;
use crate::chat::RoomName;

/// How many slots a cluster divides its keys among.
pub const SLOTS: u16 = 16384;

/// How many channels are drawn to find one in a certain slot, which succeeds but once in a million times.
const MAX_PROBE_DRAWS: usize = 14 * SLOTS as usize;

/// What a slot is computed with.
const SLOT_CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Returns the slot of a key or channel: that of its hash tag, the text in its first braces, unless that is empty.
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    SLOT_CRC.checksum(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % SLOTS
}

/// Names keys and channels under the configured prefix.
#[derive(Clone, Debug)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Returns a key or channel of a room. Each post names several, and formatting them takes ten times as long.
    fn of_room(&self, room: &str, rest: &str) -> String {
        [&self.prefix, ":{", room, "}", rest].concat()
    }

    /// Returns the key of a room's log, which is the name of its channel as well.
    pub fn log(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), "")
    }

    /// Returns the room that a channel belongs to.
    pub fn room_of_channel<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')
    }

    /// Returns the key that remembers what was published under an idempotency key.
    pub fn idempotency(&self, room: &RoomName, key: &str) -> String {
        self.of_room(room.as_str(), ":key:") + key
    }

    /// Returns a key of a room that never exists. While a cluster moves the room's slot, it refuses every script with several
    /// keys of which one is absent: what names this one runs where all is together, or not at all.
    pub fn absent(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":absent")
    }

    /// Returns the key of what nodes have of a room's log while it is absent.
    pub fn offers(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":offers")
    }

    /// Returns the key that exists if a room's log was filled a short while ago.
    pub fn filled(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":filled")
    }

    /// Returns the key that says under which prefix of an app a room is whose name is a hash.
    pub fn prefix_of_room(&self, room: &str) -> String {
        self.of_room(room, ":prefix")
    }

    /// Returns the room that a key is of, and the rest of the key.
    pub fn room_and_rest<'a>(&self, key: &'a str) -> Option<(&'a str, &'a str)> {
        key.strip_prefix(&self.prefix)?.strip_prefix(":{")?.split_once('}')
    }

    /// Returns the key of the ids that were deleted from a room's log.
    pub fn deleted(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":deleted")
    }

    /// Returns the key of the messages of a room that were edited.
    pub fn edits(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":edits")
    }

    /// Returns the key of a room's presence entries.
    pub fn presence(&self, room: &RoomName) -> String {
        self.of_room(room.as_str(), ":present")
    }

    /// Returns the key that lists the processes that are alive, for presence.
    pub fn present_processes(&self) -> String {
        format!("{}:present", self.prefix)
    }

    /// Returns the key of a token bucket.
    pub fn rate(&self, bucket: &Bucket) -> String {
        match bucket {
            Bucket::Address(address) => format!("{}:rate:{{{address}}}", self.prefix),
            Bucket::App(key) => format!("{}:rate:key:{key}", self.prefix),
        }
    }

    /// Returns the key of a client address' open streams.
    pub fn streams(&self, address: IpAddr) -> String {
        format!("{}:streams:{{limits}}:{address}", self.prefix)
    }

    /// Returns the key that lists the processes that are alive, for the limits.
    pub fn processes(&self) -> String {
        format!("{}:processes:{{limits}}", self.prefix)
    }

    /// Returns the key of the last user id that was given out.
    pub fn user_ids(&self) -> String {
        format!("{}:users", self.prefix)
    }

    /// Returns the key of the salt of marks.
    pub fn salt(&self) -> String {
        format!("{}:salt", self.prefix)
    }

    /// Returns the key of a socket.
    pub fn socket(&self, id: SocketId) -> String {
        format!("{}:socket:{{{id}}}", self.prefix)
    }

    /// Returns the key that lists the living sockets of an app's key.
    pub fn living_sockets(&self, app_key: &str) -> String {
        format!("{}:sockets:{app_key}", self.prefix)
    }

    /// Returns true if the key is that of a socket.
    pub fn is_socket(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with(":socket:{"))
    }

    /// Returns the keys with what an app uses.
    pub fn usage_of_app(&self, app_key: &str) -> [String; 2] {
        [self.living_sockets(app_key), self.rate(&Bucket::App(app_key.into()))]
    }

    /// Returns a pattern that matches all keys and nothing else.
    pub fn glob(&self) -> String {
        let escape = |c: char| if "*?[]\\^-".contains(c) { format!("\\{c}") } else { c.to_string() };
        self.prefix.chars().map(escape).collect::<String>() + ":*"
    }

    /// Returns the key that lists the processes with summaries.
    pub fn summarized_processes(&self) -> String {
        format!("{}:processes", self.dashboard_channel())
    }

    /// Returns the key of a process' summaries in one ring.
    pub fn summaries(&self, process: &str, ring: &str) -> String {
        format!("{}:{process}:{ring}", self.dashboard_channel())
    }

    /// Returns true if a key holds the summaries of a process.
    pub fn has_summaries(&self, key: &str) -> bool {
        let rest = key.strip_prefix(&self.dashboard_channel());
        rest.is_some_and(|rest| rest.starts_with(':') && key != self.summarized_processes())
    }

    /// Returns the channel on which new summaries are announced.
    pub fn dashboard_channel(&self) -> String {
        self.log(&RoomName::dashboard())
    }

    /// Returns the pattern of all keys and channels.
    pub fn pattern(&self) -> String {
        format!("{}:*", self.prefix)
    }

    /// Returns the key on which the rights of the Redis user are tried.
    pub fn check(&self) -> String {
        format!("{}:check", self.prefix)
    }

    /// Returns such a key in a slot.
    pub fn check_in(&self, slot: u16) -> Option<String> {
        let mut keys = (0..MAX_PROBE_DRAWS).map(|number| format!("{}:{{{number}}}", self.check()));
        keys.find(|key| slot_of(key) == slot)
    }

    /// Returns a channel of which no other process knows.
    pub fn probe_channel(&self) -> String {
        format!("{}:probe:{:016x}", self.prefix, rand::random::<u64>())
    }

    /// Returns such a channel in one of some slots, or `None` if they are so few that none was found.
    pub fn probe_channel_in(&self, is_slot: impl Fn(u16) -> bool) -> Option<String> {
        let mut channels = std::iter::repeat_with(|| self.probe_channel()).take(MAX_PROBE_DRAWS);
        channels.find(|channel| is_slot(slot_of(channel)))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;
    use crate::bus::summaries::Ring;

    /// The replies of Redis 7.0 to CLUSTER KEYSLOT.
    #[test]
    fn slots_are_those_that_redis_computes() {
        let slots = [
            ("", 0),
            ("123456789", 12739),
            ("chat:{everyone}", 14112),
            ("everyone", 14112),
            ("a{}b{c}", 7353),
            ("a{b", 13340),
            ("a}{b}{c}", 3300),
            ("{}", 15257),
        ];
        for (key, slot) in slots {
            assert_eq!(slot_of(key), slot, "{key:?}");
        }
    }

    #[test]
    fn the_keys_of_a_script_are_in_one_slot_and_have_the_prefix() {
        let (keys, room) = (Keys::new("a:b"), RoomName::parse("lobby").unwrap());
        let mut addresses = (0..100).map(|n| IpAddr::from([192, 0, 2, n]));
        let mut summaries = vec![keys.summarized_processes(), keys.dashboard_channel()];
        summaries.extend(Ring::ALL.map(|ring| keys.summaries("chat-1~7f", ring.name())));
        let together = [
            vec![
                keys.log(&room),
                keys.deleted(&room),
                keys.edits(&room),
                keys.idempotency(&room, "{k}"),
                keys.absent(&room),
                keys.offers(&room),
                keys.filled(&room),
            ],
            vec![keys.presence(&room), keys.log(&room)],
            iter::once(keys.processes()).chain(addresses.clone().map(|address| keys.streams(address))).collect(),
            summaries,
        ];
        for of_script in &together {
            let first = slot_of(&of_script[0]);
            assert!(of_script.iter().all(|key| slot_of(key) == first), "{of_script:?}");
            assert!(of_script.iter().all(|key| key.starts_with("a:b:")), "{of_script:?}");
        }
        let rates = |address| slot_of(&keys.rate(&Bucket::Address(address)));
        let first = addresses.next().map(rates);
        assert!(addresses.any(|address| Some(rates(address)) != first), "posts spread over the masters");
    }
}
