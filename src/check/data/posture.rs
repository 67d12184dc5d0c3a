//! Gathers what the database shows. Never: a write, or waiting longer than a database that answers takes.

use std::path::Path;

use crate::backup::{SealedThings, Unopened, open_most};
use crate::check::config::master;
use crate::check::{Request, Runs, Seen, Unseen};
use crate::config::Engine;
use crate::crypto::keys::RootKey;
use crate::domain::event::EventCode;
use crate::failure::Failure;
use crate::reading::io_cause;
use crate::store::{
    AppRow, AttestationRow, BackupRow, ChainMark, DataKeyCount, EmergencyRow, Envelopes, Hashes,
    MasterKeyRow, Oldest, Ownership, PostgresStanding, PurposeKeyRow, RotationRow, SchemaStanding,
    SqliteStanding, Store, UsedRevision, is_without_tables,
};

/// Why there is no database to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// No server has made it yet.
    NotMade(String),
    /// It cannot be opened, or nobody knows where it is.
    Unseen(String),
}

impl Absent {
    /// The file that says where it is cannot be read.
    pub fn unknown() -> Self {
        Self::Unseen(
            "the configuration file cannot be read, so where the database is, is not known".to_owned(),
        )
    }

    /// As the reason why a fact was not seen.
    pub fn as_unseen(&self) -> Unseen {
        let (Self::NotMade(why) | Self::Unseen(why)) = self;
        Unseen::because(why)
    }
}

/// What the database shows.
#[derive(Clone, Debug)]
pub struct Posture {
    /// Its engine.
    pub engine: Engine,
    /// Its schema.
    pub schema: Seen<SchemaStanding>,
    /// Every master key that was ever used.
    pub masters: Seen<Vec<MasterKeyRow>>,
    /// The server's own keys.
    pub own: Seen<Vec<PurposeKeyRow>>,
    /// People's data keys, counted.
    pub data_keys: Seen<Vec<DataKeyCount>>,
    /// The operator's Spotify apps.
    pub apps: Seen<Vec<AppRow>>,
    /// The last rotations, each with the rows that it could not open.
    pub rotations: Seen<Vec<(RotationRow, usize)>>,
    /// The emergency in progress.
    pub emergency: Seen<Option<EmergencyRow>>,
    /// Sealed values by their form.
    pub envelopes: Seen<Vec<Envelopes>>,
    /// Sealed values opened with the master key at hand.
    pub opened: Seen<SealedThings>,
    /// Who owns which key.
    pub ownership: Seen<Ownership>,
    /// Stored tokens.
    pub hashes: Seen<Vec<Hashes>>,
    /// Backups on record.
    pub backups: Seen<Vec<BackupRow>>,
    /// The file of the newest of them, where it was seen last.
    pub newest_backup: BackupFile,
    /// What housekeeping should have removed.
    pub oldest: Seen<Oldest>,
    /// How many are there again whose deletion is on record.
    pub risen: Seen<usize>,
    /// SQLite's own word.
    pub sqlite: Seen<Option<SqliteStanding>>,
    /// The kind of file system under a SQLite file; `None`: a local one, or not known by its number.
    pub shared_disk: Option<&'static str>,
    /// PostgreSQL's own word.
    pub postgres: Seen<Option<PostgresStanding>>,
}

/// What is where a backup's file was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupFile {
    /// Nothing: it was moved elsewhere, or there is no backup.
    Gone,
    /// The backup, sealed and as long as on record.
    Whole,
    /// Something else, for this reason.
    Other(String),
    /// Something that cannot be looked at, for this reason.
    Unseen(String),
}

impl BackupFile {
    fn of(row: &BackupRow) -> Self {
        let path = Path::new(&row.file);
        let bytes = match path.metadata() {
            Ok(file) if file.is_file() => file.len(),
            Ok(_) => return Self::Other("it is no file".to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::Gone,
            Err(error) => return Self::Unseen(io_cause(&error)),
        };
        if Ok(bytes) != u64::try_from(row.bytes) {
            return Self::Other(format!("it has {bytes} bytes, on record are {}", row.bytes));
        }
        match Unopened::read(path) {
            Ok(backup) if backup.header.backup_id().as_ref() == Some(&row.id) => Self::Whole,
            Ok(_) => Self::Other("it is another backup".to_owned()),
            Err(damage) => Self::Other(format!("it is no sealed backup: {damage}")),
        }
    }
}

/// A chain of the trail as the database knows it.
pub struct Chain {
    /// How far it was signed.
    pub mark: ChainMark,
    /// How far each place outside was told: its name, records, and when (milliseconds).
    pub told: Vec<(String, i64, i64)>,
}

/// What the database shows, with what others need of it.
pub struct Looked {
    /// For rules.
    pub posture: Posture,
    /// Which revision of the sealed configuration servers use.
    pub used: Seen<Option<UsedRevision>>,
    /// The last attestation of each task.
    pub attested: Seen<Vec<AttestationRow>>,
    /// Attestations that wait to be written into the trail, by their ids.
    pub unwritten: Seen<Vec<String>>,
    /// How far each chain of the trail was signed, and told to places outside.
    pub chains: Seen<Vec<Chain>>,
}

/// Sealed values of a column that are opened, about: so many that a large server answers within a second.
const OPENED: u64 = 10_000;
/// Rotations that are looked at.
const ROTATIONS: i64 = 20;

/// Opens the database and looks at all of it.
pub async fn look(request: &Request, lineage: Option<&str>, runs: Runs) -> Result<Looked, Absent> {
    let config = request.loaded.as_far_as_valid();
    let url = config.storage.url.expose();
    if !Store::may_be_at(url) {
        let what = Store::file_of(url).map(|path| path.display().to_string()).unwrap_or_default();
        return Err(Absent::NotMade(format!("there is no database yet at {what}: no server has started")));
    }
    let store = Store::open_to_look(url).await;
    let store = store.map_err(|error| Absent::Unseen(format!("{}: {}", error.what, error.next)))?;
    let roots = master::roots(&request.loaded, runs);
    let looked = Looked {
        used: match lineage {
            Some(lineage) => told(store.used_revision(lineage).await),
            None => Ok(None),
        },
        attested: told(store.last_attestations().await),
        unwritten: told(unwritten(&store).await),
        chains: told(chains(&store).await),
        posture: posture(&store, url, roots).await,
    };
    store.close().await;
    Ok(looked)
}

async fn posture(store: &Store, url: &str, roots: Result<Vec<RootKey>, String>) -> Posture {
    let masters = told(store.master_keys().await);
    let opened = match (roots, &masters) {
        (Err(why), _) => Err(Unseen::because(format!("nothing was opened: {why}"))),
        (Ok(roots), Ok(masters)) => opened(store, &roots, masters).await,
        (Ok(_), Err(unseen)) => Err(unseen.clone()),
    };
    let backups = told(store.backups().await);
    let newest = backups.iter().flatten().max_by_key(|row| row.made_at);
    Posture {
        newest_backup: newest.map_or(BackupFile::Gone, BackupFile::of),
        engine: if store.is_postgres() { Engine::Postgres } else { Engine::Sqlite },
        schema: told(store.schema_standing().await),
        masters,
        own: told(store.purpose_keys().await),
        data_keys: told(store.count_data_keys().await),
        apps: told(store.operators_apps().await),
        rotations: told(rotations(store).await),
        emergency: told(store.emergency_in_progress().await),
        envelopes: told(store.envelopes().await),
        opened,
        ownership: told(store.ownership().await),
        hashes: told(store.hashes().await),
        backups,
        oldest: told(store.oldest_ended().await),
        risen: told(store.risen().await),
        sqlite: told(store.sqlite_standing().await),
        shared_disk: shared_disk(url),
        postgres: told(store.postgres_standing(url).await),
    }
}

/// Opens everything with the root in use, where it is at hand.
async fn opened(store: &Store, roots: &[RootKey], masters: &[MasterKeyRow]) -> Seen<SealedThings> {
    let in_use = masters.iter().find(|row| row.state == "active").map(|row| row.id.as_str());
    let Some(in_use) = in_use else { return Err(Unseen::because("the database has no master key in use")) };
    match roots.iter().find(|root| root.id().to_string() == in_use) {
        Some(root) => told(open_most(store, root, OPENED).await),
        None => Err(Unseen::because(format!(
            "nothing was opened: the key at hand is not {in_use}, the one in use"
        ))),
    }
}

async fn rotations(store: &Store) -> Result<Vec<(RotationRow, usize)>, Failure> {
    let mut found = Vec::new();
    for row in store.rotations(ROTATIONS).await? {
        let left = store.rotation_exceptions(&row.id).await?.len();
        found.push((row, left));
    }
    Ok(found)
}

/// Events of the outbox that are looked at.
const WAITING: i64 = 10_000;

async fn unwritten(store: &Store) -> Result<Vec<String>, Failure> {
    let waiting = store.outbox(WAITING).await?.into_iter().map(|recorded| recorded.event);
    let ours = waiting.filter(|event| event.code() == EventCode::TaskAttested);
    Ok(ours.filter_map(|event| event.details().get("attestation").cloned()).collect())
}

async fn chains(store: &Store) -> Result<Vec<Chain>, Failure> {
    let mut found = Vec::new();
    for mark in store.audit_chains().await? {
        let told = store.anchors_told(&mark.chain_uid).await?;
        found.push(Chain { mark, told });
    }
    Ok(found)
}

/// The driver's words may hold what is stored: they are not told.
fn told<T>(asked: Result<T, Failure>) -> Seen<T> {
    asked.map_err(|failure| {
        Unseen::because(if is_without_tables(&failure) {
            "a table of this version is not there: no server of it has started with this database".to_owned()
        } else {
            format!("the database does not tell: {failure}")
        })
    })
}

/// File systems that are shared between machines, by the numbers of statfs(2): locks on them are not to be relied on.
const SHARED: [(u64, &str); 6] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x6573_5546, "FUSE"),
];

#[cfg(target_os = "linux")]
fn shared_disk(url: &str) -> Option<&'static str> {
    let found = rustix::fs::statfs(Store::file_of(url)?).ok()?;
    let number = u64::try_from(found.f_type).ok()? & 0xffff_ffff;
    SHARED.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn shared_disk(_url: &str) -> Option<&'static str> {
    None
}
