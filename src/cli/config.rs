//! `spotify-mcp config`: the configuration's own commands, one file each.

mod init;
mod keygen;
mod show;

use clap::Subcommand;

use super::Global;
use super::output::{Exit, Refused};

/// What `config` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a working configuration and a fresh master key
    Init(init::Args),
    /// Print every effective value and where it comes from, secrets masked
    Show(show::Args),
    /// Make a fresh master key
    Keygen(keygen::Args),
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    match &args.command {
        Command::Init(args) => init::run(args, &global.output()),
        Command::Show(args) => show::run(args, global),
        Command::Keygen(args) => keygen::run(args, &global.output()),
    }
}
