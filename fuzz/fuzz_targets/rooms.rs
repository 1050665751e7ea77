//! Fuzzes the property in `src/rooms.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::rooms::check(bytes));
