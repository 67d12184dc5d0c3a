//! What a reload reads and judges before anything changes: the configuration as a start would, and the master key that
//! its source has now. Never: taking anything over.

use std::path::Path;

use crate::alerts::NoReceiver;
use crate::config::master_key::{self, MasterKey};
use crate::config::{self, Config, Effective, Loaded, Origin, Problem, Sources, Wrong};
use crate::crypto::keys::RootKey;
use crate::failure::Failure;

/// The key that names the master key in what is told.
pub(super) const MASTER_KEY: &str = "security.master_key";

/// A configuration that may be taken over.
pub(super) struct Acceptable {
    pub(super) config: Config,
    pub(super) effective: Effective,
    pub(super) notices: Vec<Problem>,
    /// The master key that its source has; `None` for a passphrase, which is not derived here.
    pub(super) key: Option<RootKey>,
    /// The log level without the flag that raises it for a while.
    pub(super) usual_level: config::LogLevel,
}

/// Loads and judges; may wait for the command that prints the key.
pub(super) fn acceptable(
    sources: &Sources,
    usual: Option<&Sources>,
    data_dir: &Path,
) -> Result<Acceptable, Vec<Problem>> {
    let loaded = config::load(sources).map_err(|failure| vec![unexpected(&failure)])?;
    let usual = usual.map(config::load).transpose().map_err(|failure| vec![unexpected(&failure)])?;
    let (effective, notices) = (loaded.effective(), loaded.notices().to_vec());
    let config = loaded.accept()?;
    let usual_level = match usual.map(Loaded::accept).transpose()? {
        Some(usual) => usual.telemetry.log_level,
        None => config.telemetry.log_level,
    };
    let key = key(&config, data_dir)?;
    Ok(Acceptable { config, effective, notices, key, usual_level })
}

/// The master key that its source has. A server that could not be started again must not find out then, so a source
/// without a usable key is a problem now. A passphrase is not derived here.
fn key(config: &Config, data_dir: &Path) -> Result<Option<RootKey>, Vec<Problem>> {
    match master_key::find(&config.security.master_key, data_dir) {
        Ok(Some(MasterKey::Key { key, .. })) => Ok(Some(RootKey::new(key))),
        Ok(Some(MasterKey::Passphrase { .. })) => Ok(None),
        Ok(None) => Err(vec![problem(MASTER_KEY, master_key::missing())]),
        Err(refusal) => {
            let why = format!("no usable master key in {}: {}", refusal.place, refusal.wrong.why);
            let wrong = Wrong::new(why, refusal.wrong.fix).coded(refusal.wrong.code);
            Err(vec![problem(MASTER_KEY, wrong)])
        }
    }
}

/// Something of the configuration as a whole.
pub(super) fn problem(key: &str, wrong: Wrong) -> Problem {
    Problem::with_value(key, Origin::Default, wrong)
}

/// Somebody who is to be told of alerts can never be reached.
pub(super) fn unreachable(NoReceiver { key, why }: NoReceiver) -> Problem {
    problem(key, Wrong::new(why, NoReceiver::FIX).coded("CONFIG_HOST"))
}

/// What is nobody's mistake; the cause is in the log.
pub(super) fn unexpected(failure: &Failure) -> Problem {
    tracing::error!(cause = failure.chain(), "the configuration could not be read again");
    problem("--config", Wrong::new(failure.to_string(), "look at the server's log").coded("INTERNAL"))
}
