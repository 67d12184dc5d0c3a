//! Making a backup: a consistent copy, sealed into a new file, opened again before it gets its name.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::container::{self, Unopened};
use super::header::{Configuration, Dump, FORMAT, Header, Part};
use super::{Damage, Scratch};
use crate::ambient::{Dice, Timestamp};
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;
use crate::domain::BackupId;
use crate::failure::{During as _, Failure};
use crate::store::{BackupRow, Contents, Store};

/// What a backup is made of.
pub struct Material<'a> {
    /// The database.
    pub source: Source<'a>,
    /// The master key, and how it is derived where it is a passphrase.
    pub key: (&'a RootKey, Option<Kdf>),
    /// The configuration file as it stands.
    pub configuration: Option<(Configuration, Vec<u8>)>,
}

/// Where the data comes from.
pub enum Source<'a> {
    /// A SQLite database, copied into this private folder.
    Copy(&'a Store, &'a Scratch),
    /// A PostgreSQL database and a dump of it that its own tools made.
    Dump(&'a Store, &'a Path),
}

/// Makes a backup at `to`, which must not exist.
///
/// # Errors
/// Where the disk has no room, the dump is none, or what was written does not open: nothing is left then.
pub async fn make(
    material: Material<'_>,
    to: &Path,
    (now, dice): (Timestamp, &Dice),
) -> Result<(Header, BackupRow), Damage> {
    let (root, kdf) = material.key;
    let (engine, contents, copy, dump) = match material.source {
        Source::Copy(store, scratch) => {
            let copy = scratch.path("database");
            store.copy_to(&copy).await?;
            ("sqlite", contents_of(&copy).await?, Some(copy), None)
        }
        Source::Dump(store, dump) => ("postgres", store.contents().await?, None, Some(dump_facts(dump)?)),
    };
    let database = match &copy {
        Some(copy) => Some(("database", fs::metadata(copy).during("reading the copy")?.len())),
        None => None,
    };
    let (configuration, text) = material.configuration.unzip();
    let text = text.unwrap_or_default();
    let configured = configuration.is_some().then_some(("configuration", text.len() as u64));
    let part = |(name, bytes): (&str, u64)| Part { name: name.to_owned(), bytes };
    let under = root.id().to_string();
    let mut key_ids = contents.key_ids.clone();
    key_ids.push(under.clone());
    key_ids.sort_unstable();
    key_ids.dedup();
    let header = Header {
        format: FORMAT.to_owned(),
        id: BackupId::mint(dice.bytes()).to_string(),
        made_at: now.rfc3339(),
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.to_owned(),
        schema_version: contents.schema_version,
        epoch: contents.epoch,
        counts: contents.counts,
        sealed_under: under,
        key_ids,
        kdf,
        configuration,
        dump,
        parts: database.into_iter().chain(configured).map(part).collect(),
    };
    let copy = copy.map(|copy| File::open(copy).during("reading the copy")).transpose()?;
    let copy: Box<dyn Read> =
        copy.map_or_else(|| Box::new(std::io::empty()) as _, |copy| Box::new(copy) as _);
    let (bytes, digest) = write_proven(&header, (root, dice), &mut copy.chain(&text[..]), to)?;
    let row = row(&header, (to, bytes, digest), now)?;
    Ok((header, row))
}

async fn contents_of(copy: &Path) -> Result<Contents, Failure> {
    let store = Store::open_copy(copy).await?;
    let contents = store.contents().await;
    store.close().await;
    contents
}

/// Writes beside, syncs, opens what was written, and only then gives it the name.
fn write_proven(
    header: &Header,
    (root, dice): (&RootKey, &Dice),
    parts: &mut dyn Read,
    to: &Path,
) -> Result<(u64, String), Damage> {
    let temporary = Temporary::beside(to);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary.0);
    let mut file = BufWriter::new(file.during("writing the backup")?);
    let written = container::write(header, (root, &dice.bytes()), parts, &mut file)?;
    file.flush().during("writing the backup")?;
    file.get_ref().sync_all().during("writing the backup")?;
    Unopened::read(&temporary.0)?.open(root)?.extract(&mut |_, _| Ok(()))?;
    // A link, unlike a rename, fails where the name is taken.
    fs::hard_link(&temporary.0, to).during("giving the backup its name")?;
    drop(temporary);
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).during("writing the backup")?;
    Ok(written)
}

/// A file that goes unless it got its name.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(to: &Path) -> Self {
        let mut name = to.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        Self(PathBuf::from(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _absent = fs::remove_file(&self.0);
    }
}

/// What the index keeps of a backup.
pub(super) fn row(
    header: &Header,
    (file, bytes, digest): (&Path, u64, String),
    now: Timestamp,
) -> Result<BackupRow, Damage> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    Ok(BackupRow {
        id: header.backup_id().ok_or(Damage::Changed("its id"))?,
        made_at: Timestamp::parse_rfc3339(&header.made_at).ok_or(Damage::Changed("its time"))?,
        file: file.display().to_string(),
        engine: header.engine.clone(),
        bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        digest,
        schema_version: header.schema_version,
        people: header.counts.get("users").copied().unwrap_or_default(),
        verified_at: Some(now),
        key_ids: header.key_ids.clone(),
    })
}

/// Size, digest and name of a dump that is one.
fn dump_facts(path: &Path) -> Result<Dump, Damage> {
    let (bytes, sha256, (start, end)) = read_through(path)?;
    let is_custom = start.starts_with(b"PGDMP");
    let says = |text: &[u8], words: &[u8]| text.windows(words.len()).any(|window| window == words);
    let is_script = says(&start, b"PostgreSQL database dump");
    if !is_custom && !is_script {
        return Err(Damage::Broken(
            "it is no dump of pg_dump, as a script or in the custom format".to_owned(),
        ));
    }
    if is_script && !is_custom && !says(&end, b"PostgreSQL database dump complete") {
        return Err(Damage::Broken("the dump does not end as pg_dump ends one".to_owned()));
    }
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| Failure::new("the dump's name is not UTF-8"))?;
    Ok(Dump { name, bytes, sha256 })
}

/// First and last bytes of a file, 4 KiB at most.
type Ends = (Vec<u8>, Vec<u8>);

/// Size, SHA-256 and both ends of a file.
pub(super) fn read_through(path: &Path) -> Result<(u64, String, Ends), Failure> {
    const END: usize = 4_096;
    let mut file = File::open(path).during("reading the file")?;
    let (mut digest, mut size, mut start, mut end) = (Sha256::new(), 0, Vec::new(), Vec::new());
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).during("reading the file")?;
        if read == 0 {
            return Ok((size, container::hex(&digest.finalize()), (start, end)));
        }
        let bytes = &buffer[..read];
        digest.update(bytes);
        size += read as u64;
        start.extend_from_slice(&bytes[..read.min(END.saturating_sub(start.len()))]);
        end.extend_from_slice(bytes);
        let extra = end.len().saturating_sub(END);
        end.drain(..extra);
    }
}
