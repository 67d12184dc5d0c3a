//! `spotify-mcp backup list`: which backups there are, whether their files are still where they were, and which master
//! keys they need.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::refused;
use crate::ambient::Timestamp;
use crate::backup::{Header, Unopened};
use crate::cli::administer::{Place, at_database, broken};
use crate::cli::output::{Exit, Refused, io_cause};
use crate::cli::table::columns;
use crate::domain::event::clean;
use crate::store::BackupRow;

/// What `backup list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without --dir: the backups that were made or verified with this database, wherever their files are now; no key is
needed. 'gone' means that the file is not where it was seen last; if it exists nowhere any more, say so with 'backup
forget'. With --dir: what the files in a folder say of themselves, which counts only once 'backup verify' has opened them.

Examples:
  spotify-mcp backup list
  spotify-mcp backup list --dir /mnt/backup --format json")]
pub struct Args {
    /// Read the headers of the backups in this folder instead of asking the database
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

const HEAD: [&str; 8] = ["ID", "MADE", "FROM", "PEOPLE", "BYTES", "FILE", "", "MASTER KEYS"];

/// Prints the list, newest first.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    if let Some(folder) = &args.dir {
        return list_folder(folder, place);
    }
    at_database(place, async |desk| {
        let rows = desk.store.backups().await.map_err(|failure| broken(&failure))?;
        let table: Vec<[String; 8]> = rows.iter().map(row).collect();
        desk.output.result(&text(&table), &rows.iter().map(document).collect());
        Ok(Exit::Done)
    })
}

fn list_folder(folder: &Path, place: &Place<'_>) -> Result<Exit, Refused> {
    let unread = |error: std::io::Error| {
        let text = format!("{} cannot be read: {}", folder.display(), io_cause(&error));
        Refused::incomplete("BACKUP_IO", text, "name a folder that this user may read")
    };
    let entries: Result<Vec<_>, _> = folder.read_dir().map_err(unread)?.collect();
    let mut files: Vec<PathBuf> = entries.map_err(unread)?.into_iter().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "backup"));
    let read = |path: &PathBuf| match Unopened::read(path) {
        Ok(unopened) => Ok((path.clone(), unopened.header)),
        Err(damage) => Err(refused(path, &damage, Exit::Findings)),
    };
    let mut found = files.iter().map(read).collect::<Result<Vec<(PathBuf, Header)>, Refused>>()?;
    found.sort_by(|(_, one), (_, other)| other.made_at.cmp(&one.made_at));
    let table: Vec<[String; 8]> = found.iter().map(|(path, header)| unproven_row(path, header)).collect();
    let documents =
        found.iter().map(|(path, header)| json!({ "file": path, "proven": false, "header": header }));
    place.global.output().result(&text(&table), &documents.collect());
    Ok(Exit::Done)
}

fn text(rows: &[[String; 8]]) -> String {
    if rows.is_empty() { "No backups.\n".to_owned() } else { columns(&HEAD, rows) }
}

/// Whether the file is where it was seen last.
fn state(row: &BackupRow) -> &'static str {
    match Path::new(&row.file).metadata() {
        Ok(file) if i64::try_from(file.len()) == Ok(row.bytes) => "there",
        Ok(_) => "changed",
        Err(_) => "gone",
    }
}

fn row(row: &BackupRow) -> [String; 8] {
    [
        row.id.to_string(),
        row.made_at.rfc3339(),
        row.engine.clone(),
        row.people.to_string(),
        row.bytes.to_string(),
        clean(&row.file),
        state(row).to_owned(),
        row.key_ids.join(" "),
    ]
}

/// Nothing of it is authentic: cleaned, and marked as such.
fn unproven_row(path: &Path, header: &Header) -> [String; 8] {
    [
        clean(&header.id),
        clean(&header.made_at),
        clean(&header.engine),
        header.counts.get("users").map_or_else(String::new, i64::to_string),
        path.metadata().map_or_else(|_| String::new(), |file| file.len().to_string()),
        clean(&path.display().to_string()),
        "not verified".to_owned(),
        clean(&header.key_ids.join(" ")),
    ]
}

fn document(row: &BackupRow) -> Value {
    json!({
        "id": row.id,
        "made_at": row.made_at.rfc3339(),
        "engine": row.engine,
        "schema_version": row.schema_version,
        "people": row.people,
        "file": row.file,
        "state": state(row),
        "bytes": row.bytes,
        "digest": row.digest,
        "verified_at": row.verified_at.map(Timestamp::rfc3339),
        "key_ids": row.key_ids,
    })
}
