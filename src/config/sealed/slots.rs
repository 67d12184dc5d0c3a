//! The slots of a sealed file: its file key, wrapped once for each way to open it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Node;

use super::Refusal;
use super::header::{Header, Slot, SlotKind, hex};
use crate::ambient::{Dice, Timestamp};
use crate::crypto::envelope::{self, OpenError, Place};
use crate::crypto::kdf::Kdf;
use crate::crypto::keys::{Purpose, RootKey};
use crate::crypto::{Key, SecretString};

/// A way to open a file.
#[derive(Clone, Copy, Debug)]
pub enum Opener<'a> {
    /// The master key.
    Master(&'a RootKey),
    /// A passphrase; for a new slot, with the derivation to use.
    Passphrase(&'a SecretString, Option<&'a Kdf>),
    /// A recovery key.
    Recovery(&'a RootKey),
}

impl Opener<'_> {
    const fn kind(&self) -> SlotKind {
        match self {
            Self::Master(_) => SlotKind::MasterKey,
            Self::Passphrase(..) => SlotKind::Passphrase,
            Self::Recovery(_) => SlotKind::Recovery,
        }
    }
}

/// The random key of one file. It never changes while its slots only grow.
pub struct FileKey {
    bytes: Key,
    root: RootKey,
}

impl FileKey {
    pub(super) fn fresh(dice: &Dice) -> Self {
        Self::of(Key::new(dice.bytes()))
    }

    fn of(bytes: Key) -> Self {
        Self { root: RootKey::new(bytes.clone()), bytes }
    }

    pub(super) const fn root(&self) -> &RootKey {
        &self.root
    }

    /// 48 bits: enough to tell values apart in a diff, too few to be a hash of a guessable value worth keeping.
    pub(super) fn fingerprint(&self, value: &Node) -> String {
        let mac = self.root.authenticate(Purpose::ConfigurationFingerprints, &[value.to_string().as_bytes()]);
        hex(&mac[..6])
    }
}

/// The file key, by the slot for this opener, and that slot.
pub(super) fn unlock(header: &Header, opener: &Opener<'_>) -> Result<(FileKey, Slot), Refusal> {
    for slot in header.slots.iter().filter(|slot| slot.kind == opener.kind()) {
        let root = match opener {
            Opener::Master(root) | Opener::Recovery(root) => (*root).clone(),
            Opener::Passphrase(passphrase, _) => match &slot.kdf {
                Some(kdf) => RootKey::new(kdf.derive(passphrase).map_err(Refusal::Kdf)?),
                None => continue,
            },
        };
        if root.id().to_string() == slot.key_id {
            return unwrap(&root, &header.lineage, slot).map(|key| (key, slot.clone()));
        }
    }
    Err(Refusal::WrongKey(match opener {
        Opener::Master(root) | Opener::Recovery(root) => {
            format!("key {}; the file's slots: {}", root.id(), listed(header))
        }
        Opener::Passphrase(..) => format!("a passphrase; the file's slots: {}", listed(header)),
    }))
}

fn listed(header: &Header) -> String {
    let one = |slot: &Slot| format!("{} {}", slot.kind.name(), slot.key_id);
    header.slots.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn unwrap(root: &RootKey, lineage: &str, slot: &Slot) -> Result<FileKey, Refusal> {
    let tampered = || Refusal::Tampered(format!("slot {} is not whole", slot.id));
    let sealed = STANDARD.decode(&slot.wrapped).map_err(|_| tampered())?;
    let wrapping = root.derive(Purpose::ConfigurationSlots);
    let opened =
        envelope::open(&wrapping, &place(lineage, &slot.id), &sealed).map_err(|error| match error {
            OpenError::WrongKey | OpenError::Format | OpenError::Tampered => tampered(),
        })?;
    let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| tampered())?;
    Ok(FileKey::of(Key::new(bytes)))
}

pub(super) fn wrap_all(
    key: &FileKey,
    lineage: &str,
    openers: &[Opener<'_>],
    now: Timestamp,
    dice: &Dice,
) -> Result<Vec<Slot>, Refusal> {
    openers.iter().map(|opener| wrap(key, lineage, opener, now, dice)).collect()
}

pub(super) fn wrap(
    key: &FileKey,
    lineage: &str,
    opener: &Opener<'_>,
    now: Timestamp,
    dice: &Dice,
) -> Result<Slot, Refusal> {
    let (root, kdf) = match opener {
        Opener::Master(root) | Opener::Recovery(root) => ((*root).clone(), None),
        Opener::Passphrase(passphrase, kdf) => {
            let kdf = kdf.cloned().unwrap_or_else(|| Kdf::argon2id(&dice.bytes()));
            (RootKey::new(kdf.derive(passphrase).map_err(Refusal::Kdf)?), Some(kdf))
        }
    };
    let id = hex(&dice.bytes::<8>());
    let wrapping = root.derive(Purpose::ConfigurationSlots);
    let wrapped = envelope::seal(&wrapping, &place(lineage, &id), key.bytes.expose(), &dice.bytes());
    Ok(Slot {
        created_at: now.rfc3339(),
        id,
        kdf,
        key_id: root.id().to_string(),
        kind: opener.kind(),
        wrapped: STANDARD.encode(wrapped),
    })
}

const fn place<'a>(lineage: &'a str, slot: &'a str) -> Place<'a> {
    Place { table: "sealed-configuration", column: "slot", user: lineage, row: slot, version: 0 }
}
