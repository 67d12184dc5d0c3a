//! What is to be looked at: the configuration, right or wrong, and what the command line says beside it.

use std::path::PathBuf;

use url::Url;

use super::profile::Profile;
use crate::ambient::{Clock, Dice, Timestamp};
use crate::config::Loaded;
use crate::policy::Environment;

/// What is to be looked at. Gathering takes only what it needs of it.
pub struct Request {
    /// The configuration as `serve` would load it, right or wrong.
    pub loaded: Loaded,
    /// Whose thresholds hold.
    pub profile: Profile,
    /// The network is out of what was asked; nothing may be sent.
    pub offline: bool,
    /// This program is started apart and tried (`--probe`).
    pub probe: bool,
    /// A live server to ask (`--live`).
    pub live: Option<Url>,
    /// Where the advisory database is: a folder or an archive (`--advisory-db`).
    pub advisory_db: Option<PathBuf>,
    /// Where to fetch the advisory database from (`--fetch-advisories`).
    pub fetch_advisories: Option<String>,
    /// A lock file instead of this program's own dependency list (`--lockfile`).
    pub lockfile: Option<PathBuf>,
    /// A copy of the registry's index (`--registry-index`).
    pub registry_index: Option<PathBuf>,
    /// A release's list of SHA-256 digests (`--release-manifest`).
    pub release_manifest: Option<PathBuf>,
    /// Which licences packages may be under: the text of `licences.toml`, built in or of `--policies`.
    pub licences: String,
    /// `host:port` of TLS servers to look at instead of the configured ones (`--address`).
    pub addresses: Vec<String>,
    /// The process that `runtime` judges, instead of the server that runs on the data directory (`--pid`).
    pub pid: Option<u32>,
    /// Where `/proc` and `/sys` of the judged system stand, where not below `/` (`--system-root`).
    pub system_root: Option<PathBuf>,
    /// A PEM file of certificate authorities that are trusted beside the public ones (`--ca`).
    pub ca: Option<PathBuf>,
    /// The time, for what goes on after the run began.
    pub clock: Clock,
    /// Chance, for probes.
    pub dice: Dice,
    /// When the run began: the time of every judgement.
    pub now: Timestamp,
}

impl Request {
    /// The environment that the configuration names, or that holds by default.
    pub const fn environment(&self) -> Environment {
        self.loaded.as_far_as_valid().security.environment
    }
}
