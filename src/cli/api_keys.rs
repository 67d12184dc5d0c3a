//! `spotify-mcp api-keys`: keys for programs that cannot log in, made, listed and revoked without a browser.

mod create;
mod list;
mod revoke;

use clap::Subcommand;

use super::Global;
use super::output::{Exit, Refused};

/// What `api-keys` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key for a person and print it once
    Create(create::Args),
    /// List the keys that were not revoked
    List(list::Args),
    /// End keys now, on every server
    Revoke(revoke::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    match &args.command {
        Command::Create(args) => create::run(args, global),
        Command::List(args) => list::run(args, global),
        Command::Revoke(args) => revoke::run(args, global),
    }
}
