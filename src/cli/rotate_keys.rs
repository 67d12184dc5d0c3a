//! `spotify-mcp rotate-keys`: other keys in the place of those in use, while servers run; what it did, proven.

mod everything;
mod evidence;
mod master;
mod new_key;
mod own;
mod runner;
mod sealed_configuration;
mod status;

use std::path::PathBuf;

use clap::ValueEnum;

use super::Global;
use super::administer::{Place, at_database};
use super::output::{Exit, Refused};
use crate::domain::rotation::Kind;

/// What `rotate-keys` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Servers may run meanwhile, and go on. Killed at any instant, the same command goes on where it stopped; run again after
the end with the same --new-master-key-file, it shows the evidence; without one, it rotates once more. Evidence is kept in <data_dir>/evidence, signed. Rows that cannot be opened stay as they
are, are named, and end the command with status 3.

Examples:
  spotify-mcp rotate-keys --status
  spotify-mcp rotate-keys --what master --new-master-key-file new-master.key
  spotify-mcp rotate-keys --what master --dry-run
  spotify-mcp rotate-keys --what data")]
pub struct Args {
    /// What to rotate
    #[arg(long, value_name = "WHAT", default_value = "master")]
    what: What,
    /// The new master key; made there (mode 0600) when the file is absent
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
    /// Show every key's id, age and use, and rotations; needs no key. Status 1 where something is due
    #[arg(long, conflicts_with_all = ["new_master_key_file", "dry_run"])]
    status: bool,
    /// The old keys are in wrong hands: rotate all, hand nothing over, and end every session, token and API key
    #[arg(long, conflicts_with = "status")]
    emergency: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before an emergency
    #[arg(short, long)]
    yes: bool,
    /// The database of 'serve --sandbox' instead
    #[arg(long)]
    sandbox: bool,
}

/// What can be rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The master key: people's keys are wrapped anew, no token is touched
    Master,
    /// Every person's data key: their tokens and signing keys are sealed anew
    Data,
    /// The keys of tickets, pending logins and evidence
    Signing,
    /// All three, one after the other
    All,
}

/// Rotates, or shows what there is.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    at_database(&Place { global, sandbox: args.sandbox }, async |desk| {
        if args.status {
            return status::run(desk).await;
        }
        let shown = match args.what {
            _ if args.emergency => everything::emergency(args, desk, global).await?,
            What::Master => Vec::from_iter(master::run(args, desk, global).await?),
            What::Data => Vec::from_iter(own::run(args, desk, Kind::Data).await?),
            What::Signing => Vec::from_iter(own::run(args, desk, Kind::Signing).await?),
            What::All => everything::all(args, desk, global).await?,
        };
        Ok(evidence::print(desk, &shown))
    })
}
