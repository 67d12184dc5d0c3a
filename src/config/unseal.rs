//! Opens a sealed configuration file for loading. The key comes from outside the file (environment, systemd
//! credential, command, passphrase, `<data_dir>/master.key`), because nothing in it is believed before it is opened.
//!
//! An opened file means exactly what its decrypted form means: `${NAME}` is replaced in both. Never: a value in a
//! message, or a guess where a file looks sealed and does not open.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::file::{Tree, whole_file};
use super::gather::{Gathered, Setting, Variables};
use super::master_key::{KeyRefusal, MasterKey, find};
use super::problem::{Problem, Wrong};
use super::sealed::{self, Fault, Opened, Opener, Refusal, Sealed};
use super::{Sources, build, gather, json_lines};
use crate::crypto::kdf::KdfError;
use crate::crypto::keys::RootKey;

/// Files with these names are refused unless they are sealed: a plain file in their place is a way around the seal.
const SEALED_NAMES: [&str; 2] = [".encrypted.json", ".sealed.json"];

/// Which sealed file a configuration came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedFile {
    /// The same in every revision of one file.
    pub lineage: String,
    /// Counts up from 1.
    pub rev: u64,
    /// SHA-256 of its text, in hexadecimal.
    pub digest: String,
}

impl SealedFile {
    /// What identifies an opened file.
    pub fn of(opened: &Opened, text: &str) -> Self {
        Self { lineage: opened.header.lineage.clone(), rev: opened.header.rev, digest: digest(text) }
    }
}

/// SHA-256 of a file's text, in hexadecimal.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a file of this name may only be sealed.
pub fn must_be_sealed(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    SEALED_NAMES.iter().any(|end| name.ends_with(end))
}

/// Whether a text is a sealed file, however damaged or named. TOML never begins with a brace.
pub fn looks_sealed(path: &Path, text: &str) -> bool {
    let is_json = path.extension().is_some_and(|ext| ext.eq_ignore_ascii_case("json"));
    (is_json || text.trim_start().starts_with('{')) && sealed::is_sealed(text)
}

/// The key that opens sealed files, from everywhere but a configuration file; `None`: no source has one.
///
/// # Errors
/// Where a source has something that is no usable key.
pub fn key_from(sources: &Sources) -> Result<Option<MasterKey>, KeyRefusal> {
    let (outside, variables) = gather::outside(sources);
    outside_key(outside.values, &variables)
}

/// The same from values that are gathered already.
pub(super) fn outside_key(
    values: BTreeMap<&'static str, Setting>,
    variables: &Variables,
) -> Result<Option<MasterKey>, KeyRefusal> {
    let mut outside = Gathered { values, ..Gathered::default() };
    let (said, data_dir) = build::key_sources(&mut outside, variables);
    find(&said, &data_dir)
}

/// Opens a text with the key that was found.
///
/// # Errors
/// As [`Sealed::parse`] and [`Sealed::open`].
pub fn open(text: &str, key: &MasterKey) -> Result<Opened, Refusal> {
    let sealed = Sealed::parse(text)?;
    match key {
        MasterKey::Key { key, .. } => sealed.open(&Opener::Master(&RootKey::new(key.clone()))),
        MasterKey::Passphrase { passphrase, .. } => sealed.open(&Opener::Passphrase(passphrase, None)),
    }
}

pub(super) fn open_tree(
    path: &Path,
    text: &str,
    key: Result<Option<MasterKey>, KeyRefusal>,
) -> Result<Tree, Vec<Problem>> {
    let refused = |code: &str, wrong| vec![whole_file(code, path, None, wrong)];
    if !sealed::is_sealed(text) {
        return Err(refused("CONFIG_TAMPERED", not_sealed()));
    }
    // What is wrong with the text alone is said first: it needs no key to be seen.
    Sealed::parse(text).map_err(|refusal| refused(refusal.code(), in_words(&refusal)))?;
    let key = match key {
        Ok(Some(key)) => key,
        Ok(None) => return Err(refused(NO_KEY, no_key())),
        Err(KeyRefusal { place, wrong }) => {
            let why = format!("its key from {place} cannot be used: {}", wrong.why);
            return Err(refused(wrong.code, Wrong::new(why, wrong.fix)));
        }
    };
    let opened = open(text, &key).map_err(|refusal| refused(refusal.code(), in_words(&refusal)))?;
    let (lines, _) = json_lines::scan(text);
    let sealed = Some(SealedFile::of(&opened, text));
    let faults: Vec<Problem> = opened
        .faults()
        .into_iter()
        .map(|fault| {
            let key = sealed::dotted(&fault.path);
            let line = lines.get(&key).copied();
            let origin = super::Origin::Sealed { path: path.to_owned(), line };
            Problem::new("CONFIG_SCHEMA", key, origin, fault_in_words(&fault))
        })
        .collect();
    if faults.is_empty() { Ok(Tree { root: opened.plain, lines, sealed }) } else { Err(faults) }
}

/// The code where no source has a key.
pub const NO_KEY: &str = "CONFIG_NO_KEY_SOURCE";

/// What to say where no source has a key.
pub fn no_key() -> Wrong {
    Wrong::new(
        "it is sealed, and there is no key to open it: nothing in the file itself can name one",
        "set SPOTIFY_MCP_MASTER_KEY_FILE (or SPOTIFY_MCP_MASTER_KEY, a systemd credential, \
         SPOTIFY_MCP__SECURITY__MASTER_KEY_COMMAND, SPOTIFY_MCP__SECURITY__PASSPHRASE_FILE), or DATA_DIR if the key lies there",
    )
    .coded(NO_KEY)
}

/// What to say of a file whose name promises a seal that is not there.
pub fn not_sealed() -> Wrong {
    Wrong::new(
        "its name says that it is sealed, and its content is not",
        "find out who replaced it; seal a plain file with 'spotify-mcp config encrypt IN -o OUT'",
    )
    .coded("CONFIG_TAMPERED")
}

/// Why a file is refused, and the next step.
pub fn in_words(refusal: &Refusal) -> Wrong {
    let fix = match refusal {
        Refusal::WrongKey(_) => {
            "give the key of one of these slots; 'spotify-mcp config status FILE' lists them"
        }
        Refusal::Tampered(_) => {
            "restore the file from version control or FILE.bak, and find out who changed it; change it with 'spotify-mcp config set'"
        }
        Refusal::RolledBack { .. } => "use the newest revision, or start once with --allow-rollback REASON",
        Refusal::Version(_) => "use the version of spotify-mcp that wrote it, or a newer one",
        Refusal::Kdf(KdfError::ShortPassphrase) => "use a longer passphrase, or one of the other slots",
        Refusal::Kdf(_) => {
            "nothing was spent on it: restore the file from version control or FILE.bak, and find out who changed it; to add a slot, remove another first"
        }
        Refusal::Schema(_) => "seal the file anew with 'spotify-mcp config encrypt'",
    };
    Wrong::new(refusal.to_string(), fix).coded(refusal.code())
}

/// What is wrong with one value, and what to do.
pub fn fault_in_words(fault: &Fault) -> Wrong {
    let (why, fix) = if fault.sealed {
        ("it is sealed, and no secret: nobody can review it", "decrypt the file and encrypt it again")
    } else {
        ("it is a secret, and stands in the clear", "write ${NAME}, or decrypt the file and encrypt it again")
    };
    Wrong::new(why, fix).coded("CONFIG_SCHEMA")
}
