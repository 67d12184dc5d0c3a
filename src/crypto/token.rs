//! Opaque tokens: 256 random bits behind a prefix that tells the kind, stored only as a SHA-256 hash.
//!
//! Unsalted SHA-256 is enough for a value with 256 bits of entropy (ASVS v5.0.0-11.4.1 concerns passwords). An API key,
//! which people copy, also ends in a checksum: a typo, and a scanner's false find, are known without a database.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::SecretString;

/// What an opaque token is for; its prefix lets people and secret scanners tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// OAuth access token, `smat_`.
    Access,
    /// OAuth refresh token, `smrt_`.
    Refresh,
    /// OAuth authorization code, `smac_`.
    Code,
    /// OAuth client secret, `smcs_`.
    ClientSecret,
    /// Cookie of a browser session, `smbs_`.
    BrowserSession,
    /// API key, `smcp_`, with a checksum.
    ApiKey,
    /// Session of a 2025-era MCP client (`Mcp-Session-Id`), `smms_`.
    McpSession,
    /// A one-time handle (upstream state, binding cookie), without prefix.
    Handle,
}

impl TokenKind {
    /// How every token of this kind begins.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Access => "smat_",
            Self::Refresh => "smrt_",
            Self::Code => "smac_",
            Self::ClientSecret => "smcs_",
            Self::BrowserSession => "smbs_",
            Self::ApiKey => "smcp_",
            Self::McpSession => "smms_",
            Self::Handle => "",
        }
    }

    /// Length behind the prefix: 32 bytes in base64url without padding; 36 where a checksum follows them.
    const fn body(self) -> usize {
        match self {
            Self::ApiKey => 48,
            _ => 43,
        }
    }
}

/// Bytes of an API key's checksum: one typo in four thousand million passes for a key, and is then unknown.
const CHECKSUM: usize = 4;

/// A token in the clear: exists while a request is answered, and is never stored.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A fresh token from 32 random bytes.
    pub fn mint(kind: TokenKind, random: &[u8; 32]) -> Self {
        let body = match kind {
            TokenKind::ApiKey => URL_SAFE_NO_PAD.encode(with_checksum(random)),
            _ => URL_SAFE_NO_PAD.encode(random),
        };
        Self(SecretString::new(format!("{}{body}", kind.prefix())))
    }

    /// Takes what a caller presented; `None` where it cannot be a token of this kind, so that no store is asked.
    pub fn parse(kind: TokenKind, presented: &str) -> Option<Self> {
        let body = presented.strip_prefix(kind.prefix())?;
        let plausible = body.len() == kind.body()
            && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && (kind != TokenKind::ApiKey || checksum_holds(body));
        plausible.then(|| Self(SecretString::new(presented)))
    }

    /// The text, to hand to its owner.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// What is stored and looked up instead.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.expose().as_bytes()).into())
    }
}

/// The random bytes and the first four of their SHA-256.
fn with_checksum(random: &[u8; 32]) -> [u8; 32 + CHECKSUM] {
    let mut bytes = [0; 32 + CHECKSUM];
    bytes[..32].copy_from_slice(random);
    bytes[32..].copy_from_slice(&Sha256::digest(random)[..CHECKSUM]);
    bytes
}

fn checksum_holds(body: &str) -> bool {
    let bytes = URL_SAFE_NO_PAD.decode(body).unwrap_or_default();
    let Some((random, checksum)) = bytes.split_first_chunk::<32>() else { return false };
    checksum == &Sha256::digest(random)[..CHECKSUM]
}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of any text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// For the store's binary columns.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// For columns that people read: 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Reads [`TokenHash::hex`]; `None` where it is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (text.len() == 64 && is_hex).then_some(())?;
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// From a store's binary column; `None` unless 32 bytes long.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl std::hash::Hash for TokenHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_minted_token_parses_as_its_own_kind_only() {
        let token = Token::mint(TokenKind::Access, &[1; 32]);
        assert!(Token::parse(TokenKind::Access, token.expose()).is_some());
        assert!(Token::parse(TokenKind::Refresh, token.expose()).is_none());
        assert!(Token::parse(TokenKind::Access, "smat_short").is_none());
        assert!(Token::parse(TokenKind::Access, &format!("smat_{}", "é".repeat(22))).is_none());
    }

    #[test]
    fn every_typo_in_an_api_key_is_recognised_without_a_database() {
        let key = Token::mint(TokenKind::ApiKey, &[0x5a; 32]);
        // Computed independently: scanners and other programs know keys by this.
        assert_eq!(key.expose(), "smcp_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpgvwfE");
        assert!(Token::parse(TokenKind::ApiKey, key.expose()).is_some());
        for at in 0..key.expose().len() {
            let mut typo = key.expose().as_bytes().to_vec();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert!(Token::parse(TokenKind::ApiKey, std::str::from_utf8(&typo).unwrap()).is_none(), "{at}");
        }
        for wrong in [format!("{}a", key.expose()), key.expose()[..52].to_owned(), "smcp_".to_owned()] {
            assert!(Token::parse(TokenKind::ApiKey, &wrong).is_none());
        }
    }

    #[test]
    fn a_hash_is_written_and_read_in_hexadecimal() {
        let hash = TokenHash::of("x");
        assert_eq!(TokenHash::from_hex(&hash.hex()), Some(hash));
        for wrong in
            ["", "00", &"g".repeat(64), &"é".repeat(32), &"+f".repeat(32), &hash.hex().to_uppercase()]
        {
            assert_eq!(TokenHash::from_hex(wrong), None);
        }
    }

    #[test]
    fn the_hash_is_of_the_whole_text() {
        let token = Token::mint(TokenKind::Code, &[2; 32]);
        assert_eq!(token.hash(), TokenHash::of(token.expose()));
        assert_ne!(token.hash(), Token::mint(TokenKind::Code, &[3; 32]).hash());
    }

    proptest! {
        #[test]
        fn what_is_minted_parses_and_no_mutation_is_the_same_token(
            random: [u8; 32], kind in 0_usize..6, at in 0_usize..48, by in 1_u8..128
        ) {
            let kinds = [
                TokenKind::Access, TokenKind::Refresh, TokenKind::Code,
                TokenKind::ClientSecret, TokenKind::BrowserSession, TokenKind::Handle,
            ];
            let kind = kinds[kind];
            let token = Token::mint(kind, &random);
            let back = Token::parse(kind, token.expose()).unwrap();
            prop_assert!(back.expose() == token.expose() && back.hash() == token.hash());
            let mut bytes = token.expose().as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] ^= by;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(Token::parse(kind, &changed).is_none_or(|other| other.hash() != token.hash()));
            prop_assert!(Token::parse(kind, &changed[1..]).is_none());
            let longer = format!("{}x", token.expose());
            prop_assert!(Token::parse(kind, &longer).is_none());
        }
    }
}
