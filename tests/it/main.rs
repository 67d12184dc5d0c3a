//! The one integration test binary: everything through the front door.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests fail by panicking and speak to people"
)]

mod architecture;
mod audit;
mod check;
mod config;
mod config_sealed;
mod dependencies;
mod deploy;
mod documents;
mod egress;
mod fake;
mod front_door;
mod licences;
mod mcp;
mod operating;
mod sandbox;
mod spotify_client;
mod store;
mod support;
