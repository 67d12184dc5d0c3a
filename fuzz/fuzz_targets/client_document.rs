//! Clients' metadata documents and where they lie. What has to hold is in `src/fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| spotify_mcp::fuzzing::run("client_document", data));
