//! The contract, held from outside: every test starts the real binary, speaks to it over TCP and knows nothing of its inside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking, and shows what its processes said"
)]

mod support;

// what goes in
mod bodies;
mod cross_site;
mod fields;
mod forms;
mod hostile;
mod keys;
mod publish;
mod rates;
mod rooms;

// what is kept
mod entries;
mod history;
mod ids;

// what goes out
mod away;
mod foreign;
mod gaps;
mod race;
mod resume;
mod slow;
mod stream;
mod subscriptions;

// what goes wrong
mod by_hand;
mod faults;
mod soak;

// what people see
mod browser;
mod weight;

// what stands around it
mod config;
mod health;
mod logs;
mod methods;
mod pages;
mod shutdown;
mod tidy;
