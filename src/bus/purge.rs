//! What is removed of an app: the words of the command `keys purge`.

/// The app whose traces are removed.
#[derive(Clone, Copy, Debug)]
pub struct PurgeTarget<'a> {
    /// Its key.
    pub key: &'a str,
    /// How its rooms begin. It is not empty, and no other key has it or one that begins so.
    pub prefix: &'a str,
}

/// Whether anything is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeMode {
    /// What would be removed is counted.
    Count,
    /// It is removed.
    Remove,
}

/// What was removed, or would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The logs of rooms.
    pub logs: u64,
    /// Lists of who is present in a room.
    pub presence: u64,
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Sockets.
    pub sockets: u64,
    /// Counts of what the key used.
    pub usage: u64,
}
