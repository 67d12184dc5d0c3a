//! The simulated Spotify on its own, for kill tests, load tests and demos:
//! `cargo run --example simulator -- --port 8898 --users 100 --state sandbox.json`. Prints its URLs and serves
//! until it is interrupted. Never listens beyond loopback.

use std::path::PathBuf;

use clap::Parser;
use spotify_mcp::failure::Failure;
use spotify_mcp::spotify::sandbox::{CLIENT_ID, Sandbox, SandboxOptions};

/// A simulated Spotify on 127.0.0.1.
#[derive(Parser)]
struct Args {
    /// Port; 0 takes any that is free.
    #[arg(long, default_value_t = 8898)]
    port: u16,
    /// Plain pretend people (user0001 ...) beside the friendly three.
    #[arg(long, default_value_t = 0)]
    users: usize,
    /// Where to keep the state between runs; without it, in memory only.
    #[arg(long)]
    state: Option<PathBuf>,
    /// How many requests the journal remembers; 0: none.
    #[arg(long, default_value_t = 10_000)]
    journal: usize,
}

#[tokio::main]
#[allow(clippy::print_stdout, reason = "an example for people and scripts to read")]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let options = SandboxOptions {
        port: args.port,
        users: args.users,
        state_file: args.state,
        journal: args.journal,
        ..SandboxOptions::default()
    };
    let sandbox = Sandbox::start(options).await?;
    println!("SPOTIFY_ACCOUNTS_URL={}", sandbox.accounts_url);
    println!("SPOTIFY_API_URL={}", sandbox.api_url);
    println!("SPOTIFY_CLIENT_ID={CLIENT_ID}");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
