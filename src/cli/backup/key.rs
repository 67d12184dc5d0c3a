//! The key of a backup: the server's own, or the one in a file for a backup that was made under another.

use std::path::{Path, PathBuf};

use crate::backup::Header;
use crate::cli::output::{Output, Refused, io_cause};
use crate::cli::serve_start::{key_refused, roots_at_hand, stretch};
use crate::config::Config;
use crate::config::master_key::{key_file, missing};
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;
use crate::failure::{During as _, Failure};

/// Another key than the server's own.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// Open with the master key in this file, instead of the server's own
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArgs {
    /// The key that was named, else the server's own. A passphrase is derived as the backup says: the data directory may
    /// be lost.
    pub fn find(&self, header: &Header, config: &Config, output: &Output) -> Result<RootKey, Refused> {
        self.find_all(header, config, output).map(|roots| roots[0].clone())
    }

    /// That key first, and every other one that is at hand: the present database may know more under the server's own.
    pub fn find_all(
        &self,
        header: &Header,
        config: &Config,
        output: &Output,
    ) -> Result<Vec<RootKey>, Refused> {
        if let Some(path) = &self.key_file {
            let named = key_file(path, true).map(RootKey::new).map_err(key_refused)?;
            let others = own(config, &Output::silent()).unwrap_or_default();
            return Ok([vec![named], others].concat());
        }
        match (&config.security.master_key.passphrase, &header.kdf) {
            (Some((passphrase, _)), Some(kdf)) if is_passphrase(config) => {
                stretch(kdf, passphrase).map(|root| vec![root])
            }
            _ => {
                let mut roots = own(config, output)?;
                roots.sort_by_key(|root| root.id().to_string() != header.sealed_under);
                Ok(roots)
            }
        }
    }
}

/// The server's own keys, the configured one first. Nothing is made where there is none.
pub fn own(config: &Config, output: &Output) -> Result<Vec<RootKey>, Refused> {
    let none = || {
        let wrong = missing();
        Refused::usage(wrong.code, "there is no master key", wrong.fix)
    };
    roots_at_hand(config, output)?.filter(|roots| !roots.is_empty()).ok_or_else(none)
}

/// How the server's key is derived, where it is a passphrase.
pub fn kdf(config: &Config) -> Result<Option<Kdf>, Failure> {
    if !is_passphrase(config) {
        return Ok(None);
    }
    let text =
        std::fs::read(config.storage.data_dir.join("master.kdf.json")).during("reading master.kdf.json")?;
    serde_json::from_slice(&text).map(Some).during("reading master.kdf.json")
}

/// The sources before it say nothing.
fn is_passphrase(config: &Config) -> bool {
    let said = &config.security.master_key;
    said.value.is_none() && said.credential.is_none() && said.command.is_empty() && said.passphrase.is_some()
}

/// A folder for what is made in passing.
pub fn have_data_dir(path: &Path) -> Result<(), Refused> {
    crate::config::master_key::make_data_dir(path).map_err(|error| {
        let text = format!("the data directory {} cannot be made: {}", path.display(), io_cause(&error));
        Refused::incomplete("DATA_DIR_UNWRITABLE", text, "set DATA_DIR to a folder that this user may write")
    })
}
