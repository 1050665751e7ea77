//! Fuzzes the property in `src/announcements.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::announcements::check(bytes));
