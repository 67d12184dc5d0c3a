//! `security-check deps`: what this program is made of, and what is known about it.
//!
//! Gathering reads files and, only when asked, fetches one archive; everything is bounded. Judging is pure. A package
//! that was not looked at, a database that is not there and an advisory that cannot be read are said, never passed over.

mod advisory;
mod archive;
mod cases;
mod cbom;
mod collected;
mod database;
mod embedded;
mod fetch;
mod folder;
mod index;
mod licences;
mod lock;
mod package;
mod release;
mod rules;
mod sbom;

pub use advisory::{Advisory, Kind, Rating};
pub use cases::cases;
pub use collected::Unusable;
pub use database::{Basis, Database, Dated, KEPT_AS};
pub use embedded::NoList;
pub use fetch::PUBLISHED;
pub use index::Index;
pub use licences::{Licences, Standing};
pub use package::{Evidence, Inventory, Origin, Package, Use};
pub use release::Released;
pub use rules::RULES;
pub use sbom::{Analysis, bill};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::check::{Request, Seen, Unseen};
use crate::egress::Gate;
use crate::reading::io_cause;

/// What is asked for.
#[derive(Clone, Default)]
pub struct Wanted {
    /// A lock file to look at in place of this program.
    pub lockfile: Option<PathBuf>,
    /// The advisory database: a folder or an archive. Without it, the one in the data directory.
    pub database: Option<PathBuf>,
    /// Where a database is kept.
    pub data_dir: Option<PathBuf>,
    /// Fetch the database: the gate to go through, and from where ([`PUBLISHED`] usually). Wins over one that is kept.
    pub fetch: Option<(Result<Gate, Unusable>, String)>,
    /// A copy of the registry's index, for versions that were taken back and newer ones.
    pub index: Option<PathBuf>,
    /// A release's list of SHA-256 digests.
    pub release: Option<PathBuf>,
    /// The network is out of bounds, and what comes from it was not asked for.
    pub offline: bool,
    /// Which licences packages may be under, as `licences.toml` says it.
    pub licences: String,
}

/// What was seen.
#[derive(Clone)]
pub struct Facts {
    /// Nothing that is fetched was asked for.
    pub offline: bool,
    /// This program's SHA-256.
    pub program: Seen<String>,
    /// The list embedded in this program.
    pub embedded: Result<Vec<Package>, NoList>,
    /// The lock file that this program was built from.
    pub lock_copy: Seen<Vec<Package>>,
    /// The packages to judge.
    pub inventory: Seen<Inventory>,
    /// The advisories; `None`: there is no database.
    pub database: Option<Seen<Database>>,
    /// What became of a database that was fetched: where it was kept, or why it was not.
    pub kept: Option<Result<PathBuf, String>>,
    /// The registry's index, where a copy was named.
    pub index: Option<Seen<Index>>,
    /// The licences.
    pub licences: Seen<Licences>,
    /// The cryptography that the bill of materials lists, by name.
    pub cryptography: Vec<&'static str>,
    /// A release's programs, where its list was named.
    pub release: Option<Seen<Vec<Released>>>,
}

/// Looks at what a request asks for. Never fails: what cannot be seen is said in its place.
pub async fn gather(request: &Request) -> Facts {
    look(&Wanted::of(request)).await
}

impl Wanted {
    /// What a request asks for. The gate is the configuration's own: what it does not allow is not reached.
    fn of(request: &Request) -> Self {
        let config = request.loaded.as_far_as_valid();
        let fetch = request.fetch_advisories.as_ref().map(|url| {
            let gate = crate::app::gate(config, &request.clock).map_err(Unusable::because);
            (gate, url.clone())
        });
        Self {
            lockfile: request.lockfile.clone(),
            database: request.advisory_db.clone(),
            data_dir: Some(config.storage.data_dir.clone()),
            fetch,
            index: request.registry_index.clone(),
            release: request.release_manifest.clone(),
            offline: request.offline,
            licences: request.licences.clone(),
        }
    }
}

/// Looks at everything. Never fails: what cannot be seen is said in its place.
pub async fn look(wanted: &Wanted) -> Facts {
    // A lock file is about another program, unless a release is compared too.
    let read = match wanted.lockfile.is_some() && wanted.release.is_none() {
        true => Err("it was not looked at, because a lock file was named".to_owned()),
        false => embedded::this_program(),
    };
    let (program, embedded) = match read {
        Ok(program) => (Ok(program.digest), program.list),
        Err(why) => (Err(Unseen::because(why.clone())), Err(NoList::Damaged(why))),
    };
    let lock_copy = lock::parse(embedded::LOCK_COPY).map_err(Unseen::because);
    let inventory = inventory(wanted, &embedded, &lock_copy);
    let names = inventory.as_ref().map(names).unwrap_or_default();
    let (database, kept) = find_database(wanted, &names).await;
    let index = match (&wanted.index, &inventory) {
        (Some(folder), Ok(_)) => Some(index::read(folder, &names).map_err(Unseen::because)),
        _ => None,
    };
    Facts {
        offline: wanted.offline,
        program,
        embedded,
        lock_copy,
        inventory,
        database,
        kept,
        index,
        licences: Licences::by_policy(&wanted.licences).map_err(Unseen::because),
        cryptography: cbom::names(),
        release: wanted.release.as_deref().map(|path| release::read(path).map_err(Unseen::because)),
    }
}

/// The best evidence there is: the lock file that was named, else the embedded list, else the embedded lock file.
fn inventory(
    wanted: &Wanted,
    embedded: &Result<Vec<Package>, NoList>,
    lock_copy: &Seen<Vec<Package>>,
) -> Seen<Inventory> {
    if let Some(path) = &wanted.lockfile {
        let packages = lock::read(path).map_err(Unseen::because)?;
        return Ok(Inventory { evidence: Evidence::Lockfile(path.clone()), packages });
    }
    match embedded {
        Ok(packages) => Ok(Inventory { evidence: Evidence::Embedded, packages: packages.clone() }),
        Err(_) => Ok(Inventory { evidence: Evidence::LockCopy, packages: lock_copy.clone()? }),
    }
}

fn names(inventory: &Inventory) -> BTreeSet<&str> {
    inventory.audited().map(|package| package.name.as_str()).collect()
}

/// A database, where there is one, and what became of a fetched one.
type Found = (Option<Seen<Database>>, Option<Result<PathBuf, String>>);

/// The database that was named, else a fetched one, else the one that is kept.
async fn find_database(wanted: &Wanted, names: &BTreeSet<&str>) -> Found {
    let at = |path: &Path| {
        let unusable = |why: Unusable| Unseen::because(format!("{} is not used: {why}", path.display()));
        database::open(path, names).map_err(unusable)
    };
    if let Some(path) = &wanted.database {
        return (Some(at(path)), None);
    }
    if let (Some((gate, url)), false) = (&wanted.fetch, wanted.offline) {
        return fetched(wanted, (gate, url), names).await;
    }
    (wanted.data_dir.as_deref().and_then(database::kept).map(|path| at(&path)), None)
}

async fn fetched(
    wanted: &Wanted,
    (gate, url): (&Result<Gate, Unusable>, &str),
    names: &BTreeSet<&str>,
) -> Found {
    let fetched = match gate {
        Ok(gate) => fetch::fetch(gate, url).await,
        Err(why) => Err(why.clone()),
    };
    let read = match fetched {
        Ok(bytes) => database::of_archive(bytes.clone(), url.to_owned(), names).map(|read| (bytes, read)),
        Err(why) => Err(why),
    };
    let (bytes, read) = match read {
        Ok(read) => read,
        Err(why) => {
            return (
                Some(Err(Unseen::because(format!("the advisory database cannot be fetched: {why}")))),
                None,
            );
        }
    };
    let kept = wanted.data_dir.as_deref().map(|folder| {
        let unwritten =
            |error: std::io::Error| format!("{} cannot be written: {}", folder.display(), io_cause(&error));
        fetch::keep(&bytes, folder).map_err(unwritten)
    });
    (Some(Ok(read)), kept)
}
