//! Proof Key for Code Exchange (RFC 7636), method S256 only: `plain` and none at all are refused (OAuth 2.1 7.5.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::crypto::SecretString;

/// A `code_challenge`: SHA-256 of the verifier in base64url, 43 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Accepts exactly what S256 can produce.
    pub fn parse(text: &str) -> Option<Self> {
        let digest = URL_SAFE_NO_PAD.decode(text).ok()?;
        (digest.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The challenge of a verifier.
    pub fn of(verifier: &CodeVerifier) -> Self {
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.0.expose())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` proves this challenge, in constant time.
    pub fn proven_by(&self, verifier: &CodeVerifier) -> bool {
        Self::of(verifier).0.as_bytes().ct_eq(self.0.as_bytes()).into()
    }
}

/// A `code_verifier`: 43 to 128 unreserved characters (RFC 7636 section 4.1).
#[derive(Clone, Debug)]
pub struct CodeVerifier(SecretString);

impl CodeVerifier {
    /// Accepts 43 to 128 characters of the unreserved set.
    pub fn parse(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (43..=128).contains(&text.len()) && text.bytes().all(unreserved);
        fits.then(|| Self(SecretString::new(text)))
    }

    /// A fresh verifier of 43 characters.
    pub fn mint(random: &[u8; 32]) -> Self {
        Self(SecretString::new(URL_SAFE_NO_PAD.encode(random)))
    }

    /// The text, to send to the token endpoint.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert!(challenge.proven_by(&verifier));
        assert!(!challenge.proven_by(&CodeVerifier::mint(&[0; 32])));
    }

    #[test]
    fn malformed_ones_are_refused() {
        assert!(CodeVerifier::parse(&"a".repeat(42)).is_none());
        assert!(CodeVerifier::parse(&"a".repeat(129)).is_none());
        assert!(CodeVerifier::parse(&"é".repeat(30)).is_none());
        assert!(CodeChallenge::parse(&"a".repeat(44)).is_none());
        assert!(CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=").is_none());
    }

    proptest! {
        #[test]
        fn a_verifier_proves_its_own_challenge_alone(text in "[A-Za-z0-9._~-]{43,128}", at in 0_usize..128, other: [u8; 32]) {
            let verifier = CodeVerifier::parse(&text).unwrap();
            let challenge = CodeChallenge::parse(CodeChallenge::of(&verifier).as_str()).unwrap();
            prop_assert!(challenge.proven_by(&verifier));
            prop_assert!(!challenge.proven_by(&CodeVerifier::mint(&other)));
            let at = at % text.len();
            let odd = format!("{}+{}", &text[..at], &text[at + 1..]);
            prop_assert!(CodeVerifier::parse(&odd).is_none());
            // "plain" would compare the texts themselves.
            prop_assert!(CodeChallenge::parse(&text).is_none_or(|plain| !plain.proven_by(&verifier)));
        }
    }
}
