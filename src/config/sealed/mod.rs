//! Sealed configuration files: key names readable, values sealed each to its path, the whole text under a keyed MAC.
//!
//! One random file key per file, wrapped in one slot for each way to open it. The text is canonical JSON (keys
//! sorted, two spaces, one line end), so that every other byte is refused. docs/sealed-configuration.md describes the
//! format for a second implementation. Pure: text and keys in, text out. Never: files, the environment, printing.

mod header;
mod merge;
mod paths;
mod slots;
mod values;

use serde_json::{Map, Value as Node};
use subtle::ConstantTimeEq as _;

use crate::ambient::{Dice, Timestamp};
use crate::crypto::keys::Purpose;

pub use header::{Expiries, Header, MOST_SLOTS, Slot, SlotKind};
pub use merge::{Merged, resolve_header};
pub use paths::{Fault, dotted, faults, is_secret};
pub use slots::{FileKey, Opener};
pub use values::is_reference;

/// The name of the header among the sections.
pub const MARK: &str = "$sealed";
/// The format that this version writes and reads.
pub const FORMAT: &str = "spotify-mcp/sealed-configuration/v1";
/// No sealed configuration is larger, in bytes.
pub const LARGEST: usize = 1_048_576;

/// Why a sealed configuration is refused. Each has an exit status of its own (security.md 1.2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No slot is for this key.
    #[error("no slot of this file opens with the key that was given ({0})")]
    WrongKey(String),
    /// Any byte is not as it was written; the word says where.
    #[error("the file was changed after it was sealed: {0}")]
    Tampered(String),
    /// A newer revision has been seen.
    #[error("revision {found} is older than revision {seen}, which was used before")]
    RolledBack {
        /// Of the file.
        found: u64,
        /// The newest that was used.
        seen: u64,
    },
    /// Written in a format that this version does not know.
    #[error("the format {0} is not known to this version")]
    Version(String),
    /// A slot's key derivation, or what all of them cost together, is outside the bounds.
    #[error("a slot of the file: {0}")]
    Kdf(crate::crypto::kdf::KdfError),
    /// A secret in the clear, or something sealed that is no secret.
    #[error("{0}")]
    Schema(String),
}

impl Refusal {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::WrongKey(_) => "CONFIG_WRONG_KEY",
            Self::Tampered(_) => "CONFIG_TAMPERED",
            Self::RolledBack { .. } => "CONFIG_ROLLED_BACK",
            Self::Version(_) => "CONFIG_VERSION_UNKNOWN",
            Self::Kdf(_) => "CONFIG_KDF_OUT_OF_BOUNDS",
            Self::Schema(_) => "CONFIG_SCHEMA",
        }
    }
}

/// A sealed file whose text is canonical and whose header can be read. Nothing in it is believed yet.
#[derive(Clone, Debug)]
pub struct Sealed {
    header: Header,
    root: Map<String, Node>,
}

/// An opened file: authentic, and in the clear.
pub struct Opened {
    /// The header, now believed.
    pub header: Header,
    /// Every section with its values in the clear.
    pub plain: Map<String, Node>,
    sealed: Map<String, Node>,
    key: FileKey,
}

/// Whether a text claims to be a sealed configuration, however damaged.
pub fn is_sealed(text: &str) -> bool {
    text.contains(MARK) || text.contains("spotify-mcp/sealed-configuration/") || text.contains(values::PREFIX)
}

impl Sealed {
    /// Reads the text.
    ///
    /// # Errors
    /// [`Refusal::Tampered`] for any text that is not canonical, [`Refusal::Version`], [`Refusal::Kdf`].
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let tampered = |why: &str| Refusal::Tampered(why.to_owned());
        if text.len() > LARGEST {
            return Err(tampered("it is larger than 1 MiB"));
        }
        let root: Node = serde_json::from_str(text).map_err(|_| tampered("it is not JSON"))?;
        if canonical(&root) != text {
            return Err(tampered("its text is not canonical (order, white space, escapes or a name twice)"));
        }
        if !values::is_exact(&root) {
            return Err(tampered("a number in it is not whole, or beyond 64 bits"));
        }
        let Node::Object(mut root) = root else { return Err(tampered("it is not an object")) };
        let header = root.remove(MARK).ok_or_else(|| tampered("it has no header"))?;
        Ok(Self { header: Header::read(header)?, root })
    }

    /// The header, not yet believed.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Opens the file: slot, text, values.
    ///
    /// # Errors
    /// [`Refusal::WrongKey`] where no slot is for this key, [`Refusal::Tampered`] for everything else.
    pub fn open(self, opener: &Opener<'_>) -> Result<Opened, Refusal> {
        self.open_by(opener).map(|(opened, _)| opened)
    }

    /// The same, with the slot that opened it.
    ///
    /// # Errors
    /// As [`Sealed::open`].
    pub fn open_by(self, opener: &Opener<'_>) -> Result<(Opened, Slot), Refusal> {
        let (key, slot) = slots::unlock(&self.header, opener)?;
        if !self.is_authentic(&key)? {
            return Err(Refusal::Tampered("the text is not what was sealed".to_owned()));
        }
        let plain = values::open_all(&key, &self.header.lineage, &self.root)?;
        Ok((Opened { header: self.header, plain, sealed: self.root, key }, slot))
    }

    fn is_authentic(&self, key: &FileKey) -> Result<bool, Refusal> {
        let expected = mac(key, &self.header, &self.root);
        Ok(self.header.mac_bytes()?.ct_eq(&expected).into())
    }
}

impl Opened {
    /// What stands in the clear and must not, or is sealed and need not be.
    pub fn faults(&self) -> Vec<Fault> {
        faults(&self.sealed)
    }

    /// A short keyed fingerprint of a value, the same for equal values within this file only.
    pub fn fingerprint(&self, value: &Node) -> String {
        self.key.fingerprint(value)
    }

    /// The file with these contents: the next revision, values that did not change with the bytes they had, and with
    /// the end that they had.
    pub fn reseal(&self, plain: &Map<String, Node>, now: Timestamp, dice: &Dice) -> String {
        self.reseal_until(plain, self.lasting(plain), now, dice)
    }

    /// The same with these ends of secrets.
    pub fn reseal_until(
        &self,
        plain: &Map<String, Node>,
        expires: Expiries,
        now: Timestamp,
        dice: &Dice,
    ) -> String {
        let root =
            values::seal_all(&self.key, &self.header.lineage, plain, Some((&self.plain, &self.sealed)), dice);
        write(&self.key, Header { expires, ..self.next(now) }, root)
    }

    /// The ends of secrets that hold on when the contents become these: those whose values stay.
    pub fn lasting(&self, plain: &Map<String, Node>) -> Expiries {
        let stays = |path: &str| match values::pointed(plain, path) {
            Some(value) => values::pointed(&self.plain, path) == Some(value),
            None => false,
        };
        let all = self.header.expires.iter().filter(|(path, _)| stays(path));
        all.map(|(path, at)| (path.clone(), at.clone())).collect()
    }

    fn next(&self, now: Timestamp) -> Header {
        let rev = self.header.rev.saturating_add(1);
        Header { rev, sealed_at: now.rfc3339(), ..self.header.clone() }
    }

    /// The same contents under a fresh file key with exactly these slots, every value sealed anew: what rekeying and
    /// removing a slot mean.
    ///
    /// # Errors
    /// Where a passphrase's key cannot be derived.
    pub fn rekey(&self, openers: &[Opener<'_>], now: Timestamp, dice: &Dice) -> Result<String, Refusal> {
        let key = FileKey::fresh(dice);
        let slots = slots::wrap_all(&key, &self.header.lineage, openers, now, dice)?;
        let root = values::seal_all(&key, &self.header.lineage, &self.plain, None, dice);
        Ok(write(&key, Header { slots, ..self.next(now) }, root))
    }

    /// The same file with one more slot; nothing else changes but the revision.
    ///
    /// # Errors
    /// Where a passphrase's key cannot be derived, or there are as many slots as a file may have.
    pub fn with_slot(&self, opener: &Opener<'_>, now: Timestamp, dice: &Dice) -> Result<String, Refusal> {
        let mut header = self.next(now);
        header.slots.push(slots::wrap(&self.key, &header.lineage, opener, now, dice)?);
        header.check_slots()?;
        Ok(write(&self.key, header, self.sealed.clone()))
    }
}

/// A first sealed file of these contents, for these ways to open it.
///
/// # Errors
/// Where a passphrase's key cannot be derived, the slots are none, too many or too costly, or a number is no whole one
/// of 64 bits: no key takes another, and what is read as a fraction may not be the number that was written.
pub fn seal(
    plain: &Map<String, Node>,
    openers: &[Opener<'_>],
    now: Timestamp,
    dice: &Dice,
) -> Result<String, Refusal> {
    if !plain.values().all(values::is_exact) {
        let why = "a number in it is a fraction, or beyond 64 bits, and would not be kept exactly";
        return Err(Refusal::Schema(why.to_owned()));
    }
    let key = FileKey::fresh(dice);
    let lineage = header::hex(&dice.bytes::<16>());
    let slots = slots::wrap_all(&key, &lineage, openers, now, dice)?;
    let root = values::seal_all(&key, &lineage, plain, None, dice);
    let header = Header {
        expires: Expiries::new(),
        format: FORMAT.to_owned(),
        lineage,
        mac: String::new(),
        rev: 1,
        sealed_at: now.rfc3339(),
        slots,
    };
    Ok(write(&key, header, root))
}

fn write(key: &FileKey, mut header: Header, root: Map<String, Node>) -> String {
    header.set_mac(&mac(key, &header, &root));
    whole(&header, &root)
}

/// HMAC-SHA256 over the canonical text with an empty `mac`: names, order, plain values, sealed values, slots, revision.
fn mac(key: &FileKey, header: &Header, root: &Map<String, Node>) -> [u8; 32] {
    let unsigned = Header { mac: String::new(), ..header.clone() };
    key.root().authenticate(Purpose::ConfigurationText, &[whole(&unsigned, root).as_bytes()])
}

fn whole(header: &Header, root: &Map<String, Node>) -> String {
    let mut all = root.clone();
    all.insert(MARK.to_owned(), header.write());
    canonical(&Node::Object(all))
}

/// The one text of a value: keys sorted (the map is), indented by two spaces, one line end.
fn canonical(node: &Node) -> String {
    // Writing a value into memory cannot fail.
    let mut text = serde_json::to_string_pretty(node).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
