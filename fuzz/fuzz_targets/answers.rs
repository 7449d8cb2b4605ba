//! What it looks for is said in `src/answers.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| consentry_fuzz::answers::check(data));
