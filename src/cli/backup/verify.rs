//! `spotify-mcp backup verify`: everything in a backup is opened, and the database checked on a private copy.

use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::create::{document, in_words};
use super::key::{KeyArgs, have_data_dir};
use super::refused;
use crate::ambient::{Clock, Dice};
use crate::backup::{Copied, Scratch, Tally, Unopened, Verified, verify};
use crate::cli::administer::{Place, broken, configured_place, runtime};
use crate::cli::output::{Exit, Refused};
use crate::config::Config;
use crate::domain::event::{Event, EventCode};
use crate::store::{Recorded, Store};

/// What `backup verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Opens every byte, checks every page, index and reference of the database on a private copy in the data directory, and
opens everything sealed in it, or counts it as what needs another key. A copy of an older schema is migrated first. Status 1
where the backup, or a value in it, is damaged. Needs no database; where there is one, it learns of the backup.

Examples:
  spotify-mcp backup verify /mnt/backup/monday.backup
  spotify-mcp backup verify old.backup --key-file retired.key")]
pub struct Args {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    key: KeyArgs,
}

/// Verifies one backup.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let output = place.global.output();
    let config = configured_place(place)?.0;
    let wrong = |damage| refused(&args.file, &damage, Exit::Findings);
    let header = Unopened::read(&args.file).map_err(wrong)?.header;
    let root = args.key.find(&header, &config, &output)?;
    have_data_dir(&config.storage.data_dir)?;
    let scratch = Scratch::take(&config.storage.data_dir).map_err(|failure| wrong(failure.into()))?;
    runtime()?.block_on(async {
        let now = Clock::system().now();
        let verified = verify(&args.file, &root, &scratch, now).await.map_err(wrong)?;
        note(&config, &verified).await?;
        let mut text = in_words(&verified.header, &verified.row);
        text += &found(verified.copy.as_ref());
        let mut told = document(&verified.header, &verified.row);
        if let Some(copy) = &verified.copy {
            let keys = copy.sealed.of("data_keys.wrapped");
            told["data_keys_opened"] = keys.opened.into();
            told["data_keys_elsewhere"] = keys.elsewhere.into();
            told["migrated_from"] = copy.migrated_from.into();
            told["sealed"] = copy.sealed.kinds.iter().map(kind).collect::<Map<_, _>>().into();
        }
        output.result(&text, &told);
        Ok(Exit::Done)
    })
}

/// What was looked at, for people.
fn found(copy: Option<&Copied>) -> String {
    let Some(copy) = copy else {
        return "Whole: everything opens, and the dump is the one that was recorded.\n".to_owned();
    };
    let mut text = "Whole: everything opens, and the database is intact.\n".to_owned();
    for (kind, tally) in copy.sealed.kinds.iter().filter(|(_, tally)| tally.opened + tally.elsewhere > 0) {
        let elsewhere = match tally.elsewhere {
            0 => String::new(),
            count => format!(", {count} need another key"),
        };
        text += &format!("  {kind:28} {} open{elsewhere}\n", tally.opened);
    }
    if let Some(from) = copy.migrated_from {
        let to = Store::newest_schema();
        text += &format!(
            "Its schema {from} is older than this version's: the copy was migrated to {to}, as a restore does.\n"
        );
    }
    text
}

fn kind((kind, tally): (&&'static str, &Tally)) -> (String, Value) {
    ((*kind).to_owned(), json!({ "opened": tally.opened, "elsewhere": tally.elsewhere }))
}

/// Lets the database know, where there is one of this schema: a backup from elsewhere may need keys as well.
async fn note(config: &Config, verified: &Verified) -> Result<(), Refused> {
    let url = config.storage.url.expose();
    if !Store::may_be_at(url) {
        return Ok(());
    }
    // A database that does not open is no fault of the backup.
    let Ok(store) = Store::open(url).await else { return Ok(()) };
    let event = Event::new(EventCode::BackupVerified).subject(&verified.header.id);
    let event =
        Recorded::now(event.detail("digest", &verified.row.digest), &Clock::system(), &Dice::system());
    let noted = store.note_backup(&verified.row, &[event]).await;
    store.close().await;
    noted.map_err(|failure| broken(&failure))
}
