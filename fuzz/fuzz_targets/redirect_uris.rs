//! What it looks for is said in `src/redirect_uris.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| consentry_fuzz::redirect_uris::check(data));
