//! Keys from passphrases: Argon2id (RFC 9106) by default, PBKDF2-HMAC-SHA256 where FIPS algorithms are wanted.
//!
//! Parameters are bounded from below (OWASP Password Storage 2026, ASVS v5.0.0-11.4.4) and, because they are read
//! from a file that an attacker may have written, from above.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Key, SecretString};

/// The most that one derivation may cost, in units of one KiB of Argon2id's memory passed over once, or four rounds of
/// PBKDF2: about a microsecond each. Six times the default.
pub const MOST_WORK: u64 = 1_048_576;

/// The most that all derivations of one file may cost together, in the same units: eight by default, or two of the
/// dearest.
pub const MOST_WORK_TOGETHER: u64 = 2_097_152;

/// How a passphrase becomes a key. Not secret: stored beside what the key protects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "algorithm", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kdf {
    /// Argon2id, version 1.3.
    Argon2id {
        /// Memory in KiB, 19,456 to 262,144.
        memory_kib: u32,
        /// Passes over the memory, 2 to 16; together with the memory within [`MOST_WORK`].
        passes: u32,
        /// Lanes, 1 to 16.
        lanes: u32,
        /// 16 to 64 random bytes in hexadecimal.
        salt: String,
    },
    /// PBKDF2-HMAC-SHA256.
    Pbkdf2Sha256 {
        /// Rounds, 600,000 to 4,194,304 ([`MOST_WORK`]).
        rounds: u32,
        /// 16 to 64 random bytes in hexadecimal.
        salt: String,
    },
}

/// Why a key cannot be derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KdfError {
    /// Parameters weaker than the floor.
    #[error("the key derivation parameters are below the floor")]
    TooWeak,
    /// Parameters beyond what this program spends.
    #[error("the key derivation parameters are above the ceiling")]
    TooCostly,
    /// Several derivations that cost more together than this program spends on one file.
    #[error("the key derivations of its slots are above the ceiling together")]
    TooCostlyTogether,
    /// A salt that is not 16 to 64 bytes of hexadecimal.
    #[error("the salt must be 16 to 64 bytes in hexadecimal")]
    Salt,
    /// A passphrase shorter than 14 bytes (SP 800-132 as applied by validated modules).
    #[error("the passphrase must be at least 14 bytes long")]
    ShortPassphrase,
}

impl Kdf {
    /// The default: Argon2id with 64 MiB, 3 passes, 4 lanes (RFC 9106 section 4, second recommendation).
    pub fn argon2id(salt: &[u8; 16]) -> Self {
        Self::Argon2id { memory_kib: 65_536, passes: 3, lanes: 4, salt: hex(salt) }
    }

    /// PBKDF2-HMAC-SHA256 with 600,000 rounds.
    pub fn pbkdf2_sha256(salt: &[u8; 16]) -> Self {
        Self::Pbkdf2Sha256 { rounds: 600_000, salt: hex(salt) }
    }

    /// Whether the parameters are within floor and ceiling, before anything is spent on them.
    pub fn check(&self) -> Result<(), KdfError> {
        match self {
            Self::Argon2id { memory_kib, passes, lanes, salt } => {
                within(*memory_kib, 19_456, 262_144)?;
                within(*passes, 2, 16)?;
                within(*lanes, 1, 16)?;
                unhex(salt)?;
            }
            Self::Pbkdf2Sha256 { rounds, salt } => {
                within(*rounds, 600_000, u32::MAX)?;
                unhex(salt)?;
            }
        }
        if self.work() > MOST_WORK { Err(KdfError::TooCostly) } else { Ok(()) }
    }

    /// Whether each of these, and all together, are within the bounds: what a file may ask of whoever opens it.
    ///
    /// # Errors
    /// As [`Kdf::check`], and [`KdfError::TooCostlyTogether`].
    pub fn check_all<'a>(all: impl Iterator<Item = &'a Self>) -> Result<(), KdfError> {
        let mut work = 0;
        for kdf in all {
            kdf.check()?;
            work += kdf.work();
        }
        if work > MOST_WORK_TOGETHER { Err(KdfError::TooCostlyTogether) } else { Ok(()) }
    }

    /// What it costs, in the units of [`MOST_WORK`].
    fn work(&self) -> u64 {
        match self {
            Self::Argon2id { memory_kib, passes, .. } => u64::from(*memory_kib) * u64::from(*passes),
            Self::Pbkdf2Sha256 { rounds, .. } => u64::from(*rounds).div_ceil(4),
        }
    }

    /// Derives the 256-bit key. Takes tenths of a second and, for Argon2id, the memory named: never on an async thread.
    pub fn derive(&self, passphrase: &SecretString) -> Result<Key, KdfError> {
        if passphrase.expose().len() < 14 {
            return Err(KdfError::ShortPassphrase);
        }
        self.check()?;
        let mut out = Zeroizing::new([0; 32]);
        match self {
            Self::Argon2id { memory_kib, passes, lanes, salt } => {
                let params =
                    Params::new(*memory_kib, *passes, *lanes, Some(32)).map_err(|_| KdfError::TooWeak)?;
                Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                    .hash_password_into(passphrase.expose().as_bytes(), &unhex(salt)?, &mut *out)
                    .map_err(|_| KdfError::TooCostly)?;
            }
            Self::Pbkdf2Sha256 { rounds, salt } => {
                let salt = unhex(salt)?;
                pbkdf2::pbkdf2_hmac::<Sha256>(passphrase.expose().as_bytes(), &salt, *rounds, &mut *out);
            }
        }
        Ok(Key::new(*out))
    }
}

fn within(value: u32, floor: u32, ceiling: u32) -> Result<(), KdfError> {
    match value {
        low if low < floor => Err(KdfError::TooWeak),
        high if high > ceiling => Err(KdfError::TooCostly),
        _ => Ok(()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, KdfError> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 && (32..=128).contains(&digits.len()) => {
            Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
        }
        _ => Err(KdfError::Salt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrase() -> SecretString {
        SecretString::new("correct horse battery staple")
    }

    #[test]
    fn argon2id_is_deterministic_and_salted() {
        let small =
            |salt: &str| Kdf::Argon2id { memory_kib: 19_456, passes: 2, lanes: 1, salt: salt.repeat(16) };
        let key = small("00").derive(&phrase()).unwrap();
        assert!(key == small("00").derive(&phrase()).unwrap());
        assert!(key != small("01").derive(&phrase()).unwrap());
    }

    #[test]
    fn pbkdf2_matches_a_published_vector() {
        // RFC 7914 section 11: PBKDF2-HMAC-SHA256 (P="Password", S="NaCl", c=80000), first 32 bytes.
        let mut out = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(b"Password", b"NaCl", 80_000, &mut out);
        assert_eq!(hex(&out), "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
    }

    #[test]
    fn what_all_slots_of_a_file_cost_together_is_bounded() {
        let together = |all: &[Kdf]| Kdf::check_all(all.iter());
        let default = Kdf::argon2id(&[0; 16]);
        assert_eq!(together(&vec![default.clone(); 8]), Ok(()));
        let salt = "00".repeat(16);
        let dear = Kdf::Argon2id { memory_kib: 262_144, passes: 4, lanes: 1, salt };
        assert_eq!(together(&[dear.clone(), dear.clone()]), Ok(()));
        assert_eq!(together(&[dear.clone(), dear, default.clone()]), Err(KdfError::TooCostlyTogether));
        let weak = Kdf::Pbkdf2Sha256 { rounds: 1, salt: "00".repeat(16) };
        assert_eq!(together(&[default, weak]), Err(KdfError::TooWeak));
    }

    #[test]
    fn floors_ceilings_and_bad_salts_are_refused() {
        let argon = |memory_kib, passes, salt: &str| {
            Kdf::Argon2id { memory_kib, passes, lanes: 1, salt: salt.to_owned() }.derive(&phrase()).err()
        };
        let salt = "00".repeat(16);
        assert_eq!(argon(19_455, 2, &salt), Some(KdfError::TooWeak));
        assert_eq!(argon(19_456, 1, &salt), Some(KdfError::TooWeak));
        assert_eq!(argon(262_145, 2, &salt), Some(KdfError::TooCostly));
        // Within every single bound, and too much as a product.
        assert_eq!(argon(131_072, 9, &salt), Some(KdfError::TooCostly));
        assert_eq!(argon(19_456, 2, "00"), Some(KdfError::Salt));
        assert_eq!(argon(19_456, 2, &"zz".repeat(16)), Some(KdfError::Salt));
        let pbkdf2 = |rounds| Kdf::Pbkdf2Sha256 { rounds, salt: salt.clone() };
        assert_eq!(pbkdf2(599_999).derive(&phrase()).err(), Some(KdfError::TooWeak));
        assert_eq!(pbkdf2(4_194_305).derive(&phrase()).err(), Some(KdfError::TooCostly));
        assert_eq!(pbkdf2(4_194_304).check(), Ok(()));
        let short =
            Kdf::pbkdf2_sha256(&[0; 16]).derive(&SecretString::new("thirteen chars"[..13].to_owned()));
        assert_eq!(short.err(), Some(KdfError::ShortPassphrase));
    }
}
