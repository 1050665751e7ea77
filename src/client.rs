//! A client of event streams, as its own user would write it: reconnecting, resuming, at the pace of its reader.
//!
//! ```no_run
//! # async fn listen() {
//! use tiny_chat::client::{Happened, Source};
//!
//! let mut source = Source::get("https://chat.example/subscribe/everyone").query("history", "20").open();
//! while let Some(happened) = source.next().await {
//!     match happened {
//!         Happened::Open => println!("listening to {}", source.url()),
//!         Happened::Event { id, event, data } => println!("{event} {id:?}: {data}"),
//!         Happened::Error(text) => println!("{text}"),
//!     }
//! }
//! # }
//! ```
//!
//! `examples/bot.rs` answers in a room. The commands `tiny-chat listen` and `tiny-chat send` are made of the same parts.

pub mod listen;
pub mod send;

mod delay;
mod lines;
mod notices;
mod parser;
mod publisher;
mod reader;
mod request;
mod source;
mod target;

pub use parser::{Block, BlockTooLarge, MAX_BLOCK_BYTES, Parsed, Parser};
pub use publisher::{PublishError, Publisher};
pub use source::{Builder, Happened, Source, State};

#[cfg(test)]
mod tests;
