//! What a node writes to Redis, what it reads from it, and Redis outages.

mod entries;
mod foreign_publishes;
pub mod outages;
mod soak;
pub mod subscriptions;
