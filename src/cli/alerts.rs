//! `spotify-mcp alerts`: whether somebody would be told, who was, and what nobody could be told of. What is told and
//! when: docs/monitoring.md.

mod list;
mod resend;
mod rules;
mod test;

use clap::Subcommand;

use super::Global;
use super::administer::Group;
use super::output::{Exit, Refused};

/// What `alerts` takes.
pub type Args = Group<Command>;

/// What it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a test through each channel, and say what became of it
    Test(test::Args),
    /// List what was told, is due, or was given up
    List(list::Args),
    /// Try again what was given up
    Resend(resend::Args),
    /// Show the rules, their thresholds and windows
    Rules(rules::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let (command, place) = args.named(global);
    match command {
        Command::Test(args) => test::run(args, &place),
        Command::List(args) => list::run(args, &place),
        Command::Resend(args) => resend::run(args, &place),
        Command::Rules(args) => rules::run(args, &place),
    }
}
