//! `spotify-mcp serve`: the server.

use std::net::SocketAddr;

use super::Global;
use super::output::{Exit, Refused};

/// What `serve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  spotify-mcp serve --sandbox                  a simulated Spotify with pretend users, on loopback
  spotify-mcp serve --config server.toml       the real thing
  spotify-mcp serve --stdio                    one local user over standard input and output
  spotify-mcp serve --log-level debug --for 15m")]
pub struct Args {
    /// Listen here instead of server.host and server.port
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// One local user over standard input and output; nothing but protocol on standard output
    #[arg(long, conflicts_with = "listen")]
    pub stdio: bool,
    /// An embedded simulated Spotify with pretend users; a database of its own, loopback only
    #[arg(long)]
    pub sandbox: bool,
    /// With --log-level debug or trace: fall back to the configured level after this long, for example 15m
    #[arg(long = "for", value_name = "DURATION")]
    pub log_level_for: Option<String>,
}

/// Serves until told to stop.
pub fn run(_args: &Args, _global: &Global) -> Result<Exit, Refused> {
    Err(Refused::incomplete("SERVE_UNAVAILABLE", "this build cannot serve", "use a newer build"))
}
