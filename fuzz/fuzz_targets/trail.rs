//! Everything that the verifier of an audit trail reads. What has to hold is in `src/fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spotify_mcp::fuzzing::run("trail", data));
