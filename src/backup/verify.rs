//! Verifying a backup: everything in it is opened, and the database is checked on a private copy.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::container::{Opened, Unopened};
use super::header::{Dump, Header};
use super::make::{read_through, row};
use super::{Damage, Scratch};
use crate::ambient::Timestamp;
use crate::crypto::keys::{KeyId, RootKey};
use crate::failure::{During as _, Failure};
use crate::store::{BackupRow, Store};

/// A backup that is whole.
#[derive(Debug)]
pub struct Verified {
    /// What it says of itself, authentic.
    pub header: Header,
    /// For the index.
    pub row: BackupRow,
    /// Data keys that were unwrapped with the key at hand.
    pub data_keys_opened: u64,
    /// Data keys that need another master key.
    pub data_keys_elsewhere: u64,
}

/// Data keys that are looked at together.
const BATCH: i64 = 1_000;

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
    let (mut data_keys_opened, mut data_keys_elsewhere) = (0, 0);
    match &header.dump {
        Some(dump) => check_dump(path, dump)?,
        None => (data_keys_opened, data_keys_elsewhere) = check_copy(&copy, &header, root).await?,
    }
    Ok(Verified { header, row, data_keys_opened, data_keys_elsewhere })
}

/// Opens a backup whose database this version can read.
pub(super) fn open(path: &Path, root: &RootKey) -> Result<Opened, Damage> {
    let opened = Unopened::read(path)?.open(root)?;
    let (found, known) = (opened.header.schema_version, Store::newest_schema());
    if found > known {
        let what = format!("its database has schema {found}, and this program knows up to {known}");
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

/// Whether the copy is what the header says, whole, and readable with the key; how many data keys were opened, and how
/// many need another key.
pub(super) async fn check_copy(copy: &Path, header: &Header, root: &RootKey) -> Result<(u64, u64), Damage> {
    let store = Store::open_copy(copy).await.map_err(not_whole)?;
    let checked = check_store(&store, header, root).await;
    store.close().await;
    checked
}

async fn check_store(store: &Store, header: &Header, root: &RootKey) -> Result<(u64, u64), Damage> {
    let damage = store.damage().await.map_err(not_whole)?;
    if !damage.is_empty() {
        return Err(Damage::Broken(damage.join("; ")));
    }
    let contents = store.contents().await.map_err(not_whole)?;
    let is_said = contents.schema_version == header.schema_version
        && contents.epoch == header.epoch
        && contents.counts == header.counts
        && contents.key_ids.iter().all(|id| header.key_ids.contains(id));
    if !is_said {
        return Err(Damage::Broken("the database holds other things than the header says".to_owned()));
    }
    let given = root.id().to_string();
    let (mut opened, mut elsewhere, mut after) = (0, 0, String::new());
    loop {
        let keys = store.data_keys_after(&after, BATCH).await.map_err(not_whole)?;
        let Some(last) = keys.last() else { return Ok((opened, elsewhere)) };
        after = last.id.to_string();
        for key in &keys {
            if key.master_key_id != given {
                elsewhere += 1;
                continue;
            }
            let id = key_id(key.id.as_str()).ok_or_else(|| Damage::Broken("a data key's id".to_owned()))?;
            let unwrapped = root.unwrap(id, key.user.as_str(), &key.wrapped);
            unwrapped.map_err(|why| Damage::Broken(format!("data key {}: {why}", key.id)))?;
            opened += 1;
        }
    }
}

/// The 16 bytes behind the prefix.
fn key_id(text: &str) -> Option<KeyId> {
    let hex = text.strip_prefix("k_")?;
    let bytes: Option<Vec<u8>> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    KeyId::from_slice(&bytes?)
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
