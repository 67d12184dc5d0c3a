//! The header of a sealed file: format, lineage, revision, slots, MAC. Never: a key in the clear.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value as Node;

use super::{FORMAT, Refusal};
use crate::crypto::kdf::Kdf;

/// Most slots of a file: each passphrase slot costs a derivation to try.
pub const MOST_SLOTS: usize = 8;

/// When secrets end: RFC 6901 pointers of their values, and RFC 3339 instants.
pub type Expiries = BTreeMap<String, String>;

/// What a file says about itself; all of it is under the MAC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// When secrets end; absent where none does.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub expires: Expiries,
    /// `spotify-mcp/sealed-configuration/v1`.
    pub format: String,
    /// 16 random bytes in hexadecimal, the same in every revision: which file this is.
    pub lineage: String,
    /// HMAC-SHA256 in base64.
    pub mac: String,
    /// Counts up with every change, from 1.
    pub rev: u64,
    /// When this revision was written (RFC 3339, UTC).
    pub sealed_at: String,
    /// The ways to open it, 1 to 8.
    pub slots: Vec<Slot>,
}

/// One way to open a file: its file key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// When the slot was made (RFC 3339, UTC).
    pub created_at: String,
    /// 8 random bytes in hexadecimal.
    pub id: String,
    /// How the passphrase becomes the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdf: Option<Kdf>,
    /// The public id of the key that opens this slot, in hexadecimal.
    pub key_id: String,
    /// What kind of key that is.
    pub kind: SlotKind,
    /// The file key in an envelope, in base64.
    pub wrapped: String,
}

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// The server's master key.
    MasterKey,
    /// A passphrase.
    Passphrase,
    /// A recovery key, kept away from the server.
    Recovery,
}

impl SlotKind {
    /// The word in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MasterKey => "master-key",
            Self::Passphrase => "passphrase",
            Self::Recovery => "recovery",
        }
    }
}

impl Header {
    pub(super) fn read(node: Node) -> Result<Self, Refusal> {
        let tampered = |why: &str| Refusal::Tampered(why.to_owned());
        let format = node.get("format").and_then(Node::as_str).unwrap_or_default();
        if format != FORMAT {
            let family = FORMAT.trim_end_matches(|c: char| c.is_ascii_digit());
            let version = format.strip_prefix(family).unwrap_or_default();
            let is_version = (1..=4).contains(&version.len()) && version.bytes().all(|c| c.is_ascii_digit());
            return Err(if is_version {
                Refusal::Version(format.to_owned())
            } else {
                tampered("its header is not known")
            });
        }
        let header: Self =
            serde_json::from_value(node.clone()).map_err(|_| tampered("its header is not whole"))?;
        // The MAC is over what is written from here: a member that reading passes over (an empty one, a null) must
        // not be there.
        let is_as_written = header.write() == node;
        if !is_as_written || !is_hex(&header.lineage, 32) || header.rev == 0 {
            return Err(tampered("its header is not whole"));
        }
        header.check_slots()?;
        Ok(header)
    }

    /// Whether there are slots, not too many, each of a known shape and within the bounds of key derivation.
    pub(super) fn check_slots(&self) -> Result<(), Refusal> {
        let tampered = || Refusal::Tampered("its slots are not whole".to_owned());
        if !(1..=MOST_SLOTS).contains(&self.slots.len()) {
            return Err(tampered());
        }
        let is_whole = |slot: &Slot| {
            let has_kdf = slot.kdf.is_some();
            is_hex(&slot.id, 16) && is_hex(&slot.key_id, 32) && has_kdf == (slot.kind == SlotKind::Passphrase)
        };
        if !self.slots.iter().all(is_whole) {
            return Err(tampered());
        }
        Kdf::check_all(self.slots.iter().filter_map(|slot| slot.kdf.as_ref())).map_err(Refusal::Kdf)
    }

    pub(super) fn mac_bytes(&self) -> Result<[u8; 32], Refusal> {
        let bytes = STANDARD.decode(&self.mac).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| Refusal::Tampered("its MAC is not whole".to_owned()))
    }

    pub(super) fn set_mac(&mut self, mac: &[u8; 32]) {
        self.mac = STANDARD.encode(mac);
    }

    pub(super) fn write(&self) -> Node {
        // Texts and numbers only: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
