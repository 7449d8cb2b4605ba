//! What it looks for is said in `src/paths.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| consentry_fuzz::paths::check(data));
