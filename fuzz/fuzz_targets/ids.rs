//! Fuzzes the property in `src/ids.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::ids::check(bytes));
