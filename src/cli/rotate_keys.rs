//! `spotify-mcp rotate-keys`: other keys in the place of those in use, while servers run; what it did, proven.

mod client;
mod client_places;
mod client_steps;
mod emergency;
mod ended;
mod everything;
mod evidence;
mod genuine;
mod master;
mod new_key;
mod own;
mod placed;
mod runner;
mod sealed_configuration;
mod status;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Global;
use super::administer::{Desk, Place, at_database, broken};
use super::output::{Exit, Refused};
use crate::domain::rotation::Kind;

pub(super) use emergency::in_words;
pub(super) use ended::{
    Proof, Tried, emergency_since, is_new_key_used, make_ready, remove_tried, roots, signing_since,
};
pub(super) use evidence::{binary, running, sign};
pub(super) use placed::trail;
pub(super) use runner::Runner;

/// What `rotate-keys` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Servers may run meanwhile, and go on. Killed at any instant, the same command goes on where it stopped. Run again after the end with the same --new-master-key-file, it shows the evidence and rotates nothing; so does a rotation of the master key beside the data within 12 hours, unless --again is given. Data and signing keys are rotated by every run. Evidence is kept in <data_dir>/evidence, signed, and checked whenever it is shown. Rows that cannot be opened stay as they are, are named, and end the command with status 3.

An emergency freezes what is issued, rotates all, ends everything that anybody holds, tries what is dead, and lets servers issue again. Killed on its way, it leaves them frozen: run the same command again. Run again within 10 minutes of its end, it shows the evidence, unless --again is given.

Examples:
  spotify-mcp rotate-keys --status
  spotify-mcp rotate-keys --what master --new-master-key-file new-master.key
  spotify-mcp rotate-keys --what master --dry-run
  spotify-mcp rotate-keys --what data --max-rows-per-sec 500
  spotify-mcp rotate-keys --what spotify-client \\
      --new-client-secret-file new.secret
  spotify-mcp rotate-keys --emergency \\
      --new-master-key-file new-master.key")]
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
    /// Rotate also where the same was done a short while ago
    #[arg(long, conflicts_with = "status")]
    again: bool,
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
    /// For an incident, which has asked by itself.
    fn for_incident(what: What, new_master_key_file: Option<&Path>, again: bool) -> Self {
        Self {
            what,
            new_master_key_file: new_master_key_file.map(Path::to_owned),
            new_client_secret_file: None,
            client_id: None,
            new_client_id: None,
            status: false,
            emergency: what == What::Master,
            max_rows_per_sec: None,
            again,
            dry_run: false,
            yes: true,
            sandbox: false,
        }
    }

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
        if !args.emergency && !args.dry_run {
            no_emergency(desk).await?;
        }
        if args.what != What::SpotifyClient {
            client::give_way(args, desk).await?;
        }
        let shown = match args.what {
            _ if args.emergency => return emergency::run(args, desk).await,
            What::Master => vec![master::run(args, desk).await?],
            What::Data => vec![own::run(args, desk, Kind::Data).await?],
            What::Signing => vec![own::run(args, desk, Kind::Signing).await?],
            What::SpotifyClient => vec![client::run(args, desk, global).await?],
            What::All => everything::all(args, desk).await?,
        };
        let several = args.emergency || args.what == What::All;
        Ok(evidence::print(desk, &shown, several))
    })
}

/// While an emergency is dealt with, nothing else rotates.
async fn no_emergency(desk: &Desk) -> Result<(), Refused> {
    let row = desk.store.emergency_in_progress().await.map_err(|failure| broken(&failure))?;
    match row {
        None => Ok(()),
        Some(row) => Err(Refused::usage(
            "EMERGENCY_IN_PROGRESS",
            format!("emergency {} is not over ({}), and servers may be frozen", row.id, row.state),
            "end it first: the same rotate-keys --emergency once more",
        )),
    }
}
