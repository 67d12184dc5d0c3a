//! `spotify-mcp clients`: OAuth clients, listed and deleted without a browser.

mod delete;
mod list;

use clap::Subcommand;

use super::Global;
use super::administer::Group;
use super::output::{Exit, Refused};

/// What `clients` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List OAuth clients
    List(list::Args),
    /// Delete clients, and end all that they hold
    Delete(delete::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::List(args) => list::run(args, &place),
        Command::Delete(args) => delete::run(args, &place),
    }
}
