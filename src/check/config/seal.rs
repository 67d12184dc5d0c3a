//! Whether the configuration file is sealed, and what its header says. Never: a value of it.

use std::path::{Path, PathBuf};

use crate::config::sealed::{Header, Sealed, dotted};
use crate::config::{Loaded, file_text, unseal};
use crate::crypto::kdf::Kdf;

/// The configuration file.
#[derive(Clone, Debug)]
pub enum Seal {
    /// None was named.
    NoFile,
    /// It cannot be read, for this reason.
    Unseen(PathBuf, String),
    /// It is plain.
    Plain(PathBuf),
    /// It is sealed and opens.
    Open {
        /// Where it is.
        path: PathBuf,
        /// What it says of itself, authentic.
        header: Box<Header>,
        /// SHA-256 of its text, in hexadecimal.
        digest: String,
    },
    /// It is sealed, or should be, and is refused.
    Refused {
        /// Where it is.
        path: PathBuf,
        /// Stable.
        code: String,
        /// Why.
        why: String,
        /// What to do.
        fix: String,
    },
}

/// Looks at the file that was loaded.
pub fn look(loaded: &Loaded) -> Seal {
    let Some(path) = loaded.file() else { return Seal::NoFile };
    let text = match file_text(path) {
        Ok(text) => text,
        Err(wrong) => return Seal::Unseen(path.to_owned(), wrong.why),
    };
    if loaded.sealed().is_some() {
        return match Sealed::parse(&text) {
            Ok(sealed) => Seal::Open {
                path: path.to_owned(),
                header: Box::new(sealed.header().clone()),
                digest: unseal::digest(&text),
            },
            Err(_) => Seal::Unseen(path.to_owned(), "it changed while it was read".to_owned()),
        };
    }
    if !unseal::must_be_sealed(path) && !unseal::looks_sealed(path, &text) {
        return Seal::Plain(path.to_owned());
    }
    refused(loaded, path)
}

fn refused(loaded: &Loaded, path: &Path) -> Seal {
    let said =
        loaded.problems().iter().find(|problem| problem.key == "the file" || problem.code == "CONFIG_SCHEMA");
    let (code, why, fix) = match said {
        Some(problem) => (problem.code.clone(), problem.why.clone(), problem.fix.clone()),
        None => ("CONFIG_FILE_UNREADABLE".to_owned(), "it is not opened".to_owned(), String::new()),
    };
    Seal::Refused { path: path.to_owned(), code, why, fix }
}

impl Seal {
    /// Which file it is, whatever its revision.
    pub fn lineage(&self) -> Option<&str> {
        match self {
            Self::Open { header, .. } => Some(&header.lineage),
            _ => None,
        }
    }

    /// When its secrets end: key and instant.
    pub fn ends(&self) -> Vec<(String, String)> {
        match self {
            Self::Open { header, .. } => {
                header.expires.iter().map(|(path, at)| (dotted(path), at.clone())).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How its slots derive keys from passphrases.
    pub fn derivations(&self) -> Vec<(String, Kdf)> {
        let Self::Open { path, header, .. } = self else { return Vec::new() };
        let slot = |slot: &crate::config::sealed::Slot| {
            Some((format!("{}#{}", path.display(), slot.id), slot.kdf.clone()?))
        };
        header.slots.iter().filter_map(slot).collect()
    }
}
