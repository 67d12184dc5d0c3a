//! What is known of a sealed file beside the file: the newest revision that a server has used, and the trail into which
//! what is done with it goes. Both are in the server's database, which the file itself (or the environment) names.
//!
//! A laptop or a build machine has no such database: then nothing is known and nothing recorded, and that is said.

use std::path::Path;

use serde_json::{Map, Value as Node, json};
use tokio::runtime::Runtime;

use super::safe;
use crate::ambient::{Clock, Dice};
use crate::cli::output::{Output, Refused};
use crate::cli::{Global, configured};
use crate::config::sealed::{Header, Refusal};
use crate::config::{Purpose, storage_of};
use crate::domain::event::{Event, EventCode, clean};
use crate::store::{OpenStoreError, Recorded, Store, UsedRevision};

/// The database of the servers that use a file, where it can be reached.
pub struct Ledger {
    database: Result<Database, String>,
    used: Option<UsedRevision>,
    /// Why an older revision was opened all the same.
    allowed: Option<String>,
    file: String,
    output: Output,
}

struct Database {
    store: Store,
    runtime: Runtime,
}

/// Something done with a file, for the trail.
pub struct Deed<'a> {
    /// What.
    pub code: EventCode,
    /// The command.
    pub verb: &'a str,
    /// Of the file as it is after it.
    pub rev: u64,
    /// SHA-256 of its text after it.
    pub digest: &'a str,
    /// Keys, or slots: never a value.
    pub about: &'a str,
}

impl Ledger {
    /// Looks up what is known of an opened file.
    pub fn of(path: &Path, header: &Header, contents: &Map<String, Node>, global: &Global) -> Self {
        let mut ledger = Self {
            database: database(path, contents, global),
            used: None,
            allowed: None,
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            output: global.output(),
        };
        if let Ok(database) = &ledger.database {
            match database.runtime.block_on(database.store.used_revision(&header.lineage)) {
                Ok(used) => ledger.used = used,
                Err(failure) => ledger.database = Err(clean(&failure.to_string())),
            }
        }
        ledger
    }

    /// The same, and refuses a file that is older than what a server has used, unless somebody says why.
    pub fn current(
        path: &Path,
        (header, contents): (&Header, &Map<String, Node>),
        allowed: Option<&str>,
        global: &Global,
    ) -> Result<Self, Refused> {
        let mut ledger = Self::of(path, header, contents, global);
        match (ledger.is_rolled_back(header), allowed) {
            (Some(refusal), None) => Err(safe::refused(path, &refusal)),
            (Some(_), Some(reason)) => {
                ledger.allowed = Some(reason.to_owned());
                Ok(ledger)
            }
            (None, _) => Ok(ledger),
        }
    }

    /// Why a file is older than what a server has used; `None`: it is not, as far as is known.
    pub fn is_rolled_back(&self, header: &Header) -> Option<Refusal> {
        let seen = self.used.as_ref()?.rev;
        (header.rev < seen).then_some(Refusal::RolledBack { found: header.rev, seen })
    }

    /// The newest revision that is known to have been used; 0: none is.
    pub fn newest(&self) -> u64 {
        self.used.as_ref().map_or(0, |used| used.rev)
    }

    /// What servers use, or why that is not known.
    pub fn used(&self) -> Result<Option<&UsedRevision>, &str> {
        match &self.database {
            Ok(_) => Ok(self.used.as_ref()),
            Err(why) => Err(why),
        }
    }

    /// Puts a deed on record for the server's trail, or says why it is not.
    pub fn record(&self, header: &Header, deed: &Deed<'_>) {
        let event = Event::new(deed.code)
            .operation(deed.verb)
            .subject(deed.about)
            .detail("file", &self.file)
            .detail("lineage", &header.lineage)
            .detail("rev", deed.rev.to_string())
            .detail("digest", deed.digest)
            .detail("os_user", rustix::process::getuid().as_raw().to_string());
        let event = match &self.allowed {
            Some(reason) => event.because(reason).detail("newest", self.newest().to_string()),
            None => event,
        };
        let event = Recorded::now(event, &Clock::system(), &Dice::system());
        let recorded = match &self.database {
            Ok(database) => {
                let done = database.runtime.block_on(database.store.record(&[event]));
                done.map_err(|failure| clean(&failure.to_string()))
            }
            Err(why) => Err(why.clone()),
        };
        if let Err(why) = recorded {
            self.output.note(&format!("note: not on record in an audit trail: {why}"));
        }
    }

    /// For programs.
    pub fn document(&self, header: &Header, digest: &str) -> Node {
        match self.used() {
            Err(why) => json!({ "known": false, "why": why }),
            Ok(None) => json!({ "known": true, "used": null }),
            Ok(Some(used)) => json!({
                "known": true,
                "used": { "rev": used.rev, "digest": used.digest, "at": used.at.rfc3339() },
                "is_this_file": used.digest == digest,
                "rolled_back": header.rev < used.rev,
            }),
        }
    }

    /// For people: one line.
    pub fn in_words(&self, header: &Header, digest: &str) -> String {
        match self.used() {
            Err(why) => format!("not known: {why}"),
            Ok(None) => "none has started with this file".to_owned(),
            Ok(Some(used)) if used.digest == digest => {
                format!("this very text, since {}", used.at.rfc3339())
            }
            Ok(Some(used)) => {
                let than = match header.rev.cmp(&used.rev) {
                    std::cmp::Ordering::Less => "newer than this file",
                    std::cmp::Ordering::Equal => "another text of the same revision",
                    std::cmp::Ordering::Greater => "older than this file: restart or reload them",
                };
                format!("revision {} ({than}), since {}, sha256 {}", used.rev, used.at.rfc3339(), used.digest)
            }
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        if let Ok(database) = &self.database {
            database.runtime.block_on(database.store.close());
        }
    }
}

fn database(path: &Path, contents: &Map<String, Node>, global: &Global) -> Result<Database, String> {
    let sources = configured::sources(global, Vec::new(), Purpose::Inspect);
    let storage = storage_of(&sources, contents, path)
        .map_err(|problem| format!("{} ({}): {}", problem.key, problem.origin, problem.why))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.kind().to_string())?;
    let unopened = |error: OpenStoreError| error.what.to_owned();
    let store = runtime.block_on(Store::open_unchanged(storage.url.expose())).map_err(unopened)?;
    Ok(Database { store, runtime })
}
