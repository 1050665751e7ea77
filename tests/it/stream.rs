//! A connected stream: its frames, its lifetime, and slow subscribers.

mod forms;
mod frames;
mod idle;
mod json_lines;
mod max_age;
mod memory;
mod plain_text;
mod slow;
mod text_lines;

use std::time::Duration;

const NO_STREAM_LIMIT: (&str, &str) = ("MAX_STREAMS_PER_ADDRESS", "0");
const MIB: u64 = 1 << 20;

/// How long a message may take to a subscriber that reads, on a busy machine.
const PROMPT: Duration = Duration::from_secs(2);
