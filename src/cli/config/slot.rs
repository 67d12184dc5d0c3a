//! `spotify-mcp config slot add|remove`: the ways to open a sealed file. Adding leaves everything else as it is;
//! removing gives the file a fresh key, since whoever held the slot may know the one before.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::encrypt::KdfName;
use super::ledger::Deed;
use super::rekey::{self, Plan, SlotKeys, new_master_key};
use super::safe::{self, FoundKey, KeyArgs};
use super::set::save;
use crate::ambient::{Clock, Dice};
use crate::cli::output::{Exit, Refused};
use crate::cli::{Global, secret_input};
use crate::config::master_key::{decode, generate};
use crate::config::sealed::{MOST_SLOTS, Opener, Sealed};
use crate::config::sealed_file::Lock;
use crate::config::unseal;
use crate::crypto::SecretString;
use crate::crypto::keys::RootKey;
use crate::domain::event::EventCode;

/// What `config slot` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Let one more key open a sealed file
    Add(Add),
    /// Take the right to open a sealed file from a slot, under a fresh file key
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file is opened with the server's own key, or the one that is named. 8 slots at most; 'config status' lists them.

Examples:
  spotify-mcp config slot add server.encrypted.json --recovery-out recovery.key
  spotify-mcp config slot add server.encrypted.json \\
      --new-passphrase-file phrase --kdf pbkdf2-sha256")]
struct Add {
    /// The sealed file
    file: PathBuf,
    #[command(flatten)]
    new: New,
    /// How a key is derived from a passphrase: argon2id (64 MiB, 3 passes) or pbkdf2-sha256 (600,000 rounds)
    #[arg(long, value_name = "KDF", default_value = "argon2id", hide_possible_values = true)]
    kdf: KdfName,
    #[command(flatten)]
    opens: KeyArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct New {
    /// Let the passphrase in this file open it
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Let a passphrase open it, asked for without echo
    #[arg(long)]
    new_passphrase: bool,
    /// Make a recovery key that opens it, and write it to this new file; keep that file elsewhere
    #[arg(long, value_name = "FILE")]
    recovery_out: Option<PathBuf>,
    /// Let the master key in this file open it; made there (mode 0600) when the file is absent
    #[arg(long, value_name = "FILE")]
    new_master_key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file key changes, so each slot that stays needs its key. A copy from before, version control's history included, still
opens with what was removed: change the secrets themselves where that matters.

Examples:
  spotify-mcp config slot remove server.encrypted.json 0123456789abcdef
  spotify-mcp config slot remove server.encrypted.json 0123456789abcdef \\
      --recovery-key-file recovery.key")]
struct Remove {
    /// The sealed file
    file: PathBuf,
    /// The ids of the slots
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    slots: SlotKeys,
}

/// Runs the command that was named.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    match &args.command {
        Command::Add(args) => add(args, global),
        Command::Remove(args) => {
            let plan = Plan {
                file: &args.file,
                new_master_key_file: None,
                slots: &args.slots,
                drop: &args.ids,
                verb: "config slot remove",
                dropping: "remove it too: name it as well,",
            };
            rekey::carry_out(&plan, global)
        }
    }
}

fn add(args: &Add, global: &Global) -> Result<Exit, Refused> {
    let (path, dice) = (&args.file, Dice::system());
    safe::present(path)?;
    let key = args.opens.find(global)?;
    // What a person types comes before the lock.
    let (new, recovery) = new_key(&args.new, global, &dice)?;
    let lock = Lock::take(path).map_err(|trouble| safe::troubled(path, trouble))?;
    let mut held = args.opens.hold_with(path, &key, global)?;
    held.overtake();
    if held.open.opened.header.slots.len() >= MOST_SLOTS {
        let text = format!("{} has {MOST_SLOTS} slots, and may have no more", path.display());
        return Err(Refused::usage("CONFIG_SLOTS_FULL", text, "remove one with 'config slot remove'"));
    }
    let (open, kdf) = (&held.open, args.kdf.fresh(&dice));
    let opener = match new.opener() {
        Opener::Passphrase(passphrase, _) => Opener::Passphrase(passphrase, Some(&kdf)),
        other => other,
    };
    let after = open
        .opened
        .with_slot(&opener, Clock::system().now(), &dice)
        .map_err(|refusal| safe::refused(path, &refusal))?;
    safe::proven(&after, &new, &open.opened.plain)
        .map_err(|why| Refused::incomplete("CONFIG_NOT_PROVEN", why, "try again"))?;
    if let Some((path, text)) = &recovery {
        super::keygen::write_secret(path, text)?;
    }
    let saved = save(&lock, path, open, &after, (&key, &open.opened.plain));
    if let (Err(_), Some((path, _))) = (&saved, &recovery) {
        let _gone = std::fs::remove_file(path);
    }
    saved?;
    let sealed = Sealed::parse(&after).map_err(|refusal| safe::refused(path, &refusal))?;
    let (header, digest) = (sealed.header(), unseal::digest(&after));
    let about = header
        .slots
        .last()
        .map_or_else(String::new, |slot| format!("added {} {}", slot.kind.name(), slot.id));
    let (code, verb, rev) = (EventCode::ConfigRekeyed, "config slot add", header.rev);
    held.ledger.record(header, &Deed { code, verb, rev, digest: &digest, about: &about });
    let words = format!(
        "{} opens with one more key (revision {rev})\n{}The key is the one from {}\n",
        path.display(),
        safe::slots_in_words(header),
        new.place,
    );
    let document = json!({
        "file": path, "lineage": header.lineage, "rev": rev, "digest": digest, "slots": safe::slots_document(header),
    });
    global.output().result(&words, &document);
    Ok(Exit::Done)
}

type Recovery<'a> = Option<(&'a PathBuf, SecretString)>;

fn new_key<'a>(new: &'a New, global: &Global, dice: &Dice) -> Result<(FoundKey, Recovery<'a>), Refused> {
    if let Some(path) = &new.new_passphrase_file {
        let passphrase = secret_input::from_file(path)?;
        return Ok((FoundKey::passphrase(passphrase, path.display().to_string()), None));
    }
    if let Some(path) = &new.new_master_key_file {
        return Ok((new_master_key(path)?, None));
    }
    if let Some(path) = &new.recovery_out {
        let text = generate(dice);
        let key =
            decode(text.expose()).map_err(|wrong| Refused::incomplete(wrong.code, wrong.why, wrong.fix))?;
        let key = FoundKey::recovery(RootKey::new(key), path.display().to_string());
        return Ok((key, Some((path, text))));
    }
    let typed = secret_input::asked_twice("New passphrase", &global.output())?;
    Ok((FoundKey::passphrase(typed, "the terminal".to_owned()), None))
}
