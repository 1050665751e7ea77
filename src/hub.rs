//! The rooms of this node and their subscribers.
//!
//! A room is the tail of its log as frames, shared by all its subscribers. A subscriber is a connection and a
//! position among the frames of its source, without a queue of its own. Below, each module uses only those above it.
//!
//! - `ready_queue.rs`: the fan-outs of a worker that have something to do
//! - `changes.rs`: signals that to the fan-outs of a source that has new frames
//! - `weak_table.rs`: values that are held elsewhere, by key
//! - `read_budget.rs`, `log_reader.rs`: how much is read at once for single clients; reads of the logs, in pages
//! - `room/buffer.rs`: a ring of frames
//! - `room/node_buffers.rs`: all such rings of the node, which share its memory
//! - `room/gap.rs`: whether a stream continues without loss after an id; pure
//! - `room/log_tail.rs`: the frames of a room, and whether they are in sync with its log; no I/O
//! - `room/held.rs`: what the node has of a log that its store may have lost
//! - `room/agenda.rs`: the rooms that the next tick has to look at
//! - `room/processes.rs`: which processes that share the store are alive
//! - `room/presence.rs`: the subscribers of a room and their names, over all nodes; no I/O
//! - `room/shared_presence.rs`: keeps the presence of a room in sync with the store
//! - `room/recent_ids.rs`: the ids of the newest messages, beyond the frames in memory
//! - `room/resume_burst.rs`: whether resuming subscribers are checked against the log or memory; pure
//! - `room.rs`: keeps a room in sync with the store
//! - `room_activity.rs`: how much goes on in a room
//! - `source.rs`, `source/merged.rs`: what a subscriber reads, one room or several merged into one buffer;
//!   `source/ordered.rs`: the order of their ids; `source/lookup.rs`: the position of a cursor in it
//! - `context.rs`, `retry.rs`, `drain.rs`: the timing of streams, of reconnects, and of the node's end
//! - `batch.rs`: frames that are written with one call
//! - `subscriber.rs`: one subscriber, which is starting, catching up, live, or ended
//!
//!   ```text
//!   starting ──► catching up ──► live ──► ended
//!                     ▲            │
//!                     └────────────┘  its socket is full, or its position was evicted
//!   ```
//!
//!   From every state a stream ends if the client closes it, or with a `backoff` event: slow, draining, too old, or no longer
//!   allowed (`pass.rs`).
//! - `subscriber/start.rs`: where a stream begins; `subscriber/connection.rs`: its socket;
//!   `subscriber/stream_writer.rs`: what is written to it; `subscriber/end_reason.rs`: why it ends
//! - `fanout.rs`, `fanout/group.rs`: writes new frames to the live subscribers of a source on one worker
//! - `fanout_table.rs`: the fan-outs of a worker
//! - `catch_ups.rs`: what the subscribers of a worker share while they catch up
//! - `placement.rs`: which worker writes to a subscriber
//! - `room_table.rs`: the rooms by name
//! - `tick_clock.rs`: when the rooms are looked at
//! - `node.rs`: enters rooms, looks after them, and drops them
//! - `listener.rs`: passes the announcements of the bus on to the rooms, and says what they have
//! - `test_node.rs`: a node for unit tests
//! - `worker.rs`: the subscribers of one thread, and the turns of its fan-outs

mod batch;
mod catch_ups;
mod changes;
mod context;
mod drain;
mod fanout;
mod fanout_table;
mod listener;
mod log_reader;
mod node;
mod pass;
mod placement;
mod read_budget;
mod ready_queue;
mod retry;
mod room;
mod room_activity;
mod room_table;
mod source;
mod subscriber;
#[cfg(test)]
mod test_node;
mod tick_clock;
mod weak_table;
mod worker;

pub use context::Pace;
pub use log_reader::LogReader;
pub use node::Hub;
pub use pass::Pass;
pub use read_budget::AnswerPermit;
pub use room::presence::snapshot::{PresenceSnapshot, PresentAs};
pub use room_activity::RoomActivity;
pub use subscriber::start::{PresenceRequest, RequestedCursor, Start, SubscribeRequest};
pub use worker::Worker;
