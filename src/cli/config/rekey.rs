//! `spotify-mcp config rekey`: a fresh file key, every value sealed anew, every slot wrapped anew, in one step.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::keygen::write_secret;
use super::ledger::{Deed, Ledger};
use super::safe::{self, FoundKey};
use crate::ambient::{Clock, Dice};
use crate::cli::Global;
use crate::cli::output::{Exit, Refused, SealedExit};
use crate::cli::secret_input;
use crate::config::master_key::{generate, key_file};
use crate::config::sealed::{Header, Opened, Opener, Sealed, Slot, SlotKind};
use crate::config::sealed_file::{self, Change, Lock};
use crate::config::unseal;
use crate::crypto::keys::RootKey;
use crate::domain::event::EventCode;

/// What `config rekey` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing that was ever in the hands of an old key opens the new file. Each slot needs its key, or has to be dropped by
name: a slot is never lost by accident. The previous file stays as FILE.bak, which the old keys still open: remove it
when the new one is in use.

Examples:
  spotify-mcp config rekey server.encrypted.json \\
      --recovery-key-file recovery.key
  spotify-mcp config rekey server.encrypted.json --new-master-key-file new.key \\
      --drop-slot 0123456789abcdef")]
pub struct Args {
    /// The sealed file
    file: PathBuf,
    /// The master key that opens it from now on; made there (mode 0600) when the file is absent
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
    #[command(flatten)]
    slots: SlotKeys,
    /// Drop the slot with this id; may be given several times
    #[arg(long, value_name = "ID")]
    drop_slot: Vec<String>,
}

/// The keys of the slots that stay, beside the server's own.
#[derive(Debug, clap::Args)]
pub struct SlotKeys {
    /// The passphrase of its passphrase slot
    #[arg(long, value_name = "FILE", conflicts_with = "passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Ask for the passphrase of its passphrase slot, without echo
    #[arg(long)]
    passphrase: bool,
    /// The key of its recovery slot
    #[arg(long, value_name = "FILE")]
    recovery_key_file: Option<PathBuf>,
}

/// What becomes of the slots of a file.
pub struct Plan<'a> {
    /// The sealed file.
    pub file: &'a Path,
    /// The master key that opens it from now on.
    pub new_master_key_file: Option<&'a Path>,
    /// The keys of the slots that stay.
    pub slots: &'a SlotKeys,
    /// The ids of those that go.
    pub drop: &'a [String],
    /// The command.
    pub verb: &'a str,
    /// How the command is told to drop a slot too.
    pub dropping: &'a str,
}

/// Rekeys the file.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let plan = Plan {
        file: &args.file,
        new_master_key_file: args.new_master_key_file.as_deref(),
        slots: &args.slots,
        drop: &args.drop_slot,
        verb: "config rekey",
        dropping: "drop it with --drop-slot",
    };
    carry_out(&plan, global)
}

/// A fresh file key, every value sealed anew, every slot that stays wrapped anew.
pub fn carry_out(args: &Plan<'_>, global: &Global) -> Result<Exit, Refused> {
    let path = args.file;
    safe::present(path)?;
    let keys = keys(args.slots, global)?;
    let lock = Lock::take(path).map_err(|trouble| safe::troubled(path, trouble))?;
    let text = safe::read(path)?;
    let (opened, kept) = open_slots(args, path, &text, keys)?;
    let known = (&opened.header, &opened.plain);
    let ledger = Ledger::current(path, known, None, global)?;
    let new_master = args.new_master_key_file.map(new_master_key).transpose()?;
    let kept = replace_master(kept, new_master)?;

    let openers: Vec<Opener<'_>> = kept.iter().map(Kept::opener).collect();
    let after = opened
        .rekey(&openers, Clock::system().now(), &Dice::system())
        .map_err(|refusal| safe::refused(path, &refusal))?;
    let proof = |back: &str| kept.iter().try_for_each(|kept| safe::proven(back, &kept.key, &opened.plain));
    let change = Change { before: &text, after: &after, keep: true };
    sealed_file::replace(&lock, path, change, &proof).map_err(|trouble| safe::troubled(path, trouble))?;
    let (rev, digest) = (opened.header.rev.saturating_add(1), unseal::digest(&after));
    let about = if args.drop.is_empty() {
        "every slot".to_owned()
    } else {
        format!("dropped {}", args.drop.join(" "))
    };
    let (code, verb) = (EventCode::ConfigRekeyed, args.verb);
    ledger.record(&opened.header, &Deed { code, verb, rev, digest: &digest, about: &about });
    report(args, &after, global)
}

/// Every key that was given: the server's own, a passphrase, a recovery key.
fn keys(args: &SlotKeys, global: &Global) -> Result<Vec<FoundKey>, Refused> {
    let mut keys: Vec<FoundKey> = safe::server_key(global)?.into_iter().collect();
    if let Some(path) = &args.passphrase_file {
        keys.push(FoundKey::passphrase(secret_input::from_file(path)?, path.display().to_string()));
    } else if args.passphrase {
        let typed = secret_input::asked("Passphrase", &global.output())?;
        keys.push(FoundKey::passphrase(typed, "the terminal".to_owned()));
    }
    if let Some(path) = &args.recovery_key_file {
        keys.push(safe::recovery_key(path)?);
    }
    if keys.is_empty() { Err(safe::no_key_refused()) } else { Ok(keys) }
}

/// A slot that stays, with the key that opened it.
struct Kept {
    slot: Slot,
    key: FoundKey,
}

impl Kept {
    fn opener(&self) -> Opener<'_> {
        match (self.key.opener(), &self.slot.kdf) {
            // The same derivation with the same salt: the passphrase's key stays what it was.
            (Opener::Passphrase(passphrase, _), kdf) => Opener::Passphrase(passphrase, kdf.as_ref()),
            (other, _) => other,
        }
    }
}

/// Opens the file by every slot that is to stay; a slot whose key is missing is named.
fn open_slots(
    args: &Plan<'_>,
    path: &Path,
    text: &str,
    keys: Vec<FoundKey>,
) -> Result<(Opened, Vec<Kept>), Refused> {
    let sealed = Sealed::parse(text).map_err(|refusal| safe::refused(path, &refusal))?;
    check_dropped(args, sealed.header())?;
    let (mut result, mut kept, mut refusal) = (None, Vec::new(), None);
    for key in keys {
        match sealed.clone().open_by(&key.opener()) {
            Ok((opened, slot)) => {
                result = Some(opened);
                if !args.drop.contains(&slot.id) && kept.iter().all(|kept: &Kept| kept.slot.id != slot.id) {
                    kept.push(Kept { slot, key });
                }
            }
            Err(why) => refusal = Some(why),
        }
    }
    let Some(opened) = result else {
        return Err(match refusal {
            Some(refusal) => safe::refused(path, &refusal),
            None => safe::no_key_refused(),
        });
    };
    match opened.header.slots.iter().find(|slot| will_be_lost(slot, args, &kept)) {
        Some(slot) => Err(lost(slot, args)),
        None => Ok((opened, kept)),
    }
}

fn will_be_lost(slot: &Slot, args: &Plan<'_>, kept: &[Kept]) -> bool {
    !args.drop.contains(&slot.id) && kept.iter().all(|kept| kept.slot.id != slot.id)
}

fn check_dropped(args: &Plan<'_>, header: &Header) -> Result<(), Refused> {
    let absent = args.drop.iter().find(|id| header.slots.iter().all(|slot| slot.id != **id));
    match absent {
        Some(_) => Err(Refused::usage(
            "CONFIG_SLOT_UNKNOWN",
            "the file has no slot with the id that was given",
            "'spotify-mcp config status FILE' lists them",
        )),
        None => Ok(()),
    }
}

fn lost(slot: &Slot, args: &Plan<'_>) -> Refused {
    let flag = match slot.kind {
        SlotKind::MasterKey => "set the key's source (SPOTIFY_MCP_MASTER_KEY_FILE)",
        SlotKind::Passphrase => "add --passphrase-file or --passphrase",
        SlotKind::Recovery => "add --recovery-key-file",
    };
    let text = format!("slot {} ({}) would be lost: its key was not given", slot.id, slot.kind.name());
    let next = format!("{flag}, or {} {}", args.dropping, slot.id);
    Refused::new(Exit::Sealed(SealedExit::WrongKey), "CONFIG_SLOT_WITHOUT_KEY", text, next)
}

/// The new master key: what lies in the file, else one that is made there.
pub(super) fn new_master_key(path: &Path) -> Result<FoundKey, Refused> {
    if path.symlink_metadata().is_err() {
        write_secret(path, &generate(&Dice::system()))?;
    }
    let key = key_file(path, true).map_err(|refusal| {
        let text = format!("the key from {} cannot be used: {}", refusal.place, refusal.wrong.why);
        Refused::new(Exit::Sealed(SealedExit::NoKey), refusal.wrong.code, text, refusal.wrong.fix)
    })?;
    Ok(FoundKey::master(RootKey::new(key), path.display().to_string()))
}

fn replace_master(mut kept: Vec<Kept>, new: Option<FoundKey>) -> Result<Vec<Kept>, Refused> {
    let Some(new) = new else { return if kept.is_empty() { Err(no_slot_left()) } else { Ok(kept) } };
    match kept.iter_mut().find(|kept| kept.slot.kind == SlotKind::MasterKey) {
        Some(kept) => kept.key = new,
        None => {
            let text = "there is no master key's slot to give the new key to";
            return Err(Refused::usage("CONFIG_SLOT_UNKNOWN", text, "leave --new-master-key-file out"));
        }
    }
    Ok(kept)
}

fn no_slot_left() -> Refused {
    let text = "no slot would be left, and nothing would open the file";
    Refused::usage("CONFIG_SLOT_LAST", text, "keep one slot")
}

fn report(args: &Plan<'_>, after: &str, global: &Global) -> Result<Exit, Refused> {
    let sealed = Sealed::parse(after).map_err(|refusal| safe::refused(args.file, &refusal))?;
    let header = sealed.header();
    let (file, backup) = (args.file.display(), sealed_file::backup_path(args.file));
    let new = match &args.new_master_key_file {
        Some(path) => format!("Servers need the master key from {} at their next start.\n", path.display()),
        None => String::new(),
    };
    let words = format!(
        "Rekeyed {file} (revision {})\n{}{new}The previous file stays as {}; the old keys open it.\n",
        header.rev,
        safe::slots_in_words(header),
        backup.display(),
    );
    let document = json!({
        "file": args.file, "backup": backup, "lineage": header.lineage, "rev": header.rev,
        "digest": unseal::digest(after), "slots": safe::slots_document(header),
    });
    global.output().result(&words, &document);
    Ok(Exit::Done)
}
