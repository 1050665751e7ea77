//! What is written to streams, and how: events, and their encodings as bytes. No I/O.
//!
//! - `event.rs`: what a block of a stream says
//! - `event_stream.rs`, `json_lines.rs`, `text_lines.rs`: how each syntax writes it
//! - `form.rs`: how one stream is written: its syntax, in chunks or not

mod event;
mod event_stream;
mod form;
mod json_lines;
#[cfg(test)]
mod parser;
mod text_lines;

pub use event::{BackoffReason, Block, Event, GapReason, Text};
pub use form::{EncodedBlock, Form, Syntax};
