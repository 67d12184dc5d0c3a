//! The master key as rules see it: whether there is a usable one, where it comes from, and its digest. Never: a key.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::KEY;
use super::secrets::Concealed;
use crate::ambient::Dice;
use crate::check::{Runs, Seen, Unseen};
use crate::config::master_key::{self, KeyPlace, KeyRefusal, MasterKey};
use crate::config::{Config, Loaded, Origin, Problem, Wrong};
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::RootKey;
use crate::reading::{self, io_cause};

/// The master key.
#[derive(Clone, Debug)]
pub enum Master {
    /// No source has one.
    None,
    /// The first source that says something says no usable key.
    Refused {
        /// Where, in words.
        place: String,
        /// Stable.
        code: String,
        /// What is wrong with it.
        why: String,
        /// What to do.
        fix: String,
        /// This user may not read it; a server of another user may.
        is_closed: bool,
    },
    /// A program prints one, and was not run: no check that was asked needs it.
    Unrun(Place),
    /// A passphrase in its place.
    Passphrase {
        /// Where it was said.
        place: Place,
        /// What can be compared of it.
        words: Concealed,
    },
    /// 32 bytes.
    Key {
        /// Where they were found.
        place: Place,
        /// SHA-256 of them.
        digest: [u8; 32],
    },
}

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A variable of the environment.
    Environment(String),
    /// A file that holds nothing else.
    OwnFile(PathBuf),
    /// A sealed configuration.
    SealedFile(PathBuf),
    /// A plain configuration.
    PlainFile(PathBuf),
    /// A dotenv file.
    Dotenv(PathBuf),
    /// A systemd credential.
    Credential(PathBuf),
    /// A program prints it.
    Command,
    /// `<data_dir>/master.key`.
    BesideData(PathBuf),
    /// A flag, or typed.
    Typed,
}

/// Looks for the key as a start would, and makes none.
pub fn look(loaded: &Loaded, dice: &Dice, runs: Runs) -> Master {
    if let Some(problem) = refused(loaded) {
        return Master::Refused {
            place: problem.origin.to_string(),
            code: problem.code.clone(),
            why: problem.why.clone(),
            fix: problem.fix.clone(),
            is_closed: problem.is_closed,
        };
    }
    if !may_find(loaded, runs) {
        return Master::Unrun(printed(loaded));
    }
    match find(loaded) {
        Ok(None) => Master::None,
        Ok(Some(MasterKey::Key { key, place })) => {
            Master::Key { place: place_of(&place, loaded), digest: Sha256::digest(key.expose()).into() }
        }
        Ok(Some(MasterKey::Passphrase { passphrase, .. })) => {
            let place = said_at(&loaded.origin_of("security.passphrase"));
            Master::Passphrase { place, words: Concealed::of(passphrase.expose(), dice) }
        }
        Err(KeyRefusal { place, wrong }) => {
            let Wrong { code, why, fix, is_closed, .. } = wrong;
            Master::Refused { place, code: code.to_owned(), why, fix, is_closed }
        }
    }
}

/// The roots to open a database with, the configured one first; or why there are none.
pub fn roots(loaded: &Loaded, runs: Runs) -> Result<Vec<RootKey>, String> {
    if let Some(problem) = refused(loaded) {
        return Err(problem.why.clone());
    }
    if !may_find(loaded, runs) {
        return Err("no check that was asked needs the program that prints the master key".to_owned());
    }
    match find(loaded) {
        Ok(None) => Err("there is no master key".to_owned()),
        Ok(Some(MasterKey::Key { key, place })) => {
            let next = next_root(&place);
            Ok(std::iter::once(RootKey::new(key)).chain(next).collect())
        }
        Ok(Some(MasterKey::Passphrase { passphrase, .. })) => {
            let kept = kept(loaded.as_far_as_valid()).map_err(|unseen| unseen.why)?;
            let (_, kdf) = kept.ok_or("master.kdf.json is not in the data directory")?;
            kdf.derive(&passphrase).map(|key| vec![RootKey::new(key)]).map_err(|error| error.to_string())
        }
        Err(KeyRefusal { place, wrong }) => Err(format!("{place}: {}", wrong.why)),
    }
}

/// Whether the key is found without the program that prints it, or with it where it may be run.
fn may_find(loaded: &Loaded, runs: Runs) -> bool {
    let said = &loaded.as_far_as_valid().security.master_key;
    runs.command || said.command.is_empty() || said.value.is_some() || said.credential.is_some()
}

fn find(loaded: &Loaded) -> Result<Option<MasterKey>, KeyRefusal> {
    let config = loaded.as_far_as_valid();
    master_key::find(&config.security.master_key, &config.storage.data_dir)
}

/// What is wrong with the key's own text, or with a passphrase where nothing else says a key. Where it lies, and that there
/// is none, is judged by its place.
fn refused(loaded: &Loaded) -> Option<&Problem> {
    let of_place = ["MASTER_KEY_BESIDE_DATA", "MASTER_KEY_MISSING"];
    let said = &loaded.as_far_as_valid().security.master_key;
    let other = said.value.is_some() || said.credential.is_some() || !said.command.is_empty();
    let is_key = |problem: &Problem| {
        problem.key == KEY && !of_place.contains(&problem.code.as_str())
            || problem.key == "security.passphrase" && !other
    };
    loaded.problems().iter().find(|problem| is_key(problem))
}

fn place_of(place: &KeyPlace, loaded: &Loaded) -> Place {
    match place {
        KeyPlace::Said(_) => match said_at(&loaded.origin_of(KEY)) {
            Place::OwnFile(path) if is_within(&path, &loaded.as_far_as_valid().storage.data_dir) => {
                Place::BesideData(path)
            }
            place => place,
        },
        KeyPlace::Credential(path) => Place::Credential(path.clone()),
        KeyPlace::Command => printed(loaded),
        KeyPlace::BesideData(path) | KeyPlace::Made(path) => Place::BesideData(path.clone()),
    }
}

/// Where a program takes the key from that prints it, as far as its arguments say.
fn printed(loaded: &Loaded) -> Place {
    let config = loaded.as_far_as_valid();
    let data = &config.storage.data_dir;
    let words = config.security.master_key.command.iter().skip(1);
    let words = words.flat_map(|word| word.split(|c: char| c.is_whitespace() || "=:'\"".contains(c)));
    let beside = words.map(Path::new).find(|path| !path.is_dir() && is_within(path, data));
    beside.map_or(Place::Command, |path| Place::BesideData(path.to_owned()))
}

/// Whether a backup of the folder, or a thief of it, would have the file too; links followed.
fn is_within(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    path.starts_with(folder) || real(path).starts_with(real(folder))
}

fn said_at(origin: &Origin) -> Place {
    match origin {
        Origin::File { path, .. } => Place::PlainFile(path.clone()),
        Origin::Sealed { path, .. } => Place::SealedFile(path.clone()),
        Origin::Env(name) => Place::Environment(name.clone()),
        Origin::EnvFile { path, .. } => Place::Dotenv(path.clone()),
        Origin::SecretFile { path, .. } => Place::OwnFile(path.clone()),
        Origin::Default | Origin::Flag(_) => Place::Typed,
    }
}

/// What a rotation wrote beside a generated key, until it takes its name.
fn next_root(place: &KeyPlace) -> Option<RootKey> {
    let KeyPlace::BesideData(path) = place else { return None };
    let next = path.with_extension("key.next");
    next.symlink_metadata().ok()?;
    master_key::key_file(&next, true).ok().map(RootKey::new)
}

/// Salt and parameters are a few hundred bytes.
const LARGEST_KDF: u64 = 64 << 10;

/// How the server's key is derived, as the data directory keeps it; `None`: it keeps nothing yet.
pub fn kept(config: &Config) -> Seen<Option<(PathBuf, Kdf)>> {
    let path = config.storage.data_dir.join("master.kdf.json");
    let unseen = |why: &str| Unseen::because(format!("{} {why}", path.display()));
    match reading::bytes(&path, LARGEST_KDF) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(kdf) => Ok(Some((path, kdf))),
            Err(_) => Err(unseen("is damaged, or of another version")),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unseen(&format!("cannot be read: {}", io_cause(&error)))),
    }
}
