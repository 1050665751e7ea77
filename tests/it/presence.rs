//! The presence, userJoined and userLeft events, and `GET /presence/{room}`.

pub mod events;
mod failures;
mod large_rooms;
