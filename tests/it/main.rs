//! Black-box tests of docs/contract.md: they start the real binary and talk to it over TCP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and then prints the output of its processes"
)]

mod support;

// what a client sends and what becomes of it
mod eshq;
mod http; // pages and assets, history, health, methods, cross-site rules
mod limits; // rate limits, stream limits, and attempts to exhaust a node
mod publish; // posting a message: bodies, fields, forms, keys, ids, hostile input
mod rooms; // room names, and streams that merge several rooms
mod rooms_api; // the API of the chat article and of the tutorial // the API of EventSource HQ: apps send events, and give browsers sockets

// what an app does
mod apps; // keys, and rooms that only apps let clients into

// what a subscriber receives
mod presence; // presence in a room: counts and names, joins and leaves
mod resume; // resuming after a cursor: replay, gaps, the splice of replay and live
mod stream; // a connected stream: frames, lifetime, slow subscribers

// what an operator runs
mod dashboard;
mod deploy; // options, proxies, platforms, the image, restarts, shutdown, logs
mod redis; // entries and announcements in Redis, and Redis outages
mod tools; // the doctor, the demo, the fault test, the benchmark, the fuzz targets, clients of others, the source tree

// the clients that come with it
mod client; // the commands listen and send, and the bot of the examples

// what people learn from
mod documents; // the book, its links, and the commands of all documents
mod recipes; // the examples, each with its packages

// what people see
mod browser; // the page, in Chromium
mod eshq_browser; // pages of other sites with the library of EventSource HQ, old and new
