//! A connected stream: its frames, its lifetime, and slow subscribers.

mod frames;
mod idle;
mod max_age;
mod memory;
mod slow;
