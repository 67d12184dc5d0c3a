//! Where a trail is, and what the database knows of it. A folder that is named needs no valid configuration.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audit::line::KeyChange;
use crate::audit::note::{self, Verifier};
use crate::audit::reader::Segment;
use crate::audit::survey;
use crate::cli::administer::{Place, configured_place, configured_place_as_far_as_valid, runtime};
use crate::cli::output::{Refused, io_cause};
use crate::config::Config;
use crate::store::{ChainMark, Store};
use crate::vault::rotation::{Facts, Succession};

/// Which trail.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// The trail in this folder, a copy for example, instead of the configured one
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// A trail's folder, and the configuration that leads to its database.
pub(super) struct Trail {
    pub(super) dir: PathBuf,
    pub(super) config: Config,
    /// Whether the folder was named: then the configured database may be of other trails.
    pub(super) is_named: bool,
}

impl Which {
    pub(super) fn trail(&self, place: &Place<'_>) -> Result<Trail, Refused> {
        match &self.dir {
            Some(dir) => {
                let config = configured_place_as_far_as_valid(place)?;
                dir.read_dir().map_err(|error| unread(dir, &error))?;
                Ok(Trail { dir: dir.clone(), config, is_named: true })
            }
            None => {
                let config = configured_place(place)?.0;
                Ok(Trail { dir: config.audit.dir.clone(), config, is_named: false })
            }
        }
    }
}

impl Trail {
    /// Its segments; a refusal where there are none.
    pub(super) fn segments(&self) -> Result<Vec<Segment>, Refused> {
        let found = survey::segments(&self.dir).map_err(|error| unread(&self.dir, &error))?;
        if found.is_empty() {
            return Err(Refused::incomplete(
                "AUDIT_EMPTY",
                format!("there is no audit trail in {}", self.dir.display()),
                "name its folder with --dir, or the configuration of the server that writes it with --config",
            ));
        }
        Ok(found)
    }
}

/// The trail cannot be read.
pub(super) fn unread(path: &Path, error: &std::io::Error) -> Refused {
    let text = format!("{} cannot be read: {}", path.display(), io_cause(error));
    Refused::incomplete(
        "AUDIT_UNREADABLE",
        text,
        "run it as a user who may read the trail, or name another --dir",
    )
}

/// What the database said.
#[derive(Default)]
pub(super) struct Known {
    /// Its marks of every chain.
    pub(super) marks: Vec<ChainMark>,
    /// How one evidence key followed another, as rotations left it.
    pub(super) successions: Vec<Succession>,
    /// Whether several servers share it, each with a trail of its own.
    pub(super) is_shared: bool,
    /// Why it was not asked, or did not answer.
    pub(super) silent: Option<String>,
}

/// Asks the database which chains there are and how far they were signed.
pub(super) fn ask(config: &Config) -> Result<Known, Refused> {
    let url = config.storage.url.expose();
    let silent = |why: &str| Known { silent: Some(why.to_owned()), ..Known::default() };
    if !Store::may_be_at(url) {
        return Ok(silent("there is no database"));
    }
    Ok(runtime()?.block_on(async {
        let store = match Store::open_unchanged(url).await {
            Ok(store) => store,
            Err(error) => return silent(error.what),
        };
        let marks = store.audit_chains().await;
        // A database of before there were rotations has none.
        let facts = store.signing_facts().await.unwrap_or_default();
        let successions = facts.iter().filter_map(|facts| Facts::parse(facts).succession).collect();
        let is_shared = store.is_postgres();
        store.close().await;
        match marks {
            Ok(marks) => Known { marks, successions, is_shared, silent: None },
            Err(_) => silent("it cannot be read, or was never used by this version"),
        }
    }))
}

impl Known {
    pub(super) fn of(&self, chain: &str) -> Option<&ChainMark> {
        self.marks.iter().find(|mark| mark.chain_uid == chain)
    }

    /// The keys that the database knows of a chain.
    pub(super) fn keys(&self, chain: &str) -> Vec<Verifier> {
        let mark = self.of(chain);
        let texts = mark.map(|mark| [&mark.first_key, &mark.key]).into_iter().flatten();
        let mut keys: Vec<Verifier> = texts.filter_map(|text| Verifier::parse(text)).collect();
        keys.dedup();
        keys
    }

    /// How one key of a chain followed another. Not to be believed but by the signatures in it.
    pub(super) fn changes(&self, chain: &str) -> Vec<KeyChange> {
        let origin = note::origin(chain);
        let decode = |text: &str| STANDARD.decode(text).ok();
        let key = |text: &str| Verifier::new(&origin, &decode(text)?);
        let change = |one: &Succession| {
            let (old, new) = (key(&one.old_public_key)?, key(&one.new_public_key)?);
            Some(KeyChange {
                old,
                new,
                succession: decode(&one.signature),
                predecessor: decode(&one.predecessor),
            })
        };
        self.successions.iter().filter_map(change).collect()
    }
}

/// Reads keys that were given.
pub(super) fn keys(given: &[String]) -> Result<Vec<Verifier>, Refused> {
    let read = |text: &String| {
        Verifier::parse(text).ok_or_else(|| {
            Refused::usage(
                "AUDIT_KEY_WRONG",
                "--vkey is no public key of a trail",
                "it looks like spotify-mcp/audit/<chain>+<8 digits>+<base64>; 'audit verify' shows those in use",
            )
        })
    };
    given.iter().map(read).collect()
}
