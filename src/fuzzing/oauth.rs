//! The authorization server's parsers: parameters, redirect URIs, registrations, tickets.

use serde_json::Value;
use url::{Host, Url};

use super::{changed, decoded, is_deceptive};
use crate::ambient::Timestamp;
use crate::crypto::Key;
use crate::crypto::keys::{KeyId, SealingKey};
use crate::crypto::token::{Token, TokenKind};
use crate::domain::client::{self, Registration};
use crate::domain::pkce::{CodeChallenge, CodeVerifier};
use crate::domain::redirect::{RedirectKind, RedirectUri};
use crate::domain::resource::Resource;
use crate::domain::{ClientId, ScopeSet};
use crate::oauth::Params;
use crate::oauth::tickets::{AuthorizationRequest, csrf, csrf_holds, redeem_ticket, ticket};

/// Form and query encoding: a value only where its name stands once; a broken one, a repetition and too many are told.
pub fn params(data: &[u8]) {
    let well_formed = |text: &[u8]| {
        let mut escapes = text.split(|byte| *byte == b'%').skip(1);
        escapes.all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
    };
    let text = |bytes: &[u8]| String::from_utf8(decoded(bytes, true)).ok().filter(|_| well_formed(bytes));
    let (mut kept, mut faulty) = (Vec::new(), false);
    for pair in data.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if kept.len() == 64 {
            faulty = true;
            break;
        }
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        match (text(&pair[..at]), text(pair.get(at + 1..).unwrap_or_default())) {
            (Some(name), Some(value)) => kept.push((name, value)),
            _ => faulty = true,
        }
    }
    let params = Params::parse(data);
    for (name, _) in &kept {
        let values: Vec<_> = kept.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect();
        faulty |= values.len() > 1 && name != "resource";
        let expected = match values[..] {
            [value] if !value.is_empty() => Some(value.as_str()),
            _ => None,
        };
        assert_eq!(params.get(name), expected, "{name:?}");
    }
    assert_eq!(params.fault().is_some(), faulty);
}

/// A registered URI, a newline, a presented URI: neither leads anywhere dangerous, and one admits the other only
/// where all but a loopback port is the same.
pub fn redirect(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (registered, presented) = text.split_once('\n').unwrap_or((&text, &text));
    let (registered, presented) = (RedirectUri::parse(registered), RedirectUri::parse(presented));
    for uri in [&registered, &presented].into_iter().flatten() {
        hold_redirect(uri, &text);
    }
    let (Ok(registered), Ok(presented)) = (registered, presented) else { return };
    assert_eq!(registered.admits(&presented), presented.admits(&registered));
    let loopback = |uri: &RedirectUri| uri.kind() == RedirectKind::Loopback;
    let same = match loopback(&registered) && loopback(&presented) {
        true => without_port(registered.as_str()) == without_port(presented.as_str()),
        false => registered.as_str() == presented.as_str(),
    };
    assert_eq!(registered.admits(&presented), same);
}

fn hold_redirect(uri: &RedirectUri, state: &str) {
    let text = uri.as_str();
    assert!(text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!text.contains(['#', '@', '\\', '*']));
    let url = Url::parse(text).unwrap();
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none());
    let segment = |segment: &str| String::from_utf8_lossy(&decoded(segment.as_bytes(), false)).into_owned();
    assert!(!url.path().split('/').any(|raw| matches!(&*segment(raw), "." | "..")), "{text}");
    let name = url.host_str().unwrap_or_default();
    match uri.kind() {
        RedirectKind::Https => {
            assert!(text.starts_with("https://") && matches!(url.host(), Some(Host::Domain(_))));
            assert!(name.contains('.') && !name.ends_with('.') && !name.ends_with(".localhost"), "{text}");
        }
        RedirectKind::Loopback => {
            assert!(text.starts_with("http://") && ["localhost", "127.0.0.1", "[::1]"].contains(&name));
        }
        RedirectKind::CustomScheme => assert!(url.scheme().contains('.') || url.scheme() == "cursor"),
    }
    // What is added stays a parameter: it moves nothing and can be read back.
    let back = uri.with_query(&[("state", state)]);
    let answered = Url::parse(&back).unwrap();
    assert_eq!((answered.scheme(), answered.host_str()), (url.scheme(), url.host_str()));
    assert_eq!(
        (answered.port(), answered.path(), answered.fragment()),
        (url.port(), url.path(), None),
        "{back}"
    );
    let last = answered.query_pairs().last().map(|(name, value)| (name.into_owned(), value.into_owned()));
    assert_eq!(last, Some(("state".to_owned(), state.to_owned())));
}

/// A loopback URI cut by hand into its host and what follows the port.
fn without_port(text: &str) -> (&str, &str) {
    let rest = text.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => host,
        _ => authority,
    };
    // `[::1]` ends in a digit and a bracket, so that its last colon is not a port's.
    (host, if path.is_empty() { "/" } else { path })
}

/// Client registration: a JSON object only, and what is kept of it is bounded, clean and ours.
pub fn registration(data: &[u8]) {
    let Some(request) = Registration::read(data) else { return };
    if let Ok(json) = serde_json::from_slice::<Value>(data) {
        assert!(json.is_object());
    }
    match client::register(&request) {
        Ok(kept) => {
            assert!(!kept.name.is_empty() && kept.name.chars().count() <= 100);
            assert!(!kept.name.chars().any(is_deceptive), "{:?}", kept.name);
            let again = Registration { client_name: Some(kept.name.clone()), ..request };
            assert_eq!(client::register(&again).unwrap().name, kept.name);
            let uris: Vec<_> = kept.redirect_uris.iter().map(|uri| uri.as_str().to_owned()).collect();
            assert!((1..=16).contains(&uris.len()));
            assert_eq!(Some(uris), again.redirect_uris);
            assert!(kept.scopes != ScopeSet::EMPTY && ScopeSet::ALL.covers(kept.scopes));
            assert!(kept.grant_types.contains(&"authorization_code"));
        }
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.len() < 200 && said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()),
                "{said}"
            );
        }
    }
}

/// Tickets and CSRF fields: only what was made here, unchanged and for this browser, is taken.
pub fn tickets(data: &[u8]) {
    let keys = [std::sync::Arc::new(SealingKey::new(KeyId::new([7; 16]), Key::new([7; 32])))];
    let browser = Token::mint(TokenKind::Handle, &[1; 32]);
    let other = Token::mint(TokenKind::Handle, &[2; 32]);
    let (now, later) = (Timestamp::from_secs(1_000), Timestamp::from_secs(2_000));
    let text = String::from_utf8_lossy(data);
    assert!(redeem_ticket(&keys, &text, &browser, now).is_none());
    assert_eq!(csrf_holds(&keys, &browser, &text), text == csrf(&keys[0], &browser));
    if let Some(read) = AuthorizationRequest::from_json(&text) {
        assert_eq!(AuthorizationRequest::from_json(&read.to_json()).unwrap().to_json(), read.to_json());
    }
    let request = AuthorizationRequest {
        client: ClientId::parse("c").unwrap(),
        redirect_uri: RedirectUri::parse("https://a.example/cb").unwrap(),
        state: Some(text.into_owned()),
        scopes: ScopeSet::ALL,
        resource: Resource::Mcp,
        challenge: CodeChallenge::of(&CodeVerifier::mint(&[1; 32])),
    };
    let genuine = ticket(&keys[0], &request, &browser, later);
    assert_eq!(redeem_ticket(&keys, &genuine, &browser, now).unwrap().to_json(), request.to_json());
    assert!(redeem_ticket(&keys, &genuine, &other, now).is_none());
    assert!(redeem_ticket(&keys, &genuine, &browser, later).is_none());
    let forged = changed(genuine.as_bytes(), data).and_then(|bytes| String::from_utf8(bytes).ok());
    let redeemed = forged.and_then(|forged| redeem_ticket(&keys, &forged, &browser, now));
    assert!(redeemed.is_none_or(|redeemed| redeemed.to_json() == request.to_json()));
}
