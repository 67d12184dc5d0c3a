//! `spotify-mcp backup create`: a consistent, sealed copy; the server may run.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{key, refused};
use crate::backup::{Configuration, Damage, Header, Material, Mirror, Scratch, Source, make};
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::serve_start::ring;
use crate::config::{sealed, unseal};
use crate::domain::KeyPurpose;
use crate::domain::event::{Event, EventCode};
use crate::failure::{During as _, Failure};
use crate::store::BackupRow;
use crate::vault::KeyRing;

/// What `backup create` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The copy is of one instant; the server may run. It is sealed under the master key, opened again before it gets its
name, and holds the configuration file that --config names. The audit trail and the log are files of their own: copy
them as they are. A PostgreSQL database is dumped by its own tools; the backup then vouches for the dump, which stays
beside it.

Examples:
  spotify-mcp backup create
  spotify-mcp backup create -o /mnt/backup/monday.backup \\
      --config config.encrypted.json
  pg_dump -Fc -f monday.dump music
  spotify-mcp backup create --dump monday.dump")]
pub struct Args {
    /// Write the backup to this new file instead of the data directory's folder 'backups'
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// For PostgreSQL: the file that pg_dump wrote, as a script or in the custom format
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
}

/// Makes the backup and notes it in the database.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    at_database(place, async |desk| {
        // Under the key in use, even where the one at hand only leads to it.
        let (ring, _) =
            ring(&desk.store, &key::own(&desk.config, &desk.output)?, (&desk.clock, &desk.dice)).await?;
        let root = ring.active();
        let to = target(args, desk)?;
        let unread = |failure: Failure| {
            Refused::unexpected("BACKUP_IO", &failure, "see that this user may read it; nothing was written")
        };
        let kdf = key::kdf(&desk.config).map_err(unread)?;
        let configuration = desk.config_file.as_deref().map(configuration).transpose().map_err(unread)?;
        let scratch = Scratch::take(&desk.config.storage.data_dir).map_err(unread)?;
        let source = match (&args.dump, desk.store.is_postgres()) {
            (Some(dump), true) => Source::Dump(&desk.store, dump),
            (None, false) => Source::Copy(&desk.store, &scratch),
            (None, true) => return Err(no_dump()),
            (Some(_), false) => return Err(no_dump_needed()),
        };
        let material = Material { source, key: (&root, kdf), configuration };
        let made = make(material, &to, (desk.clock.now(), &desk.dice)).await;
        let about = args.dump.as_deref().filter(|_| matches!(made, Err(Damage::Broken(_)))).unwrap_or(&to);
        let (header, row) = made.map_err(|damage| refused(about, &damage, Exit::Incomplete))?;
        let event = Event::new(EventCode::BackupCreated).subject(&header.id);
        let event = event.detail("engine", &header.engine).detail("digest", &row.digest);
        let event = event.detail("key_ids", header.key_ids.join(" "));
        desk.store.note_backup(&row, &[desk.stamp(event)]).await.map_err(|failure| broken(&failure))?;
        keep_tombstones(desk, &ring).await;
        desk.output.result(&in_words(&header, &row), &document(&header, &row));
        Ok(Exit::Done)
    })
}

/// Whom the backup knows to be deleted, the file outside knows as well: a restore may hold them against each other.
async fn keep_tombstones(desk: &Desk, ring: &KeyRing) {
    let mut mirror = Mirror::new(&desk.config.storage.data_dir);
    let kept = async {
        let key = ring.own(KeyPurpose::Tombstones)?;
        let aside = mirror.keep(&desk.store.tombstones().await?, &key, desk.clock.now())?;
        let Some(aside) = aside else { return Ok(()) };
        let text = format!("tombstones.ndjson could not be believed and was written anew: {}", aside.why);
        let next = format!("find out who changed it; it is kept as {}", aside.file.display());
        desk.output.warn("TOMBSTONES_SET_ASIDE", &text, &next);
        desk.store.record(&[desk.stamp(aside.event())]).await
    };
    if let Err(failure) = kept.await {
        let text = format!("tombstones.ndjson is not up to date: {}", failure.chain());
        desk.output.warn("TOMBSTONES_BEHIND", &text, "a running server brings it up to date within a minute");
    }
}

fn target(args: &Args, desk: &Desk) -> Result<PathBuf, Refused> {
    if let Some(path) = &args.output {
        return free(path.clone());
    }
    let time: String = desk.clock.now().rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let name = format!("spotify-mcp-{time}.backup");
    match &args.dump {
        Some(dump) => free(dump.with_file_name(name)),
        None => {
            let folder = desk.config.storage.data_dir.join("backups");
            key::have_data_dir(&folder)?;
            free(folder.join(name))
        }
    }
}

fn free(path: PathBuf) -> Result<PathBuf, Refused> {
    if path.symlink_metadata().is_err() {
        return Ok(path);
    }
    let text = format!("{} is there already and stays as it is", path.display());
    Err(Refused::usage("FILE_EXISTS", text, "name another file, or move that one away"))
}

/// The configuration file as it stands.
fn configuration(path: &Path) -> Result<(Configuration, Vec<u8>), Failure> {
    let text = std::fs::read(path).during("reading the configuration file")?;
    let sealed = std::str::from_utf8(&text)
        .ok()
        .filter(|text| unseal::looks_sealed(path, text))
        .and_then(|text| sealed::Sealed::parse(text).ok());
    let header = sealed.as_ref().map(sealed::Sealed::header);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let lineage = header.map(|header| header.lineage.clone());
    Ok((Configuration { name, lineage, rev: header.map(|header| header.rev) }, text))
}

fn no_dump() -> Refused {
    Refused::usage(
        "BACKUP_NEEDS_DUMP",
        "a PostgreSQL database is dumped by its own tools",
        "run pg_dump -Fc -f FILE, then 'spotify-mcp backup create --dump FILE'",
    )
}

fn no_dump_needed() -> Refused {
    Refused::usage(
        "BACKUP_NEEDS_NO_DUMP",
        "--dump is for PostgreSQL, and this database is SQLite",
        "leave it out",
    )
}

/// What is in a backup, for people.
pub(super) fn in_words(header: &Header, row: &BackupRow) -> String {
    let count = |table: &str| header.counts.get(table).copied().unwrap_or_default();
    let mut text = format!(
        "Backup {}\n  file      {}\n  made      {} by version {}\n  database  {}, schema {}: {} people, {} linked accounts\n  size      {} bytes\n  sha-256   {}\n  needs     master key{} {}\n",
        header.id,
        row.file,
        header.made_at,
        header.made_by,
        header.engine,
        header.schema_version,
        count("users"),
        count("linked_accounts"),
        row.bytes,
        row.digest,
        if header.key_ids.len() == 1 { "" } else { "s" },
        header.key_ids.join(", "),
    );
    if let Some(configuration) = &header.configuration {
        let rev = configuration.rev.map_or(String::new(), |rev| format!(", revision {rev}"));
        text += &format!("  holds     configuration file {}{rev}\n", configuration.name);
    }
    if let Some(dump) = &header.dump {
        text += &format!("  dump      {} ({} bytes), which is not in it\n", dump.name, dump.bytes);
    }
    text
}

/// What is in a backup, for programs.
pub(super) fn document(header: &Header, row: &BackupRow) -> Value {
    json!({ "header": header, "file": row.file, "bytes": row.bytes, "digest": row.digest })
}
