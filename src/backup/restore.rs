//! Restoring: the new database is made beside the old one, brought into the present, and then takes its name in one
//! step. A kill before that step leaves the old database, a kill after it the new one; the old one is kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::header::Header;
use super::outside::{Known, look};
use super::verify::{check_copy, check_dump, extract, open};
use super::{Copied, Damage, Outside};
use crate::ambient::Timestamp;
use crate::crypto::keys::RootKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::{During as _, Failure};
use crate::store::{OpenStoreError, Recorded, Settled, Store, Survivors, unfold};

/// A database beside the present one, opened from a backup and checked; removed when dropped.
pub struct Staged {
    /// What the backup says of itself.
    pub header: Header,
    /// What was found in its database.
    pub copied: Copied,
    known: Known,
    file: Unfinished,
}

/// A PostgreSQL database that its own tools have loaded from the dump that a backup vouches for.
pub struct Loaded {
    header: Header,
    store: Store,
    known: Known,
}

/// What a restore takes over from beside the backup.
pub struct Restoring<'a> {
    /// Deletions kept outside every database.
    pub outside: &'a Outside,
    /// Why they are taken though they cannot be believed, where somebody said so.
    pub accepted: Option<&'a str>,
    /// What the database that is replaced still knows.
    pub survivors: Option<&'a Survivors>,
    /// The present instant.
    pub now: Timestamp,
    /// Stamps what the trail will say.
    pub stamp: &'a (dyn Fn(Event) -> Recorded + Sync),
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
    let copied = check_copy(&file.0, &header, root).await?;
    let store = Store::open_copy(&file.0).await?;
    let known = Known::of(&store).await;
    store.close().await;
    Ok(Staged { header, copied, known: known?, file })
}

impl Staged {
    /// What is known outside of every database about who was deleted.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn outside(
        &self,
        data_dir: &Path,
        roots: &[RootKey],
        survivors: Option<&Survivors>,
    ) -> Result<Outside, Failure> {
        look(data_dir, roots, (&self.known, survivors))
    }

    /// Brings the database into the present.
    ///
    /// # Errors
    /// What is wrong; nothing is left then.
    pub async fn prepare(self, with: &Restoring<'_>) -> Result<Prepared, Damage> {
        let Self { header, file, .. } = self;
        let store = Store::open_file(&file.0).await.map_err(|error| Damage::Io(error.cause))?;
        let settled = settle(&store, &header, with).await;
        store.close().await;
        let settled = settled?;
        if !unfold(&file.0).await? {
            return Err(Damage::Io(Failure::new("something else has the restored database open")));
        }
        File::open(&file.0).and_then(|file| file.sync_all()).during("writing the restored database")?;
        Ok(Prepared { header, settled, file })
    }
}

impl Loaded {
    /// Checks the dump and opens the database.
    ///
    /// # Errors
    /// What is wrong with backup, dump or database.
    pub async fn open(
        (backup, root): (&Path, &RootKey),
        url: &str,
    ) -> Result<Result<Self, OpenStoreError>, Damage> {
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
        let known = Known::of(&store).await?;
        Ok(Ok(Self { header, store, known }))
    }

    /// As [`Staged::outside`].
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn outside(&self, data_dir: &Path, roots: &[RootKey]) -> Result<Outside, Failure> {
        look(data_dir, roots, (&self.known, None))
    }

    /// Brings the database into the present.
    ///
    /// # Errors
    /// Where the database fails: nothing was changed then.
    pub async fn settle(self, with: &Restoring<'_>) -> Result<(Header, Settled), Damage> {
        let settled = settle(&self.store, &self.header, with).await;
        self.store.close().await;
        Ok((self.header, settled?))
    }
}

async fn settle(store: &Store, header: &Header, with: &Restoring<'_>) -> Result<Settled, Failure> {
    let tell = |settled: &Settled| (with.stamp)(told(header, settled, with));
    store.settle(with.survivors, &with.outside.stones, with.now, &tell).await
}

fn told(header: &Header, settled: &Settled, with: &Restoring<'_>) -> Event {
    let before = with.survivors.map_or("unknown".to_owned(), |survivors| survivors.epochs.0.to_string());
    let event = Event::new(EventCode::BackupRestored)
        .subject(&header.id)
        .because("the database was replaced by one from the past: what happened between is not in it")
        .detail("made_at", &header.made_at)
        .detail("epoch_of_backup", header.epoch.to_string())
        .detail("epoch_before", before)
        .detail("epoch", settled.epoch.to_string())
        .detail("people_deleted_again", settled.people.to_string())
        .detail("links_deleted_again", settled.links.to_string())
        .detail("grants_ended", settled.grants.to_string())
        .detail("api_keys_ended", settled.api_keys.to_string());
    match (&with.outside.doubt, with.accepted) {
        (None, _) => event,
        (Some(doubt), accepted) => {
            event.detail("doubt", doubt.in_words()).detail("accepted_because", accepted.unwrap_or_default())
        }
    }
}

/// Where the database that is replaced will be kept.
pub fn kept_name(database: &Path, now: Timestamp) -> PathBuf {
    let time: String = now.rfc3339().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    beside(database, &format!(".replaced-{time}"))
}

/// Gives the prepared database its name and keeps the old one beside, with its log where that could not be folded.
/// `passed` hears of each boundary: where a kill leaves another state behind than before it.
///
/// # Errors
/// Where the disk refuses: then the old database is still in place.
pub fn put_in_place(
    prepared: &Prepared,
    (database, kept): (&Path, &Path),
    passed: &dyn Fn(&'static str),
) -> Result<bool, Failure> {
    let folder = database.parent().ok_or_else(|| Failure::new("the database has no folder"))?;
    let replaces = database.symlink_metadata().is_ok();
    if replaces {
        fs::hard_link(database, kept).during("keeping the database that is replaced")?;
        passed("kept");
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
    passed("alone");
    fs::rename(&prepared.file.0, database).during("giving the restored database its name")?;
    passed("renamed");
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
