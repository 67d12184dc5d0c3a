//! The sealed configuration before a rotation: a slot for the new master key beside the old one's, so that a server
//! starts with either. Where that cannot be done, the rotation does not begin.

use std::path::PathBuf;

use crate::ambient::{Clock, Dice};
use crate::cli::Global;
use crate::cli::administer::Desk;
use crate::cli::output::Refused;
use crate::config::sealed::{Opener, Sealed, SlotKind};
use crate::config::sealed_file::{self, Change, Lock, Trouble};
use crate::crypto::keys::RootKey;

/// A sealed configuration that a rotation concerns.
#[derive(Clone, Debug)]
pub(super) struct Concerned {
    /// The file.
    pub(super) path: PathBuf,
    /// The slot of the old key, to be dropped when every server has the new one.
    pub(super) old_slot: String,
}

/// The sealed configuration, where the old master key opens it by a slot.
pub(super) fn concerned(global: &Global, desk: &Desk, old: &str) -> Result<Option<Concerned>, Refused> {
    if desk.config.sealed.is_none() {
        return Ok(None);
    }
    let named = global.config.clone().or_else(|| std::env::var_os("SPOTIFY_MCP_CONFIG").map(PathBuf::from));
    let Some(path) = named else { return Ok(None) };
    let text = sealed_file::read(&path).map_err(|trouble| refused(&path, &said(&trouble)))?;
    let sealed = Sealed::parse(&text).map_err(|refusal| refused(&path, &refusal.to_string()))?;
    let slots = &sealed.header().slots;
    let slot = slots.iter().find(|slot| slot.kind == SlotKind::MasterKey && slot.key_id == old);
    Ok(slot.map(|slot| Concerned { old_slot: slot.id.clone(), path }))
}

/// Adds the slot for the new key, unless it is there.
pub(super) fn give_slot(concerned: &Concerned, old: &RootKey, new: &RootKey) -> Result<(), Refused> {
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
    let after = opened
        .with_slot(&Opener::Master(new), Clock::system().now(), &Dice::system())
        .map_err(|refusal| refused(path, &refusal.to_string()))?;
    let proof = |back: &str| {
        let proven = Sealed::parse(back).and_then(|sealed| sealed.open(&Opener::Master(new)));
        match proven {
            Ok(proven) if proven.plain == opened.plain => Ok(()),
            Ok(_) => Err("other values came back than were sealed".to_owned()),
            Err(refusal) => Err(refusal.to_string()),
        }
    };
    let change = Change { before: &text, after: &after, keep: true };
    sealed_file::replace(&lock, path, change, &proof).map_err(trouble)
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
