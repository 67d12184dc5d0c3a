//! Tokens, ids and what else stands for itself: taken whole or not at all.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use url::Url;

use super::{changed, is_deceptive};
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::api_key::{self, KeyName};
use crate::domain::ids::{
    ApiKeyId, AppId, DataKeyId, DynamicClientId, EventId, GrantId, LinkId, RequestId, SessionId, UserId,
};
use crate::domain::pkce::{CodeChallenge, CodeVerifier};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet};

const ISSUER: &str = "https://music.example";

const KINDS: [TokenKind; 8] = [
    TokenKind::Access,
    TokenKind::Refresh,
    TokenKind::Code,
    TokenKind::ClientSecret,
    TokenKind::BrowserSession,
    TokenKind::ApiKey,
    TokenKind::McpSession,
    TokenKind::Handle,
];

/// Tokens, ids, PKCE, scopes and resources: taken as they stand or not at all, by one kind at most.
pub fn tokens(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let taken: Vec<_> = KINDS.into_iter().filter_map(|kind| Token::parse(kind, &text)).collect();
    assert!(taken.len() <= 1);
    for token in taken {
        assert_eq!(token.expose(), text);
        assert!(
            text.len() <= 53
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(token.hash(), TokenHash::of(&text));
        let id = HeaderValue::try_from(&*text).unwrap();
        assert_eq!(id.to_str().unwrap(), text);
    }
    hold_hash(&text);
    hold_api_keys(&text);
    if let Some(random) = data.first_chunk::<32>() {
        hold_minted(random, &data[32..]);
    }
    hold_ids(&text);
    hold_pkce(&text);
    hold_scopes(&text);
    if let Some(resource) = Resource::requested(Some(&text), ISSUER) {
        let url = Url::parse(&text).unwrap();
        assert_eq!(url.origin(), Url::parse(ISSUER).unwrap().origin());
        assert!(url.username().is_empty() && url.query().is_none() && url.fragment().is_none());
        assert_eq!(Resource::requested(Some(&resource.url(ISSUER)), ISSUER), Some(resource));
    }
}

fn hold_minted(random: &[u8; 32], choice: &[u8]) {
    for kind in KINDS {
        let token = Token::mint(kind, random);
        for other in KINDS {
            assert_eq!(Token::parse(other, token.expose()).is_some(), kind == other);
        }
        let changed =
            changed(token.expose().as_bytes(), choice).and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(other) = changed.and_then(|text| Token::parse(kind, &text)) {
            assert_ne!(other.hash(), token.hash());
        }
    }
}

/// What is stored instead of a token has one spelling.
fn hold_hash(text: &str) {
    assert_eq!(TokenHash::from_hex(&TokenHash::of(text).hex()), Some(TokenHash::of(text)));
    if let Some(hash) = TokenHash::from_hex(text) {
        assert_eq!(hash.hex(), text);
    }
}

/// A key is one that was minted, to the last character; its name, its life and its scopes are what was typed.
fn hold_api_keys(text: &str) {
    if Token::parse(TokenKind::ApiKey, text).is_some() {
        let bytes = URL_SAFE_NO_PAD.decode(&text["smcp_".len()..]).unwrap();
        let minted = Token::mint(TokenKind::ApiKey, bytes.first_chunk().unwrap());
        assert_eq!(minted.expose(), text);
    }
    if let Ok(name) = KeyName::parse(text) {
        assert_eq!(name.as_str(), text.trim());
        assert!((1..=60).contains(&name.as_str().chars().count()));
        assert!(!name.as_str().chars().any(is_deceptive), "{name:?}");
    }
    match api_key::life(text) {
        Ok(None) => assert_eq!(text, "never"),
        Ok(Some(life)) => {
            assert!((60..=3_650 * 86_400).contains(&life.as_secs()));
            assert_eq!(api_key::life(&format!("{}m", life.as_secs() / 60)), Ok(Some(life)));
        }
        Err(_) => assert_ne!(text, "never"),
    }
    if let Ok(scopes) = api_key::scopes(text.split(' ')) {
        assert!(scopes != ScopeSet::EMPTY && scopes == ScopeSet::known(text));
    }
}

fn hold_ids(text: &str) {
    macro_rules! taken_as {
        ($($kind:ty),*) => { [$(text.parse::<$kind>().ok().map(|id| id.as_str().to_owned())),*] };
    }
    let taken = taken_as!(
        UserId,
        LinkId,
        AppId,
        GrantId,
        SessionId,
        DataKeyId,
        DynamicClientId,
        ApiKeyId,
        EventId,
        RequestId
    );
    assert!(taken.iter().flatten().count() <= 1);
    assert!(taken.iter().flatten().all(|id| id == text && (34..=35).contains(&id.len())));
    if let Some(id) = ClientId::parse(text) {
        assert!(id.as_str() == text && text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

fn hold_pkce(text: &str) {
    if let Some(verifier) = CodeVerifier::parse(text) {
        assert!((43..=128).contains(&text.len()) && verifier.expose() == text);
        let challenge = CodeChallenge::of(&verifier);
        assert!(CodeChallenge::parse(challenge.as_str()).unwrap().proven_by(&verifier));
        let other = CodeVerifier::mint(&[1; 32]);
        assert_eq!(challenge.proven_by(&other), text == other.expose());
    }
    if let Some(challenge) = CodeChallenge::parse(text) {
        assert!(challenge.as_str() == text && text.len() == 43);
    }
}

fn hold_scopes(text: &str) {
    let known = ScopeSet::known(text);
    assert_eq!(ScopeSet::known(&known.to_string()), known);
    assert!(known.iter().all(|scope| text.split_ascii_whitespace().any(|word| word == scope.name())));
    let requested = ScopeSet::requested(Some(text));
    assert!(requested == known || (known == ScopeSet::EMPTY && requested == ScopeSet::ALL));
}
