//! What travels through a browser and comes back: the consent form's ticket and CSRF tokens. Authenticated under a
//! key of their own and bound to the browser; usable more than once within their life, by that browser alone.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::ambient::Timestamp;
use crate::crypto::keys::SealingKey;
use crate::crypto::token::Token;
use crate::domain::pkce::CodeChallenge;
use crate::domain::redirect::RedirectUri;
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet};

/// A proven authorization request: client and redirect URI match, everything else is well-formed.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// The client.
    pub client: ClientId,
    /// Where the answer goes.
    pub redirect_uri: RedirectUri,
    /// The client's own state, echoed byte for byte.
    pub state: Option<String>,
    /// What would be granted.
    pub scopes: ScopeSet,
    /// For which resource.
    pub resource: Resource,
    /// The PKCE challenge.
    pub challenge: CodeChallenge,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    c: String,
    r: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<String>,
    p: String,
    a: bool,
    k: String,
}

impl AuthorizationRequest {
    /// As JSON, for the ticket and for the row of the login that waits.
    pub fn to_json(&self) -> String {
        let wire = Wire {
            c: self.client.as_str().to_owned(),
            r: self.redirect_uri.as_str().to_owned(),
            s: self.state.clone(),
            p: self.scopes.to_string(),
            a: self.resource == Resource::ClaudeMcp,
            k: self.challenge.as_str().to_owned(),
        };
        // A struct of strings and a boolean cannot fail.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Reads what [`AuthorizationRequest::to_json`] wrote.
    pub fn from_json(json: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(json).ok()?;
        Some(Self {
            client: ClientId::parse(&wire.c)?,
            redirect_uri: RedirectUri::parse(&wire.r).ok()?,
            state: wire.s,
            scopes: ScopeSet::known(&wire.p),
            resource: if wire.a { Resource::ClaudeMcp } else { Resource::Mcp },
            challenge: CodeChallenge::parse(&wire.k)?,
        })
    }
}

/// The consent form's hidden `ticket`: the request itself, valid until `expires_at` in this browser.
pub fn ticket(
    key: &SealingKey,
    request: &AuthorizationRequest,
    browser: &Token,
    expires_at: Timestamp,
) -> String {
    let json = request.to_json();
    let expiry = expires_at.secs().to_string();
    let mac = consent_mac(key, &json, &expiry, browser);
    format!("{}.{expiry}.{}", URL_SAFE_NO_PAD.encode(json), URL_SAFE_NO_PAD.encode(mac))
}

/// The request of a ticket; `None` where it was changed, has expired, or belongs to another browser.
pub fn redeem_ticket(
    keys: &[Arc<SealingKey>],
    text: &str,
    browser: &Token,
    now: Timestamp,
) -> Option<AuthorizationRequest> {
    let mut parts = text.splitn(3, '.');
    let (json, expiry, mac) = (parts.next()?, parts.next()?, parts.next()?);
    let json = String::from_utf8(URL_SAFE_NO_PAD.decode(json).ok()?).ok()?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    let genuine = keys.iter().any(|key| consent_mac(key, &json, expiry, browser).ct_eq(&mac).into());
    if !genuine || now >= Timestamp::from_secs(expiry.parse().ok()?) {
        return None;
    }
    AuthorizationRequest::from_json(&json)
}

/// The `csrf` field of forms: belongs to one browser or browser session, may be used more than once.
pub fn csrf(key: &SealingKey, holder: &Token) -> String {
    let mac = key.authenticate(&[b"csrf", &holder.hash().as_bytes()[..]]);
    URL_SAFE_NO_PAD.encode(mac)
}

/// Whether a form's `csrf` field belongs to the holder, in constant time.
pub fn csrf_holds(keys: &[Arc<SealingKey>], holder: &Token, presented: &str) -> bool {
    keys.iter().any(|key| csrf(key, holder).as_bytes().ct_eq(presented.as_bytes()).into())
}

fn consent_mac(key: &SealingKey, json: &str, expiry: &str, browser: &Token) -> [u8; 32] {
    let browser = browser.hash();
    key.authenticate(&[b"consent", json.as_bytes(), expiry.as_bytes(), &browser.as_bytes()[..]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Key;
    use crate::crypto::keys::KeyId;
    use crate::crypto::token::TokenKind;
    use crate::domain::pkce::CodeVerifier;

    fn request() -> AuthorizationRequest {
        AuthorizationRequest {
            client: ClientId::parse("c_1").unwrap(),
            redirect_uri: RedirectUri::parse("https://a.example/cb").unwrap(),
            state: Some("st\"ate é".to_owned()),
            scopes: ScopeSet::known("read player"),
            resource: Resource::ClaudeMcp,
            challenge: CodeChallenge::of(&CodeVerifier::mint(&[1; 32])),
        }
    }

    #[test]
    fn a_ticket_holds_in_its_browser_until_it_expires() {
        let keys = [Arc::new(SealingKey::new(KeyId::new([1; 16]), Key::new([1; 32])))];
        let (mine, other) =
            (Token::mint(TokenKind::Handle, &[2; 32]), Token::mint(TokenKind::Handle, &[3; 32]));
        let at = Timestamp::from_secs;
        let text = ticket(&keys[0], &request(), &mine, at(100));
        let back = redeem_ticket(&keys, &text, &mine, at(99)).unwrap();
        assert_eq!(back.to_json(), request().to_json());
        assert!(redeem_ticket(&keys, &text, &other, at(99)).is_none());
        assert!(redeem_ticket(&keys, &text, &mine, at(100)).is_none());
        assert!(redeem_ticket(&keys, &text.replace(".100.", ".200."), &mine, at(99)).is_none());
        for at_byte in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at_byte] ^= 1;
            let changed = String::from_utf8_lossy(&changed).into_owned();
            // The last character of base64 carries bits that do not count.
            let same = redeem_ticket(&keys, &changed, &mine, at(99))
                .is_none_or(|back| back.to_json() == request().to_json());
            assert!(same, "byte {at_byte}");
        }
    }

    #[test]
    fn csrf_belongs_to_its_holder() {
        let keys = [Arc::new(SealingKey::new(KeyId::new([1; 16]), Key::new([1; 32])))];
        let (mine, other) =
            (Token::mint(TokenKind::Handle, &[2; 32]), Token::mint(TokenKind::Handle, &[3; 32]));
        assert!(csrf_holds(&keys, &mine, &csrf(&keys[0], &mine)));
        assert!(!csrf_holds(&keys, &other, &csrf(&keys[0], &mine)));
        assert!(!csrf_holds(&keys, &mine, ""));
    }
}
