//! What it looks for is said in `src/sealed_tokens.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| consentry_fuzz::sealed_tokens::check(data));
