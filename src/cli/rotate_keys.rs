//! `spotify-mcp rotate-keys`: other keys in the place of those in use, while servers run; what it did, proven.

mod client;
mod client_places;
mod client_steps;
mod everything;
mod evidence;
mod master;
mod new_key;
mod own;
mod runner;
mod sealed_configuration;
mod status;

use std::num::NonZeroU32;
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
  spotify-mcp rotate-keys --what data --max-rows-per-sec 500
  spotify-mcp rotate-keys --what spotify-client --new-client-secret-file new.secret")]
pub struct Args {
    /// What to rotate
    #[arg(long, value_name = "WHAT", default_value = "master")]
    what: What,
    /// The new master key; made there (mode 0600) when the file is absent
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
    /// The new secret of a Spotify app, for 'spotify-client'; without it, standard input, or asked for without echo
    #[arg(long, value_name = "FILE", conflicts_with_all = ["status", "emergency"])]
    new_client_secret_file: Option<PathBuf>,
    /// The client id of the app that is meant, where the configuration has several
    #[arg(long, value_name = "ID", conflicts_with_all = ["status", "emergency"])]
    client_id: Option<String>,
    /// Another app in its place: its client id. Who is linked through the old one has to connect again
    #[arg(long, value_name = "ID", conflicts_with_all = ["status", "emergency"])]
    new_client_id: Option<String>,
    /// Show every key's id, age and use, and rotations; needs no key. Status 1 where something is due
    #[arg(long, conflicts_with_all = ["new_master_key_file", "dry_run"])]
    status: bool,
    /// The old keys are in wrong hands: rotate all, hand nothing over, and end every session, token and API key
    #[arg(long, conflicts_with = "status")]
    emergency: bool,
    /// Go through no more than N rows in a second: wrapped keys with master, people with data
    #[arg(long, value_name = "N")]
    max_rows_per_sec: Option<NonZeroU32>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before an emergency, or before linked accounts end
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
    /// The secret of a Spotify app, made in Spotify's dashboard; or another app in its place
    SpotifyClient,
    /// master, signing and data, one after the other: all that this program can make by itself
    All,
}

impl Args {
    /// What belongs to one kind says nothing about the others.
    fn check(&self) -> Result<(), Refused> {
        let of_client =
            self.new_client_secret_file.is_some() || self.client_id.is_some() || self.new_client_id.is_some();
        let next = "see 'spotify-mcp rotate-keys --help'";
        match self.what {
            What::SpotifyClient if self.emergency || self.new_master_key_file.is_some() => {
                let text = "--what spotify-client takes neither --emergency nor --new-master-key-file";
                Err(Refused::usage("USAGE", text, next))
            }
            What::Master | What::Data | What::Signing | What::All if of_client => {
                let text = "--client-id, --new-client-id and --new-client-secret-file belong to --what spotify-client";
                Err(Refused::usage("USAGE", text, next))
            }
            _ => Ok(()),
        }
    }
}

/// Rotates, or shows what there is.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    at_database(&Place { global, sandbox: args.sandbox }, async |desk| {
        if args.status {
            return status::run(desk).await;
        }
        args.check()?;
        if args.what != What::SpotifyClient {
            client::give_way(args, desk).await?;
        }
        let shown = match args.what {
            _ if args.emergency => everything::emergency(args, desk, global).await?,
            What::Master => vec![master::run(args, desk, global).await?],
            What::Data => vec![own::run(args, desk, Kind::Data).await?],
            What::Signing => vec![own::run(args, desk, Kind::Signing).await?],
            What::SpotifyClient => vec![client::run(args, desk, global).await?],
            What::All => everything::all(args, desk, global).await?,
        };
        let several = args.emergency || args.what == What::All;
        Ok(evidence::print(desk, &shown, several))
    })
}
