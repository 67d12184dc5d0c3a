//! Facts and rules of the area `config`: the configuration as it stands and as it takes effect, the files it leads to, and
//! this program's own cryptography.
//!
//! Never: changing anything; a rule that does input or output; a secret in a fact.

mod acl;
mod cases;
mod files;
pub(super) mod master;
mod places;
mod rules_access;
mod rules_configuration;
mod rules_files;
mod rules_keys;
mod rules_places;
mod rules_sessions;
pub(super) mod seal;
mod secrets;
mod self_tests;
#[cfg(test)]
mod tests;
mod trivial;
mod way;

use std::path::PathBuf;

use super::{Request, Rule, Runs, Seen, Source, Unseen, Verdict};
use crate::config::{Config, Origin, Problem, Stray};
use crate::crypto::kdf::Kdf;
use crate::domain::scope::Scope;
use crate::policy::ToolPolicies;
use crate::policy::environment;

pub use acl::{Granted, Who};
pub use cases::cases;
pub use files::{FileSeen, Found, Role, There};
pub use master::{Master, Place};
pub use seal::Seal;
pub use secrets::{Concealed, Secret};
pub use self_tests::SelfTest;
pub use way::{Above, Link};

/// The key that says the master key.
const KEY: &str = "security.master_key";

/// What is known of a server by its configuration, its files, its database and its trail.
#[derive(Clone)]
pub struct Facts {
    /// The configuration, with the default of what was refused.
    pub config: Config,
    /// The configuration file that was named.
    pub file: Option<PathBuf>,
    /// It or the dotenv file, of which nothing could be read: `config` is not what holds.
    pub unread: Option<PathBuf>,
    /// What `serve` would refuse.
    pub problems: Vec<Problem>,
    /// What `serve` would warn of.
    pub notices: Vec<Problem>,
    /// What the environment's policy is asked about.
    pub asked: environment::Facts,
    /// Who may sign up was said.
    pub signup_is_said: bool,
    /// Whether the configuration file is sealed, and opens.
    pub seal: Seal,
    /// The master key.
    pub master: Master,
    /// Each place where a key is derived from a passphrase (a path, and `#` and a slot), and how.
    pub derivations: Vec<(String, Kdf)>,
    /// Why it cannot be seen how the server's own key is derived, although it is.
    pub kept_unseen: Option<Unseen>,
    /// Every secret that was said.
    pub secrets: Vec<Secret>,
    /// What reads as a secret where none belongs.
    pub strays: Vec<Stray>,
    /// The files that the configuration leads to.
    pub files: Vec<FileSeen>,
    /// The user that looks.
    pub me: u32,
    /// Memory of dead processes, and copies of files with secrets.
    pub residue: files::Residue,
    /// Published vectors of every primitive.
    pub vectors: Vec<SelfTest>,
    /// Whether a sealed value opens in its own place alone.
    pub binding: Vec<SelfTest>,
    /// Our scopes that people are asked for and that no tool needs.
    pub scopes_unneeded: Vec<&'static str>,
}

/// Looks. What cannot be seen is a fact too.
pub async fn gather(request: &Request, runs: Runs) -> Facts {
    let (loaded, dice) = (&request.loaded, &request.dice);
    let config = loaded.as_far_as_valid().clone();
    let seal = seal::look(loaded);
    let master = master::look(loaded, dice, runs);
    let files = files::look(loaded);
    let sealed = matches!(seal, Seal::Open { .. } | Seal::Refused { .. }).then(|| loaded.file()).flatten();
    let kept = kept(&config, &master);
    Facts {
        residue: files::residue(&files, sealed),
        kept_unseen: kept.as_ref().err().cloned(),
        derivations: seal.derivations().into_iter().chain(kept.ok().flatten()).collect(),
        secrets: secrets::all(loaded, &seal.ends(), dice),
        strays: loaded.strays(),
        file: loaded.file().map(ToOwned::to_owned),
        unread: loaded.unread().map(ToOwned::to_owned),
        problems: loaded.problems().to_vec(),
        notices: loaded.notices().to_vec(),
        asked: loaded.facts().clone(),
        me: rustix::process::geteuid().as_raw(),
        signup_is_said: loaded.origin_of("auth.signup") != Origin::Default,
        vectors: self_tests::vectors(),
        binding: self_tests::binding(dice),
        scopes_unneeded: scopes_unneeded(),
        config,
        seal,
        master,
        files,
    }
}

/// How the server's own key is derived, where it is a passphrase.
fn kept(config: &Config, master: &Master) -> Seen<Option<(String, Kdf)>> {
    if !matches!(master, Master::Passphrase { .. }) {
        return Ok(None);
    }
    Ok(master::kept(config)?.map(|(path, kdf)| (path.display().to_string(), kdf)))
}

fn scopes_unneeded() -> Vec<&'static str> {
    let Ok(policies) = ToolPolicies::embedded() else { return Scope::ALL.map(Scope::name).to_vec() };
    let needed: Vec<Scope> =
        policies.names().filter_map(|tool| policies.of(tool)).map(|tool| tool.scope).collect();
    Scope::ALL.into_iter().filter(|scope| !needed.contains(scope)).map(Scope::name).collect()
}

/// A rule that judges what the configuration says: where the file could not be read, nobody knows.
macro_rules! said {
    ($judge:path) => {
        |facts, ground| unread(facts).unwrap_or_else(|| $judge(facts, ground))
    };
}

/// Every rule of `security-check config`.
pub const RULES: &[Rule<Facts>] = &[
    Rule { id: "SMC1001", judge: said!(rules_keys::master_key_sound) },
    Rule { id: "SMC1002", judge: said!(rules_keys::key_source) },
    Rule { id: "SMC1004", judge: rules_keys::bound_to_place },
    Rule { id: "SMC1008", judge: rules_keys::derivation_strong },
    Rule { id: "SMC1010", judge: rules_keys::primitives_right },
    Rule { id: "SMC2002", judge: said!(rules_configuration::no_secret_in_the_clear) },
    Rule { id: "SMC2003", judge: rules_configuration::no_stray_keys },
    Rule { id: "SMC2004", judge: rules_files::files_closed },
    Rule { id: "SMC2005", judge: said!(rules_configuration::no_known_credentials) },
    Rule { id: "SMC2006", judge: said!(rules_configuration::quiet_log) },
    Rule { id: "SMC2008", judge: said!(rules_places::redirects_exact) },
    Rule { id: "SMC2009", judge: rules_configuration::least_scopes },
    Rule { id: "SMC2010", judge: said!(rules_configuration::rotation_scheduled) },
    Rule { id: "SMC2011", judge: rules_configuration::would_start },
    Rule { id: "SMC2012", judge: rules_files::nothing_left_behind },
    Rule { id: "SMC2013", judge: said!(rules_places::public_url_protected) },
    Rule { id: "SMC2014", judge: said!(rules_places::upstreams_genuine) },
    Rule { id: "SMC2015", judge: said!(rules_access::signup_decided) },
    Rule { id: "SMC2016", judge: said!(rules_places::data_at_home) },
    Rule { id: "SMC2017", judge: said!(rules_access::credential_always) },
    Rule { id: "SMC3001", judge: said!(rules_sessions::lifetimes) },
    Rule { id: "SMC3002", judge: said!(rules_sessions::capped) },
    Rule { id: "SMC3008", judge: said!(rules_access::registration_constrained) },
    Rule { id: "SMC3011", judge: said!(rules_sessions::limits) },
    Rule { id: "SMC3012", judge: said!(rules_places::origins_named) },
    Rule { id: "SMC3013", judge: said!(rules_places::cookies_protected) },
];

fn unread(facts: &Facts) -> Option<Vec<Verdict>> {
    let path = facts.unread.as_ref()?;
    let why =
        "a file of the configuration cannot be read, so what it says is not known (see SMC2001, SMC2011)";
    Some(vec![Verdict::error(Source::file(path), why)])
}

/// Where a problem stands.
fn place_of(problem: &Problem) -> Source {
    place(&problem.origin, &problem.key)
}

/// Where the value of a key stands.
fn place(origin: &Origin, key: &str) -> Source {
    match origin {
        Origin::File { path, line } | Origin::Sealed { path, line } => {
            Source::File { path: path.clone(), line: line.and_then(|line| u32::try_from(line).ok()) }
        }
        Origin::SecretFile { path, .. } => Source::file(path),
        Origin::EnvFile { path, .. } => Source::file(path),
        _ => Source::key(key),
    }
}
