//! The key hierarchy: one root, a key per purpose by HKDF, a random data key per person wrapped under the root.

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Key;
use super::envelope::{self, OpenError, Place, SealEntropy};

/// Names a key without revealing it: 128 bits, random or derived from 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// From its bytes.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// From a slice; `None` unless 16 bytes long.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyId({self})")
    }
}

/// A key that seals envelopes, with its id.
#[derive(Clone, Debug)]
pub struct SealingKey {
    id: KeyId,
    key: Key,
}

impl SealingKey {
    /// Joins a key and its id.
    pub const fn new(id: KeyId, key: Key) -> Self {
        Self { id, key }
    }

    /// The id, as written into envelopes.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// HMAC-SHA256 of the length-prefixed parts; compare with `TokenHash` or constant-time equality only.
    pub fn authenticate(&self, parts: &[&[u8]]) -> [u8; 32] {
        // A key shorter than the block is zero-padded by HMAC itself (RFC 2104 section 2).
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(self.key.expose());
        let mut mac = <Hmac<Sha256>>::new((&*block).into());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The key itself, for what takes a key of another kind (a signature's seed).
    pub const fn key(&self) -> &Key {
        &self.key
    }
}

/// What a key derived from the root is for. The labels are part of the format and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Wraps people's data keys.
    WrapDataKeys,
    /// Wraps the server's own keys for one purpose each.
    WrapPurposeKeys,
    /// Seals a root for the one before or after it, while one follows the other.
    Succession,
    /// Recognised a disconnected Spotify account that comes back, before that key was one of its own.
    FormerIdentities,
    /// Wraps the file key of a sealed configuration.
    ConfigurationSlots,
    /// Under a file key: seals the values of its configuration.
    ConfigurationValues,
    /// Under a file key: authenticates the whole text.
    ConfigurationText,
    /// Under a file key: tells equal values from different ones without showing them.
    ConfigurationFingerprints,
    /// Seals backups.
    Backups,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::WrapDataKeys => b"wrap-data-keys",
            Self::WrapPurposeKeys => b"wrap-purpose-keys",
            Self::Succession => b"succession",
            Self::FormerIdentities => b"former-identities",
            Self::ConfigurationSlots => b"configuration-slots",
            Self::ConfigurationValues => b"configuration-values",
            Self::ConfigurationText => b"configuration-text",
            Self::ConfigurationFingerprints => b"configuration-fingerprints",
            Self::Backups => b"backups",
        }
    }
}

/// The root of all keys: the operator's master key. A random 256-bit key needs no stretching.
#[derive(Clone, Debug)]
pub struct RootKey {
    id: KeyId,
    key: Key,
    /// Derived once: a rotation wraps and unwraps by the hundred thousand.
    wrapping: SealingKey,
}

const HKDF_SALT: &[u8] = b"spotify-mcp/v1/root";

impl RootKey {
    /// Takes over the master key; its id is derived from it, and stays the same wherever it is loaded.
    pub fn new(master: Key) -> Self {
        let mut id = [0; 16];
        expand(&master, b"key-id", &mut id);
        Self::named(KeyId(id), master)
    }

    /// The master key's public name.
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    pub(super) fn named(id: KeyId, key: Key) -> Self {
        let wrapping = derive(id, &key, Purpose::WrapDataKeys);
        Self { id, key, wrapping }
    }

    pub(super) const fn master(&self) -> &Key {
        &self.key
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: Purpose) -> SealingKey {
        derive(self.id, &self.key, purpose)
    }

    /// HMAC-SHA256 under the key for `purpose`; compare with `TokenHash` or constant-time equality only.
    pub fn authenticate(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; 32] {
        self.derive(purpose).authenticate(parts)
    }

    /// Wraps a person's data key for its row in `data_keys`.
    pub fn wrap(&self, data_key: &SealingKey, user: &str, entropy: &SealEntropy) -> Vec<u8> {
        let row = data_key.id.to_string();
        envelope::seal(&self.wrapping, &data_key_place(user, &row), data_key.key.expose(), entropy)
    }

    /// Unwraps what [`RootKey::wrap`] wrapped for the same person and key id.
    pub fn unwrap(&self, id: KeyId, user: &str, wrapped: &[u8]) -> Result<SealingKey, OpenError> {
        let row = id.to_string();
        let opened = envelope::open(&self.wrapping, &data_key_place(user, &row), wrapped)?;
        let bytes = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| OpenError::Format)?;
        Ok(SealingKey { id, key: Key::new(bytes) })
    }
}

const fn data_key_place<'a>(user: &'a str, row: &'a str) -> Place<'a> {
    Place { table: "data_keys", column: "wrapped", user, row, version: 0 }
}

fn derive(id: KeyId, root: &Key, purpose: Purpose) -> SealingKey {
    let mut derived = Zeroizing::new([0; 32]);
    expand(root, purpose.label(), &mut *derived);
    SealingKey { id, key: Key::new(*derived) }
}

fn expand(key: &Key, label: &[u8], out: &mut [u8]) {
    // At most 32 bytes are asked for: far below HKDF-SHA256's limit.
    let _ = Hkdf::<Sha256>::new(Some(HKDF_SALT), key.expose()).expand(label, out);
}

/// A key for sealing derived from a high-entropy secret that only its holder presents (a refresh token): what is
/// sealed under it, the database alone cannot open.
pub fn from_presented(secret: &str) -> SealingKey {
    let mut okm = Zeroizing::new([0; 48]);
    let hkdf = Hkdf::<Sha256>::new(Some(b"spotify-mcp/v1/presented"), secret.as_bytes());
    let _ = hkdf.expand(b"successor", &mut *okm);
    let (mut id, mut key) = ([0; 16], [0; 32]);
    id.copy_from_slice(&okm[..16]);
    key.copy_from_slice(&okm[16..]);
    SealingKey { id: KeyId(id), key: Key::new(key) }
}

/// Whether `mac` is the HMAC-SHA256 of `message` under `key`; compared in constant time.
pub fn mac_holds(key: &Key, message: &[u8], mac: &[u8]) -> bool {
    // A key shorter than the block is zero-padded by HMAC itself (RFC 2104 section 2).
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key.expose());
    let mut expected = <Hmac<Sha256>>::new((&*block).into());
    expected.update(message);
    expected.verify_slice(mac).is_ok()
}

/// The HMAC-SHA256 of `message` under `key`, as whoever signs makes it.
pub fn mac(key: &Key, message: &[u8]) -> [u8; 32] {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key.expose());
    let mut mac = <Hmac<Sha256>>::new((&*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// The key with which the holder of an API key signs requests (RFC 9421, hmac-sha256): HKDF-SHA256 (RFC 5869) over the
/// key's whole text. It is not the stored hash, and neither gives the other away.
pub fn signing_key(api_key: &str) -> Key {
    let mut okm = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(Some(b"spotify-mcp/v1/api-key"), api_key.as_bytes());
    // 32 bytes are far below HKDF-SHA256's limit.
    let _ = hkdf.expand(b"request-signing", &mut *okm);
    Key::new(*okm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(byte: u8) -> RootKey {
        RootKey::new(Key::new([byte; 32]))
    }

    #[test]
    fn a_data_key_unwraps_for_its_own_person_and_root_only() {
        let data = SealingKey::new(KeyId::new([4; 16]), Key::new([5; 32]));
        let wrapped = root(1).wrap(&data, "u_1", &[6; 44]);
        assert!(root(1).unwrap(*data.id(), "u_1", &wrapped).unwrap().key == data.key);
        assert_eq!(root(1).unwrap(*data.id(), "u_2", &wrapped).unwrap_err(), OpenError::Tampered);
        assert_eq!(root(2).unwrap(*data.id(), "u_1", &wrapped).unwrap_err(), OpenError::WrongKey);
    }

    #[test]
    fn purposes_and_roots_give_different_keys() {
        let wrap = root(1).derive(Purpose::WrapDataKeys);
        assert!(wrap.key != root(1).derive(Purpose::FormerIdentities).key);
        assert!(wrap.key != root(2).derive(Purpose::WrapDataKeys).key);
        assert_ne!(root(1).id(), root(2).id());
    }

    #[test]
    fn authentication_separates_its_parts() {
        let mac = |parts: &[&[u8]]| root(1).authenticate(Purpose::FormerIdentities, parts);
        assert_ne!(mac(&[b"ab", b"c"]), mac(&[b"a", b"bc"]));
        assert_eq!(mac(&[b"ab", b"c"]), mac(&[b"ab", b"c"]));
    }

    #[test]
    fn the_derivation_never_changes() {
        // Computed independently (RFC 5869 by hand): a change here would orphan every stored key.
        assert_eq!(root(1).id().to_string(), "5cb1886caee38c0b2c13fa0cc36d5814");
    }

    #[test]
    fn an_api_key_gives_the_signing_key_that_the_documentation_names() {
        // Computed independently, as docs/request-signing.md says: clients derive it themselves.
        let key = signing_key("smcp_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpgvwfE");
        let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "bb8802acb221d2540b2376d10ba887b30e831d3b00fba5eb0df4d44f4488c4d5");
    }
}
