//! What the fuzz targets check. Each `check` takes any bytes and panics when a promise is broken;
//! libFuzzer calls it from `fuzz_targets/`, and the test suite (`tests/it/fuzz.rs` of the crate
//! `consentry`, which includes this file) on the seeds and on mutations of them.

pub mod answers;
pub mod bodies;
pub mod config;
pub mod dialects;
pub mod input;
pub mod json;
pub mod paths;
pub mod redirect_uris;
pub mod sealed_tokens;

/// A target's name and its check.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 7] = [
    ("answers", answers::check),
    ("bodies", bodies::check),
    ("config", config::check),
    ("dialects", dialects::check),
    ("paths", paths::check),
    ("redirect_uris", redirect_uris::check),
    ("sealed_tokens", sealed_tokens::check),
];
