//! The master key: found in the order of product.md 7, judged strictly, made in development alone.
//!
//! Everything at rest hangs on this key, so a near miss (another alphabet, a missing byte, white space) is refused
//! with the mistake named instead of being repaired. Never: printing or logging key material.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::command::run_for_secret;
use super::file::read_text;
use super::gather::one_line;
use super::problem::Wrong;
use super::{Config, MasterKeyConfig, PassphraseKdf};
use crate::ambient::Dice;
use crate::crypto::{Key, SecretString};
use crate::policy::Environment;
use crate::reading::io_cause;

const MAKE_ONE: &str = "make one with 'spotify-mcp config keygen'";
/// A key and its line end, with room for mistakes worth naming.
const MAX_BYTES: usize = 4_096;

/// The master key as it was found.
#[derive(Debug)]
pub enum MasterKey {
    /// 32 bytes, ready for use.
    Key {
        /// The key.
        key: Key,
        /// Where it was found, in words.
        place: KeyPlace,
    },
    /// A passphrase from which the store's salt and parameters derive the key.
    Passphrase {
        /// The passphrase.
        passphrase: SecretString,
        /// The derivation for a fresh store.
        kdf: PassphraseKdf,
        /// Where it was said, in words.
        said: String,
    },
}

/// Where a master key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In the configuration: environment, `_FILE` or file, in words.
    Said(String),
    /// The systemd credential `master-key`.
    Credential(PathBuf),
    /// Printed by `security.master_key_command`.
    Command,
    /// `<data_dir>/master.key`, there before.
    BesideData(PathBuf),
    /// `<data_dir>/master.key`, made just now.
    Made(PathBuf),
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(place) => out.write_str(place),
            Self::Credential(path) => write!(out, "systemd credential {}", path.display()),
            Self::Command => out.write_str("security.master_key_command"),
            Self::BesideData(path) => write!(out, "{}", path.display()),
            Self::Made(path) => write!(out, "{} (made just now)", path.display()),
        }
    }
}

/// Why there is no usable master key: where, what is wrong, what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyRefusal {
    /// Where it was looked for, in words.
    pub place: String,
    /// Code, reason and remedy.
    pub wrong: Wrong,
}

/// Finds the master key, or makes one in `<data_dir>/master.key` in development. May run a program and write a
/// file: call it once, before the server starts.
pub fn master_key(config: &Config, dice: &Dice) -> Result<MasterKey, KeyRefusal> {
    match find(&config.security.master_key, &config.storage.data_dir)? {
        Some(found) => Ok(found),
        None => make(config, dice),
    }
}

/// Finds the master key where one of the sources has it; makes nothing.
///
/// # Errors
/// Where the first source that says something says no usable key.
pub fn find(said: &MasterKeyConfig, data_dir: &Path) -> Result<Option<MasterKey>, KeyRefusal> {
    let found = |key, place| Ok(Some(MasterKey::Key { key, place }));
    if let Some((text, place)) = &said.value {
        let key = decode(text.expose()).map_err(|wrong| KeyRefusal { place: place.clone(), wrong })?;
        return found(key, KeyPlace::Said(place.clone()));
    }
    if let Some(path) = &said.credential {
        return found(key_file(path, false)?, KeyPlace::Credential(path.clone()));
    }
    if !said.command.is_empty() {
        let refused = |wrong| KeyRefusal { place: KeyPlace::Command.to_string(), wrong };
        let printed = run_for_secret(&said.command).map_err(refused)?;
        return found(decode(one_line(printed.expose())).map_err(refused)?, KeyPlace::Command);
    }
    if let Some((passphrase, place)) = &said.passphrase {
        let (passphrase, said_at) = (passphrase.clone(), place.clone());
        return Ok(Some(MasterKey::Passphrase { passphrase, kdf: said.kdf, said: said_at }));
    }
    let path = generated_path(data_dir);
    match path.symlink_metadata() {
        Ok(_) => found(key_file(&path, true)?, KeyPlace::BesideData(path)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(unseen(&path, &error)),
        Err(_) => Ok(None),
    }
}

/// Where the generated key lies.
pub fn generated_path(data_dir: &Path) -> PathBuf {
    data_dir.join("master.key")
}

/// Whether there is one cannot be seen.
fn unseen(path: &Path, error: &std::io::Error) -> KeyRefusal {
    let why = format!("whether a key lies there cannot be seen: {}", io_cause(error));
    let wrong = Wrong::new(why, "let this user into the data directory, or set DATA_DIR");
    let wrong = wrong.coded("MASTER_KEY_UNREADABLE").of_file(error);
    KeyRefusal { place: path.display().to_string(), wrong }
}

fn make(config: &Config, dice: &Dice) -> Result<MasterKey, KeyRefusal> {
    let path = generated_path(&config.storage.data_dir);
    if config.security.environment != Environment::Development {
        return Err(KeyRefusal { place: "every source".into(), wrong: missing() });
    }
    make_data_dir(&config.storage.data_dir)
        .and_then(|()| write_new(&path, &generate(dice)))
        .map_err(|error| unwritable(&path, &error))?;
    // Read back: what counts is what the next start will find, also where another process was first.
    Ok(MasterKey::Key { key: key_file(&path, true)?, place: KeyPlace::Made(path) })
}

/// What to say where no source has a key and none may be made.
pub fn missing() -> Wrong {
    let fix = "make one with 'spotify-mcp config keygen -o FILE', and set SPOTIFY_MCP_MASTER_KEY_FILE=FILE";
    Wrong::new("there is no master key, and only development makes one by itself", fix)
        .coded("MASTER_KEY_MISSING")
}

fn unwritable(path: &Path, error: &std::io::Error) -> KeyRefusal {
    let why = format!("a first master key cannot be written there: {}", io_cause(error));
    let wrong =
        Wrong::new(why, "make the data directory writable, or set DATA_DIR").coded("MASTER_KEY_UNWRITABLE");
    KeyRefusal { place: path.display().to_string(), wrong }
}

/// The data directory with room for its owner alone.
pub fn make_data_dir(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a key from a file; `private`: only where nobody but its owner can.
///
/// # Errors
/// Where it cannot be read, others have access to it, or it is no key: each with the mistake named.
pub fn key_file(path: &Path, private: bool) -> Result<Key, KeyRefusal> {
    let refused = |wrong: Wrong| KeyRefusal { place: path.display().to_string(), wrong };
    let mode = path.metadata().map_or(0, |file| file.mode());
    if private && mode & 0o077 != 0 {
        let why = format!("others than its owner have access to it (mode {:04o})", mode & 0o7777);
        return Err(refused(
            Wrong::new(why, format!("chmod 600 {}", path.display())).coded("MASTER_KEY_EXPOSED"),
        ));
    }
    let text = Zeroizing::new(
        read_text(path, MAX_BYTES).map_err(|wrong| refused(wrong.coded("MASTER_KEY_UNREADABLE")))?,
    );
    decode(one_line(&text)).map_err(refused)
}

/// A fresh key as text: base64 of 32 random bytes.
pub fn generate(dice: &Dice) -> SecretString {
    let bytes = Zeroizing::new(dice.bytes::<32>());
    SecretString::new(STANDARD.encode(*bytes))
}

/// Writes a secret to a new file with mode 0600: whole and on disk, or not at all, and never over another file.
pub fn write_new(path: &Path, text: &SecretString) -> std::io::Result<()> {
    let line = Zeroizing::new(format!("{}\n", text.expose()));
    write_new_bytes(path, line.as_bytes())
}

/// The same for bytes as they stand.
pub fn write_new_bytes(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.new", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = write_temporary(&temporary, bytes)
        // A link, unlike a rename, fails where the name is taken.
        .and_then(|()| std::fs::hard_link(&temporary, path));
    let removed = std::fs::remove_file(&temporary);
    written.and(removed)?;
    std::fs::File::open(folder)?.sync_all()
}

fn write_temporary(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether the text is a master key, for the key table.
pub fn check(text: &str) -> Result<(), Wrong> {
    decode(text).map(|_| ())
}

/// Base64 (RFC 4648 section 4, padded, canonical) of 32 bytes that are not plainly made up.
pub fn decode(text: &str) -> Result<Key, Wrong> {
    if let Some(wrong) = mistake(text) {
        return Err(wrong);
    }
    let mut bytes = Zeroizing::new([0_u8; 34]);
    let length = STANDARD.decode_slice(text, &mut *bytes).map_err(|_| {
        let why = "it is not canonical base64: a character was changed, lost or added";
        Wrong::new(why, "copy the key again").coded("MASTER_KEY_ALPHABET")
    })?;
    let mut key = Zeroizing::new([0; 32]);
    match bytes.get(..length) {
        Some(found) if found.len() == key.len() => key.copy_from_slice(found),
        _ => return Err(length_mistake(length)),
    }
    if is_trivial(&key) {
        let why = "it is not random (a pattern, or text in base64)";
        return Err(Wrong::new(why, format!("{MAKE_ONE}; for words of your own use security.passphrase"))
            .coded("MASTER_KEY_TRIVIAL"));
    }
    Ok(Key::new(*key))
}

/// Names what is wrong with the text before it is decoded, the most telling mistake first.
fn mistake(text: &str) -> Option<Wrong> {
    let body = text.trim_end_matches('=');
    let padding = text.len() - body.len();
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let wrong = |code, why: String, fix: &str| Some(Wrong::new(why, fix).coded(code));
    if text.is_empty() {
        return wrong("MASTER_KEY_EMPTY", "it is empty".into(), MAKE_ONE);
    }
    let inner = text.trim_matches(['"', '\'', '`']);
    if inner.len() != text.len() && !inner.is_empty() {
        return wrong(
            "MASTER_KEY_QUOTED",
            "it is in quotes".into(),
            "write the 44 characters without quotes",
        );
    }
    if text.trim_end_matches(['\n', '\r']).len() != text.len() {
        let fix = "leave the line break out; in a file of its own the key may end in one";
        return wrong("MASTER_KEY_WHITESPACE", "it ends in a line break".into(), fix);
    }
    if text.contains(char::is_whitespace) {
        return wrong(
            "MASTER_KEY_WHITESPACE",
            "it contains white space".into(),
            "write the 44 characters without spaces, line breaks or quotes",
        );
    }
    if is_hex {
        let fix = "convert the same 32 bytes: xxd -r -p | base64";
        return wrong("MASTER_KEY_HEX", "it is hexadecimal, not base64".into(), fix);
    }
    if body.contains(['-', '_']) {
        let fix = "replace - by + and _ by /, and keep one = at the end";
        return wrong("MASTER_KEY_URL_SAFE", "it uses the URL-safe alphabet (- or _)".into(), fix);
    }
    if body.bytes().any(|byte| !byte.is_ascii_alphanumeric() && byte != b'+' && byte != b'/') {
        return wrong("MASTER_KEY_ALPHABET", "it contains characters that are not base64".into(), MAKE_ONE);
    }
    let bytes = body.len() * 3 / 4;
    if bytes != 32 || body.len() % 4 == 1 {
        return Some(length_mistake(bytes));
    }
    match padding {
        1 => None,
        0 => wrong("MASTER_KEY_PADDING", "the = at its end is missing".into(), "write the = at the end"),
        more => wrong(
            "MASTER_KEY_PADDING",
            format!("it ends in {more} = instead of one"),
            "write one = at the end",
        ),
    }
}

fn length_mistake(bytes: usize) -> Wrong {
    let (code, word) = if bytes < 32 { ("MASTER_KEY_SHORT", "short") } else { ("MASTER_KEY_LONG", "long") };
    Wrong::new(format!("it is too {word}: {bytes} bytes instead of 32"), MAKE_ONE).coded(code)
}

/// A repeated pattern, an arithmetic sequence, or printable text: each at most 2^-45 likely for a random key.
fn is_trivial(key: &[u8; 32]) -> bool {
    let repeats = |period: usize| key.iter().zip(key.iter().skip(period)).all(|(one, next)| one == next);
    let step = key[1].wrapping_sub(key[0]);
    let sequence = key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step);
    let text = key.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    sequence || text || [1, 2, 4, 8, 16].into_iter().any(repeats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        decode(text).unwrap_err().code
    }

    #[test]
    fn every_mistake_is_named() {
        let good = generate(&Dice::system());
        let good = good.expose();
        assert!(decode(good).is_ok());
        assert_eq!(code(""), "MASTER_KEY_EMPTY");
        assert_eq!(code(&format!("{good} ")), "MASTER_KEY_WHITESPACE");
        assert_eq!(code(&format!("{good}\n")), "MASTER_KEY_WHITESPACE");
        assert_eq!(code(&"ab".repeat(32)), "MASTER_KEY_HEX");
        assert_eq!(code(&format!("-_{}", &good[2..])), "MASTER_KEY_URL_SAFE");
        assert_eq!(code(good.trim_end_matches('=')), "MASTER_KEY_PADDING");
        assert_eq!(code(&format!("{good}=")), "MASTER_KEY_PADDING");
        assert_eq!(code(&format!("\"{good}\"")), "MASTER_KEY_QUOTED");
        assert_eq!(code(&format!("'{good}'")), "MASTER_KEY_QUOTED");
        assert_eq!(code(&format!("\"{good}\n\"")), "MASTER_KEY_QUOTED");
        assert!(decode(&format!("{good}\r\n")).unwrap_err().why.contains("line break"));
        assert_eq!(code(&STANDARD.encode([9; 16])), "MASTER_KEY_SHORT");
        assert_eq!(code(&STANDARD.encode([9; 31])), "MASTER_KEY_SHORT");
        assert_eq!(code(&STANDARD.encode([9; 33])), "MASTER_KEY_LONG");
        assert_eq!(code(&STANDARD.encode([9; 64])), "MASTER_KEY_LONG");
        assert_eq!(code(&good[..30]), "MASTER_KEY_SHORT");
        assert_eq!(code(&"A".repeat(100_000)), "MASTER_KEY_LONG");
    }

    #[test]
    fn made_up_keys_are_refused() {
        let ascending: Vec<u8> = (0..32).collect();
        let words = b"this is my very own secret key!!";
        for bytes in
            [&[0; 32], &[255; 32], ascending.as_slice(), words, &[1, 2].repeat(16), &[1, 2, 3, 4].repeat(8)]
        {
            assert_eq!(code(&STANDARD.encode(bytes)), "MASTER_KEY_TRIVIAL");
        }
    }

    #[test]
    fn unused_bits_must_be_zero() {
        let mut text = STANDARD.encode([1; 31].iter().chain(&[200]).copied().collect::<Vec<u8>>());
        text.replace_range(42..43, "J");
        assert_eq!(code(&text), "MASTER_KEY_ALPHABET");
    }
}
