//! Fuzzes the property in `src/frames.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::frames::check(bytes));
