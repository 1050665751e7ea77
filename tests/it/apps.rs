//! Apps: their keys, and the rooms that only they let clients into (contract § 10, "Keys and channels").

mod commands;
mod guide;
mod keys;
mod privacy;
mod runtimes;
mod servers;
