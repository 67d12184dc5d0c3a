//! `spotify-mcp rotate-keys`: other keys in the place of those in use, while servers run; what it did, proven.

mod evidence;
mod master;
mod new_key;
mod runner;
mod sealed_configuration;
mod status;

use std::path::PathBuf;

use clap::ValueEnum;

use super::Global;
use super::administer::{Place, at_database};
use super::output::{Exit, Refused};

/// What `rotate-keys` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Servers may run meanwhile, and go on. Killed at any instant, the same command goes on where it stopped; run again after
the end, it shows the evidence. Evidence is kept in <data_dir>/evidence, signed. Rows that cannot be opened stay as they
are, are named, and end the command with status 3.

Examples:
  spotify-mcp rotate-keys --status
  spotify-mcp rotate-keys --what master --new-master-key-file new-master.key
  spotify-mcp rotate-keys --what master --dry-run")]
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
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Accepted for scripts: nothing here needs to be confirmed
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
}

/// Rotates, or shows what there is.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    at_database(&Place { global, sandbox: args.sandbox }, async |desk| {
        if args.status {
            return status::run(desk).await;
        }
        match args.what {
            What::Master => master::run(args, desk, global).await,
        }
    })
}
