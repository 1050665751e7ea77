//! The programs that can be a Redis here. Debian has one; the others come from packages of PyPI, which scripts/test
//! unpacks.

use std::path::PathBuf;

use super::repository::in_target;

/// A program that speaks the protocol of Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Debian's redis-server, 7.0 or later: the only one here with TLS.
    Redis,
    Redis6,
    Redis8,
    Valkey,
}

impl Program {
    /// Returns the path of the program.
    ///
    /// # Panics
    ///
    /// If it is not there. scripts/test leaves out the tests of what it could not install.
    pub fn path(self) -> PathBuf {
        let name = match self {
            Program::Redis => return PathBuf::from("redis-server"),
            Program::Redis6 => "redis-server-6",
            Program::Redis8 => "redis-server-8",
            Program::Valkey => "valkey-server",
        };
        let path = in_target("servers").join(name);
        assert!(path.exists(), "{} is missing: scripts/test installs it", path.display());
        path
    }

    /// Returns whether the program has sharded Pub/Sub, without which a cluster cannot be used.
    pub fn has_sharded_pubsub(self) -> bool {
        self != Program::Redis6
    }
}
