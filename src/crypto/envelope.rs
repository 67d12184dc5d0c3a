//! The sealed envelope: AES-256-GCM under a key of its own per record, committed, and bound to one place.
//!
//! Each record draws 32 random bytes of salt; HKDF-SHA256 (RFC 5869) over the sealing key and that salt gives the
//! record's AES key and a commitment to it. So random nonces never approach the 2^32 bound of NIST SP 800-38D,
//! a wrong key is told from a changed envelope, and one ciphertext cannot open under two keys.
//!
//! Layout: magic `SMC1` (4) | algorithm (1) | key id (16) | salt (32) | commitment (32) | nonce (12) | ciphertext and tag.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::keys::{KeyId, SealingKey};

const MAGIC: &[u8; 4] = b"SMC1";
const AES_256_GCM_COMMITTED: u8 = 1;
const KEY_ID: std::ops::Range<usize> = 5..21;
const SALT: std::ops::Range<usize> = 21..53;
const COMMITMENT: std::ops::Range<usize> = 53..85;
const NONCE: std::ops::Range<usize> = 85..97;
const HEADER: usize = 97;
const TAG: usize = 16;

/// How every envelope begins: format and algorithm. For who counts, without a key, what is none.
pub const BEGINNING: [u8; 5] = [b'S', b'M', b'C', b'1', AES_256_GCM_COMMITTED];
/// No envelope is shorter, in bytes.
pub const SHORTEST: usize = HEADER + TAG;

/// The random bytes that one sealing consumes: salt and nonce.
pub type SealEntropy = [u8; 44];

/// Where a sealed value lives. All of it is authenticated, so that a value moved to another table, column,
/// person or row, or put beside another version of its row, does not open.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Table name.
    pub table: &'static str,
    /// Column name.
    pub column: &'static str,
    /// Owner's user id; empty for what belongs to nobody.
    pub user: &'a str,
    /// Primary key of the row.
    pub row: &'a str,
    /// Version of the row, counted up by every write of the value.
    pub version: i64,
}

/// Why an envelope does not open. None of these says anything about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not an envelope of a known version and algorithm.
    #[error("not a sealed value of a known format")]
    Format,
    /// Sealed under a key other than the one given.
    #[error("sealed under another key")]
    WrongKey,
    /// Changed, truncated, moved from its place, or beside another version of its row.
    #[error("the sealed value was changed or moved")]
    Tampered,
}

/// Seals `plain` for `place`.
pub fn seal(key: &SealingKey, place: &Place<'_>, plain: &[u8], entropy: &SealEntropy) -> Vec<u8> {
    let (salt, nonce) = entropy.split_at(32);
    let aad = associated_data(key.id(), place);
    let record = RecordKey::derive(key, salt, &aad);

    let mut sealed = Vec::with_capacity(HEADER + plain.len() + TAG);
    sealed.extend_from_slice(MAGIC);
    sealed.push(AES_256_GCM_COMMITTED);
    sealed.extend_from_slice(key.id().as_bytes());
    sealed.extend_from_slice(salt);
    sealed.extend_from_slice(&record.commitment);
    sealed.extend_from_slice(nonce);
    // Fails only for a plaintext beyond 64 GiB; an empty ciphertext would never open, so it fails closed.
    let payload = Payload { msg: plain, aad: &aad };
    sealed.extend(record.encrypt(nonce, payload).unwrap_or_default());
    sealed
}

/// Opens what [`seal`] made for the same key and place.
pub fn open(key: &SealingKey, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    if key_id(sealed)? != *key.id() {
        return Err(OpenError::WrongKey);
    }
    let aad = associated_data(key.id(), place);
    let record = RecordKey::derive(key, &sealed[SALT], &aad);
    if !bool::from(record.commitment[..].ct_eq(&sealed[COMMITMENT])) {
        return Err(OpenError::Tampered);
    }
    let payload = Payload { msg: &sealed[HEADER..], aad: &aad };
    record.decrypt(&sealed[NONCE], payload).map(Zeroizing::new).ok_or(OpenError::Tampered)
}

/// The id of the key that a value is sealed under: readers choose the key by it, never by trial.
pub fn key_id(sealed: &[u8]) -> Result<KeyId, OpenError> {
    let known = sealed.len() >= HEADER + TAG && &sealed[..4] == MAGIC && sealed[4] == AES_256_GCM_COMMITTED;
    if !known {
        return Err(OpenError::Format);
    }
    KeyId::from_slice(&sealed[KEY_ID]).ok_or(OpenError::Format)
}

struct RecordKey {
    aes: Zeroizing<[u8; 32]>,
    commitment: [u8; 32],
}

impl RecordKey {
    fn derive(key: &SealingKey, salt: &[u8], aad: &[u8]) -> Self {
        let mut okm = Zeroizing::new([0; 64]);
        let digest = Sha256::digest(aad);
        let hkdf = Hkdf::<Sha256>::new(Some(salt), key.key().expose());
        // 64 bytes are far below HKDF-SHA256's limit of 8,160.
        let _ = hkdf.expand_multi_info(&[b"spotify-mcp/v1/record", &digest], &mut *okm);
        let mut aes = Zeroizing::new([0; 32]);
        let mut commitment = [0; 32];
        aes.copy_from_slice(&okm[..32]);
        commitment.copy_from_slice(&okm[32..]);
        Self { aes, commitment }
    }

    fn encrypt(&self, nonce: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = Nonce::try_from(nonce).ok()?;
        Aes256Gcm::new((&*self.aes).into()).encrypt(&nonce, payload).ok()
    }

    fn decrypt(&self, nonce: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        let nonce = Nonce::try_from(nonce).ok()?;
        Aes256Gcm::new((&*self.aes).into()).decrypt(&nonce, payload).ok()
    }
}

/// Length-prefixed, so that no two different places give the same bytes.
fn associated_data(key: &KeyId, place: &Place<'_>) -> Vec<u8> {
    let version = place.version.to_be_bytes();
    let parts: [&[u8]; 8] = [
        b"spotify-mcp/v1",
        place.table.as_bytes(),
        place.column.as_bytes(),
        place.user.as_bytes(),
        place.row.as_bytes(),
        key.as_bytes(),
        &[AES_256_GCM_COMMITTED],
        &version,
    ];
    let mut data = Vec::with_capacity(160);
    for part in parts {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part);
    }
    data
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Key;

    const HOME: Place<'_> = Place { table: "t", column: "c", user: "u_1", row: "r", version: 3 };

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(KeyId::new([byte; 16]), Key::new([byte; 32]))
    }

    #[test]
    fn opens_only_at_its_place() {
        let sealed = seal(&key(1), &HOME, b"token", &[9; 44]);
        assert_eq!(open(&key(1), &HOME, &sealed).unwrap().as_slice(), b"token");
        let elsewhere = [
            Place { table: "x", ..HOME },
            Place { column: "x", ..HOME },
            Place { user: "u_2", ..HOME },
            Place { row: "x", ..HOME },
            Place { version: 2, ..HOME },
            // The same bytes over another boundary.
            Place { user: "u_1r", row: "", ..HOME },
        ];
        for place in elsewhere {
            assert_eq!(open(&key(1), &place, &sealed), Err(OpenError::Tampered), "{place:?}");
        }
    }

    #[test]
    fn tells_a_wrong_key_from_a_changed_envelope() {
        let sealed = seal(&key(1), &HOME, b"token", &[9; 44]);
        assert_eq!(open(&key(2), &HOME, &sealed), Err(OpenError::WrongKey));
        let impostor = SealingKey::new(KeyId::new([1; 16]), Key::new([2; 32]));
        assert_eq!(open(&impostor, &HOME, &sealed), Err(OpenError::Tampered));
    }

    #[test]
    fn every_changed_or_missing_byte_is_refused() {
        let sealed = seal(&key(1), &HOME, b"token", &[9; 44]);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(&key(1), &HOME, &changed).is_err(), "byte {at} changed");
            assert!(open(&key(1), &HOME, &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(open(&key(1), &HOME, &bytes).is_err());
        }

        #[test]
        fn whatever_was_sealed_opens(plain in proptest::collection::vec(any::<u8>(), 0..500)) {
            let sealed = seal(&key(1), &HOME, &plain, &[5; 44]);
            prop_assert_eq!(&*open(&key(1), &HOME, &sealed).unwrap(), &plain);
        }
    }
}
