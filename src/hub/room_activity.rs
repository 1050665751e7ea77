//! How much goes on in a room of this node.

use super::room::Room;
use crate::chat::RoomName;

/// A room, and how much goes on there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomActivity {
    /// The room's name.
    pub room: RoomName,
    /// Its subscribers on this node that are present.
    pub streams: usize,
    /// The frames that came into it since it is in memory.
    pub frames: u64,
}

impl RoomActivity {
    pub(super) fn of(room: &Room) -> Self {
        Self {
            room: room.name().clone(),
            streams: room.presence().local_count(),
            frames: room.log().buffer().end(),
        }
    }
}
