//! What the commands on sealed files share: the key that opens them, files read, locked and replaced, and every
//! refusal with its typed status.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node, json};

use super::keygen::already_there;
use super::ledger::Ledger;
use crate::cli::configured::{self, parts};
use crate::cli::output::{Exit, Part, Refused, SealedExit, io_cause};
use crate::cli::{Global, secret_input};
use crate::config::master_key::{KeyRefusal, MasterKey, key_file};
use crate::config::sealed::{Fault, Header, Opened, Opener, Refusal, Sealed, Slot, dotted, is_sealed};
use crate::config::sealed_file::{self, Trouble};
use crate::config::unseal::{fault_in_words, in_words, key_from, no_key, not_sealed};
use crate::config::{Origin, Problem, Purpose, Wrong};
use crate::crypto::SecretString;
use crate::crypto::keys::RootKey;
use crate::failure::Failure;

/// Other keys than the server's own.
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    /// Open with the passphrase in this file, instead of the server's key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["passphrase", "recovery_key_file"])]
    passphrase_file: Option<PathBuf>,
    /// Open with a passphrase, asked for without echo
    #[arg(long, conflicts_with = "recovery_key_file")]
    passphrase: bool,
    /// Open with the recovery key in this file
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
    /// Open a revision that is older than what a server has used, and record why
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    allow_rollback: Option<String>,
}

/// A key for one kind of slot, and where it was found.
pub struct FoundKey {
    kind: KeyKind,
    /// In words.
    pub place: String,
}

enum KeyKind {
    Master(RootKey),
    Passphrase(SecretString),
    Recovery(RootKey),
}

impl FoundKey {
    /// As the format takes it.
    pub const fn opener(&self) -> Opener<'_> {
        match &self.kind {
            KeyKind::Master(root) => Opener::Master(root),
            KeyKind::Passphrase(passphrase) => Opener::Passphrase(passphrase, None),
            KeyKind::Recovery(root) => Opener::Recovery(root),
        }
    }

    pub const fn master(root: RootKey, place: String) -> Self {
        Self { kind: KeyKind::Master(root), place }
    }

    pub const fn passphrase(passphrase: SecretString, place: String) -> Self {
        Self { kind: KeyKind::Passphrase(passphrase), place }
    }

    pub const fn recovery(root: RootKey, place: String) -> Self {
        Self { kind: KeyKind::Recovery(root), place }
    }
}

/// A sealed file that was opened, and is not older than what is known to have been used.
pub struct Held {
    /// The file.
    pub open: Open,
    /// What is known beside it.
    pub ledger: Ledger,
}

/// A sealed file that was opened.
pub struct Open {
    /// Its text, as it was read.
    pub text: String,
    /// What is in it.
    pub opened: Opened,
}

impl Held {
    /// Makes the next revision newer than every one that was used, also where this one is not the newest.
    pub fn overtake(&mut self) {
        let header = &mut self.open.opened.header;
        header.rev = header.rev.max(self.ledger.newest());
    }
}

impl KeyArgs {
    /// The key that was named, else the server's own from outside every configuration file.
    pub fn find(&self, global: &Global) -> Result<FoundKey, Refused> {
        match self.named(global)? {
            Some(key) => Ok(key),
            None => server_key(global)?.ok_or_else(no_key_refused),
        }
    }

    /// Opens a file with that key, and holds it against what servers have used.
    pub fn hold(&self, path: &Path, global: &Global) -> Result<Held, Refused> {
        present(path)?;
        self.hold_with(path, &self.find(global)?, global)
    }

    /// The same with a key that was found before.
    pub fn hold_with(&self, path: &Path, key: &FoundKey, global: &Global) -> Result<Held, Refused> {
        let open = open(path, key)?;
        let known = (&open.opened.header, &open.opened.plain);
        let ledger = Ledger::current(path, known, self.allow_rollback.as_deref(), global)?;
        Ok(Held { open, ledger })
    }

    fn named(&self, global: &Global) -> Result<Option<FoundKey>, Refused> {
        if let Some(path) = &self.passphrase_file {
            let passphrase = secret_input::from_file(path)?;
            return Ok(Some(FoundKey::passphrase(passphrase, path.display().to_string())));
        }
        if self.passphrase {
            let typed = secret_input::asked("Passphrase", &global.output())?;
            return Ok(Some(FoundKey::passphrase(typed, "the terminal".to_owned())));
        }
        let Some(path) = &self.recovery_key_file else { return Ok(None) };
        recovery_key(path).map(Some)
    }
}

/// The recovery key in a file.
pub fn recovery_key(path: &Path) -> Result<FoundKey, Refused> {
    let key = key_file(path, true).map_err(|refusal| key_refused(&refusal))?;
    Ok(FoundKey::recovery(RootKey::new(key), path.display().to_string()))
}

/// The server's own key, from outside every configuration file.
pub fn server_key(global: &Global) -> Result<Option<FoundKey>, Refused> {
    let sources = configured::sources(global, Vec::new(), Purpose::Inspect);
    let found = key_from(&sources).map_err(|refusal| key_refused(&refusal))?;
    Ok(found.map(|key| match key {
        MasterKey::Key { key, place } => FoundKey::master(RootKey::new(key), place.to_string()),
        MasterKey::Passphrase { passphrase, said, .. } => FoundKey::passphrase(passphrase, said),
    }))
}

/// Reads and opens a sealed file that nobody but its owner may write.
pub fn open(path: &Path, key: &FoundKey) -> Result<Open, Refused> {
    let text = read(path)?;
    let opened = open_text(path, &text, key)?;
    Ok(Open { text, opened })
}

/// Whether there is a sealed file, before a key or a word is asked for it.
pub fn present(path: &Path) -> Result<(), Refused> {
    read(path).map(drop)
}

/// Reads a sealed file; nothing in it is believed yet.
pub fn read(path: &Path) -> Result<String, Refused> {
    let text = sealed_file::read(path).map_err(|trouble| troubled(path, trouble))?;
    if is_sealed(&text) {
        return Ok(text);
    }
    if crate::config::unseal::must_be_sealed(path) {
        let wrong = not_sealed();
        let why = format!("{}: {}", path.display(), wrong.why);
        return Err(Refused::new(Exit::Sealed(SealedExit::Tampered), wrong.code, why, wrong.fix));
    }
    Err(Refused::usage(
        "CONFIG_NOT_SEALED",
        format!("{} is no sealed file", path.display()),
        "seal a copy with 'spotify-mcp config encrypt IN -o OUT', or edit the plain file by hand",
    ))
}

/// Opens a text.
pub fn open_text(path: &Path, text: &str, key: &FoundKey) -> Result<Opened, Refused> {
    Sealed::parse(text).and_then(|sealed| sealed.open(&key.opener())).map_err(|why| refused(path, &why))
}

/// Whether a text opens with a key and holds these contents: what is proven before a file is replaced.
pub fn proven(text: &str, key: &FoundKey, contents: &Map<String, Node>) -> Result<(), String> {
    let opened = Sealed::parse(text).and_then(|sealed| sealed.open(&key.opener()));
    let opened = opened.map_err(|refusal| refusal.to_string())?;
    if opened.plain == *contents { Ok(()) } else { Err("other values came back than were sealed".to_owned()) }
}

/// Everything that is wrong with opened contents, as one refusal.
pub fn judge(path: &Path, contents: &Map<String, Node>, faults: &[Fault]) -> Result<(), Refused> {
    let fault = |fault: &Fault| {
        let origin = Origin::Sealed { path: path.to_owned(), line: None };
        Problem::new("CONFIG_SCHEMA", dotted(&fault.path), origin, fault_in_words(fault))
    };
    let mut problems: Vec<Problem> = faults.iter().map(fault).collect();
    problems.extend(crate::config::judge_contents(contents, path));
    if problems.is_empty() { Ok(()) } else { Err(invalid(path, parts(&problems))) }
}

fn invalid(path: &Path, problems: Vec<Part>) -> Refused {
    let (count, path) = (problems.len(), path.display());
    let text = format!("{path} has {count} problem{} as a configuration", if count == 1 { "" } else { "s" });
    let next = "mend all of them; nothing was changed";
    Refused::new(Exit::Sealed(SealedExit::Schema), "CONFIG_SCHEMA", text, next).with_parts(problems)
}

/// Why a sealed file is refused, with its typed status.
pub fn refused(path: &Path, refusal: &Refusal) -> Refused {
    let exit = match refusal {
        Refusal::WrongKey(_) => SealedExit::WrongKey,
        Refusal::Tampered(_) => SealedExit::Tampered,
        Refusal::RolledBack { .. } => SealedExit::RolledBack,
        Refusal::Version(_) => SealedExit::Version,
        Refusal::Kdf(_) => SealedExit::Kdf,
        Refusal::Schema(_) => SealedExit::Schema,
    };
    let wrong = in_words(refusal);
    Refused::new(Exit::Sealed(exit), wrong.code, format!("{}: {}", path.display(), wrong.why), wrong.fix)
}

/// Why there is no key.
pub fn no_key_refused() -> Refused {
    let wrong = no_key();
    Refused::new(
        Exit::Sealed(SealedExit::NoKey),
        wrong.code,
        "no source has a key for sealed files",
        wrong.fix,
    )
}

fn key_refused(refusal: &KeyRefusal) -> Refused {
    let Wrong { code, why, fix, .. } = &refusal.wrong;
    let text = format!("the key from {} cannot be used: {why}", refusal.place);
    Refused::new(Exit::Sealed(SealedExit::NoKey), *code, text, fix.clone())
}

/// Why a file cannot be read or replaced.
pub fn troubled(path: &Path, trouble: Trouble) -> Refused {
    let shown = path.display();
    match trouble {
        Trouble::Unreadable(wrong) => Refused::usage("CONFIG_FILE_UNREADABLE", wrong.why, wrong.fix),
        Trouble::Writable(mode) => Refused::new(
            Exit::Sealed(SealedExit::Mode),
            "CONFIG_FILE_MODE",
            format!("others than its owner may write {shown} (mode {mode:04o})"),
            format!("check who wrote to it, then: chmod go-w {shown}"),
        ),
        Trouble::Locked => Refused::new(
            Exit::Sealed(SealedExit::Locked),
            "CONFIG_LOCKED",
            format!("another command is changing {shown}"),
            "try again when it has ended",
        ),
        Trouble::Changed => Refused::new(
            Exit::Sealed(SealedExit::Locked),
            "CONFIG_CHANGED_MEANWHILE",
            format!("{shown} was changed by something else in the meantime and stays as it is"),
            "look at the change and try again",
        ),
        Trouble::Exists => already_there(path),
        Trouble::NotProven(why) => Refused::incomplete(
            "CONFIG_NOT_PROVEN",
            format!("what was written for {shown} does not read back: {why}; the file stays as it was"),
            "check the disk and try again",
        ),
        Trouble::Io(error) => {
            let text = format!("{shown} cannot be written: {}", io_cause(&error));
            let next = "name a file in a folder that exists and that this user may write";
            Refused::incomplete("FILE_UNWRITABLE", text, next).caused_by(&Failure::from(error))
        }
    }
}

/// A header for programs.
pub fn slots_document(header: &Header) -> Node {
    let one = |slot: &Slot| json!({ "id": slot.id, "kind": slot.kind.name(), "key_id": slot.key_id, "created_at": slot.created_at, "kdf": slot.kdf });
    header.slots.iter().map(one).collect()
}

/// A header for people: one line for each slot.
pub fn slots_in_words(header: &Header) -> String {
    let one = |slot: &Slot| {
        format!(
            "  slot {}  {:10}  key {}  since {}\n",
            slot.id,
            slot.kind.name(),
            slot.key_id,
            slot.created_at
        )
    };
    header.slots.iter().map(one).collect()
}
