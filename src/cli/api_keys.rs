//! `spotify-mcp api-keys`: keys for programs that cannot log in, made, listed and revoked without a browser.

mod create;
mod list;
mod revoke;

use clap::Subcommand;

use super::Global;
use super::administer::Group;
use super::output::{Exit, Refused};

/// What `api-keys` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key for a person and print it once
    Create(create::Args),
    /// List the keys that were not revoked
    List(list::Args),
    /// End keys now, on every server
    Revoke(revoke::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::Create(args) => create::run(args, &place),
        Command::List(args) => list::run(args, &place),
        Command::Revoke(args) => revoke::run(args, &place),
    }
}
