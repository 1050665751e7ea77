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
mod fuzz;
mod hostile;
mod keys;
mod publish;
mod rates;
mod rooms;
mod shared_limits;

// what is kept
mod entries;
mod history;
mod ids;

// what goes out
mod age;
mod away;
mod foreign;
mod gaps;
mod presence;
mod presence_crowds;
mod presence_faults;
mod race;
mod resume;
mod several;
mod several_faults;
mod several_frames;
mod several_gaps;
mod slow;
mod stream;
mod subscriptions;

// what goes wrong
mod by_hand;
mod demo;
mod deploys;
mod faults;
mod hardening;
mod soak;
mod storm;

// what people see
mod browser;
mod browser_axe;
mod browser_details;
mod browser_everyone;
mod browser_notice;
mod browser_outbox;
mod browser_reading;
mod browser_reading_back;
mod browser_truth;
mod browser_wire;
mod browser_words;
mod browser_writing;
mod weight;

// what stands around it
mod bench;
mod config;
mod deploy;
mod doctor;
mod health;
mod logs;
mod methods;
mod pages;
mod platforms;
mod shutdown;
mod tidy;
