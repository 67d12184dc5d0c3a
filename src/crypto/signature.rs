//! Ed25519 (RFC 8032) over what others must be able to check without any of our keys: evidence.

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::Key;

/// A signature and what to check it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// 32 bytes.
    pub public_key: Vec<u8>,
    /// 64 bytes.
    pub signature: Vec<u8>,
}

/// Signs `message` with the key pair that `seed` stands for; `None` never happens for a key of 32 bytes.
pub fn sign(seed: &Key, message: &[u8]) -> Option<Signed> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).ok()?;
    let public_key = pair.public_key().as_ref().to_vec();
    Some(Signed { public_key, signature: pair.sign(message).as_ref().to_vec() })
}

/// Whether the signature is of this message, by the owner of this public key.
pub fn verify(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_vector_of_rfc_8032_signs_as_it_says() {
        let bytes = |hex: &str| -> Vec<u8> {
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
        };
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let signed = sign(&Key::new(seed.try_into().unwrap()), b"").unwrap();
        assert_eq!(
            signed.public_key,
            bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
        );
        assert_eq!(
            signed.signature,
            bytes(
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
            )
        );
        assert!(verify(&signed.public_key, b"", &signed.signature));
        assert!(!verify(&signed.public_key, b"x", &signed.signature));
    }
}
