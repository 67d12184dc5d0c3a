//! Sealing what does not fit into memory: AES-256-GCM in chunks of 64 KiB whose order, number and end are bound
//! (STREAM of Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", 2015). Never: input or output; what a chunk is about is its caller's affair.
//!
//! Each stream has a key of its own: HKDF-SHA256 over the sealing key and 32 random bytes of salt, bound to a header
//! that stays readable, gives the AES key and a commitment to key and header (as [`super::envelope`]). A nonce is seven
//! zero bytes, the chunk's number (four bytes, big endian) and 1 for the last chunk, else 0.

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::keys::SealingKey;

/// Bytes of a chunk before it is sealed; only the last one may be shorter.
pub const CHUNK: usize = 65_536;
/// What sealing adds to a chunk.
pub const TAG: usize = 16;

/// The key of one stream.
pub struct StreamKey {
    aes: Zeroizing<[u8; 32]>,
    commitment: [u8; 32],
}

/// Where a chunk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Counts from 0.
    pub number: u32,
    /// Whether the stream ends with it.
    pub last: bool,
}

impl StreamKey {
    /// The key of the stream with this header and salt. A salt is never used twice.
    pub fn derive(key: &SealingKey, salt: &[u8; 32], header: &[u8]) -> Self {
        let mut okm = Zeroizing::new([0; 64]);
        let digest = Sha256::digest(header);
        let hkdf = Hkdf::<Sha256>::new(Some(salt), key.key().expose());
        // 64 bytes are far below HKDF-SHA256's limit of 8,160.
        let _ = hkdf.expand_multi_info(&[b"spotify-mcp/v1/stream", &digest], &mut *okm);
        let mut aes = Zeroizing::new([0; 32]);
        let mut commitment = [0; 32];
        aes.copy_from_slice(&okm[..32]);
        commitment.copy_from_slice(&okm[32..]);
        Self { aes, commitment }
    }

    /// What stands before the chunks, so that a wrong key or a changed header is known before anything is opened.
    pub const fn commitment(&self) -> &[u8; 32] {
        &self.commitment
    }

    /// Whether a stream with this commitment was sealed under this key for this header.
    pub fn is_committed(&self, commitment: &[u8; 32]) -> bool {
        self.commitment.ct_eq(commitment).into()
    }

    /// Seals one chunk of at most [`CHUNK`] bytes.
    pub fn seal(&self, place: ChunkPlace, plain: &[u8]) -> Vec<u8> {
        // Fails only for a plaintext beyond 64 GiB; an empty ciphertext would never open, so it fails closed.
        self.cipher().encrypt(&Nonce::from(nonce(place)), plain).unwrap_or_default()
    }

    /// Opens one chunk; `None` where it is not what was sealed at this place of this stream.
    pub fn open(&self, place: ChunkPlace, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher().decrypt(&Nonce::from(nonce(place)), sealed).map(Zeroizing::new).ok()
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.aes).into())
    }
}

const NUMBER: usize = 7;

fn nonce(place: ChunkPlace) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[NUMBER..11].copy_from_slice(&place.number.to_be_bytes());
    nonce[11] = u8::from(place.last);
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;
    use crate::crypto::keys::KeyId;

    fn stream(key: u8, salt: u8, header: &[u8]) -> StreamKey {
        let key = SealingKey::new(KeyId::new([key; 16]), Key::new([key; 32]));
        StreamKey::derive(&key, &[salt; 32], header)
    }

    const FIRST: ChunkPlace = ChunkPlace { number: 0, last: false };

    #[test]
    fn a_chunk_opens_at_its_place_of_its_stream_only() {
        let sealed = stream(1, 2, b"h").seal(FIRST, b"chunk");
        assert_eq!(stream(1, 2, b"h").open(FIRST, &sealed).unwrap().as_slice(), b"chunk");
        for elsewhere in [ChunkPlace { number: 1, last: false }, ChunkPlace { number: 0, last: true }] {
            assert!(stream(1, 2, b"h").open(elsewhere, &sealed).is_none(), "{elsewhere:?}");
        }
        for other in [stream(3, 2, b"h"), stream(1, 3, b"h"), stream(1, 2, b"i")] {
            assert!(other.open(FIRST, &sealed).is_none());
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(stream(1, 2, b"h").open(FIRST, &changed).is_none(), "byte {at}");
            assert!(stream(1, 2, b"h").open(FIRST, &sealed[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn the_commitment_is_to_key_salt_and_header() {
        let one = stream(1, 2, b"h");
        assert!(one.is_committed(stream(1, 2, b"h").commitment()));
        for other in [stream(3, 2, b"h"), stream(1, 3, b"h"), stream(1, 2, b"i")] {
            assert!(!one.is_committed(other.commitment()));
        }
    }
}
