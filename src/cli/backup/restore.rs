//! `spotify-mcp backup restore`: the database from a backup in the place of the present one, which is kept beside.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::key::{KeyArgs, have_data_dir};
use super::refused;
use crate::ambient::{Clock, Dice, Timestamp};
use crate::backup::{
    Copied, Damage, DataDirLock, Doubt, Header, Held, Loaded, Outside, Restoring, Unopened, kept_name,
    put_in_place, stage,
};
use crate::cli::administer::{Place, configured_place, confirm, runtime, unopened};
use crate::cli::boundaries::Boundaries;
use crate::cli::output::{Exit, Output, Refused, io_cause};
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
Who was deleted is also read from tombstones.ndjson in the data directory. Where that file was changed the restore is
refused: put a copy of it back, or look at what --dry-run says with --accept-tombstones.

Examples:
  spotify-mcp backup restore monday.backup --dry-run
  spotify-mcp backup restore monday.backup --yes \\
      --configuration-out restored.encrypted.json")]
pub struct Args {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
    /// Also write the configuration file that is in the backup to this new file
    #[arg(long, value_name = "FILE")]
    configuration_out: Option<PathBuf>,
    /// Believe tombstones.ndjson though it cannot be proven, and record why
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    accept_tombstones: Option<String>,
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
    /// The one that opens the backup first.
    roots: Vec<RootKey>,
    now: Timestamp,
    boundaries: Boundaries,
}

/// Restores one backup.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let (output, config) = (place.global.output(), configured_place(place)?.0);
    let header = Unopened::read(&args.file).map_err(|damage| wrong(args, &damage))?.header;
    let roots = args.key.find_all(&header, &config, &output)?;
    have_data_dir(&config.storage.data_dir)?;
    let _alone = DataDirLock::alone(&config.storage.data_dir).map_err(in_use)?;
    if !args.dry_run {
        let question = format!(
            "Replace the database by backup {} of {}? Everybody will have to log in again.",
            header.id, header.made_at
        );
        confirm(&output, &question, args.yes)?;
    }
    let now = Clock::system().now();
    let work = Work { args, config, output, roots, now, boundaries: Boundaries::default() };
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
        let staged = stage(&self.args.file, self.root(), &database).await;
        let staged = staged.map_err(|damage| self.wrong(&damage))?;
        self.boundaries.passed("staged");
        let survivors = self.survivors(&database).await?;
        self.boundaries.passed("unfolded");
        let outside = staged.outside(&self.config.storage.data_dir, &self.roots, survivors.as_ref());
        let outside = self.judged(outside)?;
        let migrated_from = staged.copied.migrated_from;
        self.warn_of_damaged(&staged.copied);
        let prepared = staged.prepare(&self.restoring(&outside, survivors.as_ref())).await;
        let prepared = prepared.map_err(|damage| self.wrong(&damage))?;
        self.boundaries.passed("prepared");
        let done = Done { header: &prepared.header, settled: &prepared.settled, migrated_from, kept: None };
        if self.args.dry_run {
            return Ok(self.report(&done));
        }
        let kept = kept_name(&database, self.now);
        // First, because what cannot be written must not be found out after the change.
        self.write_configuration()?;
        self.boundaries.passed("configured");
        let passed = |boundary| self.boundaries.passed(boundary);
        let replaced = put_in_place(&prepared, (&database, &kept), &passed);
        let replaced = replaced.map_err(|failure| self.wrong(&Damage::Io(failure)))?;
        Ok(self.report(&Done { kept: replaced.then_some(kept.as_path()), ..done }))
    }

    fn root(&self) -> &RootKey {
        &self.roots[0]
    }

    fn restoring<'a>(&'a self, outside: &'a Outside, survivors: Option<&'a Survivors>) -> Restoring<'a> {
        let accepted = self.args.accept_tombstones.as_deref();
        Restoring { outside, accepted, survivors, now: self.now, stamp: &stamp }
    }

    /// Deletions that can be believed, or that somebody accepts.
    fn judged(&self, outside: Result<Outside, Failure>) -> Result<Outside, Refused> {
        let outside = outside.map_err(|failure| self.wrong(&Damage::Io(failure)))?;
        let Some(doubt) = &outside.doubt else { return Ok(outside) };
        let words = doubt.in_words();
        if *doubt == Doubt::Missing {
            let next = "where a copy of the data directory has the file, put it back and restore again";
            self.output.warn("TOMBSTONES_MISSING", &words, next);
        } else if self.args.accept_tombstones.is_some() {
            let next = "it is on record; see in the result whom it deleted again";
            self.output.warn("TOMBSTONES_ACCEPTED", &words, next);
        } else {
            return Err(Refused::incomplete("TOMBSTONES_DOUBTFUL", words, DOUBTFUL));
        }
        Ok(outside)
    }

    fn warn_of_damaged(&self, copied: &Copied) {
        if let Some(words) = copied.sealed.in_words() {
            let next = "their owners have to reconnect; another backup may hold them whole";
            self.output.warn("BACKUP_SEALED_DAMAGED", &words, next);
        }
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
        let loaded = Loaded::open((&self.args.file, self.root()), url).await;
        let loaded = loaded.map_err(|damage| self.wrong(&damage))?.map_err(|error| unopened(&error, url))?;
        let outside = self.judged(loaded.outside(&self.config.storage.data_dir, &self.roots))?;
        let settled = loaded.settle(&self.restoring(&outside, None)).await;
        let (header, settled) = settled.map_err(|damage| self.wrong(&damage))?;
        Ok(self.report(&Done { header: &header, settled: &settled, migrated_from: None, kept: None }))
    }

    fn write_configuration(&self) -> Result<(), Refused> {
        let Some(to) = &self.args.configuration_out else { return Ok(()) };
        let mut text = zeroize::Zeroizing::new(Vec::new());
        let opened = Unopened::read(&self.args.file).and_then(|unopened| unopened.open(self.root()));
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
            let why =
                format!("{} cannot be written: {}; nothing was changed", to.display(), io_cause(&error));
            Refused::usage("FILE_UNWRITABLE", why, "name a new file in a folder that this user may write")
        })
    }

    fn report(&self, done: &Done<'_>) -> Exit {
        let (header, settled) = (done.header, done.settled);
        let verb = if self.args.dry_run { "Would restore" } else { "Restored" };
        let mut text = format!(
            "{verb} backup {} of {}.\n  deleted again   {} people, {} linked accounts\n  ended           {} connected clients, {} API keys, every session\n  needs           master key {}\n",
            header.id,
            header.made_at,
            settled.people,
            settled.links,
            settled.grants,
            settled.api_keys,
            header.sealed_under,
        );
        if let Some(from) = done.migrated_from {
            text += &format!("  migrated        from schema {from} to {}\n", Store::newest_schema());
        }
        if let Some(kept) = done.kept {
            text += &format!("  kept beside     {}\n", kept.display());
        }
        self.output.result(&text, &document(done, self.args.dry_run));
        Exit::Done
    }
}

/// What came of it.
#[derive(Clone, Copy)]
struct Done<'a> {
    header: &'a Header,
    settled: &'a Settled,
    /// The schema of the backup, where it is an older one.
    migrated_from: Option<i64>,
    /// Where the database that was replaced is.
    kept: Option<&'a Path>,
}

fn document(done: &Done<'_>, dry_run: bool) -> Value {
    let (header, settled) = (done.header, done.settled);
    json!({
        "dry_run": dry_run,
        "id": header.id,
        "made_at": header.made_at,
        "needs_master_key": header.sealed_under,
        "migrated_from": done.migrated_from,
        "people_deleted_again": settled.people,
        "links_deleted_again": settled.links,
        "grants_ended": settled.grants,
        "api_keys_ended": settled.api_keys,
        "epoch": settled.epoch,
        "kept": done.kept,
    })
}

/// What to do about deletions that cannot be believed.
const DOUBTFUL: &str = "nothing was changed: put back a copy of tombstones.ndjson from the data directory's own \
    backups, or see whom it would delete (--dry-run --accept-tombstones REASON) and accept it with \
    --accept-tombstones REASON; moved away, nobody is deleted again whom only it names";

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
