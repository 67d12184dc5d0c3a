//! Raw to validated configuration: every problem at once, each with its origin and its remedy.
//!
//! One [`table`] of keys drives everything. Layers: file, environment, flags; later wins. Never: the store, the
//! network, printing. Values of secrets never enter a message.

mod alerts;
mod build;
mod build_metrics;
mod build_spotify;
mod build_values;
pub mod certificate;
mod checks;
mod clients;
mod command;
mod comments;
pub(crate) mod dotenv;
mod facts;
pub(crate) mod file;
mod gather;
mod inventory;
mod json_lines;
pub mod keys;
mod live;
mod logs;
mod mail;
pub mod master_key;
mod network;
pub mod problem;
mod quoting;
pub mod reference;
pub mod sealed;
pub mod sealed_file;
pub mod show;
mod strays;
pub mod table;
mod typed;
pub mod unseal;
pub mod value;
pub mod whereabouts;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use alerts::{AlertsConfig, WebhookConfig};
pub use certificate::TlsFiles;
pub use checks::{client_id as check_client_id, is_on_loopback};
pub use clients::{ConfiguredClient, DocumentsConfig};
pub use inventory::SaidSecret;
pub use live::{Differences, Effective, Live};
pub use mail::{MailConfig, MailTls};
pub use network::Network;
pub use problem::{Origin, Problem, Wrong};
pub use quoting::{address, looks_random, shown};
pub use show::{MASK, Row};
pub use strays::Stray;
pub use typed::*;
pub use unseal::SealedFile;

use crate::ambient::Clock;
use crate::failure::Failure;
use crate::policy::environment::{EnvironmentPolicy, Facts, Judgement, Verdict};
use gather::Gathered;

/// Where the configuration comes from. Holding the environment as a value keeps loading testable.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`; else `SPOTIFY_MCP_CONFIG` names the file.
    pub file: Option<PathBuf>,
    /// `--env-file`; the real environment wins over it.
    pub env_file: Option<PathBuf>,
    /// The process's environment.
    pub env: BTreeMap<String, OsString>,
    /// Flags that stand for keys.
    pub flags: Vec<Flag>,
    /// What the configuration is for.
    pub purpose: Purpose,
}

/// A command-line flag that stands for a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// The key's path.
    pub key: &'static str,
    /// The flag as it is written.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// What a configuration is loaded for; a server that is about to start has more to fulfil.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To look at it.
    #[default]
    Inspect,
    /// To work beside the server, with its database: what an environment only warns of is `serve`'s to say.
    Administer {
        /// The database of the simulated Spotify's server.
        sandbox: bool,
    },
    /// To serve.
    Serve {
        /// With the simulated Spotify.
        sandbox: bool,
        /// The log level falls back by itself (`--for`).
        log_level_ends: bool,
    },
}

/// A configuration with everything that was found out about it.
pub struct Loaded {
    config: Config,
    gathered: Gathered,
    derived: BTreeMap<&'static str, String>,
    facts: Facts,
}

/// Loads the configuration. Reads the files that `sources` name, and nothing else.
///
/// # Errors
/// Only where this program was built from a broken policy; what is wrong with the configuration is in [`Loaded`].
pub fn load(sources: &Sources) -> Result<Loaded, Failure> {
    let (mut gathered, variables) = gather::gather(sources);
    let (config, derived) = build::build(&mut gathered, &variables);
    let signup_is_said = gathered.values.contains_key("auth.signup");
    let mut facts = facts::gather(&config, sources.purpose, signup_is_said, gathered.secret_files.iter());
    // A file that cannot be read may well say it.
    facts.policy_acknowledged |= gathered.unread.is_some();
    let serving_alone = |judgement: &Judgement| {
        matches!(sources.purpose, Purpose::Administer { .. }) && judgement.verdict != Verdict::Refuse
    };
    let judgements = EnvironmentPolicy::built_in()?.judge(&facts).into_iter();
    judgements.filter(|judgement| !serving_alone(judgement)).for_each(|judgement| gathered.judged(judgement));
    if let Some(files) = &config.server.tls {
        gathered.judge_certificate(files, &config);
    }
    // What a file that cannot be read would have said is not known to be missing.
    let mut unfit = if gathered.unread.is_some() { Vec::new() } else { unfit(&config, sources.purpose) };
    // Apps that cannot be read are no missing app.
    let has_apps = gathered.problems.iter().any(|problem| problem.key == "spotify.apps");
    unfit.retain(|problem| !has_apps || problem.key != "spotify.client_id");
    // A passphrase that cannot be read is no missing key.
    let is_key =
        |problem: &Problem| problem.code == "CONFIG_FILE_UNREADABLE" && problem.key == "security.passphrase";
    let has_key = gathered.problems.iter().any(is_key);
    for problem in unfit.into_iter().filter(|problem| !has_key || problem.code != "MASTER_KEY_MISSING") {
        gathered.refuse(problem);
    }
    Ok(Loaded { config, gathered, derived, facts })
}

/// What is wrong with contents that are to stand in a file at `path`, by the table of keys alone: neither the
/// environment nor the files of this machine count, and no policy.
pub fn judge_contents(root: &serde_json::Map<String, serde_json::Value>, path: &Path) -> Vec<Problem> {
    let mut gathered = gather::contents(root, path);
    // Wherever it runs, there will be a home.
    let home = ("HOME".to_owned(), ("/".to_owned(), Origin::Default));
    let _config = build::build(&mut gathered, &[home].into_iter().collect());
    let of_elsewhere = |problem: &Problem| problem.code == "CONFIG_FILE_UNREADABLE";
    gathered.problems.into_iter().filter(|problem| !of_elsewhere(problem)).collect()
}

/// Where data lives for a server with these sources, whose file has these contents. Where what is said about it cannot
/// be used here (a variable that is not set, say), it is not known.
///
/// # Errors
/// What keeps it from being known.
pub fn storage_of(
    sources: &Sources,
    root: &serde_json::Map<String, serde_json::Value>,
    path: &Path,
) -> Result<StorageConfig, Box<Problem>> {
    let (mut gathered, variables) = gather::opened(sources, root, path);
    let (config, _derived) = build::build(&mut gathered, &variables);
    match gathered.problems.into_iter().find(|problem| problem.key.starts_with("storage.")) {
        Some(problem) => Err(Box::new(problem)),
        None => Ok(config.storage),
    }
}

/// The contents of a plain configuration file as they stand, variables included.
///
/// # Errors
/// What is wrong with the file as a whole.
pub fn read_plain(path: &Path) -> Result<serde_json::Map<String, serde_json::Value>, Vec<Problem>> {
    file::read_plain(path).map(|tree| tree.root)
}

/// The text of a configuration file, whatever is in it.
///
/// # Errors
/// Where it cannot be read, is larger than 1 MiB, or is no text.
pub fn file_text(path: &Path) -> Result<String, Wrong> {
    file::read_text(path, sealed::LARGEST)
}

impl Loaded {
    /// Which sealed file the configuration came from; `None`: from none.
    pub const fn sealed(&self) -> Option<&SealedFile> {
        self.gathered.sealed.as_ref()
    }

    /// The configuration file that was named, read or not.
    pub fn file(&self) -> Option<&Path> {
        self.gathered.file.as_deref()
    }

    /// The dotenv file that was named, read or not.
    pub fn env_file(&self) -> Option<&Path> {
        self.gathered.env_file.as_deref()
    }

    /// Where the value of a key came from.
    pub fn origin_of(&self, key: &str) -> Origin {
        self.gathered.values.get(key).map_or(Origin::Default, |setting| setting.origin.clone())
    }

    /// Whether anything said the key: file, environment or flag.
    pub fn is_said(&self, key: &str) -> bool {
        self.gathered.values.contains_key(key)
    }

    /// Files that hold one secret each and were read.
    pub fn secret_files(&self) -> impl Iterator<Item = &Path> {
        self.gathered.secret_files.iter().map(PathBuf::as_path)
    }

    /// What works and should be known or changed.
    pub fn notices(&self) -> &[Problem] {
        &self.gathered.notices
    }

    /// What keeps the configuration from being used.
    pub fn problems(&self) -> &[Problem] {
        &self.gathered.problems
    }

    /// The configuration or dotenv file that was named and could not be read at all: what holds is not known.
    pub fn unread(&self) -> Option<&Path> {
        self.gathered.unread.as_deref()
    }

    /// What the policy was asked about.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The configuration, where nothing is wrong with it.
    ///
    /// # Errors
    /// Every problem, in the order in which it was found.
    pub fn accept(self) -> Result<Config, Vec<Problem>> {
        if self.gathered.problems.is_empty() { Ok(self.config) } else { Err(self.gathered.problems) }
    }

    /// The configuration even where something is wrong with it, for commands that only ask where the server is: a
    /// refused value has its default here.
    pub const fn as_far_as_valid(&self) -> &Config {
        &self.config
    }
}

impl Gathered {
    fn judged(&mut self, judgement: Judgement) {
        let origin = self.values.get(judgement.key).map_or(Origin::Default, |setting| setting.origin.clone());
        let wrong = Wrong::new(judgement.why, judgement.fix);
        let problem = Problem::new(&judgement.code, judgement.key, origin, wrong);
        match judgement.verdict {
            Verdict::Refuse => self.refuse(problem),
            Verdict::Warn | Verdict::Allow => self.notices.push(problem),
        }
    }

    /// What is wrong with certificate and key is a problem of the key that names the file.
    fn judge_certificate(&mut self, files: &TlsFiles, config: &Config) {
        let origin =
            |key: &str| self.values.get(key).map_or(Origin::Default, |setting| setting.origin.clone());
        let host = config.server.public_url.host_str().unwrap_or_default();
        match certificate::read(files, Clock::system().now()) {
            Err((key, wrong)) => {
                let problem = Problem::with_value(key, origin(key), wrong);
                self.refuse(problem);
            }
            Ok(pair) if !pair.covers(host) => {
                let wrong = Wrong::new(
                    format!("the certificate does not name {host}, the host of the public URL"),
                    "get one that names it, or set PUBLIC_URL to a host that the certificate names",
                );
                let key = certificate::CERTIFICATE;
                self.notices.push(Problem::new("TLS_CERTIFICATE_NAME", key, origin(key), wrong));
            }
            Ok(_) => {}
        }
    }

    /// Adds a problem of the configuration as a whole, unless it only follows from a value that was refused.
    fn refuse(&mut self, problem: Problem) {
        if !self.problems.iter().any(|known| known.key == problem.key) {
            self.problems.push(problem);
        }
    }
}

/// What a server about to start lacks.
fn unfit(config: &Config, purpose: Purpose) -> Vec<Problem> {
    let Purpose::Serve { sandbox, .. } = purpose else { return Vec::new() };
    let mut problems = Vec::new();
    if config.spotify.apps.is_empty() && !sandbox {
        let fix = "create an app at developer.spotify.com/dashboard and set SPOTIFY_CLIENT_ID, or try 'serve --sandbox'";
        let wrong = Wrong::new("there is no Spotify app to log in with", fix);
        problems.push(Problem::new("CONFIG_MISSING", "spotify.client_id", Origin::Default, wrong));
    }
    let is_development = config.security.environment == crate::policy::Environment::Development;
    // Where that cannot be seen, it may.
    let lies_there = master_key::generated_path(&config.storage.data_dir).try_exists().unwrap_or(true);
    if facts::no_key_is_said(config) && !is_development && !lies_there {
        problems.push(Problem::with_value("security.master_key", Origin::Default, master_key::missing()));
    }
    problems
}

#[cfg(test)]
mod readers;
#[cfg(test)]
mod tests;
