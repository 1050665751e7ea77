//! tiny-chat: a chat server over Server-Sent Events.
//!
//! Rooms are URLs. Messages come in as POSTs and go out as `text/event-stream`; any number of
//! stateless nodes share one Redis, and one node alone needs nothing.
//!
//! # Layout
//!
//! In reading order; each module knows only those above it.
//!
//! - [`chat`]: the words. Room names, ids, drafts, messages: parsed, or refused with the rule.
//! - [`sse`]: the wire format of a stream. Frames as bytes, no I/O.
//! - [`metrics`]: what a node counts. A leaf that everything may use.
//! - [`bus`]: what the nodes share. A trait with its obligations, and two buses that keep them: one
//!   process, or Redis.
//! - [`hub`]: the rooms of this node. Each is a short log of ready-made frames; a reader is a socket
//!   and a place in it.
//! - [`limits`]: what one client address may do, counted over all nodes.
//! - [`web`]: HTTP. The route table, and a file for each thing that can be asked for.
//! - [`server`]: joins bus, hub and web into a node that is bound, run and drained.
//! - [`doctor`]: asks a public address what stands between it and a node, and says what to change.
//! - [`config`]: every option, with its name, default, unit and reason. A leaf for [`server`] and
//!   `main`.

pub mod chat;
pub mod sse;

pub mod metrics;

pub mod bus;
pub mod hub;
pub mod limits;
pub mod web;

pub mod config;
pub mod doctor;
pub mod server;
