//! Fuzzes the property in `src/streams.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::streams::check(bytes));
