//! What it looks for is said in `src/dialects.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| consentry_fuzz::dialects::check(data));
