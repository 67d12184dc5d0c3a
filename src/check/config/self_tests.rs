//! What this program proves of its own cryptography whenever it is asked: published vectors, and that a sealed value
//! opens nowhere but in its own place. Keys are made for the purpose. Never: a key of the server's, or the database.

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use crate::ambient::Dice;
use crate::crypto::envelope::{self, Place};
use crate::crypto::keys::{KeyId, SealingKey};
use crate::crypto::{Key, signature};
use crate::store::SealedLink;
use crate::vault::link_opens;

/// One test, and whether it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTest {
    /// What is tested, with the source of its vector.
    pub name: &'static str,
    /// It holds.
    pub holds: bool,
}

/// Published vectors of every primitive in use.
pub fn vectors() -> Vec<SelfTest> {
    let test = |name, found: Option<Vec<u8>>, wanted: &str| SelfTest {
        name,
        holds: found.is_some_and(|bytes| hex(&bytes) == wanted),
    };
    vec![
        test(
            "AES-256-GCM (GCM specification, case 14)",
            gcm(),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
        ),
        test(
            "SHA-256 (FIPS 180-4, 'abc')",
            Some(Sha256::digest(b"abc").to_vec()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        test(
            "HMAC-SHA-256 (RFC 4231, case 2)",
            hmac_of_jefe(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        test(
            "HKDF-SHA-256 (RFC 5869, case 1)",
            hkdf_of_case_1(),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        test(
            "PBKDF2-HMAC-SHA-256 (RFC 7914, section 11)",
            Some(pbkdf2_of_passwd()),
            "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc",
        ),
        test(
            "Argon2id (reference implementation, m=256 t=2 p=1)",
            argon2_of_password(),
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
        ),
        test(
            "Ed25519 (RFC 8032, test 1)",
            ed25519_of_nothing(),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
    ]
}

fn gcm() -> Option<Vec<u8>> {
    let cipher = Aes256Gcm::new(&[0; 32].into());
    let nonce = Nonce::try_from(&[0_u8; 12][..]).ok()?;
    cipher.encrypt(&nonce, &[0_u8; 16][..]).ok()
}

fn hmac_of_jefe() -> Option<Vec<u8>> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(b"Jefe").ok()?;
    mac.update(b"what do ya want for nothing?");
    Some(mac.finalize().into_bytes().to_vec())
}

fn hkdf_of_case_1() -> Option<Vec<u8>> {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let mut out = vec![0; 42];
    Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut out).ok()?;
    Some(out)
}

fn pbkdf2_of_passwd() -> Vec<u8> {
    let mut out = [0; 32];
    pbkdf2::pbkdf2_hmac::<Sha256>(b"passwd", b"salt", 1, &mut out);
    out.to_vec()
}

fn argon2_of_password() -> Option<Vec<u8>> {
    let params = Params::new(256, 2, 1, Some(32)).ok()?;
    let mut out = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(b"password", b"somesalt", &mut out).ok()?;
    Some(out.to_vec())
}

fn ed25519_of_nothing() -> Option<Vec<u8>> {
    let seed = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];
    let signed = signature::sign(&Key::new(seed), b"")?;
    signature::verify(&signed.public_key, b"", &signed.signature).then_some(signed.signature)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A token that was moved, or put beside another version of its row, does not open; in its own place it does.
pub fn binding(dice: &Dice) -> Vec<SelfTest> {
    let key = SealingKey::new(KeyId::new(dice.bytes()), Key::new(dice.bytes()));
    let other = SealingKey::new(KeyId::new(dice.bytes()), Key::new(dice.bytes()));
    let seal = |column, text: &[u8]| {
        let place = Place { table: "linked_accounts", column, user: "u_1", row: "l_1", version: 7 };
        Some(envelope::seal(&key, &place, text, &dice.bytes()))
    };
    let own = SealedLink {
        id: "l_1".to_owned(),
        user_id: "u_1".to_owned(),
        data_key_id: String::new(),
        token_version: 7,
        access_token: seal("access_token", b"one"),
        refresh_token: seal("refresh_token", b"two"),
        own_client_secret: seal("own_client_secret", b"three"),
        sealed_client_id: seal("sealed_client_id", b"four"),
        own_app_since: Some(7),
    };
    let opens =
        |key: &SealingKey, link: &SealedLink| link_opens(key, link).map(|opened| opened == Some(Ok(())));
    let refused = |name, link: SealedLink| SelfTest { name, holds: opens(&key, &link) == [false; 4] };
    let cut = |sealed: &Option<Vec<u8>>| sealed.as_ref().map(|bytes| bytes[..bytes.len() - 1].to_vec());
    let swapped = SealedLink {
        access_token: own.refresh_token.clone(),
        refresh_token: own.own_client_secret.clone(),
        own_client_secret: own.sealed_client_id.clone(),
        sealed_client_id: own.access_token.clone(),
        ..own.clone()
    };
    let shorter = SealedLink {
        access_token: cut(&own.access_token),
        refresh_token: cut(&own.refresh_token),
        own_client_secret: cut(&own.own_client_secret),
        sealed_client_id: cut(&own.sealed_client_id),
        ..own.clone()
    };
    let older = SealedLink { token_version: 6, own_app_since: Some(6), ..own.clone() };
    vec![
        SelfTest { name: "its own place", holds: opens(&key, &own) == [true; 4] },
        refused("another person", SealedLink { user_id: "u_2".to_owned(), ..own.clone() }),
        refused("another row", SealedLink { id: "l_2".to_owned(), ..own.clone() }),
        refused("the other column", swapped),
        refused("an older version of its row", older),
        refused("a byte less", shorter),
        SelfTest { name: "another key", holds: opens(&other, &own) == [false; 4] },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_and_every_binding_holds_in_this_build() {
        for test in vectors().into_iter().chain(binding(&Dice::system())) {
            assert!(test.holds, "{}", test.name);
        }
    }
}
