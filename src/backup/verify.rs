//! Verifying a backup: everything in it is opened, and the database is checked on a private copy.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::container::{Opened, Unopened};
use super::header::{Dump, Header};
use super::make::{read_through, row};
use super::sealed_things::{SealedThings, open_all};
use super::{Damage, Scratch};
use crate::ambient::Timestamp;
use crate::crypto::keys::RootKey;
use crate::failure::{During as _, Failure};
use crate::store::{BackupRow, Store};

/// A backup that is whole.
#[derive(Debug)]
pub struct Verified {
    /// What it says of itself, authentic.
    pub header: Header,
    /// For the index.
    pub row: BackupRow,
    /// What is in the database; `None`: it is in a dump beside the backup, and only that was looked at.
    pub copy: Option<Copied>,
}

/// The database in a backup, checked on a private copy.
#[derive(Debug)]
pub struct Copied {
    /// Everything sealed in it.
    pub sealed: SealedThings,
    /// Its schema, where that is older than this version's: the copy was migrated.
    pub migrated_from: Option<i64>,
}

/// Opens all of a backup, checks the database in it on a private copy, or the dump beside it.
///
/// # Errors
/// What is wrong, the most telling first.
pub async fn verify(
    path: &Path,
    root: &RootKey,
    scratch: &Scratch,
    now: Timestamp,
) -> Result<Verified, Damage> {
    let mut opened = open(path, root)?;
    let copy = scratch.path("database");
    extract(&mut opened, &copy)?;
    let header = opened.header;
    let (bytes, digest, _) = read_through(path)?;
    let row = row(&header, (path, bytes, digest), now)?;
    let copy = match &header.dump {
        Some(dump) => {
            check_dump(path, dump)?;
            None
        }
        None => Some(check_copy(&copy, &header, root).await?),
    };
    match copy.as_ref().and_then(|copy| copy.sealed.in_words()) {
        Some(damaged) => Err(Damage::Broken(damaged)),
        None => Ok(Verified { header, row, copy }),
    }
}

/// Opens a backup whose database this version can read.
pub(super) fn open(path: &Path, root: &RootKey) -> Result<Opened, Damage> {
    let opened = Unopened::read(path)?.open(root)?;
    let (found, known) = (opened.header.schema_version, Store::newest_schema());
    if found > known {
        let what = format!(
            "its database has schema {found}, and version {} knows schemas up to {known}",
            env!("CARGO_PKG_VERSION")
        );
        return Err(Damage::Newer(what));
    }
    Ok(opened)
}

/// Opens every chunk; the database goes to a new file of its owner's alone.
pub(super) fn extract(opened: &mut Opened, copy: &Path) -> Result<(), Damage> {
    let mut file: Option<File> = None;
    opened.extract(&mut |part, bytes| {
        if part != "database" {
            return Ok(());
        }
        let file = match &mut file {
            Some(file) => file,
            none => {
                let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy);
                none.insert(new.during("writing a private copy of the database")?)
            }
        };
        file.write_all(bytes).during("writing a private copy of the database")
    })?;
    match file {
        Some(file) => Ok(file.sync_all().during("writing a private copy of the database")?),
        None => Ok(()),
    }
}

/// Whether the copy is whole and what the header says; what in it opens with the key. A copy of an older schema is
/// migrated first.
pub(super) async fn check_copy(copy: &Path, header: &Header, root: &RootKey) -> Result<Copied, Damage> {
    let found = {
        let store = Store::open_copy(copy).await.map_err(not_whole)?;
        let found = check_pages(&store).await;
        store.close().await;
        found?
    };
    if found != header.schema_version {
        return Err(Damage::Broken(format!("its database has schema {found}, and its header says another")));
    }
    let is_older = found < Store::newest_schema();
    if is_older {
        let migrated = Store::open_file(copy).await.map_err(|error| not_whole(error.cause))?;
        migrated.close().await;
    }
    let store = Store::open_copy(copy).await.map_err(not_whole)?;
    let sealed = check_content(&store, header, root).await;
    store.close().await;
    Ok(Copied { sealed: sealed?, migrated_from: is_older.then_some(found) })
}

/// Every page, index and reference; the schema.
async fn check_pages(store: &Store) -> Result<i64, Damage> {
    let damage = store.damage().await.map_err(not_whole)?;
    if !damage.is_empty() {
        return Err(Damage::Broken(damage.join("; ")));
    }
    store.schema_version().await.map_err(not_whole)
}

async fn check_content(store: &Store, header: &Header, root: &RootKey) -> Result<SealedThings, Damage> {
    let contents = store.contents().await.map_err(not_whole)?;
    let is_said = contents.epoch == header.epoch
        && contents.counts == header.counts
        && contents.key_ids.iter().all(|id| header.key_ids.contains(id));
    if !is_said {
        return Err(Damage::Broken("the database holds other things than the header says".to_owned()));
    }
    let sealed = open_all(store, root).await.map_err(not_whole)?;
    match sealed.in_words() {
        Some(damaged) if sealed.is_fatal => Err(Damage::Broken(damaged)),
        _ => Ok(sealed),
    }
}

fn not_whole(failure: Failure) -> Damage {
    Damage::Broken(failure.chain())
}

/// Whether the dump beside a backup is the one that was recorded.
pub(super) fn check_dump(backup: &Path, dump: &Dump) -> Result<(), Damage> {
    // A name, never a path: the header decides on no other folder.
    let name = Path::new(&dump.name).file_name().ok_or(Damage::Changed("the dump's name"))?;
    let path = backup.with_file_name(name);
    if !path.exists() {
        return Err(Damage::DumpMissing(path));
    }
    let (bytes, sha256, _) = read_through(&path)?;
    if (bytes, &sha256) != (dump.bytes, &dump.sha256) {
        let text = format!("{} is not the dump that was recorded ({} bytes)", path.display(), dump.bytes);
        return Err(Damage::Broken(text));
    }
    Ok(())
}
