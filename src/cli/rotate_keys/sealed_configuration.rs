//! The sealed configuration in a rotation: before it, a slot for the new master key beside the old one's, so that a
//! server starts with either (where that cannot be done, the rotation does not begin); after an emergency, a fresh file
//! key under the new master key alone, because whoever has the old one may have the file's too.

use std::path::PathBuf;

use crate::ambient::{Clock, Dice};
use crate::cli::administer::Desk;
use crate::cli::output::Refused;
use crate::config::sealed::{MOST_SLOTS, Opener, Sealed, SlotKind};
use crate::config::sealed_file::{self, Change, Lock, Trouble, backup_path};
use crate::config::unseal;
use crate::crypto::keys::RootKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;

/// A sealed configuration that a rotation concerns.
#[derive(Clone, Debug)]
pub(super) struct Concerned {
    /// The file.
    pub(super) path: PathBuf,
    /// The slot of the old key, to be dropped when every server has the new one.
    pub(super) old_slot: String,
}

/// The sealed configuration, where the old master key opens it by a slot.
pub(super) fn concerned(desk: &Desk, old: &str) -> Result<Option<Concerned>, Refused> {
    if desk.config.sealed.is_none() {
        return Ok(None);
    }
    let Some(path) = desk.config_file.clone() else { return Ok(None) };
    let text = sealed_file::read(&path).map_err(|trouble| refused(&path, &said(&trouble)))?;
    let sealed = Sealed::parse(&text).map_err(|refusal| refused(&path, &refusal.to_string()))?;
    let slots = &sealed.header().slots;
    let slot = slots.iter().find(|slot| slot.kind == SlotKind::MasterKey && slot.key_id == old);
    Ok(slot.map(|slot| Concerned { old_slot: slot.id.clone(), path }))
}

/// Adds the slot for the new key, unless it is there. `keep`: the text before it stays as `FILE.bak`.
pub(super) fn give_slot(
    concerned: &Concerned,
    (old, new): (&RootKey, &RootKey),
    keep: bool,
) -> Result<(), Refused> {
    let path = &concerned.path;
    let trouble = |trouble: Trouble| refused(path, &said(&trouble));
    let lock = Lock::take(path).map_err(trouble)?;
    let text = sealed_file::read(path).map_err(trouble)?;
    let opened = Sealed::parse(&text)
        .and_then(|sealed| sealed.open(&Opener::Master(old)))
        .map_err(|refusal| refused(path, &refusal.to_string()))?;
    let id = new.id().to_string();
    if opened.header.slots.iter().any(|slot| slot.kind == SlotKind::MasterKey && slot.key_id == id) {
        return Ok(());
    }
    if opened.header.slots.len() >= MOST_SLOTS {
        let full = "it has as many slots as it may have, and the new key needs one: drop a slot that is in use no more \
                    ('config slot remove'; the slots of earlier master keys stay until then)";
        return Err(refused(path, full));
    }
    let after = opened
        .with_slot(&Opener::Master(new), Clock::system().now(), &Dice::system())
        .map_err(|refusal| refused(path, &refusal.to_string()))?;
    let proof = |back: &str| opens_to(back, new, &opened.plain);
    let change = Change { before: &text, after: &after, keep };
    sealed_file::replace(&lock, path, change, &proof).map_err(trouble)
}

/// What became of a sealed configuration that the old key could open.
#[derive(Clone, Debug, Default)]
pub(super) struct Closed {
    /// Its slots that are no more, beside the old master key's: kind and id.
    pub(super) dropped: Vec<String>,
    /// Whether `FILE.bak`, which the old key opens, was removed.
    pub(super) backup_removed: bool,
}

/// Seals the file anew under a fresh file key that the new master key alone opens. Other slots go: their keys are not at
/// hand, and what they wrapped was the old file key.
pub(super) async fn close_to_old(
    desk: &Desk,
    concerned: &Concerned,
    new: &RootKey,
) -> Result<Closed, Refused> {
    let path = &concerned.path;
    let trouble = |trouble: Trouble| left_open(path, &said(&trouble));
    let lock = Lock::take(path).map_err(trouble)?;
    let text = sealed_file::read(path).map_err(trouble)?;
    let opened = Sealed::parse(&text)
        .and_then(|sealed| sealed.open(&Opener::Master(new)))
        .map_err(|refusal| left_open(path, &refusal.to_string()))?;
    let stays = new.id().to_string();
    let gone = |slot: &&crate::config::sealed::Slot| {
        slot.id != concerned.old_slot && !(slot.kind == SlotKind::MasterKey && slot.key_id == stays)
    };
    let dropped =
        opened.header.slots.iter().filter(gone).map(|slot| format!("{} {}", slot.kind.name(), slot.id));
    let dropped: Vec<String> = dropped.collect();
    // First: a run that is killed here finds the old slot, and comes again.
    let backup_removed = match std::fs::remove_file(backup_path(path)) {
        Ok(()) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(left_open(&backup_path(path), &error.kind().to_string())),
    };
    let after = opened
        .rekey(&[Opener::Master(new)], desk.clock.now(), &desk.dice)
        .map_err(|refusal| left_open(path, &refusal.to_string()))?;
    let proof = |back: &str| opens_to(back, new, &opened.plain);
    let change = Change { before: &text, after: &after, keep: false };
    sealed_file::replace(&lock, path, change, &proof).map_err(trouble)?;
    let event = Event::new(EventCode::ConfigRekeyed)
        .operation("rotate-keys --emergency")
        .subject(&concerned.old_slot)
        .detail("lineage", &opened.header.lineage)
        .detail("rev", opened.header.rev.saturating_add(1).to_string())
        .detail("digest", unseal::digest(&after));
    desk.store
        .record(&[desk.stamp(event)])
        .await
        .map_err(|failure: Failure| super::runner::stalled(&failure))?;
    Ok(Closed { dropped, backup_removed })
}

/// Whether a text opens with a key, to these values.
fn opens_to(
    text: &str,
    key: &RootKey,
    plain: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), String> {
    let proven = Sealed::parse(text).and_then(|sealed| sealed.open(&Opener::Master(key)));
    match proven {
        Ok(proven) if proven.plain == *plain => Ok(()),
        Ok(_) => Err("other values came back than were sealed".to_owned()),
        Err(refusal) => Err(refusal.to_string()),
    }
}

fn left_open(path: &std::path::Path, why: &str) -> Refused {
    Refused::incomplete(
        "SEALED_CONFIGURATION_OPEN",
        format!("the old master key still opens {}: {why}", path.display()),
        "make it readable and writable for this user, and run the same command again: it goes on",
    )
}

fn said(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Unreadable(wrong) => wrong.why.clone(),
        Trouble::Writable(mode) => format!("others than its owner may write it (mode {mode:04o})"),
        Trouble::Locked => "another command is changing it".to_owned(),
        Trouble::Changed => "it was changed by something else meanwhile".to_owned(),
        Trouble::Exists => "its name is taken".to_owned(),
        Trouble::NotProven(why) => format!("what was written does not read back: {why}"),
        Trouble::Io(error) => error.kind().to_string(),
    }
}

fn refused(path: &std::path::Path, why: &str) -> Refused {
    Refused::usage(
        "SEALED_CONFIGURATION_NOT_READY",
        format!(
            "the sealed configuration {} cannot get a slot for the new master key: {why}",
            path.display()
        ),
        "make it writable, or leave it to this command by running it as its owner; nothing was rotated",
    )
}
