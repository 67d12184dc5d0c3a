//! The server with a fixture in place of its tools: the official conformance suite wants tools, prompts and resources
//! of its own choosing, and finds them here behind the whole stack that the product's stand behind (scripts/conformance).
//!
//! The command line is the server's own: `cargo run --example conformance -- serve --sandbox`. Development only.

#![allow(clippy::expect_used, missing_docs, reason = "a tool for contributors")]

mod fixture;
mod sealed;
mod talk;
mod tools;

use spotify_mcp::mcp::Server;

fn main() -> std::process::ExitCode {
    spotify_mcp::cli::main_with(|deps| Server::with_handler(deps, fixture::Fixture::new))
}
