//! tiny-chat: a chat server over Server-Sent Events.
//!
//! Rooms are URLs. Messages come in as POSTs and go out as `text/event-stream`. Any number of stateless nodes share one
//! Redis; a single node needs none.
//!
//! # Layout
//!
//! In reading order. Each module uses only those above it.
//!
//! - [`chat`]: room names, ids, cursors and messages, parsed into types that cannot be invalid
//! - [`sse`]: what is written to streams: events, and their encodings
//! - [`metrics`]: what a node counts; every module may use it
//! - [`backoff`]: the pauses between attempts that may fail
//! - [`shrink`]: gives back memory that collections no longer need
//! - [`log_queue`]: where the lines of the log wait to be written
//! - [`supervise`]: what keeps a panic from ending more than one task
//! - [`bus`]: the message store, in this process or in Redis: the logs of the rooms, presence, and usage by address
//! - [`apps`]: the apps that send events: their keys, and the rooms of their channels
//! - [`hub`]: the rooms of this node and their subscribers
//! - [`config`]: the options; only [`server`], [`keys`], [`health`] and `main` use it
//! - [`limits`]: limits per client address, counted over all nodes
//! - [`summary`]: what this process did, written for the dashboard, and reports of all processes
//! - [`web`]: HTTP: the route table, and one file for each endpoint
//! - [`server`]: a node, from binding its address to draining its streams
//! - [`keys`]: the commands for keys of apps
//! - [`health`]: the command for health checks
//! - `doctor`: examines a public address from outside, for what is between clients and a node
//! - `client`: a client of event streams, and the commands `listen` and `send`
//! - `http_client`: requests, for these two
//!
//! The last three are behind the features `doctor` and `client`, both on by default.

pub mod chat;
pub mod sse;

pub mod backoff;
pub mod log_queue;
pub mod metrics;
pub mod shrink;
pub mod supervise;

pub mod apps;
pub mod bus;
pub mod config;
pub mod hub;
pub mod limits;
pub mod summary;
pub mod web;

pub mod health;
pub mod keys;
pub mod server;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "doctor")]
pub mod doctor;
#[cfg(any(feature = "client", feature = "doctor"))]
pub mod http_client;
