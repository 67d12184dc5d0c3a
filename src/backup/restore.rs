//! Restoring: the new database is made beside the old one, brought into the present, and then takes its name in one
//! step. A kill before that step leaves the old database, a kill after it the new one; the old one is kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::header::Header;
use super::verify::{check_copy, check_dump, extract, open};
use super::{Damage, read_tombstones};
use crate::ambient::Timestamp;
use crate::crypto::keys::RootKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::{During as _, Failure};
use crate::store::{OpenStoreError, Recorded, Settled, Store, Survivors, unfold};

/// A database beside the present one, opened from a backup and checked; removed when dropped.
pub struct Staged {
    /// What the backup says of itself.
    pub header: Header,
    file: Unfinished,
}

/// A database that is ready to take its name; removed when dropped before.
pub struct Prepared {
    /// What the backup says of itself.
    pub header: Header,
    /// What became of its content.
    pub settled: Settled,
    file: Unfinished,
}

/// A file that goes unless it was given another name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _next_time = remove(&self.0);
    }
}

/// Files beside a database that hold changes which are not in it yet.
const LOGS: [&str; 2] = ["-wal", "-journal"];

/// Opens a backup into a file beside `database` and checks it; the present database is not touched.
///
/// # Errors
/// What is wrong; nothing is left then.
pub async fn stage(backup: &Path, root: &RootKey, database: &Path) -> Result<Staged, Damage> {
    let mut opened = open(backup, root)?;
    if let Some(dump) = &opened.header.dump {
        return Err(Damage::Broken(format!("it vouches for the PostgreSQL dump {}", dump.name)));
    }
    let file = Unfinished(beside(database, ".restoring"));
    remove(&file.0)?;
    extract(&mut opened, &file.0)?;
    let header = opened.header;
    check_copy(&file.0, &header, root).await?;
    Ok(Staged { header, file })
}

impl Staged {
    /// Migrates the database and brings it into the present.
    ///
    /// # Errors
    /// What is wrong; nothing is left then.
    pub async fn prepare(
        self,
        data_dir: &Path,
        survivors: Option<&Survivors>,
        (now, stamp): (Timestamp, &(dyn Fn(Event) -> Recorded + Sync)),
    ) -> Result<Prepared, Damage> {
        let Self { header, file } = self;
        let outside = read_tombstones(data_dir)?;
        let store = Store::open_file(&file.0).await.map_err(|error| Damage::Io(error.cause))?;
        let tell = |settled: &Settled| stamp(told(&header, settled, survivors));
        let settled = store.settle(survivors, &outside, now, &tell).await;
        store.close().await;
        let settled = settled?;
        if !unfold(&file.0).await? {
            return Err(Damage::Io(Failure::new("something else has the restored database open")));
        }
        File::open(&file.0).and_then(|file| file.sync_all()).during("writing the restored database")?;
        Ok(Prepared { header, settled, file })
    }
}

/// For PostgreSQL, after its own tools have loaded the dump that the backup vouches for: checks the dump and brings the
/// database into the present.
///
/// # Errors
/// What is wrong with backup, dump or database; the outer ones change nothing.
pub async fn settle_loaded(
    (backup, root): (&Path, &RootKey),
    (url, data_dir): (&str, &Path),
    (now, stamp): (Timestamp, &(dyn Fn(Event) -> Recorded + Sync)),
) -> Result<Result<(Header, Settled), OpenStoreError>, Damage> {
    let outside = read_tombstones(data_dir)?;
    let mut opened = open(backup, root)?;
    opened.extract(&mut |_, _| Ok(()))?;
    let header = opened.header;
    let dump = header.dump.as_ref();
    check_dump(
        backup,
        dump.ok_or_else(|| Damage::Broken("it is a backup of a SQLite database".to_owned()))?,
    )?;
    let store = match Store::open(url).await {
        Ok(store) => store,
        Err(error) => return Ok(Err(error)),
    };
    let tell = |settled: &Settled| stamp(told(&header, settled, None));
    let settled = store.settle(None, &outside, now, &tell).await;
    store.close().await;
    Ok(Ok((header, settled?)))
}

fn told(header: &Header, settled: &Settled, survivors: Option<&Survivors>) -> Event {
    let before = survivors.map_or("unknown".to_owned(), |survivors| survivors.epochs.0.to_string());
    Event::new(EventCode::BackupRestored)
        .subject(&header.id)
        .because("the database was replaced by one from the past: what happened between is not in it")
        .detail("made_at", &header.made_at)
        .detail("epoch_of_backup", header.epoch.to_string())
        .detail("epoch_before", before)
        .detail("epoch", settled.epoch.to_string())
        .detail("people_deleted_again", settled.people.to_string())
        .detail("links_deleted_again", settled.links.to_string())
        .detail("grants_ended", settled.grants.to_string())
        .detail("api_keys_ended", settled.api_keys.to_string())
}

/// Where the database that is replaced will be kept.
pub fn kept_name(database: &Path, now: Timestamp) -> PathBuf {
    let time: String = now.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    beside(database, &format!(".replaced-{time}"))
}

/// Gives the prepared database its name and keeps the old one beside, with its log where that could not be folded.
///
/// # Errors
/// Where the disk refuses: then the old database is still in place.
pub fn put_in_place(prepared: &Prepared, database: &Path, kept: &Path) -> Result<bool, Failure> {
    let folder = database.parent().ok_or_else(|| Failure::new("the database has no folder"))?;
    let replaces = database.symlink_metadata().is_ok();
    if replaces {
        fs::hard_link(database, kept).during("keeping the database that is replaced")?;
    }
    for log in LOGS {
        let (there, copy) = (beside(database, log), beside(kept, log));
        // Its own log would be replayed onto the new database: it goes with the old one, before the name changes.
        if there.symlink_metadata().is_ok() {
            fs::hard_link(&there, copy).during("keeping the log of the database that is replaced")?;
        }
    }
    sync(folder)?;
    for companion in ["-wal", "-shm", "-journal"] {
        remove(&beside(database, companion))?;
    }
    fs::rename(&prepared.file.0, database).during("giving the restored database its name")?;
    sync(folder)?;
    Ok(replaces)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Removes a file and what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), Failure> {
    for end in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(path, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Failure::caused("removing an unfinished file", error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<(), Failure> {
    File::open(folder).and_then(|folder| folder.sync_all()).during("syncing the folder of the database")
}
