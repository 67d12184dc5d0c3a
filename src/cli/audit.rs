//! `spotify-mcp audit`: the audit trail verified, read, proven and handed out. What it holds and promises:
//! docs/audit.md. Never: writing a trail's files.

mod export;
mod filter;
mod people;
mod place;
mod prove;
mod query;
mod table;
mod tail;
mod verdict;
mod verify;
mod verify_proof;

use clap::Subcommand;

use super::Global;
use super::administer::Group;
use super::output::{Exit, Refused};

/// What `audit` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that the trail is as it was written and signed
    Verify(verify::Args),
    /// Find records
    Query(query::Args),
    /// Show the newest records, and those that follow
    Tail(tail::Args),
    /// Write records with what proves them to a folder, for somebody else to check
    Export(export::Args),
    /// Write the proof that one record is in the trail
    Prove(prove::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::Verify(args) => verify::run(args, &place),
        Command::Query(args) => query::run(args, &place),
        Command::Tail(args) => tail::run(args, &place),
        Command::Export(args) => export::run(args, &place),
        Command::Prove(args) => prove::run(args, &place),
    }
}
