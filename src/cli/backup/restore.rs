//! `spotify-mcp backup restore`: the database from a backup in the place of the present one, which is kept beside.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::key::{KeyArgs, have_data_dir};
use super::refused;
use crate::ambient::{Clock, Dice, Timestamp};
use crate::backup::{
    Damage, DataDirLock, Header, Held, Unopened, kept_name, put_in_place, settle_loaded, stage,
};
use crate::cli::administer::{Place, configured_place, confirm, runtime, unopened};
use crate::cli::output::{Exit, Output, Refused};
use crate::config::master_key::write_new_bytes;
use crate::config::{Config, Engine};
use crate::crypto::keys::RootKey;
use crate::domain::event::Event;
use crate::failure::Failure;
use crate::store::{Recorded, Settled, Store, Survivors, unfold};

/// What `backup restore` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Stop the server first. The backup is opened and checked as 'backup verify' does, people and accounts that were deleted
since are deleted again, every session, token and consent ends, API keys live on only where the present database says
that they do, and only then the new database takes the place of the present one, which is kept beside it. A kill at any
instant leaves the one or the other. With PostgreSQL: load the dump with pg_restore first, then run this.

Examples:
  spotify-mcp backup restore monday.backup --dry-run
  spotify-mcp backup restore monday.backup --yes --configuration-out restored.encrypted.json")]
pub struct Args {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Also write the configuration file that is in the backup to this new file
    #[arg(long, value_name = "FILE")]
    configuration_out: Option<PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

struct Work<'a> {
    args: &'a Args,
    config: Config,
    output: Output,
    root: RootKey,
    now: Timestamp,
}

/// Restores one backup.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let (output, config) = (place.global.output(), configured_place(place)?.0);
    let header = Unopened::read(&args.file).map_err(|damage| wrong(args, &damage))?.header;
    let root = args.key.find(&header, &config, &output)?;
    have_data_dir(&config.storage.data_dir)?;
    let _alone = DataDirLock::alone(&config.storage.data_dir).map_err(in_use)?;
    if !args.dry_run {
        let question = format!(
            "Replace the database by backup {} of {}? Everybody will have to log in again.",
            header.id, header.made_at
        );
        confirm(&output, &question, args.yes)?;
    }
    let work = Work { args, config, output, root, now: Clock::system().now() };
    runtime()?.block_on(async {
        match work.config.storage.engine {
            Engine::Sqlite => work.sqlite().await,
            Engine::Postgres => work.postgres().await,
        }
    })
}

impl Work<'_> {
    async fn sqlite(&self) -> Result<Exit, Refused> {
        let url = self.config.storage.url.expose();
        let database = Store::file_of(url).ok_or_else(|| {
            Refused::usage(
                "BACKUP_NO_PLACE",
                "the database URL names no file",
                "set DATABASE_URL to sqlite://PATH",
            )
        })?;
        let staged =
            stage(&self.args.file, &self.root, &database).await.map_err(|damage| self.wrong(&damage))?;
        let survivors = self.survivors(&database).await?;
        let data_dir = &self.config.storage.data_dir;
        let prepared = staged.prepare(data_dir, survivors.as_ref(), (self.now, &stamp)).await;
        let prepared = prepared.map_err(|damage| self.wrong(&damage))?;
        if self.args.dry_run {
            return Ok(self.report(&prepared.header, &prepared.settled, None));
        }
        let kept = kept_name(&database, self.now);
        // First, because what cannot be written must not be found out after the change.
        self.write_configuration()?;
        let replaced = put_in_place(&prepared, &database, &kept);
        let replaced = replaced.map_err(|failure| self.wrong(&Damage::Io(failure)))?;
        Ok(self.report(&prepared.header, &prepared.settled, replaced.then_some(kept.as_path())))
    }

    fn wrong(&self, damage: &Damage) -> Refused {
        wrong(self.args, damage)
    }

    /// What the present database still knows; `None` where it is not there or cannot be read.
    async fn survivors(&self, database: &Path) -> Result<Option<Survivors>, Refused> {
        if !database.exists() {
            return Ok(None);
        }
        let read = async {
            // Where nothing is to change, not even the way in which the log is kept does.
            if !self.args.dry_run && !unfold(database).await? {
                return Ok::<_, Failure>(None);
            }
            let store = Store::open_copy(database).await?;
            let survivors = store.survivors(self.now).await;
            store.close().await;
            survivors.map(Some)
        };
        match read.await {
            Ok(Some(survivors)) => Ok(Some(survivors)),
            Ok(None) => Err(in_use(Held::InUse)),
            Err(failure) => {
                self.output.warn(
                    "BACKUP_PRESENT_UNREADABLE",
                    &format!("the present database cannot be read ({})", failure.chain()),
                    "it is kept beside; API keys that may have ended since the backup all end, and people who were disabled since must be disabled again",
                );
                Ok(None)
            }
        }
    }

    async fn postgres(&self) -> Result<Exit, Refused> {
        if self.args.dry_run {
            let text = "a PostgreSQL database is loaded by pg_restore; there is no copy to try it on";
            return Err(Refused::usage("BACKUP_NO_DRY_RUN", text, "use 'spotify-mcp backup verify'"));
        }
        self.write_configuration()?;
        let url = self.config.storage.url.expose();
        let place = (url, self.config.storage.data_dir.as_path());
        let settled = settle_loaded((&self.args.file, &self.root), place, (self.now, &stamp)).await;
        match settled.map_err(|damage| wrong(self.args, &damage))? {
            Ok((header, settled)) => Ok(self.report(&header, &settled, None)),
            Err(error) => Err(unopened(&error, url)),
        }
    }

    fn write_configuration(&self) -> Result<(), Refused> {
        let Some(to) = &self.args.configuration_out else { return Ok(()) };
        let mut text = zeroize::Zeroizing::new(Vec::new());
        let opened = Unopened::read(&self.args.file).and_then(|unopened| unopened.open(&self.root));
        let mut opened = opened.map_err(|damage| wrong(self.args, &damage))?;
        if opened.header.part("configuration").is_none() {
            let why = "there is no configuration file in this backup; nothing was changed";
            return Err(Refused::usage("BACKUP_NO_CONFIGURATION", why, "leave out --configuration-out"));
        }
        let taken = opened.extract(&mut |part, bytes| {
            if part == "configuration" {
                text.extend_from_slice(bytes);
            }
            Ok(())
        });
        taken.map_err(|damage| wrong(self.args, &damage))?;
        write_new_bytes(to, &text).map_err(|error| {
            let why = format!("{} cannot be written: {}; nothing was changed", to.display(), error.kind());
            Refused::usage("FILE_UNWRITABLE", why, "name a new file in a folder that this user may write")
        })
    }

    fn report(&self, header: &Header, settled: &Settled, kept: Option<&Path>) -> Exit {
        let done = if self.args.dry_run { "Would restore" } else { "Restored" };
        let mut text = format!(
            "{done} backup {} of {}.\n  deleted again   {} people, {} linked accounts\n  ended           {} connected clients, {} API keys, every session\n  needs           master key {}\n",
            header.id,
            header.made_at,
            settled.people,
            settled.links,
            settled.grants,
            settled.api_keys,
            header.sealed_under,
        );
        if let Some(kept) = kept {
            text += &format!("  kept beside     {}\n", kept.display());
        }
        self.output.result(&text, &document(header, settled, (self.args.dry_run, kept)));
        Exit::Done
    }
}

fn document(header: &Header, settled: &Settled, (dry_run, kept): (bool, Option<&Path>)) -> Value {
    json!({
        "dry_run": dry_run,
        "id": header.id,
        "made_at": header.made_at,
        "needs_master_key": header.sealed_under,
        "people_deleted_again": settled.people,
        "links_deleted_again": settled.links,
        "grants_ended": settled.grants,
        "api_keys_ended": settled.api_keys,
        "epoch": settled.epoch,
        "kept": kept,
    })
}

fn stamp(event: Event) -> Recorded {
    Recorded::now(event, &Clock::system(), &Dice::system())
}

fn wrong(args: &Args, damage: &Damage) -> Refused {
    refused(&args.file, damage, Exit::Incomplete)
}

fn in_use(held: Held) -> Refused {
    let text = "the database is in use: a restore needs it alone; nothing was changed";
    match held {
        Held::InUse => {
            Refused::incomplete("DATABASE_IN_USE", text, "stop the server and every other command first")
        }
        Held::Failed(failure) => {
            Refused::unexpected("DATABASE_IN_USE", &failure, "check the data directory's owner and mode")
        }
    }
}
